"""The audit verified, exported, and emptied of one person; what is done to it shows."""

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    delete,
    inspect,
    select,
    text,
    update,
)

from mmdiag.errors import UsageError
from mmdiag.record.mentions import GONE, mentions
from mmdiag.roles import OPERATOR, require_role
from mmdiag.storage.audit.chain import FIRST, Head, payload_hash, row_hash
from mmdiag.storage.audit.head import LOG, logged_heads, read_head
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.ledger_tables import ACCEPTANCES, PREDICTIONS, QUARANTINE, VERDICTS
from mmdiag.storage.record_tables import AUDIT, LABELS_SEEN, MODELS, REVIEWS, TRIGGERS
from mmdiag.workspace import atomic_path

ERASED = "erased_sha256"  # in an emptied payload: the hash of what it said
ERASE = "erase"  # the kind of the row that says what was emptied
WITH_SUBJECTS = (VERDICTS, PREDICTIONS)
OF_CASES = (VERDICTS, QUARANTINE, ACCEPTANCES, PREDICTIONS, REVIEWS, LABELS_SEEN)
IN_WORDS = (  # what may name a case among others, or of others
    *((QUARANTINE, "detail"), (QUARANTINE, "rule"), (ACCEPTANCES, "reason")),
    *((REVIEWS, "reason"), (MODELS, "reason")),
)
Case = tuple[str, str]  # cohort, case_id
Row = Mapping[str, Any]


def verify(ledger: Ledger) -> dict[str, Any]:
    """Hold every row of the audit against the chain, and the chain against its heads outside the
    database. Nothing is written.

    Returns:
        `rows`, `ok`, and `broken`: `id` of each row that does not hold, with `why`.
    """
    rows = audit_rows(ledger)
    broken = [*_chain_faults(rows), *_erasure_faults(rows)]
    folder = ledger.head_folder
    if folder is not None and rows:
        broken += _head_faults(rows, read_head(folder), list(logged_heads(folder)))
    elif folder is not None and (head := read_head(folder)) is not None and head.id:
        broken.append({"id": head.id, "why": "the chain is empty, its head outside is not"})
    return {"rows": len(rows), "ok": not broken, "broken": broken}


def export(ledger: Ledger, out: Path) -> int:
    """Write every row as a line of JSON, its payload as an object; returns how many."""
    rows = audit_rows(ledger)
    with atomic_path(out) as temporary, temporary.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({**row, "payload": _payload(row)}, ensure_ascii=False) + "\n")
    return len(rows)


def erase(
    ledger: Ledger,
    subject_id: str,
    by: str = "",
    *,
    cases: Collection[Case] = (),
    role: str = OPERATOR,
) -> list[int]:
    """Empty what the audit says of a person, take the person's cases out of every other table, and
    add a row that says which rows were emptied. In one transaction.

    Args:
        cases: (cohort, case) of the person's that are known from elsewhere.

    Returns:
        The ids of the rows of the audit.

    Raises:
        UsageError: The ledger knows no case of this person, or the role may not.
    """
    require_role(role, "erase")
    own = _cases_of(ledger, subject_id) | set(cases)
    if not own:
        raise UsageError(
            "What is erased is of a subject that the workspace knows, this one has no case in it: "
            "name it as the case table does (subject_id), or a case that has left the case table "
            "by its key."
        )
    with ledger.writing() as connection:
        emptied = erase_rows(connection, own, subject_id)
        hashes = {str(number): payload_hash(payload) for number, payload in emptied.items()}
        ledger.audit(connection, ERASE, {"rows": hashes}, by)
    return sorted(emptied)


def erase_rows(connection: Connection, cases: Collection[Case], subject_id: str) -> dict[int, str]:
    """Take cases out of every table of a ledger, or of a copy of one that an earlier version made.

    Returns:
        Row of the audit -> its payload as it is now, of those that were emptied.
    """
    inspector = inspect(connection)
    known = set(inspector.get_table_names())
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
    for table in (one for one in OF_CASES if one.name in known):
        for cohort, case in sorted(cases):
            of_case = (table.c.cohort == cohort, table.c.case_id == case)
            connection.execute(delete(table).where(*of_case))
    found = mentions([subject_id, *(case for _, case in cases)])
    for table, name in IN_WORDS:
        if table.name in known:
            of_cohorts = table.c.cohort.in_({cohort for cohort, _ in cases})
            _without_mentions(connection, table, table.c[name], of_cohorts, found)
    if AUDIT.name not in known:
        return {}
    found_rows = connection.execute(select(AUDIT).order_by(AUDIT.c.id)).mappings().all()
    rows = [dict(row) for row in found_rows]
    emptied = dict(_emptied(rows, set(cases), found))
    for name in TRIGGERS if sqlite else ():  # in the transaction: nobody sees it without them
        connection.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
    for number, payload in emptied.items():
        connection.execute(update(AUDIT).where(AUDIT.c.id == number).values(payload=payload))
    for statement in TRIGGERS.values() if sqlite else ():
        connection.execute(text(statement))
    return emptied


def _without_mentions(
    connection: Connection,
    table: Table,
    column: Column[Any],
    where: ColumnElement[bool],
    found: re.Pattern[str],
) -> None:
    """Take the mention of keys out of what is said in words of others."""
    for (said,) in connection.execute(select(column).where(where).distinct()).all():
        if said and found.search(said):
            changed = {column.name: found.sub(GONE, said)}
            connection.execute(update(table).where(where, column == said).values(**changed))


def audit_rows(ledger: Ledger) -> list[dict[str, Any]]:
    """Every row of the audit, in order."""
    return [dict(row) for row in ledger.rows(select(AUDIT).order_by(AUDIT.c.id), AUDIT)]


def _chain_faults(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows that do not follow the one before, or whose hash is not that of what they say."""
    before, number = FIRST, 0
    for row in rows:
        number += 1
        if row["id"] != number:
            yield {"id": row["id"], "why": f"follows row {number - 1}: rows are missing or added"}
            number = row["id"]
        if row["previous"] != before:
            yield {"id": row["id"], "why": "does not hold the hash of the row before it"}
        if row["hash"] != row_hash(row, _said_hash(row)):
            yield {"id": row["id"], "why": "was edited: its hash is not that of what it says"}
        before = row["hash"]


def _erasure_faults(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Emptied payloads that no later row of an erasure names as they are."""
    told: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row in rows:
        named = _payload(row).get("rows") if row["kind"] == ERASE else None
        for number, written in (named or {}).items():
            told[number].append((row["id"], written))
    for row in rows:
        if ERASED not in _payload(row):
            continue
        named = told.get(str(row["id"]), [])
        if not named or named[-1][0] <= row["id"] or named[-1][1] != payload_hash(row["payload"]):
            yield {"id": row["id"], "why": "was emptied, and no later row says so"}


def _head_faults(
    rows: list[dict[str, Any]], head: Head | None, logged: list[Head]
) -> Iterator[dict[str, Any]]:
    """Heads outside that are no row of the chain: one behind its end is fine."""
    last = rows[-1]["id"]
    if head is None:
        yield {"id": last, "why": "the head of the chain outside the database is gone"}
    hashes = {row["id"]: row["hash"] for row in rows}
    for where, known in [("audit.head", head), *((f"logs/{LOG}", one) for one in logged)]:
        if known is None or not known.id or hashes.get(known.id) == known.hash:
            continue
        cut = known.id > last
        fact = f"the chain ends at row {last}, it was cut" if cut else "that row is another one now"
        yield {"id": known.id, "why": f"{where} knows this row, {fact}"}


def _said_hash(row: Row) -> str:
    """The hash of what a payload says, or said before it was emptied."""
    return str(_payload(row).get(ERASED) or payload_hash(row["payload"]))


def _payload(row: Row) -> dict[str, Any]:
    try:
        found = json.loads(row["payload"])
    except ValueError:  # somebody edited it
        return {}
    return found if isinstance(found, dict) else {}


def _emptied(
    rows: Sequence[Row], cases: set[Case], found: re.Pattern[str]
) -> Iterator[tuple[int, str]]:
    """Row -> its payload without some cases: of a batch the others stay, of one case nothing; what
    is said in words loses their names.
    """
    for row in rows:
        payload = _payload(row)
        cohort = payload.get("cohort", "")
        own = {case for of_cohort, case in cases if of_cohort == cohort}
        kept = {name: payload[name] for name in (ERASED, "cohort") if name in payload}
        kept.setdefault(ERASED, payload_hash(row["payload"]))
        if payload.get("case_id") in own:
            yield row["id"], json.dumps(kept, sort_keys=True)
        elif own & set(payload.get("cases", ())):
            others = [case for case in payload["cases"] if case not in own]
            yield row["id"], json.dumps({**payload, **kept, "cases": others}, sort_keys=True)
        elif (own or not cohort) and found.search(reason := str(payload.get("reason") or "")):
            said = {**payload, **kept, "reason": found.sub(GONE, reason)}
            yield row["id"], json.dumps(said, sort_keys=True)


def _cases_of(ledger: Ledger, subject_id: str) -> set[Case]:
    """(cohort, case) of a person."""
    found: set[Case] = set()
    for table in WITH_SUBJECTS:
        query = select(table.c.cohort, table.c.case_id).where(table.c.subject_id == subject_id)
        found |= {(row["cohort"], row["case_id"]) for row in ledger.rows(query, table)}
    return found
