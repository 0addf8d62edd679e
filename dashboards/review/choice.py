"""Which case is shown: the one that the address asks for, the choice of the list, and the steps to
the next and the previous one.
"""

from typing import Any

import streamlit as st

from dashboards import notes
from dashboards.worklist.cases import Cases

MOST = 300  # cases of the list; of more, those around the one that is shown


def choose(cases: Cases | None, cohort: str) -> tuple[Any, str | None]:
    """The line of the case with its choice, and its key; None where no case is chosen. The case
    that the address asks for is never replaced by another one.
    """
    order = cases.order if cases is not None else []
    asked = st.query_params.get("case")
    if asked is not None:
        st.session_state["case"] = asked
    elif st.session_state.get("case") not in order:
        st.session_state["case"] = order[0] if order else None
    shown = st.session_state["case"]
    line, choice, back, forward = st.columns([12, 4, 1, 1], vertical_alignment="center")
    number = order.index(shown) if shown in order else -1
    if _step(back, "previous", "chevron_left", "k", stop=number <= 0):
        _show(order[number - 1], cohort)
    if _step(forward, "next", "chevron_right", "j", stop=not 0 <= number < len(order) - 1):
        _show(order[number + 1], cohort)
    if cases is not None:
        _list(choice, cases, number, cohort)
    return line, shown


def _list(column: Any, cases: Cases, number: int, cohort: str) -> None:
    start, stop = around(number, len(cases.order))
    options, silent = cases.order[start:stop], cases.silent()
    labels = {
        case: f"{place} of {len(cases.order)} · {notes.visible(case)}"
        + (" · no answer" if case in silent else "")
        for place, case in enumerate(options, start=start + 1)
    }
    if number < 0:
        st.session_state["case"] = None
    column.selectbox(
        "Case",
        options,
        index=0 if number >= 0 else None,  # what may be empty can be emptied
        key="case",
        on_change=_chosen,
        args=(cohort,),
        placeholder="Choose a case",
        label_visibility="collapsed",
        format_func=lambda case: labels.get(case, case),
        help="In the order of the worklist: not reviewed, then without an answer, then the most "
        "uncertain; then the other cases of the run.",
    )


def around(number: int, length: int) -> tuple[int, int]:
    """The part of a long list that is offered: around the place that is shown."""
    if length <= MOST:
        return 0, length
    start = min(max(number - MOST // 2, 0), length - MOST)
    return start, start + MOST


def _step(column: Any, key: str, icon: str, letter: str, *, stop: bool) -> bool:
    return bool(
        column.button(
            "",
            key=key,
            icon=f":material/{icon}:",
            help=f"{key.capitalize()} case ({letter})",
            shortcut=letter,
            disabled=stop,
            width="stretch",
        )
    )


def _show(case_id: str, cohort: str) -> None:
    """Another case, now: what was drawn so far is of the one before."""
    st.session_state["case"] = case_id
    st.query_params.update(case=case_id, cohort=cohort)
    st.rerun()


def _chosen(cohort: str) -> None:
    """The address follows the choice."""
    if st.session_state["case"] is not None:
        st.query_params.update(case=st.session_state["case"], cohort=cohort)
