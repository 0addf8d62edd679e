"""Checks a table modality's numbers against the unit that it declares: a wrong unit shifts every
value, and no shape shows it.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from mmdiag.errors import DescriptionError

WHOLE_TRANSCRIPTOME = 10_000  # columns, from which the sum of a row is that of all genes
TPM_SUM = (5e5, 1.05e6)  # a million less the genes that a table leaves out
LARGEST_LOG2 = 64.0
FARTHEST_MEDIAN = 3.0  # standard deviations
# of the columns may lie off centre, by a marker gene or a cohort that differs from its reference
FEW = 0.05
LEAST_ROWS = 5  # fewer have no centre


def check_units(values: Float[ndarray, "case column"], units: str, where: str) -> None:
    """Refuse numbers that cannot be of the unit that was declared.

    Args:
        values: NaN = not measured.
        units: `counts`, `tpm`, `log2` or `z-score`.
        where: The modality's section, for the message.

    Raises:
        DescriptionError: They are not; it names the number of columns, no value.
    """
    rule, find = UNITS[units]
    wrong = find(values)
    if wrong:
        raise DescriptionError(
            f"{rule}, {wrong} of {where} {'is' if wrong.startswith('1 ') else 'are'} not: "
            f'correct units = "{units}" or the table.'
        )


def _counts(values: Float[ndarray, "case column"]) -> str:
    filled = np.nan_to_num(values, nan=0.0)
    return _columns(((filled < 0) | (filled % 1 != 0)).any(axis=0))


def _tpm(values: Float[ndarray, "case column"]) -> str:
    filled = np.nan_to_num(values, nan=0.0)
    columns = _columns((filled < 0).any(axis=0))
    if columns:
        return columns
    sums = filled.sum(axis=1, dtype=float)
    least = TPM_SUM[0] if values.shape[1] >= WHOLE_TRANSCRIPTOME else 0.0
    rows = int(((sums < least) | (sums > TPM_SUM[1])).sum())
    return f"{rows} of {len(sums)} rows" if rows else ""


def _log2(values: Float[ndarray, "case column"]) -> str:
    return _columns((np.abs(np.nan_to_num(values, nan=0.0)) > LARGEST_LOG2).any(axis=0))


def _z_score(values: Float[ndarray, "case column"]) -> str:
    if len(values) < LEAST_ROWS:
        return ""
    measured = values[:, ~np.isnan(values).all(axis=0)]
    off = np.abs(np.nanmedian(measured, axis=0)) > FARTHEST_MEDIAN
    return _columns(off) if off.mean() > FEW else ""


def _columns(wrong: Bool[ndarray, " column"]) -> str:
    return f"{int(wrong.sum())} of {len(wrong)} columns" if wrong.any() else ""


UNITS: dict[str, tuple[str, Callable[[Float[ndarray, "case column"]], str]]] = {
    "counts": ("Counts are whole numbers of at least 0", _counts),
    "tpm": ("TPM are at least 0 and add up to a million in a row", _tpm),
    "log2": (f"Logarithms to base 2 lie within {LARGEST_LOG2:.0f} of 0", _log2),
    "z-score": (f"The median of a z-score lies within {FARTHEST_MEDIAN:.0f} of 0", _z_score),
}
