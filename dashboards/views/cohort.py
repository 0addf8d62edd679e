"""Cohort: how many cases were received, what is missing, what was refused and why."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import notes, published, texts
from dashboards.case_view import refusals, with_cure
from dashboards.charts import cohort as charts
from dashboards.charts.cohort import PRESENT, REFUSED
from dashboards.parts import part
from dashboards.tables import csv_button
from mmdiag.evaluation.verdict import is_abstained
from mmdiag.storage.store import Store

LINE = 28  # characters of a note that a box has room for


def main() -> None:
    """Draw the page."""
    name = st.session_state["cohort"]
    asked = st.query_params.get("case")
    refused, titles = pd.DataFrame(columns=list(published.QUARANTINE)), dict[str, str]()
    store = None
    with part("The quarantine"):
        refused = published.quarantine(name)
    with part("The cases of the cohort"):
        store = published.store(name)
        titles = texts.display_names(list(store.modalities), store.title)
    if asked is not None:
        with part("The entry in quarantine"):
            _entries(asked, refused, titles)
    with part("The participant flow"):
        _flow(name, refused)
    left, right = st.columns([10, 7], gap="large")
    with left, part("Which modalities the cases have"):
        if store is not None:
            _patterns(store, refused, titles)
    with right, part("The modalities"):
        _modalities(_record(name)["modalities"], titles)
    with part("The quarantine"):
        _quarantine(refused, titles)
    with part("The data contracts"):
        _contracts(name)


def _record(name: str) -> Mapping[str, Any]:
    """What the ledger holds of the cohort."""
    return published.cohort_names()[name]


def _entries(asked: str, refused: pd.DataFrame, titles: Mapping[str, str]) -> None:
    """What is in quarantine of the case that the address names."""
    entries = refusals(refused, asked)
    if not entries:
        st.info(f"Nothing of case {notes.plain(asked)} is in quarantine.", icon=":material/check:")
        return
    for modality, entry in entries.items():
        what = f"{titles.get(modality, modality)} of case {asked}" if modality else f"Case {asked}"
        st.html(notes.refused(what, entry["code"], entry["rule"], entry["detail"], entry["cure"]))


def _flow(name: str, refused: pd.DataFrame) -> None:
    counts = _record(name)["counts"]
    st.subheader(texts.received(counts), anchor=False)
    folder = published.run_folder(st.session_state.get("run"))
    predicted = None
    with part("The predictions"):
        predicted = published.table(folder, "predictions.parquet") if folder else None
        if predicted is not None:  # of cases that are still there: a run may be older
            predicted = predicted[predicted["case_id"].isin(published.store(name).cases["case_id"])]
    st.altair_chart(
        charts.flow(
            flow(counts, refused, predicted),
            "From the case table to a prediction",
            st.session_state["ink"],
        ),
        width="stretch",
        theme="streamlit",
    )


def flow(
    counts: Mapping[str, int], refused: pd.DataFrame, predicted: pd.DataFrame | None
) -> pd.DataFrame:
    """Boxes of the participant flow: `text` (what and how many), `note`, and whether the box is on
    the main line.
    """
    thin = texts.thin
    roles = predicted["role"].value_counts().to_dict() if predicted is not None else {}
    unlabelled = counts["accepted"] - counts["labelled"]
    whole = refused[refused["modality"] == ""].groupby("code").size().sort_values(ascending=False)
    reasons = ", ".join(f"{code} {thin(n)}" for code, n in whole.head(2).items()) + (
        " ..." if len(whole) > 2 else ""
    )
    by_role = [f"{thin(n)} {texts.SHORT_ROLES[str(role)]}" for role, n in roles.items()]
    silent = sum(map(is_abstained, published.records(predicted))) if predicted is not None else 0
    by_role += [f"{thin(silent)} no answer"] if silent else []
    told = ", ".join(by_role)
    if len(told) > LINE:
        half = -(-len(by_role) // 2)
        told = "\n".join(map(", ".join, (by_role[:half], by_role[half:])))
    boxes = [
        (f"{thin(counts['in'])} received", "rows of the case table", True),
        (f"{thin(counts['quarantined'])} quarantined", reasons or "no whole case", False),
        (f"{thin(counts['accepted'])} accepted", "at least one modality", True),
        (f"{thin(unlabelled)} no label", "scored only", False),
        (f"{thin(counts['labelled'])} labelled", "eligible for training", True),
        (f"{thin(sum(roles.values()))} predicted", told or "no model yet", True),
    ]
    return pd.DataFrame(boxes, columns=["text", "note", "main"])


def _patterns(store: Store, refused: pd.DataFrame, titles: Mapping[str, str]) -> None:
    table = patterns(store.cases, refused, titles)
    title = "Which modalities the accepted cases have (cross: in quarantine)"
    st.altair_chart(charts.dots(table, list(titles.values()), title), theme="streamlit")


def patterns(cases: pd.DataFrame, refused: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """How many cases have each combination of modalities, the most frequent first: a row a
    combination and modality, of `pattern, count, modality, state`.

    Args:
        refused: case_id and modality of what is in quarantine.
        titles: Modality -> how people read it.
    """
    entries = set(zip(refused["case_id"], refused["modality"], strict=True))
    states = Counter(
        tuple(
            PRESENT if row[f"has_{name}"] else REFUSED if (row["case_id"], name) in entries else ""
            for name in titles
        )
        for row in published.records(cases)
    )
    return pd.DataFrame(
        [
            {"pattern": str(number), "count": count, "modality": title, "state": state}
            for number, (pattern, count) in enumerate(states.most_common())
            for title, state in zip(titles.values(), pattern, strict=True)
        ],
        columns=["pattern", "count", "modality", "state"],
    )


def _modalities(modalities: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> None:
    st.markdown("**Modalities**")
    rows = [{"modality": titles.get(m, m), **facts} for m, facts in modalities.items()]
    table = pd.DataFrame(rows).drop(columns="masked", errors="ignore")
    st.dataframe(table, hide_index=True, width="stretch")
    st.caption(
        "Cases. absent: not acquired or blank; quarantined: present, but refused by a rule."
        f"{notes.plain(texts.masked(rows))}"
    )


def _quarantine(refused: pd.DataFrame, titles: Mapping[str, str]) -> None:
    st.markdown(f"**Quarantine** · {texts.thin(len(refused))} entries")
    if refused.empty:
        st.caption("Nothing was refused.")
        return
    by_code = refused.groupby("code").size().sort_values(ascending=False)
    st.caption(" · ".join(f"{code}: {texts.thin(n)}" for code, n in by_code.items()))
    shown = refused.assign(
        modality=[titles.get(m, m) or "whole case" for m in refused["modality"]],
        cure=[with_cure(row)["cure"] for row in published.records(refused)],
    )
    shown = shown[["case_id", "modality", "code", "rule", "detail", "cure", "first_seen"]].rename(
        columns={"detail": "fact"}
    )
    st.dataframe(shown, hide_index=True, width="stretch", height=min(38 * (len(shown) + 1), 320))
    csv_button(shown, "quarantine.csv")


def _contracts(name: str) -> None:
    results = published.contracts(name)
    failing = int((results["failed"] > 0).sum()) if len(results) else 0
    st.markdown(f"**Data contracts** · {texts.rules(len(results), failing)}")
    if results.empty:
        st.caption("No contract was checked yet: `mmdiag ingest --cohort cohort.toml`")
        return
    order = results.assign(frame=results["why"].str.startswith("The contract names")).sort_values(
        ["failed", "frame", "contract"], ascending=[False, True, True]
    )
    st.dataframe(
        order[["contract", "column", "rule", "severity", "checked", "failed", "why"]],
        hide_index=True,
        width="stretch",
        height=300,
    )


if __name__ == "__main__":  # a page is run, not imported
    main()
