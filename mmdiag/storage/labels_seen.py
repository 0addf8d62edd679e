"""When the ledger first saw the label of each case: what was predicted before counts as a
prediction, what came after does not.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from mmdiag.spelling import same
from mmdiag.storage.audit.chain import now
from mmdiag.storage.record_tables import LABELS_SEEN

UNKNOWN = ""  # first seen before labels were stamped
NO_CASE = ""  # the key of the row that says that a cohort's labels are stamped


def stamp(
    connection: Connection,
    cohort: str,
    values: Mapping[str, str] | None,
    known_before: frozenset[str] = frozenset(),
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """What a case table's labels change in what is known of them.

    Args:
        values: Case -> its label as JSON, of all that have one; None = nothing is said of labels.
        known_before: Cases that had a label before labels were stamped; it is not known when those
            were first seen.

    Returns:
        Rows to write: of labels that were not seen before, that differ, and that were taken back;
        and the corrections among them: `case_id`, `old` and `new`, "" = none.
    """
    if values is None:
        return [], []
    moment = now()
    query = select(LABELS_SEEN).where(LABELS_SEEN.c.cohort == cohort)
    seen = {row["case_id"]: row for row in connection.execute(query).mappings()}
    rows: list[dict[str, Any]] = []
    corrections: list[dict[str, str]] = []
    if not seen:  # from now on labels of this cohort are stamped, if it has any or none
        rows.append(_row(cohort, NO_CASE, "", moment, None))
    for case, value in values.items():
        old = seen.get(case)
        if old is None:
            first = UNKNOWN if case in known_before else moment
            rows.append(_row(cohort, case, value, first, None))
        elif not _alike(old["value"], value):
            rows.append(_row(cohort, case, value, old["first_seen"], moment))
            corrections.append({"case_id": case, "old": old["value"], "new": value})
    for case, old in seen.items():
        if case not in values and old["value"]:
            rows.append(_row(cohort, case, "", old["first_seen"], moment))
            corrections.append({"case_id": case, "old": old["value"], "new": ""})
    return rows, corrections


def _alike(old: str, new: str) -> bool:
    """Whether two labels are one: the class of a table may be spelled otherwise than before."""
    if old == new or not old:
        return old == new
    one, other = json.loads(old), json.loads(new)
    return isinstance(one, str) and isinstance(other, str) and same(one, other)


def _row(
    cohort: str, case: str, value: str, first_seen: str, changed_at: str | None
) -> dict[str, Any]:
    row = {"cohort": cohort, "case_id": case, "value": value, "first_seen": first_seen}
    return row | {"changed_at": changed_at}
