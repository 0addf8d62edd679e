"""Which lines of a sheet are its table: the header, and the rows of cases; titles, second headers
and summaries are told from them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mmdiag.errors import ReadError
from mmdiag.readers.tables.keys import guessed_key
from mmdiag.readers.workbooks.book import Sheet, Value
from mmdiag.readers.workbooks.marks import letters, shown_cells
from mmdiag.readers.workbooks.values import text_of

LOOKED_AT: Final = 50  # lines among which the header is
MOST_HEADERS: Final = 3  # lines below the header that may belong to it
# what a line at the end is called that is no case, in English and German
SUMMARIES: Final = re.compile(
    r"(?i)(?:sub|grand )?totals?|sum(?:mary|me)?|mean|average|avg|median|std|count"
    r"|gesamt|mittelwert|durchschnitt|anzahl"
)


@dataclass(frozen=True, slots=True)
class Body:
    """The table in a sheet.

    Args:
        header: Names of its columns.
        columns: Where each lies in the sheet, from 0.
        rows: Its rows, as long as the header.
        numbers: Where each row lies in the sheet, from 0.
        remarks: What of the sheet is not the table, a sentence each.
    """

    header: tuple[str, ...]
    columns: tuple[int, ...]
    rows: tuple[Sequence[Value], ...]
    numbers: tuple[int, ...]
    remarks: tuple[str, ...] = ()


def body_of(sheet: Sheet, name: str, key: Sequence[str] = ()) -> Body:
    """The table in a sheet.

    Args:
        name: The file's, for messages.
        key: Columns that its header holds; none = those that are named like a key.

    Raises:
        ReadError: `no_rows`.
    """
    filled = [at for at, row in enumerate(sheet.rows) if any(cell is not None for cell in row)]
    top = _header_line(sheet, filled, key)
    head = [text_of(cell) for cell in sheet.rows[top]]
    places = [
        at
        for at, title in enumerate(head)
        if title or any(sheet.rows[row][at] is not None for row in filled if row > top)
    ]
    header = tuple(head[at] for at in places)
    below = [row for row in filled if row > top]
    guess = guessed_key(header)
    keys = [header.index(one) for one in key or ([guess] if guess else []) if one in header]
    rows = {row: [sheet.rows[row][at] for at in places] for row in below}
    second = _second_headers(rows, keys)
    last = _summaries({row: cells for row, cells in rows.items() if row not in second}, keys)
    kept = [row for row in below if row not in second and row not in last]
    if not kept:
        raise ReadError("no_rows", f"{name} has a header only in sheet {sheet.name!r}")
    remarks = (
        (lines_above(sum(row < top for row in filled)) if top != filled[0] else ""),
        _said(sheet, second, "a second header: not read"),
        _said(sheet, last, "no row of a case, such as a sum: not read"),
    )
    return Body(
        header,
        tuple(sheet.left + at for at in places),
        tuple(rows[row] for row in kept),
        tuple(sheet.top + row for row in kept),
        tuple(remark for remark in remarks if remark),
    )


def mark_remarks(sheet: Sheet, body: Body) -> list[str]:
    """What the sheet shows that its values do not, a sentence each."""
    rows, columns, marks = set(body.numbers), set(body.columns), sheet.marks
    names = dict(zip(body.columns, body.header, strict=True))
    found = []
    percent = _named({column for row, column in marks.percentages if row in rows}, names)
    if percent:
        found.append(f"percentages are read as fractions, 25 % as 0.25: {percent}")
    errors = [cell for cell in marks.errors if cell[0] in rows and cell[1] in columns]
    if errors:
        where = _named({column for _, column in errors}, names)
        found.append(f"cells that hold an error, taken for missing: {len(errors)} in {where}")
    hidden = rows & marks.hidden_rows
    if hidden:
        found.append(f"rows that are hidden, and read: {len(hidden)}")
    runs = [set(range(first, last + 1)) & columns for first, last in marks.hidden_columns]
    hidden_columns = _named(set().union(*runs), names)
    if hidden_columns:
        found.append(f"columns that are hidden, and read: {hidden_columns}")
    merged = [box for box in marks.merged if box[2] >= min(rows) or box[0] >= min(rows)]
    if merged:
        cells = shown_cells((top, left) for top, left, _, _ in merged)
        found.append(
            f"merged cells, of which the first alone has the value: {len(merged)}, at {cells}"
        )
    return found


def _header_line(sheet: Sheet, filled: Sequence[int], key: Sequence[str]) -> int:
    """The first line that holds the key; without one the first that is not much narrower than the
    widest, as a title is.
    """
    for row in filled[:LOOKED_AT] if key else ():
        if set(key) <= {text_of(cell) for cell in sheet.rows[row]}:
            return row
    widths = {row: sum(cell is not None for cell in sheet.rows[row]) for row in filled[:LOOKED_AT]}
    return next(row for row in filled if 2 * widths[row] >= max(widths.values()))


def _second_headers(rows: dict[int, list[Value]], keys: Sequence[int]) -> set[int]:
    """Lines right below the header that have no key and hold words alone, such as units."""
    found = set[int]()
    for row in list(rows)[:MOST_HEADERS] if keys else ():
        cells = [cell for cell in rows[row] if cell is not None]
        keyless = all(rows[row][at] is None for at in keys)
        if not keyless or not all(isinstance(cell, str) for cell in cells):
            break
        found.add(row)
    return found


def _summaries(rows: dict[int, list[Value]], keys: Sequence[int]) -> set[int]:
    """Lines at the end that are nobody's: without a key, named like a sum, or a remark that stands
    alone below a gap.
    """
    found, order = set[int](), list(rows)
    for at in range(len(order) - 1, 0, -1) if keys else ():
        row, cells = order[at], rows[order[at]]
        words = [text_of(cells[key]).strip() for key in keys]
        alone = sum(cell is not None for cell in cells) == 1 < len(cells)
        apart = row - order[at - 1] > 1 or order[min(at + 1, len(order) - 1)] in found
        remark = alone and apart and " " in words[0]
        if not (not any(words) or SUMMARIES.fullmatch(words[0].rstrip(":")) or remark):
            break
        found.add(row)
    return found


def lines_above(count: int) -> str:
    """That so many lines above the header are no part of the table."""
    return f"{count} line{'s' if count > 1 else ''} above the header, not read"


def _said(sheet: Sheet, rows: set[int], what: str) -> str:
    if not rows:
        return ""
    shown = ", ".join(str(sheet.top + row + 1) for row in sorted(rows)[:5])
    return f"line{'s' if len(rows) > 1 else ''} {shown} of the sheet: {what}"


def _named(columns: set[int], names: dict[int, str]) -> str:
    """Columns by their names, else their letters."""
    shown = [names[at] or letters(at) for at in sorted(columns & set(names))]
    more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
    return ", ".join(shown[:20]) + more
