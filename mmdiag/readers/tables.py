"""Tables that all cases share: one row a case, numbers as float32, text as text."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmdiag.case_table import encoding_of, key_values, template_columns
from mmdiag.errors import DescriptionError

KEY = "case key"  # the column that holds each row's case key
MISSING = {"", "na", "nan", "n/a", "null", "none"}


@dataclass(frozen=True, slots=True)
class NumericTable:
    """Numbers of all cases.

    Args:
        values: One row a case key, NaN = not measured.
        refused: Case key -> (reason code, what was found).
    """

    values: pd.DataFrame
    refused: dict[str, tuple[str, str]]


def read_text_table(files: Sequence[Path], key: str) -> pd.DataFrame:
    """Rows of some tables that have the key, as text, and the key itself under KEY; columns are united, cells that a table lacks are empty."""
    parts = []
    for file in files:
        part = read_any_table(file)
        if set(template_columns(key) or [key]) <= set(part.columns):
            parts.append(part.assign(**{KEY: key_values(part, key)}))
    if not parts:
        raise DescriptionError(
            f"A table must have its key column, {key!r} is in none of {', '.join(file.name for file in files)}: correct key in cohort.toml."
        )
    return (pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]).fillna("")


def read_any_table(file: Path) -> pd.DataFrame:
    """A CSV, TSV (both plain or gzip) or Parquet table, every cell as text.

    Raises:
        DescriptionError: It is not a regular table.
    """
    try:
        if file.suffix == ".parquet":
            return pd.read_parquet(file).astype("string").astype(object)
        separator = "\t" if file.name.removesuffix(".gz").endswith((".tsv", ".txt")) else ","
        return pd.read_csv(file, dtype=str, sep=separator, keep_default_na=False, encoding=encoding_of(file), low_memory=False)
    except (ValueError, OSError, EOFError) as error:  # pandas' parser and Arrow's errors are ValueErrors
        raise DescriptionError(
            f"A table must be regular CSV, TSV or Parquet, {file.name} is not ({type(error).__name__}): save it again."
        ) from None


def read_numbers(files: Sequence[Path], key: str, columns: Sequence[str], exclude: Sequence[str], rows: str) -> NumericTable:
    """The numeric columns that some globs name.

    Args:
        columns: Globs; empty = every column whose cells are numbers or missing.
        rows: What several rows of one key mean: `refuse`, `first` or `mean`.

    Raises:
        DescriptionError: No column is left.
    """
    text = read_text_table(files, key)
    wanted = [c for c in text.columns if c not in (key, KEY) and _named(c, columns) and not (exclude and _named(c, exclude))]
    cells = text[wanted].apply(lambda column: pd.to_numeric(column.where(~column.str.strip().str.lower().isin(MISSING)), errors="coerce"))
    blank = text[wanted].apply(lambda column: column.str.strip().str.lower().isin(MISSING))
    wrong = (cells.isna() & ~blank) | np.isinf(cells.to_numpy(dtype=float, na_value=np.nan))
    if not columns:
        numeric = [c for c in wanted if not wrong[c].any() and not blank[c].all()]
        cells, wrong = cells[numeric], wrong[numeric]
    if cells.shape[1] == 0:
        raise DescriptionError(
            f"A table modality needs numeric columns, {files[0].name} has none that match: correct columns in cohort.toml."
        )
    cells.index = pd.Index(text[KEY].to_numpy(), name=KEY)
    refused: dict[str, tuple[str, str]] = {
        str(case): ("table_value", f"{int(count)} cells of {cells.shape[1]} are not finite numbers")
        for case, count in zip(text[KEY], wrong.sum(axis=1), strict=True) if count
    }  # fmt: skip
    repeated = cells.index[cells.index.duplicated()].unique()
    if rows == "refuse":
        refused |= {str(case): ("duplicate_row", "several rows") for case in repeated}
    united = cells.groupby(level=0, sort=False).mean() if rows == "mean" else cells[~cells.index.duplicated()]
    return NumericTable(united.astype(np.float32), refused)


def _named(column: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(column, pattern) for pattern in patterns)
