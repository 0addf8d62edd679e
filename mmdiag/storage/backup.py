"""A database of an earlier version is copied before it is changed."""

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

ENDING = ".before-migration"


def back_up(file: Path) -> None:
    """Copy an SQLite database as it stands beside itself, whole or not at all; the first copy
    stays, whoever else copies at the same time: a later one may hold what was changed meanwhile.
    """
    copy = file.with_name(f"{file.name}{ENDING}")
    if copy.exists():
        return
    own = f".{copy.name}.{os.getpid()}-{threading.get_ident()}.tmp"
    temporary = copy.with_name(own)
    try:
        with (
            closing(sqlite3.connect(file)) as source,
            closing(sqlite3.connect(temporary)) as target,
        ):
            source.backup(target)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        _name(temporary, copy)
    finally:
        temporary.unlink(missing_ok=True)


def _name(temporary: Path, copy: Path) -> None:
    """Give a file its name unless another one has it."""
    try:
        os.link(temporary, copy)
    except FileExistsError:
        return
    except OSError:  # a file system without links
        if not copy.exists():
            temporary.replace(copy)
