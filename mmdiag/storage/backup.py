"""A database of an earlier version is copied before it is changed."""

import sqlite3
from contextlib import closing
from pathlib import Path

from mmdiag.workspace import atomic_path

ENDING = ".before-migration"


def back_up(file: Path) -> None:
    """Copy an SQLite database as it stands beside itself, whole or not at all; the first copy
    stays.
    """
    copy = file.with_name(f"{file.name}{ENDING}")
    if copy.exists():
        return
    with (
        atomic_path(copy) as temporary,
        closing(sqlite3.connect(file)) as source,
        closing(sqlite3.connect(temporary)) as target,
    ):
        source.backup(target)
