"""The ledger's database: connected, read, and written in whole transactions. SQLite by default,
PostgreSQL by URL.
"""

import json
import math
import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Select,
    Table,
    create_engine,
    delete,
    event,
    inspect,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, OperationalError

from mmdiag.errors import MmdiagError, UsageError
from mmdiag.storage.audit.chain import append, head_of
from mmdiag.storage.audit.head import begin_head, write_head
from mmdiag.storage.backup import back_up
from mmdiag.storage.columns import add_missing_columns, missing_columns, select_known
from mmdiag.storage.ledger_tables import METADATA
from mmdiag.workspace import NO_FILE, SQLITE, is_full, no_space

BUSY_TIMEOUT_MS = 30_000
ROWS = 500  # of one statement
NEWEST = "head of the audit"  # what a transaction notes of the row that it adds
UNKNOWN = object()  # asked for: rows whose column is empty
# in what SQLite says -> fact and cure
REFUSED = {
    "locked": (f"another process has held it for {BUSY_TIMEOUT_MS // 1000} s", "end that process"),
    "full": ("its disk is full", "free some space"),
    "readonly": ("it is read-only", "make the file and its folder writable"),
    "unable to open": ("it does not open", "make its folder writable"),
}


class Database:
    """Tables that are read as frames, and written by upserts on their natural keys. Nothing is made
    before something is written: reading what is not there gives nothing.

    Args:
        url: SQLAlchemy URL; `sqlite:///path` is made in WAL mode, so that readers never wait for a
            writer.
        folder: Where the head of the audit's chain is kept, of a database that is no file; of
            SQLite it lies beside the file.
    """

    def __init__(self, url: str, folder: Path | None = None) -> None:
        self.url = url
        self._folder = folder
        self._ready = False  # whether all tables and columns are known to be there
        self._missing: Mapping[str, frozenset[str]] = {}  # columns of an earlier version's tables

    def require(self) -> None:
        """See whether the database answers and may be written, where there is one.

        Raises:
            MmdiagError: It does not, or may not.
        """
        file = self._file()
        if file is not None and file.is_file() and not writable(file):
            raise MmdiagError(_unwritable("readonly"))
        self._known_tables()

    @cached_property
    def engine(self) -> Engine:
        """Connected at its first use; a database that may only be read is opened for that.

        Raises:
            UsageError: The URL names no database of a known kind.
        """
        file = self._file()
        if file is not None and file.is_file() and not writable(file):
            return create_engine(_only_read(file))
        if file is None:
            return _engine_of(self.url)
        engine = create_engine(URL.create("sqlite", database=str(file)))
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _file(self) -> Path | None:
        """Where SQLite keeps it; None for another database."""
        file = self.url.removeprefix(SQLITE)
        return Path(file) if self.url.startswith(SQLITE) and file not in NO_FILE else None

    def _known_tables(self) -> set[str]:
        file = self._file()
        if file is not None and not file.is_file():
            return set()
        try:
            inspector = inspect(self.engine)
            known, self._missing = set(inspector.get_table_names()), missing_columns(inspector)
        except OperationalError as error:
            raise MmdiagError(self._why(error)) from None
        self._ready = set(METADATA.tables) <= known and not self._missing
        return known

    def _make(self) -> None:
        """Make what is missing; one that is whole takes no lock."""
        before = self._known_tables()
        if self._ready:
            return
        file = self._file()
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            if before:
                back_up(file)
        with self._transaction() as connection:
            known = set(inspect(connection).get_table_names())
            METADATA.create_all(connection)
            add_missing_columns(connection)
            self._adopt(connection, known)
        self._ready, self._missing = True, {}

    def _adopt(self, connection: Connection, known: set[str]) -> None:
        """What has to be said of a database of an earlier version, in the transaction in which it
        gets the tables that it lacked.

        Args:
            known: The tables that it had.
        """

    def rows(self, query: Select[Any], table: Table) -> Sequence[Mapping[Any, Any]]:
        """The rows of a query about a table; none where there is no such table yet."""
        if not self._ready and table.name not in self._known_tables():
            return ()
        with self.engine.connect() as connection:
            return connection.execute(query).mappings().all()

    def _read(self, table: Table, *, less: Collection[str] = (), **where: Any) -> pd.DataFrame:
        """The rows of a table, less some columns that are not wanted."""
        if not self._ready:
            self._known_tables()
        query = select_known(table, self._missing, less)
        for name, value in where.items():
            if value is UNKNOWN:  # a column that is not there is unknown of every row
                known = name not in self._missing.get(table.name, ())
                query = query.where(table.c[name].is_(None)) if known else query
            elif value is not None:
                query = query.where(table.c[name] == value)
        return pd.DataFrame(
            [dict(row) for row in self.rows(query, table)],
            columns=[column.name for column in table.columns if column.name not in less],
        )

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that is a writer from its first statement; the tables are made if they
        are missing.

        Raises:
            MmdiagError: The database is locked, full, read-only or not to be reached.
        """
        if not self._ready:
            self._make()
        with self._transaction() as connection:
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self.engine.execution_options(writes=True).begin() as connection:
                said = connection.info
                said.pop(NEWEST, None)
                yield connection
                head = said.pop(NEWEST, None)
        except OperationalError as error:
            raise MmdiagError(self._why(error)) from None
        if head is not None and self.head_folder is not None:
            write_head(self.head_folder, head)

    def audit(
        self, connection: Connection, kind: str, payload: Mapping[str, Any], by: str = ""
    ) -> None:
        """Add a row to the audit in the transaction of what it records; the head of the chain is
        written outside the database once that is done. Append it last: who appends next waits.
        """
        folder = self.head_folder
        if folder is not None and (self._file() is None or not head_of(connection).id):
            begin_head(folder)
        connection.info[NEWEST] = append(connection, kind, payload, by)

    @property
    def head_folder(self) -> Path | None:
        """Where the head of the audit's chain is kept outside the database."""
        file = self._file()
        return file.parent if file is not None else self._folder

    def compact(self) -> bool:
        """Write an SQLite database anew, without what was deleted, and empty its log of changes;
        another database sees to that itself. Nothing is put into a folder for temporary files.

        Returns:
            Whether it was done; not where somebody reads it all the while.

        Raises:
            MmdiagError: The disk is full, or it is locked.
        """
        file = self._file()
        if file is None or not file.is_file():
            return True
        self.engine.dispose()
        try:
            with closing(sqlite3.connect(file, BUSY_TIMEOUT_MS / 1000)) as connection:
                connection.isolation_level = None
                connection.execute("PRAGMA temp_store=MEMORY")
                connection.execute("VACUUM")
                busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.OperationalError as error:
            if is_full(file.parent):
                raise MmdiagError(no_space(f" at {file}")) from None
            raise MmdiagError(_unwritable(str(error))) from None
        return not busy

    def _why(self, error: OperationalError) -> str:
        """Why a database refuses; what SQLite has no word for may be a full disk."""
        said, file = str(error.orig), self._file()
        if file is not None and not any(word in said for word in REFUSED) and is_full(file.parent):
            return no_space(f" at {file}")
        return _unwritable(said)

    def _upsert(
        self, table: Table, rows: Sequence[Mapping[str, Any]], kept: Iterable[str] = ()
    ) -> None:
        with self.writing() as connection:
            self._write(connection, table, rows, kept)

    def _write(
        self,
        connection: Connection,
        table: Table,
        rows: Sequence[Mapping[str, Any]],
        kept: Iterable[str] = (),
    ) -> None:
        dialect = sqlite if self.engine.dialect.name == "sqlite" else postgresql
        keys = [column.name for column in table.primary_key]
        for start in range(0, len(rows), ROWS):
            statement = dialect.insert(table)
            changed = {
                c.name: statement.excluded[c.name]
                for c in table.columns
                if c.name not in keys and c.name not in set(kept)
            }
            connection.execute(
                statement.on_conflict_do_update(index_elements=keys, set_=changed),
                [dict(row) for row in rows[start : start + ROWS]],
            )

    def _replace(
        self,
        table: Table,
        cohort: str,
        keys: Sequence[str],
        rows: pd.DataFrame,
        kept: Iterable[str] = (),
    ) -> None:
        """Write the rows of a cohort that are new or differ, and drop those that are not among
        them, in one transaction.
        """
        names = [column.name for column in table.columns]
        values = [[plain_value(value) for value in rows[name].tolist()] for name in names]
        places = [names.index(key) for key in keys]
        wanted = {
            tuple(str(row[place]) for place in places): row for row in zip(*values, strict=True)
        }
        with self.writing() as connection:
            held = connection.execute(select(table).where(table.c.cohort == cohort)).all()
            known = {tuple(str(row[place]) for place in places): tuple(row) for row in held}
            for key, row in known.items():
                if key not in wanted:
                    named = (table.c[keys[n]] == row[place] for n, place in enumerate(places))
                    connection.execute(delete(table).where(table.c.cohort == cohort, *named))
            fresh = [row for key, row in wanted.items() if known.get(key) != row]
            self._write(connection, table, [dict(zip(names, r, strict=True)) for r in fresh], kept)


def _engine_of(url: str) -> Engine:
    """The engine of a database that is no file. What the URL is stays unsaid: it may hold a
    password.

    Raises:
        UsageError: There is none of this URL.
    """
    engine: Engine | None = None
    with suppress(ArgumentError, ImportError):
        engine = create_engine(url)
    if engine is None or engine.dialect.name != "postgresql":
        raise UsageError(
            "A ledger is named as sqlite:///FILE, or as postgresql+psycopg://user@host/database "
            "where `mmdiag[postgresql]` is installed, this URL is neither or lacks its driver: "
            "correct --ledger or MMDIAG_LEDGER."
        )
    return engine


def writable(file: Path) -> bool:
    """Whether SQLite may write a database: it needs files of its own beside it."""
    return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)


def _only_read(file: Path) -> URL:
    """The URL of a database that may only be read. One without a log of changes that are not yet
    in it is read as it lies; with one, SQLite needs the index of that log, and reads it if it is
    there.
    """
    log = file.with_name(f"{file.name}-wal")
    whole = not log.is_file() or not log.stat().st_size
    asked = {"mode": "ro", "uri": "true"} | ({"immutable": "1"} if whole else {})
    return URL.create("sqlite", database=f"file:{quote(str(file))}", query=asked)


def _unwritable(said: str) -> str:
    """What a database says when it cannot be written, as fact and cure; nothing of the statement,
    which holds values.
    """
    fact, cure = next(
        (found for word, found in REFUSED.items() if word in said),
        ("it does not answer", "see that it runs and may be reached"),
    )
    return (
        f"The ledger must take what is written, {fact}: {cure} and run the same command "
        "again, it picks up where it stopped."
    )


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = (
        None  # transactions begin where _begin_sqlite says, not before the first change
    )
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA temp_store=MEMORY")  # what is sorted goes into no folder of the system
    _turn_to_wal(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _turn_to_wal(cursor: Any) -> None:
    """Turn a database to WAL mode. Where several turn a new one at once, SQLite refuses all but one
    without waiting, whatever its timeout is.
    """
    last = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > last:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock at once and waits for it: one that reads first and then writes is
    refused without waiting.
    """
    connection.exec_driver_sql(
        "BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN"
    )


def plain_value(value: Any) -> Any:
    """A value that SQL and JSON take: no NumPy scalar, no NaN."""
    if type(value) is str:
        return value
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict | list | str | int | float) or value is None:
        return value
    return json.loads(json.dumps(value, default=str))
