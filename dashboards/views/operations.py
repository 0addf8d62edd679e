"""Operations: what waits in each cohort, which models are in use, and what was done of late."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from dashboards import published
from dashboards.parts import part
from dashboards.review.reader import reader
from dashboards.tables import csv_button
from dashboards.worklist.scored import champion
from mmdiag.record.activity import count_scored, recent_activity
from mmdiag.record.models import list_models
from mmdiag.storage.ledger import Ledger

MOST = 50  # rows of what was done
MODELS = {"cohort": "cohort", "bundle_id": "model"} | {
    name: name for name in ("fusion", "state", "since", "by", "reason")
}
TIMES = ["last ingested", "since", "at"]  # UTC, by the minute


def main() -> None:
    """Draw the page."""
    with part("The cohorts"):
        _cohorts()
    with part("The models in use"):
        _models()
    with part("What was done"):
        if reader().may("decide"):
            _activity()
        else:
            st.caption("What was done is shown to operators.")


def _cohorts() -> None:
    """What each cohort holds, when it was last looked at, and what its champion has not scored."""
    st.markdown("**Cohorts**")
    rows = []
    with published.reading_ledger() as record:
        if record is None:
            return
        for name, facts in published.cohort_names().items():
            counts, used = facts.get("counts") or {}, champion(name)
            rows.append(
                {
                    "cohort": name,
                    "cases received": counts.get("in"),
                    "accepted": counts.get("accepted"),
                    "in quarantine": counts.get("quarantined"),
                    "last ingested": facts.get("ingested_at"),
                    "in use": used or "none",
                    **_scored(record, name, used, counts),
                }
            )
    _table(pd.DataFrame(rows), "cohorts.csv")


def _scored(
    record: Ledger, name: str, used: str | None, counts: Mapping[str, int]
) -> dict[str, int | None]:
    if used is None:
        return {"scored by it": None, "waiting": None}
    scored = count_scored(record, used, name)
    accepted = counts.get("accepted")
    waiting = max(accepted - scored, 0) if accepted is not None else None
    return {"scored by it": scored, "waiting": waiting}


def _models() -> None:
    st.markdown("**Models**")
    with published.reading_ledger() as record:
        rows = list_models(record) if record is not None else []
    if not rows:
        st.caption("No model is registered yet: `mmdiag train` makes one.")
        return
    _table(pd.DataFrame(rows)[list(MODELS)].rename(columns=MODELS), "models.csv")


def _activity() -> None:
    """The newest work; a person's views are in the audit alone."""
    st.markdown("**What was done**")
    with published.reading_ledger() as record:
        rows = recent_activity(record, MOST) if record is not None else []
    if not rows:
        st.caption("Nothing was done in this workspace yet.")
        return
    _table(pd.DataFrame(rows), "activity.csv")
    st.caption(
        f"The newest {len(rows)}, times in UTC; all of it: `mmdiag audit export --out audit.jsonl`"
    )


def _table(rows: pd.DataFrame, name: str) -> None:
    for column in rows.columns.intersection(TIMES):
        rows[column] = rows[column].str[:16].str.replace("T", " ")
    st.dataframe(rows, hide_index=True, width="stretch")
    csv_button(rows, name)


if __name__ == "__main__":  # a page is run, not imported
    main()
