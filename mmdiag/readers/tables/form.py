"""How a table is written, as a cohort describes it: what separates its cells, how numbers are
written, and which cells mean that nothing was measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mmdiag.description import ModalityDescription
from mmdiag.readers.tables.keys import key_columns

BELOW = ("refuse", "missing", "limit")  # what a cell such as <0.1 is


@dataclass(frozen=True, slots=True)
class TableForm:
    """How a table is written.

    Args:
        delimiter: What separates cells; None = by the file's name, or by the header where that
            holds the `key` under one other delimiter alone.
        decimal: What separates a number's fraction: a full stop or a comma.
        missing_codes: Cells that mean not measured, beyond the empty ones; None = nobody said, and
            codes such as -999 are looked for.
        below: What `<0.1` is: `refuse` it, `missing`, or the `limit` itself.
        categories: Columns of words that become a column of 0 and 1 for each category.
        key: Columns that the header must hold.
        sheet: Of a workbook, the sheet; None = the only one that has cells.
        is_decimal_stated: Whether the description says what `decimal` is.
    """

    delimiter: str | None = None
    decimal: str = "."
    missing_codes: tuple[str, ...] | None = None
    below: str = "refuse"
    categories: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    sheet: str | None = None
    is_decimal_stated: bool = False

    def keyed(self, key: str) -> "TableForm":
        """The same, of a table with this key."""
        return replace(self, key=tuple(key_columns(key)))


PLAIN = TableForm()


def form_of(modality: ModalityDescription) -> TableForm:
    """What a modality says of how its tables are written."""
    said: Mapping[str, Any] = modality.options
    codes = said.get("missing_codes")
    form = TableForm(
        delimiter=said.get("delimiter"),
        decimal=said.get("decimal", "."),
        missing_codes=None if codes is None else tuple(codes),
        below=said.get("below", "refuse"),
        categories=tuple(said.get("categories", ())),
        sheet=said.get("sheet"),
        is_decimal_stated="decimal" in said,
    )
    return form.keyed(modality.key) if modality.key else form
