"""Beside the contributions of a case: how its modalities act together, which cases are
alike, and whether the model's explanations can be relied on.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import case_parts, notes, published, texts
from dashboards.case_view import View
from dashboards.charts import case as charts
from mmdiag.explain.kept import heading_of, still_similar
from mmdiag.explain.report.checked import checked_sentence


def reliability(view: View) -> None:
    """Said wherever an explanation is drawn, where the model's explanations did not hold or nobody
    has asked whether they do.
    """
    found = published.checks(str(view.prediction.get("bundle_id")))
    if found is None:
        if view.kept is not None:
            st.caption(texts.HOW_TO_CHECK)
    elif not found["reliable"]:
        st.warning(notes.plain(checked_sentence(found)), icon=":material/warning:")


def together(view: View, given: Mapping[str, Any]) -> tuple[pd.DataFrame, list[str]] | None:
    """The K x K matrix of Shapley interactions, a row a cell, and the modalities that it is of;
    None of a single modality.

    Args:
        given: What is recorded beside the answer, which has it where nothing else is explained.
    """
    found = (view.kept or {}).get("interaction") or given.get("interaction") or {}
    names = [view.names[name] for name in found.get("modalities", ()) if name in view.names]
    if len(names) < 2 or len(names) != len(found["modalities"]):
        return None
    cells = pd.DataFrame(
        [
            {"row": one, "column": other, "value": found["matrix"][i][j]}
            for i, one in enumerate(names)
            for j, other in enumerate(names)
        ]
    )
    return cells, names


def interactions(view: View, found: tuple[pd.DataFrame, list[str]]) -> None:
    """That matrix, drawn."""
    case_parts.chart(charts.interactions(*found, texts.interactions(view.scale)))


def similar(view: View, cohort: str) -> None:
    """Cases that are like it with their outcome, each a link."""
    kept = (view.kept or {}).get("similar") or []
    found = still_similar(view.store.cases, view.row, kept) if view.row is not None else []
    if not found:
        return
    st.markdown(f"**{heading_of(found)}**")
    cases, task = view.store.cases.set_index("case_id"), view.store.task
    for one in found:
        label = cases.loc[one["case_id"]].get("label")
        known = bool(task.classes) and label is not None and not pd.isna(label)
        outcome = f", {task.name_of(task.classes[int(label)])}" if known else ""
        alike = view.names.get(one["alike_in"], one["alike_in"])
        st.page_link(
            "views/case.py",
            label=notes.plain(
                f"{one['case_id']}{outcome}: {one['similarity']:.2f}, most alike in {alike}"
            ),
            query_params={"case": one["case_id"], "cohort": cohort},
        )
