"""Why a column is no input: what its cells hold instead of numbers, and what makes them one; and
which columns tell that a table has a row a measurement instead of a column.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from pyarrow import compute

from mmdiag.readers.tables.delimited import MISSING, read_table
from mmdiag.readers.tables.form import TableForm
from mmdiag.readers.tables.numbers import DECIMAL, LIMIT, WITH_COMMA, Numbers, strict_numbers
from mmdiag.spelling import fold

EMPTY = "no value in any row"
FEW = 0.2  # of a column's cells that are there
MIXED = "numbers and words (missing_codes says which words mean not measured)"
WORDS = "words (categories makes them inputs)"
COMMAS = 'numbers with a decimal comma (decimal = "," reads them)'
GROUPED = (
    "numbers with a comma before three digits, which parts thousands (write them without) or "
    'begins fractions (decimal = "," reads them)'
)
TRUTHS = "true and false (categories makes them inputs)"
DATES = "dates or times"
OTHERS = "what is neither a number nor text"
# What most cells look like -> what to write; the first that fits
SHAPES = (
    (WITH_COMMA, COMMAS),
    (LIMIT + DECIMAL.removeprefix("^"), 'numbers below a limit (below = "limit" or "missing")'),
    (r"^(>=?|\x{2265})\s*" + DECIMAL.removeprefix("^"), "numbers above a limit"),
    (
        r"^[+-]?[0-9]{1,3}([,. '\x{2019}\x{00a0}\x{202f}][0-9]{3})+([.,][0-9]+)?$",
        "numbers with separators of thousands (write them without)",
    ),
    (r"^[0-9]+([.,][0-9]+)?\s*[/:]\s*[0-9]+([.,][0-9]+)?$", "two numbers a cell, such as 120/80"),
    (
        r"^[+-]?[0-9]+([.,][0-9]+)?\s*[x*\x{00d7}]\s*10\s*\^?[-+0-9\x{00b2}\x{00b3}\x{00b9}\x{2070}-\x{207f}]+$",
        "numbers with their power of ten (write 1.2e3)",
    ),
    (r"^[+-]?[0-9]+([.,][0-9]+)?\s*%$", "percentages with their sign"),
    (r"^[+-]?[0-9]+([.,][0-9]+)?\s*[A-Za-z\x{00b5}/^0-9]+$", "numbers with their unit"),
    (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}|^[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{2,4}", DATES),
    (r"(?i)^(true|false|yes|no)$", TRUTHS),
)


# of a table with a row a measurement: what a row measures, in which unit, and its value
_MEASURED: Final = re.compile(
    r"(?:lab |clinical )?(?:tests?|analytes?|parameters?|items?|variables?|measures?|components?"
    r"|observations?|assays?|biomarkers?|loinc|labs?|concepts?|codes?|untersuchung|messgroesse"
    r"|parametro|prueba|examen|analyse|analisi)(?: ?(?:id|ids|name|code|nr))?"
    r"|units?|uom|value ?uom|einheit|unite|unidad|unita"
)
_VALUE: Final = re.compile(
    r"(?:test |lab |numeric |measured |result )?(?:values?|val|results?)"
    r"(?: ?(?:num|number|numeric))?"
    r"|value as number|wert|messwert|ergebnis|valor|resultado|valeur|resultat|valore|risultato"
)

_UNIT_OF: Final = re.compile(
    r"(.+) (?:units?|uom|einheit(?:en)?|unite|unidad|unita)|(?:units?|uom|einheit) (?:of )?(.+)"
)
_GROUPED_BY_COMMAS: Final = r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$"


def long_form(
    file: Path, header: Sequence[str], numeric: Sequence[str], form: TableForm
) -> tuple[str, str] | None:
    """The column that says what each row of a table measures, and the one of its value, by their
    names; None where there is no such pair, or all rows measure one thing.

    Args:
        numeric: Columns that may hold values.

    Raises:
        ReadError: It is no regular table.
    """
    value = next((name for name in numeric if _VALUE.fullmatch(_words(name))), "")
    for name in header if value else ():
        if name == value or not _MEASURED.fullmatch(_words(name)):
            continue
        cells = read_table(file, columns=[name], strict=False, form=form).column(0)
        if len({cell.strip() for cell in cells.to_pylist()} - {""}) > 1:
            return name, value
    return None


def mixed_units(
    file: Path, header: Sequence[str], numeric: Sequence[str], form: TableForm
) -> list[str]:
    """What has to be said of columns of numbers beside which another one says a unit for each row,
    not the same in all.

    Raises:
        ReadError: It is no regular table.
    """
    measured, found = {_words(name): name for name in numeric}, list[str]()
    for name in header:
        of_what = _UNIT_OF.fullmatch(_words(name))
        column = measured.get(" ".join(filter(None, of_what.groups()))) if of_what else None
        if column is None or name == column:
            continue
        cells = read_table(file, columns=[name], strict=False, form=form).column(0).to_pylist()
        units = {fold(cell) for cell in cells} - MISSING
        if len(units) > 1:
            found.append(
                f"{column} is in {len(units)} units, as {name} says, and read as one: bring its "
                "numbers to one unit"
            )
    return found


def _words(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().lower()


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
            grouped = why == COMMAS and compute.match_substring_regex(text, _GROUPED_BY_COMMAS)
            return GROUPED if grouped and compute.all(grouped).as_py() else why
    return MIXED if int(np.count_nonzero(~np.isnan(values))) >= len(text) else WORDS
