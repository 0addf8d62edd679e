"""What the audit says of a batch of predictions: which cases, by which models, and the hash of the
answers.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from mmdiag.storage.ledger_tables import PREDICTIONS

CASES = 500  # asked for in one statement
ANSWER = ("bundle_id", "case_id", "version", "predicted", "answers", "abstained")
Row = Mapping[str, Any]


def unrecorded(connection: Connection, cohort: str, rows: Sequence[Row]) -> list[Row]:
    """Those of some predictions that the ledger does not hold yet."""
    keys = [PREDICTIONS.c[name] for name in ("bundle_id", "case_id", "version")]
    cases = sorted({str(row["case_id"]) for row in rows})
    known: set[tuple[str, ...]] = set()
    for start in range(0, len(cases), CASES):
        part = PREDICTIONS.c.case_id.in_(cases[start : start + CASES])
        query = select(*keys).where(PREDICTIONS.c.cohort == cohort, part)
        known |= {tuple(found) for found in connection.execute(query)}
    return [row for row in rows if (row["bundle_id"], row["case_id"], row["version"]) not in known]


def batch_facts(cohort: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The payload of a batch: its cohort, models, number of cases by role, the hash of its answers
    and the keys of its cases.
    """
    return {
        "cohort": cohort,
        "bundles": sorted({str(row["bundle_id"]) for row in rows}),
        "count": len(rows),
        "roles": dict(sorted(Counter(str(row["role"]) for row in rows).items())),
        "predictions_sha256": answers_hash(rows),
        "cases": [str(row["case_id"]) for row in rows],
    }


def answers_hash(rows: Sequence[Row]) -> str:
    """SHA-256 of the answers of some predictions, in the order of their cases and models."""
    ordered = sorted(rows, key=lambda row: (row["case_id"], row["bundle_id"], row["version"]))
    answers = [{name: row[name] for name in ANSWER} for row in ordered]
    return hashlib.sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()
