"""The audit: rows that are only ever added, each of which holds the hash of the one before it, so
that an edit, a removal, an insertion or another order is found.

A row's hash covers its payload by the payload's own hash, so that a person's payload can be emptied
and the chain still holds. A payload carries random digits: nobody can find out what an emptied one
said by trying what it may have said.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, text

from mmdiag.roles import system_user
from mmdiag.storage.record_tables import AUDIT

FIRST = "0" * 64  # what stands before the first row
SALT = "salt"  # the key of the random digits


@dataclass(frozen=True, slots=True)
class Head:
    """The last row of a chain: its id and hash; 0 of an empty one."""

    id: int = 0
    hash: str = FIRST


def append(connection: Connection, kind: str, payload: Mapping[str, Any], by: str = "") -> Head:
    """Add a row in the transaction of what it records.

    Args:
        kind: What was done: `ingest`, `train`, `score`, `review` ...
        payload: JSON; a case is named by its key under `case_id` or in the list `cases`.
        by: Who did it; default: the user of the system.
    """
    if connection.dialect.name == "postgresql":  # one writer at a time, as SQLite has it
        connection.execute(text("LOCK TABLE audit IN EXCLUSIVE MODE"))
    before = head_of(connection)
    written = json.dumps({**payload, SALT: secrets.token_hex(16)}, sort_keys=True)
    row = {
        "id": before.id + 1,
        "at": now(),
        "by": by or system_user(),
        "kind": kind,
        "payload": written,
        "previous": before.hash,
    }
    found = row_hash(row, payload_hash(written))
    connection.execute(insert(AUDIT), [row | {"hash": found}])
    return Head(before.id + 1, found)


def head_of(connection: Connection) -> Head:
    """The last row of the chain as it is."""
    last = connection.execute(
        select(AUDIT.c.id, AUDIT.c.hash).order_by(AUDIT.c.id.desc()).limit(1)
    ).first()
    return Head(last.id, last.hash) if last else Head()


def row_hash(row: Mapping[str, Any], of_payload: str) -> str:
    """SHA-256 of a row: id, at, by, kind, the hash of its payload, and the hash before it."""
    parts = [row["id"], row["at"], row["by"], row["kind"], of_payload, row["previous"]]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def payload_hash(payload: str) -> str:
    """SHA-256 of a payload's text."""
    return hashlib.sha256(payload.encode()).hexdigest()


def now() -> str:
    """This moment, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
