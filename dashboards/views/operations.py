"""Operations: what waits in each cohort, which models are in use, and what was done of late."""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboards import published
from dashboards.parts import part
from dashboards.review.reader import reader
from dashboards.tables import csv_button
from dashboards.worklist.scored import Stamp, champion, in_use
from mmdiag.inference.pending import pending
from mmdiag.inference.settled import PlainBundle
from mmdiag.privacy.subject_keys import workspace_key
from mmdiag.record.activity import count_scored, recent_activity
from mmdiag.record.models import list_models
from mmdiag.record.reviews import reviewed_versions
from mmdiag.record.worklist import review_stamp, scored_stamp
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store

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
            counts, used = facts.get("counts") or {}, in_use(name)
            other = used is not None and used != champion(name)
            rows.append(
                {
                    "cohort": name,
                    "received": counts.get("in"),
                    "accepted": counts.get("accepted"),
                    "quarantine": counts.get("quarantined"),
                    "last ingested": facts.get("ingested_at"),
                    "in use": f"{used} of another cohort" if other else used or "none",
                    "scored by it": count_scored(record, used, name) if used else None,
                    "waiting": _waiting_for(record, name, used) if used else None,
                }
            )
    _table(pd.DataFrame(rows), "cohorts.csv")


def _waiting_for(record: Ledger, name: str, used: str) -> int | None:
    """How many cases the next `score` would answer; None where that cannot be told."""
    folder = published.workspace().bundle(used)
    try:
        store = published.store(name)
    except published.DamagedFile:
        return None
    if folder is None:
        return None
    stamps = (scored_stamp(record, name, used), review_stamp(record, name))
    return _waiting((record.url, name, used, store.hash, *stamps), store, folder)


@st.cache_data(show_spinner="Counting what waits", max_entries=32)
def _waiting(stamp: Stamp, _store: Store, _folder: Path) -> int | None:
    record = published.ledger()
    try:
        plain = PlainBundle.read(_folder, record)
        key = workspace_key(published.workspace().path)
    except published.UNREADABLE:
        return None
    if plain is None or record is None:
        return None
    said = reviewed_versions(record, str(stamp[1]))
    which = {"contributions": False, "only_open": True}
    return len(pending(_store, record, plain.id, plain.subjects, key, reviewed=said, **which).new)


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
