"""The models of a cohort in use: what the champion was promised to do when it was trained, beside
what came out since; and who decided on each model, when and why.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import notes, published, texts
from dashboards.charts import models as charts
from dashboards.tables import csv_button
from dashboards.worklist.scored import in_use
from mmdiag.evaluation.judged import TOO_FEW
from mmdiag.evaluation.verdict import (
    interval,
    metric_name,
    ordered_metrics,
    other_classes,
    primary_metric,
)
from mmdiag.record.models import list_models
from mmdiag.record.outcomes import outcomes
from mmdiag.record.worklist import outcome_stamp
from mmdiag.storage.record_tables import CHAMPION

Row = Mapping[str, Any]
PROMISED, SINCE, ANSWERED = "at training", "in use", "in use, with an answer"


def draw(cohort: str) -> None:
    """What the champion was promised to do, and what it did."""
    found = _outcomes(cohort)
    bundle = in_use(cohort)
    champion = next((row for row in found if row["bundle_id"] == bundle), None)
    if champion is None:
        st.caption("No model of this cohort is in use: `mmdiag models promote` makes one.")
        return
    st.markdown(f"##### {sentence(champion)}")
    if champion["other_classes"]:
        st.caption(other_classes(champion["other_classes"]))
    if not champion["known"]:
        st.caption(
            "Labels that arrive in the case table count from the ingestion that first sees them: "
            "`mmdiag ingest --cohort cohort.toml`"
        )
        return
    if not champion["enough"]:
        st.caption(TOO_FEW)
    left, right = st.columns([11, 10], gap="large")
    chart = comparison(champion)
    if chart is not None:
        left.altair_chart(chart, width="stretch", theme="streamlit")
    with right:
        table = beside(champion)
        st.dataframe(table, hide_index=True, width="stretch")
        csv_button(table, "in-use.csv")


def sentence(champion: Row) -> str:
    """How many of its cases have their outcome, as Markdown."""
    known, answered = champion["known"], champion["answered"]["known"]
    came_out = (
        f"the outcome of {texts.thin(known)} is known, {texts.thin(answered)} of them with an "
        "answer"
        if known
        else "no outcome is known yet"
    )
    code, since = notes.code(champion["bundle_id"]), str(champion["since"])[:10]
    who = f"The champion {code}, in use since {since}, has"
    if champion["state"] != CHAMPION:
        who = f"The model {code}, which is of another cohort, has"
    return f"{who} scored {texts.cases(champion['scored'], 'new')} in all; {came_out}"


def beside(champion: Row) -> pd.DataFrame:
    """A row a metric: as it was promised, and as it is."""
    columns = {
        PROMISED: _by_metric(champion["promised"]),
        SINCE: _by_metric(champion["metrics"]),
        ANSWERED: _by_metric(champion["answered"]["metrics"]),
    }
    names = ordered_metrics([name for column in columns.values() for name in column])
    return pd.DataFrame(
        [
            {"metric": metric_name(name)}
            | {head: _cell(column.get(name)) for head, column in columns.items()}
            for name in names
        ]
    )


def _by_metric(rows: Sequence[Row]) -> dict[str, Row]:
    return {str(row["metric"]): row for row in rows}


def _cell(row: Row | None) -> str:
    return interval(row) if row is not None and _measured(row) else "not measured"


def _measured(row: Row) -> bool:
    return all(pd.notna(row.get(name)) for name in ("value", "low", "high", "n"))


def comparison(champion: Row) -> Any:
    """The primary metric at training and in use; None where either was not measured."""
    primary = primary_metric(champion["metrics"])
    sources = {PROMISED: champion["promised"], SINCE: champion["metrics"]}
    sources |= {ANSWERED: champion["answered"]["metrics"]}
    rows = [
        {"model": name, **row}
        for name, source in sources.items()
        for row in source
        if row["metric"] == primary and _measured(row)
    ]
    if not {PROMISED, SINCE} <= {row["model"] for row in rows}:
        return None
    table = pd.DataFrame(rows).drop_duplicates("model")
    table["label"] = [interval(row) for row in published.records(table)]
    name = metric_name(primary)
    title = f"{name} of the champion, as it was promised and as it came out"
    return charts.forest(table, [], title, name, 0.5 if primary in ("auroc", "c_index") else None)


def _outcomes(cohort: str) -> list[dict[str, Any]]:
    with published.reading_ledger() as record:
        if record is None:
            return []
        return _judged(record.url, cohort, outcome_stamp(record, cohort))


@st.cache_resource(show_spinner="Holding predictions against outcomes", max_entries=4)
def _judged(url: str, cohort: str, stamp: tuple[Any, ...]) -> list[dict[str, Any]]:
    del url, stamp
    record = published.ledger()
    assert record is not None
    found: list[dict[str, Any]] = outcomes(record, published.workspace(), cohort)["models"]
    return found


def states(cohort: str) -> None:
    """Every model of the cohort with its state, and who decided that, when and why."""
    with published.reading_ledger() as record:
        models = list_models(record, cohort) if record is not None else []
    with st.expander(f"Models of this cohort ({len(models)})"):
        columns = ["bundle_id", "state", "fusion", "since", "by", "reason"]
        table = pd.DataFrame(models, columns=[*columns, "saved_at", "metrics", "cohort"])[columns]
        table["since"] = table["since"].str[:16].str.replace("T", " ")
        st.dataframe(table, hide_index=True, width="stretch")
        csv_button(table, "models.csv")
