"""Tables of a cohort, whatever their format: their keys, their rows as text, and their numbers, one
row a case.
"""

import fnmatch
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.genomics.expression_matrix import INDEX, is_matrix, read_matrix
from mmdiag.readers.genomics.maf import SAMPLE, count_mutations, is_maf, read_maf
from mmdiag.readers.tables.delimited import (
    as_description_error,
    read_frame,
    read_header,
    read_table,
)
from mmdiag.readers.tables.keys import check_keys, guessed_key, key_columns, key_values
from mmdiag.readers.tables.numbers import Numbers, to_numbers
from mmdiag.readers.tables.numbers import NumericTable as NumericTable

KEY = "case key"  # the column that holds each row's case key


@dataclass(frozen=True, slots=True)
class Part:
    """The numbers of one file: a key for each row."""

    keys: pd.Series
    numbers: Numbers


def check_table(file: Path, key: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Check one table as a file: its text, its shape, its keys.

    Args:
        key: The column that holds the key; several = together; None = the one that is named like a
            key, if any.

    Returns:
        Every cell as text, empty where missing; of a gene matrix what it says of its cases.

    Raises:
        ReadError: With the code of the first rule that it breaks.
    """
    unique = True
    if is_matrix(file):
        matrix = read_matrix(file)
        table, key = matrix.cases, key or INDEX
        if matrix.numbers.wrong is not None:
            raise ReadError(
                "table_value",
                f"{file.name} has {int(matrix.numbers.wrong.sum())} cells that are not",
            )
    elif is_maf(file):
        count_mutations(file)
        table, key, unique = read_maf(file), key or SAMPLE, False
    else:
        table = read_frame(file)
    columns = [key] if isinstance(key, str) else list(key or ())
    guess = guessed_key(list(map(str, table.columns)))
    for column in columns or ([guess] if guess else []):
        if column in table:
            check_keys(table[column].tolist(), file.name, unique=unique and len(columns) < 2)
    return table


def read_any_table(file: Path) -> pd.DataFrame:
    """A CSV, TSV (both plain or gzip) or Parquet table, every cell as text; of a gene matrix what
    it says of its cases.

    Raises:
        DescriptionError: It is not a regular table.
    """
    with as_description_error():
        return _text_of(file, None)


def read_text_table(files: Sequence[Path], key: str) -> pd.DataFrame:
    """Rows of some tables that have the key, as text, and the key itself under KEY; columns are
    united, cells that a table lacks are empty.

    Raises:
        DescriptionError: No table has the key, one is not regular, or keys of one are missing, look
            alike, or could be paths or templates.
    """
    parts = []
    with as_description_error():
        for file in _with_key(files, key):
            part = _text_of(file, key)
            parts.append(part.assign(**{KEY: _checked(key_values(part, key), file)}))
    return (pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]).fillna("")


def read_numbers(
    files: Sequence[Path], key: str, columns: Sequence[str], exclude: Sequence[str], rows: str
) -> NumericTable:
    """The numeric columns that some globs name; of a MAF the non-silent mutations of each gene.

    Args:
        columns: Globs; empty = every column whose cells are numbers or missing.
        rows: What several rows of one key mean: `refuse`, `first` or `mean`.

    Raises:
        DescriptionError: No column is left, or a table is not what it should be.
    """
    with as_description_error():
        parts = [_numbers_of(file, key, columns, exclude) for file in _with_key(files, key)]
    if not columns:
        parts = _all_numeric(parts)
    if not any(part.numbers.names for part in parts):
        raise DescriptionError(
            f"A table modality needs numeric columns, {files[0].name} has none that match: "
            "correct columns in cohort.toml."
        )
    keys = pd.concat([part.keys for part in parts], ignore_index=True)
    frames = [pd.DataFrame(part.numbers.values.T, columns=part.numbers.names) for part in parts]
    values = (frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)).set_axis(
        pd.Index(keys, name=KEY, dtype=object)
    )
    refused = dict(_wrong_rows(parts))
    repeated = values.index[values.index.duplicated()].unique()
    if not len(repeated):
        return NumericTable(values, refused)
    if rows == "refuse":
        refused |= {str(case): ("duplicate_row", "several rows") for case in repeated}
    united = (
        values.groupby(level=0, sort=False).mean()
        if rows == "mean"
        else values[~values.index.duplicated()]
    )
    return NumericTable(united.astype(np.float32), refused)


def table_header(file: Path) -> tuple[str, ...]:
    """The columns that a table's key may be made of.

    Raises:
        DescriptionError: It is not a regular table.
    """
    with as_description_error():
        if is_matrix(file):
            return tuple(map(str, read_matrix(file, values=False).cases.columns))
        return tuple(read_maf(file).columns) if is_maf(file) else read_header(file)


def table_keys(file: Path, key: str) -> list[str]:
    """The key of each row; empty where a table has no such column.

    Raises:
        DescriptionError: It is not a regular table.
    """
    if not set(key_columns(key)) <= set(table_header(file)):
        return []
    with as_description_error():
        return [
            str(value) for value in key_values(_text_of(file, key, keys_only=True), key).dropna()
        ]


def row_hashes(files: Sequence[Path], key: str) -> dict[str, str]:
    """Case key -> SHA-256 of its rows and of the columns' names: what changes when a case's part of
    the tables does.

    Raises:
        DescriptionError: A table is not what it should be.
    """
    found: dict[str, list[str]] = {}
    for file in _with_key(files, key):
        for case, digest in _hashed_rows(file, key):
            found.setdefault(case, []).append(digest)
    return {
        case: digests[0]
        if len(digests) == 1
        else hashlib.sha256("".join(digests).encode()).hexdigest()
        for case, digests in found.items()
    }


def _hashed_rows(file: Path, key: str) -> Iterator[tuple[str, str]]:
    with as_description_error():
        if is_matrix(file) or is_maf(file):
            part = _numbers_of(file, key, (), ())
            names, rows = (
                part.numbers.names,
                (row.tobytes() for row in np.ascontiguousarray(part.numbers.values.T)),
            )
            keys = part.keys
        else:
            table = _text_of(file, None)
            names, keys = list(table.columns), key_values(table, key)
            rows = (
                "\x1f".join(cells).encode()
                for cells in zip(*(table[name].tolist() for name in table), strict=True)
            )
        head = hashlib.sha256("\x1f".join(names).encode())
    for case, row in zip(keys, rows, strict=True):
        digest = head.copy()
        digest.update(row)
        yield str(case), digest.hexdigest()


def _with_key(files: Sequence[Path], key: str) -> list[Path]:
    found = [file for file in files if set(key_columns(key)) <= set(table_header(file))]
    if not found:
        raise DescriptionError(
            f"A table must have its key column, {key!r} is in none of "
            f"{', '.join(file.name for file in files)}: correct key in cohort.toml."
        )
    return found


def _text_of(file: Path, key: str | None, *, keys_only: bool = False) -> pd.DataFrame:
    if is_matrix(file):
        return read_matrix(file, values=False).cases
    if is_maf(file):
        return read_maf(file, *key_columns(key or SAMPLE)[:1])
    return read_frame(file, columns=key_columns(key) if keys_only and key else None, strict=False)


def _checked(keys: pd.Series, file: Path) -> pd.Series:
    """Keys of a table that cases share: several rows of one are the modality's `rows`, and a row
    without key belongs to nobody.
    """
    check_keys(keys.tolist(), file.name, unique=False, complete=False)
    return keys


def _numbers_of(file: Path, key: str, columns: Sequence[str], exclude: Sequence[str]) -> Part:
    if is_matrix(file):
        matrix = read_matrix(file)
        return Part(
            _checked(key_values(matrix.cases, key), file), _chosen(matrix.numbers, columns, exclude)
        )
    if is_maf(file):
        counts = count_mutations(file, key)
        keys = pd.Series(counts.index, dtype=object)
        return Part(
            _checked(keys, file),
            _chosen(Numbers(list(counts.columns), counts.to_numpy().T, None), columns, exclude),
        )
    parts = key_columns(key)
    names = [
        name
        for name in read_header(file)
        if name not in parts and _is_chosen(name, columns, exclude)
    ]
    table = read_table(
        file,
        columns=None if not columns and not exclude else [*parts, *names],
        text=parts,
        strict=False,
    )
    keys = _checked(key_values(table.select(parts).to_pandas(), key), file)
    return Part(keys, to_numbers(table.select(names)))


def _chosen(numbers: Numbers, columns: Sequence[str], exclude: Sequence[str]) -> Numbers:
    kept_columns = [
        column for column, name in enumerate(numbers.names) if _is_chosen(name, columns, exclude)
    ]
    if len(kept_columns) == len(numbers.names):
        return numbers
    wrong = None if numbers.wrong is None else numbers.wrong[kept_columns]
    return Numbers(
        [numbers.names[column] for column in kept_columns], numbers.values[kept_columns], wrong
    )


def _is_chosen(name: str, columns: Sequence[str], exclude: Sequence[str]) -> bool:
    return (not columns or is_named(name, columns)) and not is_named(name, exclude)


def is_named(column: str, patterns: Sequence[str]) -> bool:
    """Whether one of some globs fits a column's name."""
    return any(fnmatch.fnmatchcase(column, pattern) for pattern in patterns)


def _all_numeric(parts: Sequence[Part]) -> list[Part]:
    """Without the columns that contain text, and those that are empty."""
    textual, measured = set[str](), set[str]()
    for part in parts:
        wrong = part.numbers.wrong
        non_numeric = (
            [False] * len(part.numbers.names)
            if wrong is None
            else list(np.atleast_1d(wrong.any(axis=1)))
        )
        present = list(np.atleast_1d(~np.isnan(part.numbers.values).all(axis=1)))
        for name, is_text, is_measured in zip(
            part.numbers.names, non_numeric, present, strict=True
        ):
            (textual if is_text else measured if is_measured else set()).add(name)
    kept = []
    for part in parts:
        kept_columns = [
            column
            for column, name in enumerate(part.numbers.names)
            if name in measured and name not in textual
        ]
        kept.append(
            Part(
                part.keys,
                Numbers(
                    [part.numbers.names[column] for column in kept_columns],
                    part.numbers.values[kept_columns],
                    None,
                ),
            )
        )
    return kept


def _wrong_rows(parts: Sequence[Part]) -> Iterator[tuple[str, tuple[str, str]]]:
    for part in parts:
        if part.numbers.wrong is not None:
            counts = part.numbers.wrong.sum(axis=0)
            for row in np.flatnonzero(counts):
                found = (
                    f"{int(counts[row])} cells of {len(part.numbers.names)} are not finite numbers"
                )
                yield str(part.keys.iloc[row]), ("table_value", found)
