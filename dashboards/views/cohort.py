"""Cohort: how many cases were received, what is missing, what was refused and why."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import published, texts
from dashboards.charts import cohort as charts
from mmdiag.reasons import REASONS


def main() -> None:
    """Draw the page."""
    name = st.session_state["cohort"]
    record = published.cohort_names()[name]
    st.subheader(texts.received(record["counts"]))
    refused = refusals(name)
    folder = published.run_folder(st.session_state.get("run"))
    predicted = published.table(folder, "predictions.parquet") if folder else None
    st.altair_chart(
        charts.flow(
            flow(record["counts"], refused, predicted),
            "From the case table to a prediction",
            st.session_state["ink"],
        ),
        width="stretch",
        theme="streamlit",
    )
    store = published.store(name)
    titles = texts.display_names(list(store.modalities), store.title)
    left, right = st.columns([10, 7], gap="large")
    with left:
        table = patterns(store.cases, titles)
        st.altair_chart(
            charts.dots(table, list(titles.values()), "Which modalities the accepted cases have"),
            theme="streamlit",
        )
    with right:
        _modalities(record["modalities"], titles)
    _quarantine(refused, titles)
    _contracts(name)


def refusals(name: str) -> pd.DataFrame:
    """What is in quarantine, each with its rule and its cure."""
    record = published.ledger()
    return (
        record.quarantine(name) if record else pd.DataFrame(columns=["case_id", "modality", "code"])
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
    by_role = ", ".join(f"{thin(n)} {texts.SHORT_ROLES[str(role)]}" for role, n in roles.items())
    boxes = [
        (f"{thin(counts['in'])} received", "rows of the case table", True),
        (f"{thin(counts['quarantined'])} quarantined", reasons or "no whole case", False),
        (f"{thin(counts['accepted'])} accepted", "at least one modality", True),
        (f"{thin(unlabelled)} no label", "scored only", False),
        (f"{thin(counts['labelled'])} labelled", "eligible for training", True),
        (f"{thin(sum(roles.values()))} predicted", by_role or "no model yet", True),
    ]
    return pd.DataFrame(boxes, columns=["text", "note", "main"])


def patterns(cases: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """How many cases have each combination of modalities, the most frequent first.

    Args:
        titles: Modality -> how people read it, which names the columns of the result.
    """
    names = list(titles.values())
    has = cases[[f"has_{m}" for m in titles]].set_axis(names, axis=1).astype(bool)
    table = (
        has.groupby(names)
        .size()
        .rename("count")
        .reset_index()
        .sort_values("count", ascending=False, ignore_index=True)
    )
    return table.assign(
        pattern=[" + ".join(m for m in names if row[m]) for row in published.records(table)]
    )


def _modalities(modalities: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> None:
    st.markdown("**Modalities**")
    rows = [{"modality": titles.get(m, m), **facts} for m, facts in modalities.items()]
    table = pd.DataFrame(rows).drop(columns="masked", errors="ignore")
    st.dataframe(table, hide_index=True, width="stretch")
    st.caption(
        "Cases. absent: not acquired or blank; quarantined: present, but refused by a rule."
        f"{texts.masked(rows)}"
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
        cure=[REASONS[c].cure if c in REASONS else "" for c in refused["code"]],
    )
    shown = shown[["case_id", "modality", "code", "rule", "detail", "cure", "first_seen"]].rename(
        columns={"detail": "fact"}
    )
    st.dataframe(shown, hide_index=True, width="stretch", height=min(38 * (len(shown) + 1), 320))
    st.download_button("CSV", shown.to_csv(index=False), "quarantine.csv", "text/csv")


def _contracts(name: str) -> None:
    record = published.ledger()
    results = record.contracts(name) if record else pd.DataFrame()
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
