"""Cells to numbers, strictly: a cell is a decimal number, missing, or wrong; nothing is guessed
from `5_0`, `1,234` or `0x10`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray
from pyarrow import compute

from mmdiag.readers.tables.delimited import MISSING
from mmdiag.readers.tables.form import PLAIN, TableForm

DECIMAL = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
WITH_COMMA = DECIMAL.replace(r"\.", ",")
LIMIT = r"^(<=?|\x{2264})\s*"  # what stands before a limit of detection
MINUS = "\u2212"  # the sign that typesetting has for a minus


@dataclass(frozen=True, slots=True)
class NumericTable:
    """Numbers of all cases.

    Args:
        values: One row a case key, float32, NaN = not measured.
        refused: Case key -> (reason code, what was found).
        genes: What became of the gene names, where the cohort names a table of them; see
            `mmdiag.readers.genomics.gene_symbols`.
        categories: Column of words -> the columns of 0 and 1 that stand for its categories.
        said: What a reader of the table has to know.
    """

    values: pd.DataFrame
    refused: dict[str, tuple[str, str]]
    genes: Mapping[str, Any] | None = None
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)
    said: "Said" = field(default_factory=lambda: Said())


@dataclass(slots=True)
class Said:
    """What becomes of a table that its numbers do not show.

    Args:
        left_out: Column -> why it is no input.
        wrong: Column that nobody named -> cells that are no numbers, and taken for missing.
        coded: Column -> cells that are taken for codes of what was not measured.
        missing_words: Column of categories -> cells such as `None` and `NA`, which nobody named.
        equal_rows: Rows that were there before, and count once.
        damaged: Names of genes that a spreadsheet turned into dates or numbers.
        remarks: What a table shows besides its values, a sentence each.
    """

    left_out: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, int] = field(default_factory=dict)
    coded: dict[str, int] = field(default_factory=dict)
    missing_words: dict[str, int] = field(default_factory=dict)
    equal_rows: int = 0
    damaged: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Columns of one file as numbers.

    Args:
        names: Names of the columns.
        values: NaN = missing or wrong.
        wrong: Cells that are neither missing nor finite numbers; None = there is
            none.
    """

    names: list[str]
    values: Float32[ndarray, "column row"]
    wrong: Bool[ndarray, "column row"] | None


def to_numbers(table: pa.Table, form: TableForm = PLAIN) -> Numbers:
    """Every column of an Arrow table as numbers."""
    values = np.empty((table.num_columns, table.num_rows), np.float32)
    non_numeric: dict[int, Bool[ndarray, " row"]] = {}
    with np.errstate(over="ignore"):  # what no float32 holds becomes infinite
        for column, cells in enumerate(table.columns):
            if pa.types.is_floating(cells.type) or pa.types.is_integer(cells.type):
                values[column] = cells.to_numpy()
            else:
                values[column], non_numeric[column] = strict_numbers(cells, form)
    for code in form.missing_codes or ():
        number = as_number(code, form)
        if number is not None:
            values[values == np.float32(number)] = np.nan
    infinite = np.isinf(values)
    if not infinite.any() and not any(rows.any() for rows in non_numeric.values()):
        return Numbers(list(table.column_names), values, None)
    for column, rows in non_numeric.items():
        infinite[column] |= rows
    values[infinite] = np.nan
    return Numbers(list(table.column_names), values, infinite)


def as_number(text: str, form: TableForm = PLAIN) -> float | None:
    """One cell as a number; None where it is none."""
    values, wrong = strict_numbers(pa.chunked_array([pa.array([text], pa.string())]), form)
    return None if wrong[0] or np.isnan(values[0]) else float(values[0])


def strict_numbers(
    cells: pa.ChunkedArray, form: TableForm = PLAIN
) -> tuple[Float64[ndarray, " row"], Bool[ndarray, " row"]]:
    """Cells of any type as numbers.

    Args:
        form: Which sign separates the fraction, which cells are missing, and what `<0.1` is.

    Returns:
        Values, NaN where a cell is missing or no number; and whether it is neither missing nor a
        finite number.
    """
    if pa.types.is_null(cells.type):
        return np.full(len(cells), np.nan), np.zeros(len(cells), bool)
    # dates, true and false are no numbers
    if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
        return np.full(len(cells), np.nan), compute.is_valid(cells).to_numpy()
    text = compute.fill_null(compute.utf8_trim_whitespace(cells), "")
    missing = sorted(MISSING | {code.strip().lower() for code in form.missing_codes or ()})
    blank = compute.is_in(compute.utf8_lower(text), pa.array(missing, text.type))
    text = compute.replace_substring(text, MINUS, "-")
    if form.below != "refuse":
        limits = compute.match_substring_regex(text, LIMIT)
        number = compute.replace_substring_regex(text, LIMIT, "")
        under = compute.and_(limits, compute.match_substring_regex(number, _pattern(form)))
        if form.below == "limit":
            text = compute.if_else(under, number, text)
        else:
            blank = compute.or_(blank, under)
    decimal = compute.match_substring_regex(text, _pattern(form))
    if form.decimal == ",":
        text = compute.replace_substring(text, ",", ".")
    values = (
        compute.cast(compute.if_else(decimal, text, pa.scalar(None, text.type)), pa.float64())
        .to_numpy()
        .copy()
    )
    wrong = ~(decimal.to_numpy() | blank.to_numpy()) | np.isinf(values)
    values[wrong] = np.nan
    return values, wrong


def _pattern(form: TableForm) -> str:
    return WITH_COMMA if form.decimal == "," else DECIMAL
