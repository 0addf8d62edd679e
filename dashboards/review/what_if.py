"""Switches by which a case would be another, and what the model would answer then: without a
modality, or with columns at the median of the cohort. Nothing of it is recorded.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import notes, texts
from dashboards.case_view import View
from dashboards.review import explaining
from mmdiag.evaluation.verdict import answer_of, is_abstained

COLUMNS = 8  # that add most to the answer can be set to the median


def panel(view: View, cohort: str, seen: tuple[str, str]) -> None:
    """The switches, and the answer for what they say.

    Args:
        seen: Bundle and version that the page shows.
    """
    present = [name for name in view.names if name in set(view.prediction["modalities"])]
    columns = _columns(view)
    if len(present) < 2 and not columns:
        return
    # what formats a choice is kept as long as its reader stays: the names, and not the case
    called = {name: notes.plain(view.names[name]) for name in present}
    with st.expander("What if"):
        without = st.pills(
            "Without",
            present if len(present) > 1 else [],
            selection_mode="multi",
            format_func=called.__getitem__,
            key=f"without-{view.case_id}",
        )
        medians = st.pills(
            "At the median of the cohort",
            list(columns),
            selection_mode="multi",
            format_func=notes.plain,
            key=f"median-{view.case_id}",
            help="Of a category such as sex=M: the one of its column that most cases have.",
        )
        change = changes(without, [one for one in medians if columns[one] not in without])
        if not change:
            st.caption("Choose what the case would lack, and the model answers for it anew.")
        elif len(without) == len(present):
            st.caption("Of a case without any modality nothing is known: leave one.")
        else:
            alone = without if len(change) == len(without) else ()
            _asked((seen[0], view.case_id, seen[1], *change), view, cohort, alone)


def changes(without: Sequence[str], medians: Sequence[str]) -> tuple[str, ...]:
    """The options of `mmdiag explain` that say so."""
    return (
        *(f"--without={name}" for name in without),
        *(f"--set={column}=median" for column in medians),
    )


def _columns(view: View) -> dict[str, str]:
    """The columns of tables that add most, and the table of each; none where the parts are not
    known. What two tables call alike cannot be set by its name.
    """
    tables = [name for name in view.of_kind("table") if view.has(name)]
    named = Counter(column for name in tables for column in view.store.columns(name))
    rows = [(name, part) for name in tables for part in view.parts(name) or ()]
    rows = [(name, part) for name, part in rows if named[str(part["name"])] == 1]
    largest = sorted(rows, key=lambda row: -abs(float(row[1]["value"])))[:COLUMNS]
    return {str(part["name"]): name for name, part in largest}


def _asked(key: explaining.Key, view: View, cohort: str, without: Sequence[str]) -> None:
    """Ask, or show what was answered.

    Args:
        without: The modalities that are taken away where nothing else is changed.
    """
    job = explaining.jobs().of.get(key)
    if job is not None and (job.running or (not job.process.returncode and not job.answer)):
        explaining.progress(key, "The model is asked.")
        return
    if job is not None and not job.process.returncode:
        _told(view, json.loads(job.answer[0]), without)
        return
    if job is not None:
        explaining.failed(job, "The model did not answer")
    if st.button("Ask the model", key="what-if", icon=":material/help_center:"):
        if explaining.start(key, cohort):
            st.rerun()
        st.info(f"{explaining.MOST} questions are being answered: wait for one of them.")


def _told(view: View, found: Mapping[str, Any], without: Sequence[str]) -> None:
    """The answer then beside the answer now, and each contribution in both."""
    now = view.prediction
    st.markdown(f"**{notes.plain(str(found['answer']))}**")
    st.caption(notes.plain(f"As the case is: {answer_of(view.task, now, view.store.title)}"))
    before, same = found["recorded"].get("logit"), found["outcome"] == view.outcome
    if not same:
        both = (view.outcome, str(found["outcome"]))
        st.caption(notes.plain(texts.of_another(*both)))
    silent = view.abstained or is_abstained(found)
    if before is not None and same and not silent:
        own = [now.get(f"contribution_{name}") for name in without]
        change = float(found["logit"]) - float(before)
        bar = float(own[0]) if len(own) == 1 and pd.notna(own[0]) else None
        st.caption(notes.plain(texts.changed(change, bar, view.scale)))
    table = pd.DataFrame(
        {
            "modality": [view.names[name] for name in view.names],
            "as it is": [now.get(f"contribution_{name}") for name in view.names],
            "then": [found["contributions"].get(name) for name in view.names],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        column_config={
            name: st.column_config.NumberColumn(name, format="%+.2f")
            for name in ("as it is", "then")
        },
    )
