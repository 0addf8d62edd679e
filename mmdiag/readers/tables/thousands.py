"""Columns whose points may part thousands: `1.250` beside `980` is one and a quarter, or more than
a thousand.
"""

from pathlib import Path
from typing import Final

import numpy as np
from pyarrow import compute

from mmdiag.readers.tables.delimited import MISSING, read_table
from mmdiag.readers.tables.form import TableForm
from mmdiag.readers.tables.numbers import Numbers

_WHOLE_OR_GROUPED: Final = r"^[+-]?([0-9]{1,3}|[1-9][0-9]{0,2}\.[0-9]{3})$"
_NEAR: Final = 0.05  # thousandths: what is lost of 999.999 in float32


def grouped_columns(file: Path, numbers: Numbers, form: TableForm) -> list[str]:
    """Columns of a delimited file of which every cell is a whole number below a thousand, or one to
    three digits, a point and three digits. None where another column shows that a point begins a
    fraction.

    Args:
        numbers: The file's own, by decimal points.

    Raises:
        ReadError: It is no regular table.
    """
    with np.errstate(invalid="ignore"):
        values = np.abs(numbers.values.astype(np.float64))
        fractions = values % 1 > 0
        grouped = fractions & (values > 1) & (values < 1000)
        thousandths = values * 1000
        grouped &= np.abs(thousandths - np.round(thousandths)) < _NEAR
        if not fractions.any() or (fractions & ~grouped).any():
            return []
    places = np.flatnonzero(fractions.any(axis=1) & ~(values >= 1000).any(axis=1))
    names = [numbers.names[place] for place in places]
    if not names:
        return []
    table = read_table(file, columns=names, strict=False, form=form)
    found = []
    for name in names:
        cells = compute.utf8_trim_whitespace(table.column(name))
        folded = compute.utf8_lower(cells).to_pylist()
        fits = compute.match_substring_regex(cells, _WHOLE_OR_GROUPED).to_pylist()
        empty = MISSING | {code.casefold() for code in form.missing_codes or ()}
        if all(fit or cell in empty for fit, cell in zip(fits, folded, strict=True)):
            found.append(name)
    return found
