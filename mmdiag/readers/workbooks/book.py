"""One sheet of a workbook: its values by their types, and what it shows besides.

calamine gives the values as they were stored; no formula is computed, no macro run, no link
followed.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mmdiag.errors import ReadError
from mmdiag.readers.office_parts import OLE, OfficeParts
from mmdiag.readers.workbooks import ods, xlsx
from mmdiag.readers.workbooks.marks import Marks
from mmdiag.regular_files import read_regular

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

BOOKS: Final = (".xlsx", ".xls", ".ods")
MOST_NAMED: Final = 20  # sheets in one message
LARGEST: Final = 2**28  # bytes of a book
UNKNOWN: Final = (
    "a .xls does not tell which rows and columns are hidden, what is a percentage, and which "
    "cells are errors (they are missing): save it as .xlsx to know"
)
Value = str | float | bool | date | datetime | time | timedelta | None
# white space between elements of a table, which a person's own tool may write
_BETWEEN: Final = re.compile(
    rb"(</?(?:[\w.-]+:)?(?:table|table-[\w-]+|covered-table-cell|spreadsheet)(?:\s[^<>]*)?>)\s+(?=<)"
)
_TAB: Final = re.compile(rb"<((?:[\w.-]+:)?tab)(?:\s[^<>]*)?(?:/>|></\1>)")


AllMarks = dict[str, Marks]  # sheet -> what it shows besides its values


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet of a book.

    Args:
        name: The sheet's.
        top, left: Row and column of its first cell, from 0.
        rows: Its cells from there on, None = empty; all rows are as long.
        marks: What it shows besides.
        remarks: What is true of it as a whole, a sentence each.
    """

    name: str
    top: int
    left: int
    rows: Sequence[Sequence[Value]]
    marks: Marks
    remarks: tuple[str, ...] = ()


def is_workbook(file: Path) -> bool:
    """Whether a file is a workbook, by its name."""
    return file.name.lower().endswith(BOOKS)


def read_sheet(file: Path, sheet: str | None = None) -> Sheet:
    """One sheet of a book.

    Args:
        sheet: Its name; None = the only one that has cells.

    Raises:
        ReadError: `not_a_table`, `truncated`, `too_large`, `unreadable`, `sheet`, `no_rows` or
            `formula_value`.
    """
    stat = file.stat()
    return _read(file, sheet, (stat.st_ino, stat.st_size, stat.st_mtime_ns))


def filled_sheets(file: Path) -> list[str]:
    """The sheets of a book that have cells. Raises as `read_sheet`."""
    return _having(*_opened_book(file, None))


@lru_cache(maxsize=1)  # a request asks for the header, for the keys and for the cells
def _read(file: Path, sheet: str | None, stamp: tuple[int, ...]) -> Sheet:
    del stamp
    book, marks = _opened_book(file, sheet)
    return _of_book(book, file.name, sheet, marks)


def _opened_book(file: Path, sheet: str | None) -> "tuple[CalamineWorkbook, AllMarks | None]":
    """A book, and what its sheets show besides: looked at first, for calamine holds a sheet with
    all cells that lie between its own.
    """
    if file.stat().st_size > LARGEST:
        raise ReadError("too_large", f"{file.name} has more than {LARGEST} bytes")
    content, name, suffix = read_regular(file), file.name, file.suffix.lower()
    if suffix == ".xls":
        if not content.startswith(OLE):
            raise ReadError("not_a_table", f"{name} holds {_instead(content)}")
        return _opened(content, name), None
    parts = OfficeParts(content, name, "not_a_table")
    required = xlsx.BOOK if suffix == ".xlsx" else ods.CONTENT
    if required not in parts.names:
        raise ReadError("not_a_table", f"{name} is a zip, and not the workbook that it says")
    marks = xlsx.sheet_marks(parts, sheet) if suffix == ".xlsx" else ods.sheet_marks(parts)
    for one, shown in marks.items():
        shown.require_dense(f"{name}, sheet {one!r},")
    if suffix == ".ods" and _TAB.search(parts.read(ods.CONTENT)):
        content = parts.rewritten(ods.CONTENT, _without_tabs)
    try:
        return _opened(content, name), marks
    except ReadError:
        if suffix != ".ods":
            raise
        return _opened(parts.rewritten(ods.CONTENT, _without_blanks), name), marks


def _of_book(
    book: "CalamineWorkbook", name: str, sheet: str | None, marks: AllMarks | None
) -> Sheet:
    from python_calamine import SheetVisibleEnum

    names = list(book.sheet_names)
    hidden = {m.name for m in book.sheets_metadata if m.visible != SheetVisibleEnum.Visible}
    if sheet is not None and sheet not in names:
        raise ReadError("sheet", f"{name} has no sheet {sheet!r}, it has {_named(names, hidden)}")
    having = _having(book, marks) if sheet is None else [sheet]
    if len(having) > 1:
        raise ReadError("sheet", f"{name} has cells in {_named(having, hidden)}")
    if not having:
        raise ReadError("no_rows", f"{name} has no cells")
    chosen = having[0]
    shown = (marks or {}).get(chosen, Marks())
    shown.require_computed(f"{name}, sheet {chosen!r},")
    if marks is None:
        shown.merged = [
            (*first, *last) for first, last in _sheet_of(book, chosen).merged_cell_ranges or ()
        ]
    others = [one for one in names if sheet is not None and one != sheet]
    remarks = [
        *shown.remarks,
        *(["its sheet is hidden, and read"] if chosen in hidden else []),
        *([f"other sheets of it are not read: {_named(others, hidden)}"] if others else []),
        *([UNKNOWN] if marks is None else []),
    ]
    return replace(_cells(book, name, chosen, shown), remarks=tuple(remarks))


def _having(book: "CalamineWorkbook", marks: AllMarks | None) -> list[str]:
    """Sheets that have cells."""
    if marks is None:
        return [name for name in book.sheet_names if _sheet_of(book, name).height]
    return [name for name in book.sheet_names if name in marks and marks[name].filled]


def _cells(book: "CalamineWorkbook", name: str, sheet: str, marks: Marks) -> Sheet:
    from python_calamine import CalamineError

    try:
        found = _sheet_of(book, sheet)
        top, left = found.start or (0, 0)
        cells = found.to_python(skip_empty_area=True)
    except CalamineError as error:
        raise _unreadable(name, error) from None
    rows: list[list[Value]] = [[None if cell == "" else cell for cell in row] for row in cells]
    if not rows:
        raise ReadError("no_rows", f"{name} has no cells in sheet {sheet!r}")
    for place in marks.errors | marks.negative:
        row, column = place[0] - top, place[1] - left
        if not (0 <= row < len(rows) and 0 <= column < len(rows[0])):
            continue
        # a date before all dates, in place of which calamine has midnight
        if place in marks.errors or isinstance(rows[row][column], date | time):
            marks.errors.add(place)
            rows[row][column] = None
    return Sheet(sheet, top, left, rows, marks)


def _sheet_of(book: "CalamineWorkbook", sheet: str) -> "CalamineSheet":
    return book.get_sheet_by_name(sheet)


def _opened(content: bytes, name: str) -> "CalamineWorkbook":
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        return CalamineWorkbook.from_filelike(io.BytesIO(content))
    except CalamineError as error:
        raise _unreadable(name, error) from None


def _unreadable(name: str, error: Exception) -> ReadError:
    kind = type(error).__name__
    what = "it is encrypted" if kind == "PasswordError" else kind
    return ReadError("unreadable", f"{name} is no whole workbook ({what})")


def _named(names: Sequence[str], hidden: set[str]) -> str:
    """Sheets by their names."""
    shown = [f"{one!r} (hidden)" if one in hidden else repr(one) for one in names[:MOST_NAMED]]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(shown) + more


def _instead(content: bytes) -> str:
    """What lies under the name of a .xls."""
    head = content[:512].lstrip().lower()
    if content.startswith(b"PK"):
        return "a newer workbook: name it .xlsx"
    if head.startswith((b"<!doctype html", b"<html", b"<table")):
        return "a web page"
    if head.startswith(b"<?xml"):
        return "XML"
    return "text" if head.isascii() and b"\0" not in head else "no workbook of this form"


def _without_blanks(content: bytes) -> bytes:
    return _BETWEEN.sub(rb"\1", _without_tabs(content))


def _without_tabs(content: bytes) -> bytes:
    """With blanks for tabs, which calamine leaves out: `12`, a tab and `5` are not `125`."""
    return _TAB.sub(b" ", content)
