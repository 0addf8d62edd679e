"""Why a column is no input: what its cells hold instead of numbers, and what makes them one."""

import numpy as np
import pyarrow as pa
from pyarrow import compute

from mmdiag.readers.tables.form import TableForm
from mmdiag.readers.tables.numbers import DECIMAL, LIMIT, WITH_COMMA, Numbers, strict_numbers

EMPTY = "no value in any row"
FEW = 0.2  # of a column's cells that are there
MIXED = "numbers and words (missing_codes says which words mean not measured)"
WORDS = "words (categories makes them inputs)"
COMMAS = 'numbers with a decimal comma (decimal = "," reads them)'
TRUTHS = "true and false (categories makes them inputs)"
DATES = "dates or times"
OTHERS = "what is neither a number nor text"
# What most cells look like -> what to write; the first that fits
SHAPES = (
    (WITH_COMMA, COMMAS),
    (LIMIT + DECIMAL.removeprefix("^"), 'numbers below a limit (below = "limit" or "missing")'),
    (r"^[+-]?[0-9]{1,3}([,. '][0-9]{3})+$", "numbers with separators of thousands"),
    (r"^[+-]?[0-9]+([.,][0-9]+)?\s*%$", "percentages with their sign"),
    (r"^[+-]?[0-9]+([.,][0-9]+)?\s*[A-Za-z\x{00b5}/^0-9]+$", "numbers with their unit"),
    (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}|^[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{2,4}", DATES),
    (r"(?i)^(true|false|yes|no)$", TRUTHS),
)


def more_than_few(wrong: int, numbers: int) -> bool:
    """Whether a column with so many cells of each kind is none of numbers."""
    return not numbers or wrong > FEW * (wrong + numbers)


def why_no_numbers(table: pa.Table, numbers: Numbers, form: TableForm) -> dict[str, str]:
    """Column that holds more than a few other cells than numbers -> what they are.

    Args:
        table: The cells that `numbers` was made of.
    """
    if numbers.wrong is None:
        return {}
    wrong = numbers.wrong.sum(axis=1).tolist()
    measured = (~np.isnan(numbers.values)).sum(axis=1).tolist()
    return {
        name: _why(table.column(name), form)
        for name, others, count in zip(numbers.names, wrong, measured, strict=True)
        if others and more_than_few(others, count)
    }


def _why(cells: pa.ChunkedArray, form: TableForm) -> str:
    if pa.types.is_boolean(cells.type):
        return TRUTHS
    if pa.types.is_temporal(cells.type):
        return DATES
    if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
        return OTHERS
    values, wrong = strict_numbers(cells, form)
    text = compute.utf8_trim_whitespace(cells).filter(pa.array(wrong))
    for shape, why in SHAPES:
        if compute.sum(compute.match_substring_regex(text, shape)).as_py() * 2 > len(text):
            return why
    return MIXED if int(np.count_nonzero(~np.isnan(values))) >= len(text) else WORDS
