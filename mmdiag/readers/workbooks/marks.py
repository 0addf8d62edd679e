"""What a sheet shows besides its values: what is hidden, merged, a percentage, an error, or a
formula that nobody has computed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from mmdiag.errors import ReadError

MOST_ROWS, MOST_COLUMNS = 1_048_576, 16_384  # of a sheet, by its formats
FEW_CELLS: Final = 2**21  # of a sheet, that any may have
SPARSE: Final = 16  # times its filled cells that the box around them may have
SHOWN: Final = 5  # cells named in one message
Cell = tuple[int, int]  # row and column, from 0
Box = tuple[int, int, int, int]  # first row and column, last row and column


@dataclass(slots=True)
class Marks:
    """What a sheet shows besides its values; rows and columns count from 0.

    Args:
        hidden_columns: First and last column of each run that is hidden.
        negative: Numbers below 0 that have a format; as a date or a time each is an error.
        uncalculated: Formulas without a stored value.
        filled, last: Cells with a value, and the last row and column of one.
        remarks: What is true of the whole book, a sentence each.
    """

    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    percentages: set[Cell] = field(default_factory=set)
    errors: set[Cell] = field(default_factory=set)
    negative: set[Cell] = field(default_factory=set)
    uncalculated: list[Cell] = field(default_factory=list)
    merged: list[Box] = field(default_factory=list)
    filled: int = 0
    last: Cell = (-1, -1)
    remarks: list[str] = field(default_factory=list)

    def fill(self, row: int, column: int) -> None:
        """Count a cell that has a value; of one that is repeated the last place."""
        self.filled += 1
        self.last = max(self.last[0], row), max(self.last[1], column)

    def require_dense(self, name: str) -> None:
        """Refuse a sheet whose few cells lie far apart: it is held as a whole.

        Raises:
            ReadError: `too_large` or `unreadable`.
        """
        rows, columns = self.last[0] + 1, self.last[1] + 1
        if rows > MOST_ROWS or columns > MOST_COLUMNS:
            raise ReadError("unreadable", f"{name} has cells beyond the last row or column")
        if rows * columns > max(FEW_CELLS, SPARSE * self.filled):
            raise ReadError(
                "too_large", f"{name} spans {rows} rows and {columns} columns that are mostly empty"
            )

    def require_computed(self, name: str) -> None:
        """Refuse a sheet with formulas that nobody has computed.

        Raises:
            ReadError: `formula_value`.
        """
        if self.uncalculated:
            more = len(self.uncalculated) - SHOWN
            raise ReadError(
                "formula_value",
                f"{name} has none in {shown_cells(self.uncalculated)}"
                + (f" and {more} more" if more > 0 else ""),
            )


def shown_cells(cells: Iterable[Cell]) -> str:
    """The first few of some cells, as a sheet names them: A1, B2."""
    return ", ".join(f"{letters(column)}{row + 1}" for row, column in sorted(cells)[:SHOWN])


def letters(column: int) -> str:
    """A column's letters: 0 is A, 26 is AA."""
    found = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        found = chr(ord("A") + rest) + found
    return found
