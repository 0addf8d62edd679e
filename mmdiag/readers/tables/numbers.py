"""Cells to numbers, strictly: a cell is a decimal number, missing, or wrong; nothing is guessed
from `5_0`, `1,234` or `0x10`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
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
        values: (columns, rows) float32, NaN = missing or wrong.
        wrong: (columns, rows) cells that are neither missing nor finite numbers; None = there is
            none.
    """

    names: list[str]
    values: np.ndarray
    wrong: np.ndarray | None


def to_numbers(table: pa.Table) -> Numbers:
    """Every column of an Arrow table as numbers."""
    values = np.empty((table.num_columns, table.num_rows), np.float32)
    odd: dict[int, np.ndarray] = {}
    with np.errstate(over="ignore"):  # what no float32 holds becomes infinite
        for place, cells in enumerate(table.columns):
            if pa.types.is_floating(cells.type) or pa.types.is_integer(cells.type):
                values[place] = cells.to_numpy()
            else:
                values[place], odd[place] = strict_numbers(cells)
    infinite = np.isinf(values)
    if not infinite.any() and not any(rows.any() for rows in odd.values()):
        return Numbers(list(table.column_names), values, None)
    for place, rows in odd.items():
        infinite[place] |= rows
    values[infinite] = np.nan
    return Numbers(list(table.column_names), values, infinite)


def strict_numbers(cells: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Cells of any type as numbers.

    Returns:
        (row) float64, NaN where a cell is missing or no number; and (row) whether it is neither
        missing nor a finite number.
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
