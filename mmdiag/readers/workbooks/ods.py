"""What the content of an .ods says beside its values.

Reference:
    OpenDocument 1.3 part 3: 9.1 (table), 19.385 (office:value-type), 19.675 (repeated columns).
"""

from typing import Final

from mmdiag.readers.office_parts import Elements, OfficeParts
from mmdiag.readers.workbooks.marks import MOST_COLUMNS, MOST_ROWS, Cell, Marks

CONTENT: Final = "content.xml"
MIMETYPE: Final = b"application/vnd.oasis.opendocument.spreadsheet"
_HIDDEN: Final = ("collapse", "filter")
_CELLS: Final = ("table-cell", "covered-table-cell")
_ERRORS: Final = ("#", "Err:")
_LINKED: Final = "its links to other books are not followed: their stored values count"
_MACROS: Final = ("basic/", "scripts/")
_FEW_ROWS: Final = 100_000  # more at once are what follows a table
_FEW_CELLS: Final = 256  # of one that is repeated, whose marks are kept


def sheet_marks(parts: OfficeParts) -> dict[str, Marks]:
    """What each sheet shows besides its values; all lie in one part.

    Raises:
        ReadError: `not_a_table` or `unreadable`.
    """
    reader = _Sheets()
    parts.parse(CONTENT, reader)
    if any(name.lower().startswith(_MACROS) for name in parts.names):
        for marks in reader.found.values():
            marks.remarks.append("its macros are not run")
    return reader.found


class _Sheets(Elements):
    """Cells, rows and columns of all sheets."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Marks] = {}
        self.marks = Marks()
        self._nested = 0  # tables within each other
        self._row, self._rows, self._column, self._columns = 0, 1, 0, 1
        self._next_column = 0
        self._facts: dict[str, str] = {}
        self._text, self._cell, self._note = "", False, 0

    def begin(self, name: str, facts: dict[str, str]) -> None:
        if name == "table":
            self._nested += 1
            if self._nested == 1:
                self.marks = self.found.setdefault(facts.get("name", ""), Marks())
                self._row = self._next_column = 0
        elif not self._nested:
            return
        elif name == "table-source":
            self.marks.remarks.append(_LINKED)
        elif name == "table-column":
            count = _repeated(facts, "number-columns-repeated", MOST_COLUMNS)
            if facts.get("visibility") in _HIDDEN:
                last = self._next_column + count - 1
                self.marks.hidden_columns.append((self._next_column, last))
            self._next_column += count
        elif name == "table-row":
            self._rows = _repeated(facts, "number-rows-repeated", MOST_ROWS)
            self._column = 0
            if facts.get("visibility") in _HIDDEN and self._rows < _FEW_ROWS:
                self.marks.hidden_rows |= set(range(self._row, self._row + self._rows))
        elif name in _CELLS:
            self._columns = _repeated(facts, "number-columns-repeated", MOST_COLUMNS)
            self._facts, self._text, self._cell = facts, "", True
        elif name == "annotation":
            self._note += 1

    def characters(self, content: str) -> None:
        """Text within an element."""
        if self._cell and not self._note and len(self._text) < len("Err:"):
            self._text += content

    def end(self, name: str) -> None:
        if name == "table":
            self._nested -= 1
        elif not self._nested:
            return
        elif name == "annotation":
            self._note -= 1
        elif name in _CELLS:
            self._end_cell()
        elif name == "table-row":
            self._row += self._rows

    def _end_cell(self) -> None:
        """What one cell shows."""
        facts, place = self._facts, (self._row, self._column)
        kind = facts.get("value-type", "")
        if "formula" in facts and not kind:
            self.marks.uncalculated.append(place)
        if kind:
            last = self._row + self._rows - 1, self._column + self._columns - 1
            self.marks.fill(*last)
        wrong = facts.get("calcext:value-type") == "error" or (
            "formula" in facts and kind == "string" and self._text.startswith(_ERRORS)
        )
        if wrong:
            self.marks.errors |= self._repeats()
        elif kind == "percentage":
            self.marks.percentages |= self._repeats()
        down, right = (
            _repeated(facts, f"number-{way}-spanned", MOST_ROWS) for way in ("rows", "columns")
        )
        if down > 1 or right > 1:
            self.marks.merged.append((*place, place[0] + down - 1, place[1] + right - 1))
        self._column += self._columns
        self._cell = False

    def _repeats(self) -> set[Cell]:
        rows = range(self._row, self._row + min(self._rows, _FEW_CELLS))
        columns = range(self._column, self._column + min(self._columns, _FEW_CELLS))
        return {(row, column) for row in rows for column in columns}


def _repeated(facts: dict[str, str], key: str, most: int) -> int:
    text = facts.get(key, "1")
    return min(int(text), most) if text.isdecimal() and len(text) < 12 else 1
