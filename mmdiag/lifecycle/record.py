"""A decision on a challenger, written whole: the states of both models and the row of the audit in
one transaction.
"""

import json

from sqlalchemy import Connection, select

from mmdiag.lifecycle.gate import HELD, PROMOTED, REFUSED, Decision, Reason
from mmdiag.lifecycle.plan import PROTOCOL
from mmdiag.record.models import crown, give_state
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.model_states import CANDIDATE, champion
from mmdiag.storage.model_states import REFUSED as REFUSED_STATE
from mmdiag.storage.record_tables import AUDIT, MODELS


def record_decision(
    ledger: Ledger, cohort: str, before: str, challenger: str, decision: Decision, by: str = ""
) -> tuple[Decision, str]:
    """Record a decision. One that was made against a champion that has been followed since is held;
    the same decision twice in a row is recorded once.

    Args:
        before: The champion that the challenger was held against.

    Returns:
        What holds, and the champion now.
    """
    with ledger.writing() as connection:
        in_use = champion(connection, cohort)
        if in_use is None or in_use["bundle_id"] != before:
            fact = "the champion was changed while the challenger was judged"
            decision = Decision(HELD, (Reason(PROTOCOL, "champion", fact), *decision.reasons))
        reason = "; ".join(f"{r.rule}: {r.fact}" for r in decision.reasons)
        facts = {
            "cohort": cohort,
            "champion": before,
            "challenger": challenger,
            "decision": decision.decision,
            "reason": reason,
        }
        query = select(MODELS).where(MODELS.c.bundle_id == challenger)
        model = dict(connection.execute(query).mappings().one())
        if not _told(connection, facts):
            ledger.audit(connection, "refit", facts, by)
        if decision.decision == PROMOTED:
            crown(ledger, connection, model, f"refit: {reason}", by)
        elif decision.decision == REFUSED and model["state"] == CANDIDATE:
            give_state(connection, challenger, REFUSED_STATE, f"refit: {reason}", by)
        now = champion(connection, cohort)
    return decision, str(now["bundle_id"]) if now else ""


def _told(connection: Connection, facts: dict[str, str]) -> bool:
    """Whether the last decision of this cohort says the same."""
    query = select(AUDIT.c.payload).where(AUDIT.c.kind == "refit").order_by(AUDIT.c.id.desc())
    for (payload,) in connection.execute(query):
        said = json.loads(payload)
        if said.get("cohort") == facts["cohort"]:
            return {key: said.get(key) for key in facts} == facts
    return False
