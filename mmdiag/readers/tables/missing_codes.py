"""Codes for what was not measured, such as -999 and 9999, found by their shape: a number of nines
that lies far from all others of its column.
"""

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray

DIGITS = ("99", "999", "9999", "99999", "999999", "88", "888", "8888", "77", "777", "7777")
FRACTIONS = ("99.9", "999.9", "999.99", "9999.9", "99.99")
# whole numbers that programs have for missing: the least and the largest of 16 and 32 bits
LIMITS = (-(2.0**31), -(2.0**15), 2.0**31 - 1)
NEGATIVE = np.asarray(
    sorted({-9.0, *(-float(text) for text in (*DIGITS, *FRACTIONS)), *LIMITS[:2]}), np.float32
)
POSITIVE = np.asarray(
    sorted({*(float(text) for text in (*DIGITS, *FRACTIONS) if float(text) > 100), LIMITS[2]}),
    np.float32,
)
FAR = 3.0  # times the range of the other values
NEVER = -99.0  # from which on a code is one wherever nothing else is negative
WIDE = 200  # columns, from which on a count of 999 is there by chance
LEAST = 3  # other values that show where a column lies


def coded_cells(
    values: Float32[ndarray, "column row"], *, counts: bool = False
) -> Bool[ndarray, "column row"] | None:
    """Which cells hold a code for what was not measured; None = none does.

    Args:
        values: NaN = missing.
        counts: Whether the columns count something (mutations, reads), so that a large number says
            nothing.
    """
    if not values.size:
        return None
    low, high = np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)
    above = not counts and len(values) <= WIDE
    suspects = np.isin(low, NEGATIVE) | (above & np.isin(high, POSITIVE))
    found = None
    for column in np.flatnonzero(suspects):
        cells = _coded(values[column], above)
        if cells.any():
            found = np.zeros(values.shape, bool) if found is None else found
            found[column] = cells
    return found


def _coded(column: Float32[ndarray, " row"], above: bool) -> Bool[ndarray, " row"]:
    below_zero, beyond = np.isin(column, NEGATIVE), np.isin(column, POSITIVE)
    others = column[~below_zero & ~beyond & np.isfinite(column)]
    if not len(others):
        return below_zero & (column <= NEVER)
    low, high = float(others.min()), float(others.max())
    far = FAR * max(high - low, 0.0)
    found = below_zero & (column < low) & ((low - column >= far) | ((low >= 0) & (column <= NEVER)))
    if above and len(np.unique(others)) >= LEAST:
        found |= beyond & (column - high >= max(far, FAR * abs(high)))
    return np.asarray(found, bool)
