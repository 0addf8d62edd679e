"""What the parts of an .xlsx say beside its values.

Reference:
    ECMA-376 part 1: 18.2.19 (sheet), 18.3.1.4 (c), 18.3.1.73 (row), 18.8.30 (numFmt).
"""

import posixpath
import re
from typing import Final

from mmdiag.errors import ReadError
from mmdiag.readers.office_parts import Elements, OfficeParts
from mmdiag.readers.workbooks.marks import MOST_COLUMNS, MOST_ROWS, Marks

BOOK: Final = "xl/workbook.xml"
PERCENT: Final = ("9", "10")  # built-in number formats: 0% and 0.00%
_REFERENCE: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_QUOTED: Final = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
_REMARKS: Final = (
    ("vbaproject.bin", "its macros are not run"),
    ("xl/externallinks/", "its links to other books are not followed: their stored values count"),
)


def sheet_marks(parts: OfficeParts, only: str | None = None) -> dict[str, Marks]:
    """What each sheet shows besides its values.

    Args:
        only: The one sheet that is looked at; None = all.

    Raises:
        ReadError: `not_a_table` or `unreadable`.
    """
    sheets, targets, styles = _Sheets(), _Targets(), _Styles()
    parts.parse(BOOK, sheets)
    parts.parse("xl/_rels/workbook.xml.rels", targets)
    for part in targets.styles:
        parts.parse(part, styles)
    names = [name.lower() for name in parts.names]
    remarks = [said for mark, said in _REMARKS if any(mark in name for name in names)]
    found = {}
    for sheet, link in sheets.links.items():
        if only is None or sheet == only:
            reader = _Sheet(parts.name, styles.percentages())
            parts.parse(targets.parts.get(link, ""), reader)
            reader.marks.remarks += remarks
            found[sheet] = reader.marks
    return found


class _Sheets(Elements):
    """Sheet -> the id of its link."""

    def __init__(self) -> None:
        super().__init__()
        self.links: dict[str, str] = {}

    def begin(self, name: str, facts: dict[str, str]) -> None:
        if name == "sheet":
            self.links[facts.get("name", "")] = facts.get("id", "")


class _Targets(Elements):
    """Id of a link -> the part within the book that it leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[str, str] = {}
        self.styles: list[str] = []

    def begin(self, name: str, facts: dict[str, str]) -> None:
        if name != "Relationship" or facts.get("TargetMode") == "External":
            return
        part = posixpath.normpath(posixpath.join("/xl", facts.get("Target", ""))).lstrip("/")
        self.parts[facts.get("Id", "")] = part
        if facts.get("Type", "").endswith("/styles"):
            self.styles.append(part)


class _Styles(Elements):
    """Number formats of the styles that cells have."""

    def __init__(self) -> None:
        super().__init__()
        self._of_cells, self._within = list[str](), False
        self._percent = set(PERCENT)

    def begin(self, name: str, facts: dict[str, str]) -> None:
        if name == "numFmt" and "%" in _QUOTED.sub("", facts.get("formatCode", "")):
            self._percent.add(facts.get("numFmtId", ""))
        elif name == "cellXfs":
            self._within = True
        elif name == "xf" and self._within:
            self._of_cells.append(facts.get("numFmtId", "0"))

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._within = False

    def percentages(self) -> set[str]:
        """Numbers of the styles that show a percentage."""
        return {str(at) for at, form in enumerate(self._of_cells) if form in self._percent}


class _Sheet(Elements):
    """Cells, rows and columns of a sheet."""

    def __init__(self, name: str, percentages: set[str]) -> None:
        super().__init__()
        self.marks = Marks()
        self._name, self._percentages = name, percentages
        self._row, self._column = -1, -1
        self._facts: dict[str, str] = {}
        self._formula = self._value = self._inside = self._negative = False

    def begin(self, name: str, facts: dict[str, str]) -> None:
        if name == "c":
            self._begin_cell(facts)
        elif name in ("v", "t"):
            self._inside = True
        elif name == "f":
            self._formula = True
        elif name == "row":
            self._row = self._number(facts["r"]) - 1 if "r" in facts else self._row + 1
            self._column = -1
            if facts.get("hidden") in ("1", "true"):
                self.marks.hidden_rows.add(self._row)
        elif name == "col" and facts.get("hidden") in ("1", "true"):
            first, last = (self._number(facts.get(end, "")) - 1 for end in ("min", "max"))
            self.marks.hidden_columns.append((first, last))
        elif name == "mergeCell":
            ends = facts.get("ref", "").split(":")
            (top, left), (bottom, right) = self._place(ends[0]), self._place(ends[-1])
            self.marks.merged.append((top, left, bottom, right))

    def characters(self, content: str) -> None:
        """Text within an element."""
        if self._inside and content:
            self._negative = content.startswith("-") if not self._value else self._negative
            self._value = True

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self._inside = False
        elif name == "c":
            self._end_cell()

    def _begin_cell(self, facts: dict[str, str]) -> None:
        if "r" in facts:
            self._row, self._column = self._place(facts["r"])
        else:
            self._column += 1
        self._facts, self._formula, self._value = facts, False, False

    def _end_cell(self) -> None:
        kind, place = self._facts.get("t", "n"), (self._row, self._column)
        if self._formula and not self._value and kind != "str":  # of text, none is a blank
            self.marks.uncalculated.append(place)
        if not self._value:
            return
        self.marks.fill(*place)
        if kind == "e":
            self.marks.errors.add(place)
        elif kind == "n" and self._facts.get("s") in self._percentages:
            self.marks.percentages.add(place)
        elif kind == "n" and self._negative and "s" in self._facts:
            self.marks.negative.add(place)

    def _place(self, reference: str) -> tuple[int, int]:
        found = _REFERENCE.fullmatch(reference)
        if found is None:
            raise self._beyond()
        column = 0
        for letter in found[1]:
            column = column * 26 + ord(letter) - ord("A") + 1
        row = int(found[2])
        if not 1 <= row <= MOST_ROWS or column > MOST_COLUMNS:
            raise self._beyond()
        return row - 1, column - 1

    def _number(self, text: str) -> int:
        if not re.fullmatch("[0-9]{1,7}", text) or not 1 <= int(text) <= MOST_ROWS:
            raise self._beyond()
        return int(text)

    def _beyond(self) -> ReadError:
        return ReadError("unreadable", f"{self._name} has a cell where no sheet has one")
