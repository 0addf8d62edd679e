"""A sheet of a workbook as a table: its columns by their types, and what has to be said of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from mmdiag.errors import ReadError
from mmdiag.readers.workbooks.book import Value, read_sheet
from mmdiag.readers.workbooks.lines import Body, body_of, mark_remarks
from mmdiag.readers.workbooks.values import EXACT, column_of, texts_of

SAID: Final = b"said"  # where a table carries its remarks
LONGEST_CELL: Final = 131_072  # characters


def workbook_table(
    file: Path,
    *,
    sheet: str | None = None,
    key: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    text: Sequence[str] | None = None,
    decimal: str = ".",
) -> pa.Table:
    """A sheet as an Arrow table, which carries what has to be said of it; see `remarks_of`.

    Args:
        sheet: Its name; None = the only one that has cells.
        key: Columns that make the key of a row.
        columns: Only these; None = all.
        text: Columns that are text while the others have the type of their values; None = every
            cell is text.
        decimal: What separates the fraction of a number among texts.

    Raises:
        ReadError: As `book.read_sheet` and `lines.body_of`, or `key_number`.
    """
    found, body = _read(file, sheet, key)
    wanted = [at for at, name in enumerate(body.header) if columns is None or name in columns]
    arrays = []
    for at in wanted:
        name, cells = body.header[at], [row[at] for row in body.rows]
        if name in key:
            _require_exact(cells, file.name)
        as_text = text is None or name in text
        arrays.append(texts_of(cells, decimal) if as_text else column_of(cells, decimal))
        if (
            max(map(len, (cell for cell in cells if isinstance(cell, str))), default=0)
            > LONGEST_CELL
        ):
            raise ReadError("cell_too_long", f"{file.name} has one in column {at + 1}")
    table = pa.Table.from_arrays(arrays, names=[body.header[at] for at in wanted])
    return with_remarks(table, found)


def workbook_header(file: Path, sheet: str | None = None, key: Sequence[str] = ()) -> list[str]:
    """The columns of a sheet. Raises as `workbook_table`."""
    return list(_read(file, sheet, key)[1].header)


def number_columns(file: Path, sheet: str | None = None, key: Sequence[str] = ()) -> list[str]:
    """Columns that hold numbers, where a CSV would hold what was typed."""
    body = _read(file, sheet, key)[1]
    return [
        name
        for at, name in enumerate(body.header)
        if any(type(row[at]) in (int, float) for row in body.rows)
    ]


def with_remarks(table: pa.Table, remarks: Sequence[str]) -> pa.Table:
    """A table that carries what has to be said of it; see `remarks_of`."""
    return table.replace_schema_metadata({SAID: json.dumps(remarks)})


def remarks_of(table: pa.Table) -> list[str]:
    """What has to be said of a table, a sentence each: of a workbook what it shows besides its
    values, and of any the lines above its header.
    """
    found: list[str] = json.loads((table.schema.metadata or {}).get(SAID, b"[]"))
    return found


def _read(file: Path, sheet: str | None, key: Sequence[str]) -> tuple[list[str], Body]:
    found = read_sheet(file, sheet)
    body = body_of(found, file.name, key)
    return [*body.remarks, *mark_remarks(found, body), *found.remarks], body


def _require_exact(cells: Sequence[Value], name: str) -> None:
    """A key of many digits has lost the last of them as a number."""
    lost = sum(type(cell) in (int, float) and abs(float(cell)) >= EXACT for cell in cells)  # type: ignore[arg-type]
    if lost:
        raise ReadError("key_number", f"{name} has {lost} of more than 15 digits")
