"""Cells to numbers, strictly: a cell is a decimal number, missing, or wrong; nothing is guessed
from `5_0`, `1,234` or `0x10`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray
from pyarrow import compute

from mmdiag.readers.tables.delimited import MISSING

DECIMAL = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


@dataclass(frozen=True, slots=True)
class NumericTable:
    """Numbers of all cases.

    Args:
        values: One row a case key, float32, NaN = not measured.
        refused: Case key -> (reason code, what was found).
        genes: What became of the gene names, where the cohort names a table of them; see
            `mmdiag.readers.genomics.gene_symbols`.
    """

    values: pd.DataFrame
    refused: dict[str, tuple[str, str]]
    genes: Mapping[str, Any] | None = None


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


def to_numbers(table: pa.Table) -> Numbers:
    """Every column of an Arrow table as numbers."""
    values = np.empty((table.num_columns, table.num_rows), np.float32)
    non_numeric: dict[int, Bool[ndarray, " row"]] = {}
    with np.errstate(over="ignore"):  # what no float32 holds becomes infinite
        for column, cells in enumerate(table.columns):
            if pa.types.is_floating(cells.type) or pa.types.is_integer(cells.type):
                values[column] = cells.to_numpy()
            else:
                values[column], non_numeric[column] = strict_numbers(cells)
    infinite = np.isinf(values)
    if not infinite.any() and not any(rows.any() for rows in non_numeric.values()):
        return Numbers(list(table.column_names), values, None)
    for column, rows in non_numeric.items():
        infinite[column] |= rows
    values[infinite] = np.nan
    return Numbers(list(table.column_names), values, infinite)


def strict_numbers(
    cells: pa.ChunkedArray,
) -> tuple[Float64[ndarray, " row"], Bool[ndarray, " row"]]:
    """Cells of any type as numbers.

    Returns:
        Values, NaN where a cell is missing or no number; and whether it is neither missing nor a
        finite number.
    """
    if pa.types.is_null(cells.type):
        return np.full(len(cells), np.nan), np.zeros(len(cells), bool)
    if not (
        pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)
    ):  # dates, true and false are no numbers
        return np.full(len(cells), np.nan), compute.is_valid(cells).to_numpy()
    text = compute.fill_null(compute.utf8_trim_whitespace(cells), "")
    blank = compute.is_in(compute.utf8_lower(text), pa.array(sorted(MISSING), text.type))
    decimal = compute.match_substring_regex(text, DECIMAL)
    values = (
        compute.cast(compute.if_else(decimal, text, pa.scalar(None, text.type)), pa.float64())
        .to_numpy()
        .copy()
    )
    wrong = ~(decimal.to_numpy() | blank.to_numpy()) | np.isinf(values)
    values[wrong] = np.nan
    return values, wrong
