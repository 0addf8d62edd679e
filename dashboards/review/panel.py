"""Agree, override or flag: what is said of an answer, by whom; nothing that was said is erased."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboards import notes, published, texts
from dashboards.review.reader import Reader
from mmdiag.errors import MmdiagError
from mmdiag.record.reviews import AGREE, FLAG, LONGEST, OVERRIDE, labels_of, record_review
from mmdiag.task import NOTHING, Task

AGREED = "Agreed with the answer as it was shown."
FORMS = {OVERRIDE: "Override the answer", FLAG: "Flag the case"}


def panel(
    who: Reader,
    cohort: str,
    case_id: str,
    seen: tuple[str, str],
    task: Task,
    said: Sequence[dict[str, Any]],
) -> None:
    """The buttons, the form of the one that was pressed, and what was said before.

    Args:
        seen: Bundle and version of the answer that is shown.
        said: What was said of the case, the newest first.
    """
    if not who.may("review"):
        st.caption(notes.plain(f"To answer a case one is reviewer or more. {who.problem}"))
    else:
        _buttons(who, cohort, case_id, seen, task)
    _history(said, task, seen)


def _buttons(who: Reader, cohort: str, case_id: str, seen: tuple[str, str], task: Task) -> None:
    asked = _form(cohort, case_id)
    agree, override, flag = st.columns(3)
    if _button(agree, "Agree", "a", "check"):
        _record(who, cohort, case_id, seen, AGREE, AGREED)
    for column, verdict, letter, icon in (
        (override, OVERRIDE, "o", "edit"),
        (flag, FLAG, "f", "flag"),
    ):
        if _button(column, verdict.capitalize(), letter, icon):
            st.session_state[asked] = verdict
    chosen = st.session_state.get(asked)
    if chosen is None:
        return
    with st.form(f"say-{chosen}-{case_id}", border=True):
        label = _label(task) if chosen == OVERRIDE else ""
        reason = st.text_area(
            "Reason",
            key=f"reason-{chosen}-{case_id}",
            max_chars=LONGEST,
            height=80,
            placeholder="Why? No names: a reason stays in the record.",
        )
        if st.form_submit_button(FORMS[chosen], key="say", icon=":material/save:"):
            _record(who, cohort, case_id, seen, chosen, reason, label)


def _form(cohort: str, case_id: str) -> str:
    """What a session keeps of a form that is open."""
    return f"form-{cohort}-{case_id}"


def _button(column: Any, title: str, letter: str, icon: str) -> bool:
    return bool(
        column.button(
            title,
            key=title.lower(),
            icon=f":material/{icon}:",
            shortcut=letter,
            width="stretch",
        )
    )


def _label(task: Task) -> str:
    if task.multilabel:
        there = st.multiselect(
            "Which are there",
            labels_of(task),
            key="label",
            format_func=lambda value: notes.visible(named(task, value)),
            placeholder=NOTHING.capitalize(),
        )
        return ", ".join(map(str, there)) or NOTHING
    return str(
        st.selectbox(
            "What it is",
            labels_of(task),
            key="label",
            format_func=lambda value: notes.visible(named(task, value)),
        )
    )


def named(task: Task, value: str) -> str:
    """A label of an override as people read it, with the value that is written where they
    differ.
    """
    name = task.named(value)
    return value if name == value else f"{name} ({value})"


def _record(
    who: Reader,
    cohort: str,
    case_id: str,
    seen: tuple[str, str],
    verdict: str,
    reason: str,
    label: str = "",
) -> None:
    record = published.ledger()
    if record is None:
        return
    try:
        record_review(
            record,
            published.workspace(),
            case_id,
            verdict,
            reason,
            label=label,
            by=who.name,
            cohort=cohort,
            seen=seen,
            role=who.role,
            since=who.since,
        )
    except MmdiagError as error:
        st.error(notes.plain(error), icon=":material/error:")
        return
    st.session_state.pop(_form(cohort, case_id), None)
    st.rerun()


def _history(said: Sequence[dict[str, Any]], task: Task, seen: tuple[str, str]) -> None:
    """Each thing that was said, in a line of its own."""
    for row in said:
        words = texts.reviewed(row["verdict"], row["at"], row["by"])
        label = f", it is {named(task, row['label'])}" if row["label"] else ""
        other = "" if (row["bundle_id"], row["version"]) == seen else " (of another answer)"
        st.caption(notes.plain(f"{words}{label}{other}: {row['reason']}"))
