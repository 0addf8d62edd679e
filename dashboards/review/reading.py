"""My reading first: picture, note and table without the model's opinion, then the reader's own
estimate by one key, and only then the answer.
"""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboards import case_parts, notes, published
from dashboards.case_view import View
from dashboards.parts import part
from dashboards.review.reader import Reader
from mmdiag.errors import MmdiagError
from mmdiag.evaluation.verdict import question
from mmdiag.record.readings import estimates_of, record_reading
from mmdiag.roles import REVIEWER

WANTED, DONE = "reading-wanted", "readings"  # of a session: its pages share them
KEYS = "123456789"  # by one key each
ACROSS = 3  # estimates in a line
COMPANY = 400  # cases that a value is compared with: those that were stored with it
EXTREME = 60  # columns that are shown, the farthest from the middle first


def switch(who: Reader) -> None:
    """The switch, for all cases of the session; on at first for reviewers."""
    wanted = st.toggle(
        "My reading first",
        value=st.session_state.get(WANTED, who.role == REVIEWER),
        key="reading-first",
        help="Shows a case without the model's answer until you have given your own estimate.",
    )
    st.session_state[WANTED] = wanted


def is_due(who: Reader, cohort: str, case_id: str, version: str) -> bool:
    """Whether the reader's own estimate comes before the answer."""
    wanted = bool(st.session_state.get(WANTED)) and who.may("review")
    return wanted and (cohort, case_id, version) not in st.session_state.get(DONE, {})


def own_estimate(cohort: str, case_id: str, version: str) -> str:
    """What the reader estimated in this session; empty = nothing."""
    return str(st.session_state.get(DONE, {}).get((cohort, case_id, version), ""))


def draw(view: View, who: Reader, cohort: str, seen: tuple[str, str]) -> None:
    """The case without the model's opinion, and the question."""
    left, right = st.columns([10, 11], gap="large")
    with left, part("The images"):
        case_parts.images(view)
    with right:
        with part("The question"):
            _ask(view, who, cohort, seen)
        for name in view.of_kind("text"):
            with part(view.names[name]):
                case_parts.note(view, name)
        for name in view.of_kind("table"):
            with part(view.names[name]):
                _values(view, name)
        for name in view.of_kind("signal"):
            with part(view.names[name]):
                case_parts.signal(view, name)


def _ask(view: View, who: Reader, cohort: str, seen: tuple[str, str]) -> None:
    task = view.asked
    binary = task.kind in ("binary", "survival")
    asked = f"How likely is {task.outcome}?" if binary else f"{question(task)}?"
    st.markdown(f"##### Your reading: {notes.plain(asked)}")
    choices = estimates_of(task)
    columns = st.columns(ACROSS)
    for place, estimate in enumerate(choices):
        pressed = columns[place % ACROSS].button(
            notes.plain(estimate),
            key=f"estimate-{place}",
            shortcut=KEYS[place] if place < len(KEYS) else None,
            width="stretch",
        )
        if pressed:
            _record(who, cohort, view.case_id, seen, estimate)


def _record(who: Reader, cohort: str, case_id: str, seen: tuple[str, str], estimate: str) -> None:
    record = published.ledger()
    if record is None:
        return
    try:
        record_reading(
            record, cohort, case_id, seen, estimate, who.name, role=who.role, since=who.since
        )
    except MmdiagError as error:
        st.error(notes.plain(error), icon=":material/error:")
        return
    st.session_state.setdefault(DONE, {})[cohort, case_id, seen[1]] = estimate
    st.rerun()


def _values(view: View, name: str) -> None:
    """The values of a table that are farthest from the middle of the cohort's."""
    st.markdown(f"**{notes.plain(view.names[name])}**")
    if not view.has(name):
        case_parts.missing(view, name)
        return
    assert view.row is not None
    with published.reading_part(view.store, name, view.row):
        own, others = published.beside(view.store, name, view.row, COMPANY)
    st.dataframe(
        extremes(view.store.columns(name), own, others),
        hide_index=True,
        width="stretch",
        height=260,
    )
    st.caption(f"The {EXTREME} values farthest from the middle of {len(others)} cases.")


def extremes(columns: list[str], own: Any, others: Any) -> pd.DataFrame:
    """`name, value, percentile` of the values that are farthest from the middle."""
    measured = np.isfinite(others).sum(axis=0)
    below = (others < own).sum(axis=0) + 0.5 * (others == own).sum(axis=0)
    share = 100 * below / np.maximum(measured, 1)
    table = pd.DataFrame({"name": columns, "value": own, "percentile": share.round()})
    table = table[np.isfinite(own) & (measured > 0)]
    far = (table["percentile"] - 50).abs().sort_values(ascending=False, kind="stable")
    chosen: pd.DataFrame = table.loc[far.index].head(EXTREME)
    return chosen.reset_index(drop=True)
