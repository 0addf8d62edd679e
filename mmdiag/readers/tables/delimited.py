"""Delimited, Parquet and workbook files as Arrow tables and text frames: every row as long as the
header, every column named once, no cell too long.
"""

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import compute, parquet
from pyarrow import csv as arrow_csv

from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.tables.encoding import (
    LOOKED_AT,
    SEPARATORS,
    DelimitedText,
    read_delimited_text,
    read_head,
    require_plain,
)
from mmdiag.readers.tables.form import PLAIN, TableForm
from mmdiag.readers.tables.keys import guessed_key
from mmdiag.readers.workbooks.book import is_workbook
from mmdiag.readers.workbooks.lines import lines_above
from mmdiag.readers.workbooks.table import with_remarks, workbook_header, workbook_table
from mmdiag.reasons import REASONS

LONGEST_CELL = 131_072  # characters: what spreadsheets and Python's own csv module take
MISSING = {"", "na", "nan", "n/a", "null", "none", "#n/a", "<na>"}
MISSING_FORMS = sorted(
    {form for word in MISSING for form in (word, word.upper(), word.capitalize(), "NaN", "N/a")}
)
INDEX = {"__index_level_0__": "index"}  # as pandas names it in a Parquet file
UNNAMED = "\x00 unnamed "  # begins the names of columns that have none
SHOWN = 5  # lines named in one message


def read_table(
    file: Path,
    *,
    columns: Sequence[str] | None = None,
    text: Sequence[str] | None = None,
    strict: bool = True,
    form: TableForm = PLAIN,
) -> pa.Table:
    """A CSV, TSV (plain or gzip), Parquet or workbook table, checked as a file.

    Args:
        columns: Only these; None = all.
        text: Columns that stay text while the others are what they look like; None = every cell is
            text.
        strict: Whether NUL and control characters and long cells refuse the file; else they are
            left to whoever judges the cells.
        form: How it is written.

    Raises:
        ReadError: It is not a regular table, or has no rows; see `mmdiag.reasons`.
    """
    if file.suffix == ".parquet":
        return _read_parquet(file, columns, text)
    if is_workbook(file):
        require_columns(workbook_header(file, form.sheet, form.key), file.name)
        table = workbook_table(
            file,
            sheet=form.sheet,
            key=form.key,
            columns=columns,
            text=text,
            decimal=form.decimal,
        )
        if strict:
            for cells in table.columns:
                if pa.types.is_string(cells.type):
                    require_plain("\n".join(cells.to_pylist()).encode(), file.name)
        return table
    source = read_delimited_text(file, separator=form.delimiter, columns=form.key, strict=strict)
    table = parse(source, columns=columns, text=text, strict=strict, form=form)
    return with_remarks(table, [lines_above(source.above)] if source.above else [])


def parse(
    source: DelimitedText,
    *,
    columns: Sequence[str] | None = None,
    text: Sequence[str] | None = None,
    strict: bool = True,
    form: TableForm = PLAIN,
) -> pa.Table:
    """Delimited text as an Arrow table; see `read_table`.

    Raises:
        ReadError: `ragged`, `duplicate_column`, `bad_column`, `cell_too_long` or `no_rows`.
    """
    header = _told_apart(_first_row(source))
    require_columns(header, source.name)
    types = dict.fromkeys(header if text is None else text, pa.string())
    try:
        table = _arrow(source, header, columns, types, form)
        if text is not None and _may_be_hexadecimal(table, source):  # Arrow takes 0x10 for 16
            table = _arrow(source, header, columns, dict.fromkeys(header, pa.string()), form)
    except pa.ArrowInvalid:
        _require_even_rows(source)
        raise ReadError("unreadable", f"{source.name} is no regular delimited file") from None
    # a quote that is never closed takes the rest of the file for one cell
    if source.quoted and source.content.count(b'"') % 2:
        _require_even_rows(source)
    if not table.num_rows:
        raise ReadError("no_rows", f"{source.name} has a header only")
    table = _without_blank_columns(table, source.name)
    if strict:
        _require_short_cells(table, source.name)
    return table


def read_frame(
    file: Path,
    *,
    columns: Sequence[str] | None = None,
    strict: bool = True,
    form: TableForm = PLAIN,
) -> pd.DataFrame:
    """A CSV, TSV or Parquet table, every cell as text, what is missing empty.

    Raises:
        ReadError: It is not a regular table.
    """
    return pd.DataFrame(read_table(file, columns=columns, strict=strict, form=form).to_pandas())


def read_header(file: Path, form: TableForm = PLAIN) -> tuple[str, ...]:
    """The column names of a CSV, TSV or Parquet table.

    Raises:
        ReadError: It has no header, or a column is there twice.
    """
    if file.suffix == ".parquet":
        with parquet_errors(file.name):
            names = parquet.read_schema(file).names
        return tuple(INDEX.get(name, name) for name in names)
    if is_workbook(file):
        names = workbook_header(file, form.sheet, form.key)
        require_columns(names, file.name)
        return tuple(names)
    said: dict[str, Any] = {"separator": form.delimiter, "columns": form.key}
    source = read_head(file, **said) or read_delimited_text(file, strict=False, **said)
    header = _told_apart(_first_row(source))
    require_columns(header, file.name)
    return tuple(name for name in header if not name.startswith(UNNAMED))


def separator_in(file: Path, form: TableForm) -> str:
    """What separates the cells of a CSV or TSV table; empty for Parquet and workbooks."""
    if file.suffix == ".parquet" or is_workbook(file):
        return ""
    said: dict[str, Any] = {"separator": form.delimiter, "columns": form.key}
    return (read_head(file, **said) or read_delimited_text(file, strict=False, **said)).separator


@contextmanager
def as_description_error() -> Iterator[None]:
    """A table that a whole cohort needs is part of its description: what is wrong with it is wrong
    use, and nothing is written.
    """
    try:
        yield
    except ReadError as refusal:
        reason = REASONS[refusal.code]
        raise DescriptionError(
            f"{reason.rule.rstrip('.')}, {refusal.detail}: "
            f"{reason.cure[0].lower()}{reason.cure[1:]}"
        ) from None


def require_columns(header: Sequence[str], name: str) -> None:
    """Refuse a header that names a column twice, or like something of Python's own.

    Raises:
        ReadError: `duplicate_column` or `bad_column`.
    """
    stripped = pd.Series([column.strip() for column in header], dtype=object)
    repeated = np.flatnonzero(stripped.duplicated(keep=False)) + 1
    if len(repeated):
        shown = ", ".join(map(str, repeated[:SHOWN]))
        raise ReadError("duplicate_column", f"{name} repeats a name in column {shown}")
    dunder = sum(
        column.startswith("__") and column.endswith("__") and len(column) > 4 for column in stripped
    )
    if dunder:
        raise ReadError("bad_column", f"{name} has {dunder} that are not")


def _told_apart(header: Sequence[str]) -> list[str]:
    """A header in which several columns without a name, as spreadsheets leave them behind and
    below a table, are told apart.
    """
    blank = [place for place, name in enumerate(header) if not name.strip()]
    if len(blank) < 2:
        return list(header)
    return [f"{UNNAMED}{n}" if n in blank else name for n, name in enumerate(header)]


def _without_blank_columns(table: pa.Table, name: str) -> pa.Table:
    """A table without its columns that have neither a name nor a value.

    Raises:
        ReadError: `duplicate_column`, where several that have no name have values.
    """
    unnamed = [column for column in table.column_names if column.startswith(UNNAMED)]
    held = [column for column in unnamed if _has_value(table.column(column))]
    if len(held) > 1:
        raise ReadError("duplicate_column", f"{name} has {len(held)} columns without a name")
    named = table.select([one for one in table.column_names if one not in unnamed or one in held])
    return named.rename_columns(["" if one in held else one for one in named.column_names])


def _has_value(cells: pa.ChunkedArray) -> bool:
    if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
        return bool(cells.null_count < len(cells))
    return bool(compute.max(compute.utf8_length(compute.utf8_trim_whitespace(cells))).as_py())


def _arrow(
    source: DelimitedText,
    header: Sequence[str],
    columns: Sequence[str] | None,
    types: Mapping[str, pa.DataType],
    form: TableForm,
) -> pa.Table:
    return arrow_csv.read_csv(
        pa.BufferReader(source.content),
        # one block: wide tables have few rows in a megabyte
        read_options=arrow_csv.ReadOptions(
            block_size=len(source.content) + 1, column_names=header, skip_rows_after_names=1
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=source.separator,
            newlines_in_values=source.quoted,
            quote_char='"' if source.quoted else False,
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types=types,
            include_columns=list(columns or ()),
            null_values=[*MISSING_FORMS, *(form.missing_codes or ())],
            decimal_point=form.decimal,
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )


def _may_be_hexadecimal(table: pa.Table, source: DelimitedText) -> bool:
    body = source.content.find(b"\n")
    return any(map(pa.types.is_integer, table.schema.types)) and any(
        source.content.find(x, body) >= 0 for x in (b"x", b"X")
    )


def _first_row(source: DelimitedText) -> list[str]:
    """The header, as the csv module reads it: pandas would take the first column of wider rows for
    their names.
    """
    end = source.content.find(b"\n")
    head = source.content[: end if end >= 0 else None]
    if source.quoted and head.count(b'"') % 2:  # a line end within quotes
        head = source.content
    try:
        row = next(
            csv.reader(io.StringIO(head.decode("utf-8"), newline=""), **_dialect(source)), []
        )
    except csv.Error:
        raise ReadError("ragged", f"{source.name} has no regular header") from None
    if not row:
        raise ReadError("no_rows", f"{source.name} does not begin with a header")
    return row


def _dialect(source: DelimitedText) -> dict[str, Any]:
    return {
        "delimiter": source.separator,
        "quoting": csv.QUOTE_MINIMAL if source.quoted else csv.QUOTE_NONE,
    }


def _require_even_rows(source: DelimitedText) -> None:
    reader = csv.reader(
        io.StringIO(source.content.decode("utf-8"), newline=""), strict=True, **_dialect(source)
    )
    try:
        (_, width), *others = [(reader.line_num, len(row)) for row in reader if row] or [(1, 0)]
    except csv.Error as error:
        code = "cell_too_long" if "field larger" in str(error) else "ragged"
        raise ReadError(code, f"{source.name} breaks this near line {reader.line_num}") from None
    ragged = [str(line) for line, count in others if count != width]
    if ragged:
        raise ReadError("ragged", f"{source.name} breaks this in line {', '.join(ragged[:SHOWN])}")


def _require_short_cells(table: pa.Table, name: str) -> None:
    for number, cells in enumerate(table.columns, 1):
        textual = pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)
        if (
            textual
            and cells.nbytes > LONGEST_CELL
            and compute.max(compute.binary_length(cells)).as_py() > LONGEST_CELL
        ):
            raise ReadError("cell_too_long", f"{name} has one in column {number}")


def _read_parquet(
    file: Path, columns: Sequence[str] | None, text: Sequence[str] | None
) -> pa.Table:
    with parquet_errors(file.name):
        names = [str(name) for name in parquet.read_schema(file).names]
        require_columns([INDEX.get(name, name) for name in names], file.name)
        read = [name for name in names if columns is None or INDEX.get(name, name) in columns]
        # pandas' own metadata is of no use: an index is a column, and whole numbers with gaps stay
        # whole
        frame = pd.DataFrame(
            parquet.read_table(file, columns=read).to_pandas(
                ignore_metadata=True, integer_object_nulls=True
            )
        )
    frame = frame[read].rename(columns=INDEX)
    if frame.empty:
        raise ReadError("no_rows", f"{file.name} has no rows")
    texts = frame.columns if text is None else [column for column in text if column in frame]
    frame = frame.assign(**{column: _as_text(frame[column]) for column in texts})
    table = _plain_types(pa.Table.from_pandas(frame, preserve_index=False))
    _require_short_cells(table, file.name)
    return table


def _as_text(cells: pd.Series) -> pd.Series:
    """Cells as text; of a list its hash, for its text would be shortened."""
    if cells.dtype == object and cells.map(lambda cell: isinstance(cell, np.ndarray)).any():
        cells = cells.map(lambda cell: _hashed(cell) if isinstance(cell, np.ndarray) else cell)
    return cells.astype("string").fillna("")


def _hashed(cell: np.ndarray) -> str:
    """The hash of a list, or of lists in a list."""
    if cell.dtype == object:
        parts = [_hashed(one) if isinstance(one, np.ndarray) else repr(one) for one in cell]
        content = "\x1f".join(parts).encode()
    else:
        content = cell.tobytes()
    head = f"{cell.dtype} {len(cell)} ".encode()
    return f"list {hashlib.sha256(head + content).hexdigest()[:32]}"


def _plain_types(table: pa.Table) -> pa.Table:
    """Types that only Parquet knows as those that delimited text has: true is 1 and false 0, a
    decimal is a number, and what is kept once and counted is written out.
    """
    for place, name in enumerate(table.column_names):
        cells = table.column(place)
        if pa.types.is_dictionary(cells.type):
            cells = cells.cast(cells.type.value_type)
        if pa.types.is_boolean(cells.type):
            cells = cells.cast(pa.int8())
        elif pa.types.is_decimal(cells.type):
            cells = cells.cast(pa.float64())
        if cells.type != table.column(place).type:
            table = table.set_column(place, name, cells)
    return table


@contextmanager
def parquet_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as error:  # Arrow's errors are ValueErrors or OSErrors
        raise ReadError(
            "unreadable", f"{name} is no Parquet file ({type(error).__name__})"
        ) from None


def read_undescribed(file: Path, key: Sequence[str] = ()) -> pd.DataFrame:
    """`read_frame` of a table whose header, below a title, is found by what is named like a key."""
    try:
        return read_frame(file, form=TableForm(key=tuple(key)))
    except ReadError as refusal:
        guess = _key_below(file) if refusal.code == "ragged" and not key else None
        if guess is None:
            raise
    return read_frame(file, form=TableForm(key=(guess,)))


def _key_below(file: Path) -> str | None:
    lines = read_delimited_text(file, check_delimiter=False).content.split(b"\n", LOOKED_AT)
    heads = [one.decode().strip() for one in lines[:LOOKED_AT]]
    found = (guessed_key(head.split(mark)) for head in heads for mark in SEPARATORS if mark in head)
    return next((key for key in found if key), None)
