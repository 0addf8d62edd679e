"""What a reader thought of a case before seeing the model's answer: a row of the audit."""

from datetime import datetime

from mmdiag.roles import OPERATOR, require_role
from mmdiag.storage.ledger import Ledger
from mmdiag.task import Task

ESTIMATES = ("very unlikely", "unlikely", "even", "likely", "very likely")


def estimates_of(task: Task) -> list[str]:
    """What a reader may estimate: how likely the outcome is, or which class it is, as people read
    them.
    """
    if task.kind in ("binary", "survival"):
        return list(ESTIMATES)
    if task.multilabel:
        return [*map(task.name_of, task.labels), "none of these"]
    return list(map(task.name_of, task.classes))


def record_reading(
    ledger: Ledger,
    cohort: str,
    case_id: str,
    seen: tuple[str, str],
    estimate: str,
    by: str,
    *,
    role: str = OPERATOR,
    since: datetime | None = None,
) -> None:
    """Record a reader's own estimate, and before which answer it was given.

    Args:
        seen: Bundle and version of the answer that is shown next.
        role, since: Of the reader, and when they logged in.

    Raises:
        UsageError: The role may not.
    """
    require_role(role, "review", since)
    facts = {"cohort": cohort, "case_id": case_id, "bundle_id": seen[0], "version": seen[1]}
    with ledger.writing() as connection:
        ledger.audit(connection, "reading", facts | {"estimate": estimate}, by)
