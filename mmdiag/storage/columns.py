"""Columns that the tables of a ledger of an earlier version lack: added before anything is written,
read as unknown where nothing may be.
"""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, Select, Table, inspect, null, select, text
from sqlalchemy.engine.reflection import Inspector

from mmdiag.storage.ledger_tables import METADATA


def missing_columns(inspector: Inspector) -> dict[str, frozenset[str]]:
    """Table -> its columns that the database does not have; whole tables are not named."""
    there = set(inspector.get_table_names())
    found = {
        name: frozenset(table.columns.keys())
        - {column["name"] for column in inspector.get_columns(name)}
        for name, table in METADATA.tables.items()
        if name in there
    }
    return {name: columns for name, columns in found.items() if columns}


def add_missing_columns(connection: Connection) -> None:
    """Add what tables lack, empty in every row that they have. Looked at again in the transaction
    that adds it, because another process may have done so.
    """
    quoted, dialect = connection.dialect.identifier_preparer, connection.dialect
    for name, columns in missing_columns(inspect(connection)).items():
        table = METADATA.tables[name]
        for column in (table.columns[column] for column in sorted(columns)):
            kind = column.type.compile(dialect=dialect)
            statement = (
                f"ALTER TABLE {quoted.format_table(table)} "
                f"ADD COLUMN {quoted.format_column(column)} {kind}"
            )
            connection.execute(text(statement))


def select_known(
    table: Table, missing: Mapping[str, frozenset[str]], less: Collection[str] = ()
) -> Select[tuple[object, ...]]:
    """The columns of a table, less some; those that it lacks are NULL."""
    lacking = missing.get(table.name, frozenset())
    return select(
        *(
            null().label(column.name) if column.name in lacking else column
            for column in table.columns
            if column.name not in less
        )
    )
