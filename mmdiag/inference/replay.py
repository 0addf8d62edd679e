"""A recorded answer once more, from what is stored: whoever doubts a figure can see it again."""

from typing import Any

import numpy as np
import pandas as pd

from mmdiag.errors import UsageError
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.predict import BATCH
from mmdiag.inference.score import answer_rows
from mmdiag.privacy.subject_keys import workspace_key
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace

CLOSE = 1e-6  # what an answer may differ by from the recorded one


def replay(
    bundle: Bundle, workspace: Workspace, ledger: Ledger, cohort: str, case_id: str
) -> dict[str, Any]:
    """Answer for a case as a bundle did before, together with the cases that it answered for at
    once, as far as these are stored as they were then: their number is in the last bits of a sum.

    Returns:
        What docs/interface.md 3 says of `score --replay --json`.

    Raises:
        UsageError: This bundle has no answer on record for the case, or only for a version of it
            that is no longer stored.
    """
    store = Store.open(workspace, cohort)
    table = ledger.predictions(bundle_id=bundle.id, cohort=cohort)
    row, recorded = _recorded(store, table, bundle.id, case_id)
    rows = _together(store, table, recorded)
    rows = rows if row in rows else [row]
    answers = answer_rows(bundle, store, rows, workspace_key(workspace.path))
    found = answers.iloc[rows.index(row)]
    difference = _difference(found, recorded)
    return {
        "case_id": case_id,
        "cohort": cohort,
        "bundle_id": bundle.id,
        **_facts(found),
        "recorded": _facts(recorded) | {"scored_at": recorded["scored_at"]},
        "difference": difference,
        "together": len(rows),
        "same": difference <= CLOSE and found["predicted"] == recorded["predicted"],
    }


def _recorded(
    store: Store, table: pd.DataFrame, bundle_id: str, case_id: str
) -> tuple[int, "pd.Series[Any]"]:
    """Row of the case table and the record of a case, of the version that is stored."""
    own = table[table["case_id"] == case_id]
    rows = np.flatnonzero((store.cases["case_id"] == case_id).to_numpy())
    if own.empty or not len(rows):
        raise UsageError(
            f"An answer is replayed that is on record, {bundle_id} has none for {case_id!r} of "
            f"{store.folder.name}: `mmdiag explain` names the model of a case, `mmdiag score` asks "
            "one."
        )
    current = own[own["version"] == store.cases["version"].iloc[rows[0]]]
    if current.empty:
        raise UsageError(
            f"An answer is replayed from the files that it was given for, those of {case_id} have "
            "changed since and are no longer stored: bring them back and ingest again, or score "
            "the case as it is now."
        )
    return int(rows[0]), current.iloc[0]


def _together(store: Store, table: pd.DataFrame, recorded: "pd.Series[Any]") -> list[int]:
    """Rows of the cases that were answered for at once, in their order; none where one of them is
    no longer stored as it was.
    """
    part = table[table["scored_at"] == recorded["scored_at"]]
    keys = list(zip(store.cases["case_id"], store.cases["version"], strict=True))
    row_of = {pair: row for row, pair in enumerate(keys)}
    asked = list(zip(part["case_id"], part["version"], strict=True))
    if any(pair not in row_of for pair in asked):
        return []
    rows = sorted(row_of[pair] for pair in asked)
    at = rows.index(row_of[recorded["case_id"], recorded["version"]])
    first = at // BATCH * BATCH
    return rows[first : first + BATCH]


def _difference(found: "pd.Series[Any]", recorded: "pd.Series[Any]") -> float:
    """The largest difference of a probability."""
    names = [name for name in found.index if str(name).startswith("probability")]
    pairs = [(float(found[name]), _number(recorded.get(name))) for name in names]
    known = [abs(value - other) for value, other in pairs if other is not None]
    return max(known, default=float("inf"))


def _number(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(float(value)) else None


def _facts(answer: "pd.Series[Any]") -> dict[str, Any]:
    names = [name for name in answer.index if str(name).startswith("probability")]
    numbers = [*names, "logit"]
    found = {name: answer.get(name) for name in numbers}
    return {"predicted": answer["predicted"]} | {n: _number(v) for n, v in found.items()}
