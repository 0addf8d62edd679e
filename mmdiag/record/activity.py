"""What was done in a workspace, the newest first, in sentences that name no patient."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from mmdiag.storage.ledger import Ledger
from mmdiag.storage.ledger_tables import PREDICTIONS, VERDICTS
from mmdiag.storage.record_tables import AUDIT

LOOKS = ("view", "reading")  # what people looked at is in the audit, and no work
Payload = Mapping[str, Any]


def recent_activity(ledger: Ledger, most: int = 50) -> list[dict[str, str]]:
    """The newest rows of the audit but views: `at`, `by`, `kind`, `cohort` and `said`.

    Args:
        most: So many rows.
    """
    query = (
        select(AUDIT.c.at, AUDIT.c.by, AUDIT.c.kind, AUDIT.c.payload)
        .where(AUDIT.c.kind.not_in(LOOKS))
        .order_by(AUDIT.c.id.desc())
        .limit(most)
    )
    found = []
    for row in ledger.rows(query, AUDIT):
        payload = json.loads(row["payload"])
        found.append(
            {
                **{name: str(row[name]) for name in ("at", "by", "kind")},
                "cohort": str(payload.get("cohort", "")),
                "said": said_of(str(row["kind"]), payload),
            }
        )
    return found


def count_scored(ledger: Ledger, bundle_id: str, cohort: str) -> int:
    """Number of accepted cases of a cohort that a model has answered for; those that have left the
    case table do not count.
    """
    accepted = select(VERDICTS.c.case_id).where(
        VERDICTS.c.cohort == cohort, VERDICTS.c.verdict == "accepted"
    )
    query = select(func.count(PREDICTIONS.c.case_id.distinct()).label("count")).where(
        PREDICTIONS.c.bundle_id == bundle_id,
        PREDICTIONS.c.cohort == cohort,
        PREDICTIONS.c.case_id.in_(accepted),
    )
    return sum(int(row["count"]) for row in ledger.rows(query, PREDICTIONS))


def said_of(kind: str, payload: Payload) -> str:
    """What a row of the audit says, without the key of a case."""
    counts = payload.get("counts") or {}
    model = payload.get("bundle_id") or payload.get("challenger") or ""
    if kind == "ingest" and counts:
        gone = f", {payload['gone']} not in the case table any more" if "gone" in payload else ""
        return (
            f"{counts.get('new', 0)} of {counts.get('in', 0)} cases new or changed, "
            f"{counts.get('quarantined', 0)} in quarantine{gone}"
        )
    if kind == "score":
        return f"{payload.get('count', 0)} cases by {', '.join(payload.get('bundles', ()))}"
    if kind == "refit":
        return f"{model}: {payload.get('decision', '')}"
    if kind == "register":
        why = f": {payload['reason']}" if payload.get("reason") else ""
        return f"{model} is {payload.get('state', '')}{why}"
    if kind == "review":
        return str(payload.get("verdict", ""))
    reason = payload.get("reason")
    return f"{model}: {reason}" if model and reason else str(model or "")
