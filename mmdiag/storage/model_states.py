"""The state of each model in the transaction that changes it: a cohort's first model becomes its
champion, every other is a candidate until somebody decides.
"""

from typing import Any

from sqlalchemy import Connection, insert, select

from mmdiag.roles import system_user
from mmdiag.storage.audit.chain import now
from mmdiag.storage.ledger_tables import BUNDLES
from mmdiag.storage.record_tables import CHAMPION, MODELS

CANDIDATE, RETIRED, REFUSED = "candidate", "retired", "refused"
FIRST_MODEL = "the first model of its cohort"
ADOPTED = "the newest model of its cohort when models got a state"


def register(connection: Connection, bundle_id: str, cohort: str) -> dict[str, Any] | None:
    """Give a new model its state.

    Returns:
        Its row; None where the model is known.
    """
    known = connection.execute(select(MODELS.c.bundle_id).where(MODELS.c.bundle_id == bundle_id))
    if known.first():
        return None
    others = connection.execute(select(MODELS.c.bundle_id).where(MODELS.c.cohort == cohort))
    first = others.first() is None
    return _add(
        connection,
        bundle_id,
        cohort,
        CHAMPION if first else CANDIDATE,
        FIRST_MODEL if first else "",
    )


def adopt(connection: Connection) -> list[dict[str, Any]]:
    """Give every model of a ledger of an earlier version a state: the newest of each cohort is its
    champion.
    """
    query = select(BUNDLES.c.bundle_id, BUNDLES.c.cohort).order_by(
        BUNDLES.c.saved_at.desc(), BUNDLES.c.bundle_id
    )
    rows: list[dict[str, Any]] = []
    led: set[str] = set()
    for bundle in connection.execute(query).all():
        newest = bundle.cohort not in led
        led.add(bundle.cohort)
        state, reason = (CHAMPION, ADOPTED) if newest else (CANDIDATE, "")
        rows.append(_add(connection, bundle.bundle_id, bundle.cohort, state, reason))
    return rows


def champion(connection: Connection, cohort: str) -> dict[str, Any] | None:
    """The row of a cohort's champion."""
    query = select(MODELS).where(MODELS.c.cohort == cohort, MODELS.c.state == CHAMPION)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def _add(
    connection: Connection, bundle_id: str, cohort: str, state: str, reason: str
) -> dict[str, Any]:
    row = {"bundle_id": bundle_id, "cohort": cohort, "state": state, "since": now()}
    row |= {"by": system_user(), "reason": reason}
    connection.execute(insert(MODELS), [row])
    return row
