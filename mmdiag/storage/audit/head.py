"""The head of the audit's chain, written outside the database: a cut tail cannot be seen from
inside.

It is written after the transaction. Killed between the two, it lies behind the chain and is one of
its rows, which is no fault; a chain that ends before its head was cut. Every head is a line of
`logs/audit.log`, too, so that a chain that is written anew as a whole is found.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from mmdiag.storage.audit.chain import Head
from mmdiag.workspace import write_text

HEAD, LOG = "audit.head", "audit.log"


def begin_head(folder: Path) -> None:
    """Say that a chain begins, before its first row: one with rows and no head has lost it."""
    if not (folder / HEAD).exists():
        _write(folder, Head())


def write_head(folder: Path, head: Head) -> None:
    """Write the head of a chain, and a line of the log; a later one that another process wrote in
    the meantime stays.
    """
    log = folder / "logs" / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"id": head.id, "hash": head.hash}) + "\n"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    known = read_head(folder)
    if known is not None and head.id > known.id:
        _write(folder, head)


def read_head(folder: Path) -> Head | None:
    """The head as it was written; None where there is none that can be read."""
    try:
        return _parsed((folder / HEAD).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def logged_heads(folder: Path) -> Iterator[Head]:
    """Every head of the log; a line that was cut by a kill is left out."""
    try:
        lines = (folder / "logs" / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        if (head := _parsed(line)) is not None:
            yield head


def _parsed(written: str) -> Head | None:
    try:
        found = json.loads(written)
        return Head(int(found["id"]), str(found["hash"]))
    except (ValueError, KeyError, TypeError):
        return None


def _write(folder: Path, head: Head) -> None:
    write_text(folder / HEAD, json.dumps({"id": head.id, "hash": head.hash}) + "\n")
