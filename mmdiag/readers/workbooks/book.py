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
    book, parts = _opened_book(file)
    return _having(book, _marks(parts, None))


@lru_cache(maxsize=1)  # a request asks for the header, for the keys and for the cells
def _read(file: Path, sheet: str | None, stamp: tuple[int, ...]) -> Sheet:
    del stamp
    book, parts = _opened_book(file)
    return _of_book(book, file.name, sheet, parts)


def _opened_book(file: Path) -> tuple["CalamineWorkbook", OfficeParts | None]:
    """A book, and its parts where it is a zip of XML."""
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
    try:
        return _opened(content, name), parts
    except ReadError:
        if suffix != ".ods":
            raise
        return _opened(parts.rewritten(ods.CONTENT, _without_blanks), name), parts


def _of_book(
    book: "CalamineWorkbook", name: str, sheet: str | None, parts: OfficeParts | None
) -> Sheet:
    from python_calamine import SheetVisibleEnum

    names = list(book.sheet_names)
    hidden = {m.name for m in book.sheets_metadata if m.visible != SheetVisibleEnum.Visible}
    if sheet is not None and sheet not in names:
        raise ReadError("sheet", f"{name} has no sheet {sheet!r}, it has {_named(names, hidden)}")
    marks = _marks(parts, sheet)
    having = _having(book, marks) if sheet is None else [sheet]
    if sheet is None and len(having) > 1:
        raise ReadError("sheet", f"{name} has cells in {_named(having, hidden)}")
    if sheet is None and not having:
        raise ReadError("no_rows", f"{name} has no cells")
    chosen = having[0] if sheet is None else sheet
    shown = (marks or {}).get(chosen, Marks())
    shown.require(f"{name}, sheet {chosen!r},")
    found = _cells(book, name, chosen)
    if parts is None:
        shown.merged = [
            (*first, *last) for first, last in _sheet_of(book, chosen).merged_cell_ranges or ()
        ]
    others = [one for one in names if one != chosen and (sheet is not None or one in having)]
    remarks = [
        *shown.remarks,
        *(["its sheet is hidden, and read"] if chosen in hidden else []),
        *([f"other sheets of it are not read: {_named(others, hidden)}"] if others else []),
        *([UNKNOWN] if parts is None else []),
    ]
    return replace(found, marks=shown, remarks=tuple(remarks))


def _marks(parts: OfficeParts | None, sheet: str | None) -> dict[str, Marks] | None:
    """What the sheets show besides; None where the form does not tell."""
    if parts is None:
        return None
    if xlsx.BOOK in parts.names:
        return xlsx.sheet_marks(parts, sheet)
    return ods.sheet_marks(parts, sheet)


def _having(book: "CalamineWorkbook", marks: dict[str, Marks] | None) -> list[str]:
    """Sheets that have cells."""
    if marks is None:
        return [name for name in book.sheet_names if _sheet_of(book, name).height]
    return [name for name in book.sheet_names if name in marks and marks[name].filled]


def _cells(book: "CalamineWorkbook", name: str, sheet: str) -> Sheet:
    from python_calamine import CalamineError

    try:
        found = _sheet_of(book, sheet)
        top, left = found.start or (0, 0)
        cells = found.to_python(skip_empty_area=True)
    except CalamineError as error:
        raise _unreadable(name, error) from None
    rows = [[None if value == "" else value for value in row] for row in cells]
    if not rows:
        raise ReadError("no_rows", f"{name} has no cells in sheet {sheet!r}")
    return Sheet(sheet, top, left, rows, Marks())


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
    return _BETWEEN.sub(rb"\1", content)
