"""Cohort: who came in, what is missing, what was refused and why."""

import pandas as pd
import streamlit as st

from dashboards import charts, published
from mmdiag.reasons import REASONS


def main() -> None:
    """Draw the page."""
    name = st.session_state["cohort"]
    record = published.cohort_names()[name]
    counts = record["counts"]
    st.subheader(
        f"{thin(counts['in'])} cases came in, {thin(counts['accepted'])} were accepted, "
        f"{thin(counts['quarantined'])} refused as a whole"
    )
    refused = record_of(name)
    st.altair_chart(
        charts.flow(
            flow(counts, refused), "From the case table to a prediction", st.session_state["ink"]
        ),
        width="stretch",
        theme="streamlit",
    )
    store = published.store(name)
    modalities = list(store.modalities)
    left, right = st.columns([10, 7], gap="large")
    with left:
        table = patterns(store.cases, modalities)
        st.altair_chart(
            charts.dots(table, modalities, "Which modalities the accepted cases have"),
            theme="streamlit",
        )
    with right:
        st.markdown("**Modalities**")
        rows = [{"modality": m, **facts} for m, facts in record["modalities"].items()]
        counts = (
            pd.DataFrame(rows)
            .drop(columns="masked", errors="ignore")
            .rename(columns={"quarantined": "refused"})
        )
        st.dataframe(counts, hide_index=True, width="stretch")
        masked = "".join(
            f" {row['masked']} identifiers were masked in {row['modality']}."
            for row in rows
            if row.get("masked")
        )
        st.caption(
            f"Cases. absent: not acquired or blank; refused: there, but in quarantine.{masked}"
        )
    _quarantine(refused)
    _contracts(name)


def record_of(name: str) -> pd.DataFrame:
    """What is in quarantine, each with its rule and its cure."""
    record = published.ledger()
    return (
        record.quarantine(name) if record else pd.DataFrame(columns=["case_id", "modality", "code"])
    )


def flow(counts: dict[str, int], refused: pd.DataFrame) -> pd.DataFrame:
    """Boxes of the participant flow: `said` (what and how many), `note`, and whether the box is on
    the main line.
    """
    folder = published.run_folder(st.session_state.get("run"))
    judged = published.table(folder, "predictions.parquet") if folder else None
    roles = judged["role"].value_counts().to_dict() if judged is not None else {}
    unlabelled = counts["accepted"] - counts["labelled"]
    whole = refused[refused["modality"] == ""].groupby("code").size().sort_values(ascending=False)
    reasons = ", ".join(f"{code} {thin(n)}" for code, n in whole.head(2).items()) + (
        " ..." if len(whole) > 2 else ""
    )
    boxes = [
        (f"{thin(counts['in'])} came in", "rows of the case table", True),
        (f"{thin(counts['quarantined'])} refused", reasons or "no whole case", False),
        (f"{thin(counts['accepted'])} accepted", "at least one modality", True),
        (f"{thin(unlabelled)} without a label", "never learned from", False),
        (f"{thin(counts['labelled'])} labelled", "can be learned from", True),
        (
            f"{thin(sum(roles.values()))} predicted",
            ", ".join(f"{thin(n)} {role}" for role, n in roles.items()) or "no model yet",
            True,
        ),
    ]
    return pd.DataFrame(boxes, columns=["said", "note", "main"])


def patterns(cases: pd.DataFrame, modalities: list[str]) -> pd.DataFrame:
    """How many cases have each combination of modalities, the most frequent first."""
    has = cases[[f"has_{m}" for m in modalities]].set_axis(modalities, axis=1).astype(bool)
    table = (
        has.groupby(modalities)
        .size()
        .rename("count")
        .reset_index()
        .sort_values("count", ascending=False, ignore_index=True)
    )
    return table.assign(
        pattern=[" + ".join(m for m in modalities if row[m]) for _, row in table.iterrows()]
    )


def _quarantine(refused: pd.DataFrame) -> None:
    st.markdown(f"**Quarantine** · {thin(len(refused))} entries")
    if refused.empty:
        st.caption("Nothing was refused.")
        return
    by_code = refused.groupby("code").size().sort_values(ascending=False)
    st.caption(" · ".join(f"{code}: {thin(n)}" for code, n in by_code.items()))
    shown = refused.assign(
        modality=refused["modality"].replace("", "whole case"),
        cure=[REASONS[c].cure if c in REASONS else "" for c in refused["code"]],
    )
    shown = shown[["case_id", "modality", "code", "rule", "detail", "cure", "first_seen"]].rename(
        columns={"detail": "fact"}
    )
    st.dataframe(shown, hide_index=True, width="stretch", height=min(38 * (len(shown) + 1), 320))
    st.download_button("CSV", shown.to_csv(index=False), "quarantine.csv", "text/csv")


def _contracts(name: str) -> None:
    record = published.ledger()
    held = record.contracts(name) if record else pd.DataFrame()
    broken = int((held["failed"] > 0).sum()) if len(held) else 0
    st.markdown(
        f"**Data contracts** · {thin(len(held))} rules were checked, {thin(broken)} broken by "
        "some row"
    )
    if held.empty:
        st.caption("No contract was checked yet: `mmdiag ingest --cohort cohort.toml`")
    else:
        order = held.assign(frame=held["why"].str.startswith("The contract names")).sort_values(
            ["failed", "frame", "contract"], ascending=[False, True, True]
        )
        st.dataframe(
            order[["contract", "column", "rule", "severity", "checked", "failed", "why"]],
            hide_index=True,
            width="stretch",
            height=300,
        )


def thin(number: float) -> str:
    """A count with thin spaces."""
    return f"{int(number):,}".replace(",", "\u2009")


main()
