"""Tables of a cohort, whatever their format: their keys, their rows as text, and their numbers, one
row a case.
"""

import fnmatch
import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool
from numpy import ndarray

from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.genomics.expression_matrix import INDEX, is_matrix, read_matrix
from mmdiag.readers.genomics.maf import (
    SAMPLE,
    count_mutations,
    is_maf,
    maf_header,
    read_maf,
)
from mmdiag.readers.tables.categories import Groups
from mmdiag.readers.tables.delimited import (
    as_description_error,
    read_frame,
    read_header,
    read_table,
    read_undescribed,
    separator_in,
)
from mmdiag.readers.tables.form import PLAIN, TableForm
from mmdiag.readers.tables.keys import check_keys, guessed_key, key_columns, key_values
from mmdiag.readers.tables.left_out import COMMAS, GROUPED, long_form, mixed_units, why_no_numbers
from mmdiag.readers.tables.numbers import Numbers, Said, to_numbers
from mmdiag.readers.tables.numbers import NumericTable as NumericTable
from mmdiag.readers.tables.of_people import columns_of_people
from mmdiag.readers.tables.thousands import grouped_columns
from mmdiag.readers.tables.unite import KEY as KEY
from mmdiag.readers.tables.unite import (
    Part,
    first_of_each,
    numeric_parts,
    one_row_each,
    only,
    require_wide,
    united,
    without_codes,
    wrong_rows,
)
from mmdiag.readers.workbooks.table import remarks_of

CELLS_AT_ONCE = 2**21
SHOWN = 5  # columns named in one message


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
    columns = [key] if isinstance(key, str) else list(key or ())
    unique = True
    if is_matrix(file):
        matrix = read_matrix(file)
        table, columns = matrix.cases, columns or [INDEX]
        if matrix.numbers.wrong is not None:
            raise ReadError(
                "table_value",
                f"{file.name} has {int(matrix.numbers.wrong.sum())} cells that are not",
            )
    elif is_maf(file):
        count_mutations(file)
        table, columns, unique = read_maf(file), columns or [SAMPLE], False
    else:
        table = read_undescribed(file, columns)
    guess = guessed_key(list(map(str, table.columns)))
    for column in columns or ([guess] if guess else []):
        if column in table:
            check_keys(table[column].tolist(), file.name, unique=unique and len(columns) < 2)
    return table


def read_any_table(file: Path, form: TableForm = PLAIN) -> pd.DataFrame:
    """A CSV, TSV (both plain or gzip), Parquet or workbook table, every cell as text; of a gene
    matrix what it says of its cases.

    Raises:
        DescriptionError: It is not a regular table.
    """
    with as_description_error():
        return _text_of(file, None, form)


def read_text_table(files: Sequence[Path], key: str, form: TableForm = PLAIN) -> pd.DataFrame:
    """Rows of some tables that have the key, as text, and the key itself under KEY; columns are
    united, cells that a table lacks are empty.

    Raises:
        DescriptionError: No table has the key, one is not regular, or keys of one are missing, look
            alike, or could be paths or templates.
    """
    parts = []
    with as_description_error():
        for file in _with_key(files, key, form):
            part = _text_of(file, key, form)
            parts.append(part.assign(**{KEY: _checked(key_values(part, key), file)}))
    return (pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]).fillna("")


def read_numbers(
    files: Sequence[Path],
    key: str,
    columns: Sequence[str],
    exclude: Sequence[str],
    rows: str,
    *,
    form: TableForm = PLAIN,
    wanted: Collection[str] = (),
) -> NumericTable:
    """The numeric columns that some globs name; of a MAF the non-silent mutations of each gene.

    Args:
        columns: Globs; empty = every column that holds numbers but for a few cells.
        rows: What several rows of one key mean: `refuse`, `first` or `mean`. Equal rows are one;
            with `first` and `mean`, files with different columns are joined by key.
        form: How the tables are written.
        wanted: Columns that are numbers whatever their cells hold, as those of a bundle are.

    Raises:
        DescriptionError: No column is left, or a table is not what it should be.
    """
    form, said = form.keyed(key), Said()
    with as_description_error():
        files = _with_key(files, key, form)
        parts = [_numbers_of(file, key, columns, exclude, form, said, wanted) for file in files]
    if not columns:
        parts = numeric_parts(parts, frozenset(wanted), said)
    for name in form.categories:
        if not any(name in part.words for part in parts) and name not in wanted:
            raise DescriptionError(
                f"A column of categories is a column of its table, {name!r} is none of "
                f"{files[0].name}: correct categories in cohort.toml."
            )
    _require_decimal(files, parts, form)
    _say_thousands(files, parts, form, said)
    if not any(part.numbers.names or part.words for part in parts):
        raise DescriptionError(
            f"A table modality needs numeric columns, {files[0].name} has none that match"
            f"{_hint(said)}: correct columns in cohort.toml."
        )
    values, groups = united(parts, form, files[0].name, said)
    require_wide(parts, values, files[0].name)
    refused = dict(wrong_rows(parts))
    counts = any(is_matrix(file) or is_maf(file) for file in files)
    if form.missing_codes is None:
        values = without_codes(values, said, counts=counts)
    equal_rows = partial(_equal_rows, files, form)
    firsts = partial(first_of_each, parts=parts, groups=groups)
    one = one_row_each(values, refused, rows, said, equal_rows, firsts)
    if rows == "mean":
        one = _one_category_each(one, groups)
    return NumericTable(one, refused, categories=groups, said=said)


def _one_category_each(values: pd.DataFrame, groups: Groups) -> pd.DataFrame:
    """A case whose rows name several categories has none."""
    for members in groups.values():
        one = values[members]
        values = values.assign(**one.where(one.isin([0.0, 1.0]).all(axis=1), np.nan))
    return values


def _equal_rows(files: Sequence[Path], form: TableForm, count: int) -> Bool[ndarray, " row"]:
    """Which rows of some tables are there before, in all of their columns."""
    with as_description_error():
        texts = [_text_of(file, None, form) for file in files]
    whole = pd.concat(texts, ignore_index=True) if len(texts) > 1 else texts[0]
    if len(whole) != count:  # of a MAF, a row is a mutation
        return np.zeros(count, bool)
    return whole.duplicated().to_numpy()


def table_header(file: Path, form: TableForm = PLAIN) -> tuple[str, ...]:
    """The columns that a table's key may be made of.

    Raises:
        DescriptionError: It is not a regular table.
    """
    with as_description_error():
        if is_matrix(file):
            return tuple(map(str, read_matrix(file, values=False).cases.columns))
        return maf_header(file) if is_maf(file) else read_header(file, form)


def table_keys(file: Path, key: str, form: TableForm = PLAIN) -> list[str]:
    """The key of each row; empty where a table has no such column.

    Raises:
        DescriptionError: It is not a regular table.
    """
    form = form.keyed(key)
    if not set(key_columns(key)) <= set(table_header(file, form)):
        return []
    with as_description_error():
        table = _text_of(file, key, form, keys_only=True)
        return [str(value) for value in key_values(table, key).dropna()]


def row_hashes(files: Sequence[Path], key: str, form: TableForm = PLAIN) -> dict[str, str]:
    """Case key -> SHA-256 of its rows and of the columns' names: what changes when a case's part of
    the tables does.

    Raises:
        DescriptionError: A table is not what it should be.
    """
    found: dict[str, list[str]] = {}
    form = form.keyed(key)
    for file in _with_key(files, key, form):
        for case, digest in _hashed_rows(file, key, form):
            found.setdefault(case, []).append(digest)
    return {
        case: digests[0]
        if len(digests) == 1
        else hashlib.sha256("".join(digests).encode()).hexdigest()
        for case, digests in found.items()
    }


def _hashed_rows(file: Path, key: str, form: TableForm) -> Iterator[tuple[str, str]]:
    with as_description_error():
        if is_matrix(file) or is_maf(file):
            part = _numbers_of(file, key, (), (), PLAIN)
            names, keys = part.numbers.names, part.keys
            values = np.ascontiguousarray(part.numbers.values.T)
            rows: Iterator[bytes] = (row.tobytes() for row in values)
        else:
            table = _text_of(file, None, form)
            names, keys = list(table.columns), key_values(table, key)
            rows = _joined_rows(table)
        head = hashlib.sha256("\x1f".join(names).encode())
    for case, row in zip(keys, rows, strict=True):
        digest = head.copy()
        digest.update(row)
        yield str(case), digest.hexdigest()


def _joined_rows(table: pd.DataFrame) -> Iterator[bytes]:
    """Each row's cells; as Python's own text, which takes tenfold, only some rows at a time."""
    step = max(1, CELLS_AT_ONCE // max(1, table.shape[1]))
    for start in range(0, len(table), step):
        part = table.iloc[start : start + step]
        columns = (part.iloc[:, place].tolist() for place in range(part.shape[1]))
        yield from ("\x1f".join(cells).encode() for cells in zip(*columns, strict=True))


def _with_key(files: Sequence[Path], key: str, form: TableForm) -> list[Path]:
    form = form.keyed(key)
    found = [file for file in files if set(key_columns(key)) <= set(table_header(file, form))]
    if not found:
        raise DescriptionError(
            f"A table must have its key column, {key!r} is in none of "
            f"{', '.join(file.name for file in files)}: correct key in cohort.toml."
        )
    return found


def _text_of(
    file: Path, key: str | None, form: TableForm = PLAIN, *, keys_only: bool = False
) -> pd.DataFrame:
    if is_matrix(file):
        return read_matrix(file, values=False).cases
    if is_maf(file):
        return read_maf(file, *key_columns(key or SAMPLE)[:1])
    columns = key_columns(key) if keys_only and key else None
    return read_frame(file, columns=columns, strict=False, form=form)


def _checked(keys: pd.Series, file: Path) -> pd.Series:
    """Keys of a table that cases share: several rows of one are the modality's `rows`, and a row
    without key belongs to nobody.
    """
    check_keys(keys.tolist(), file.name, unique=False, complete=False)
    return keys


def _numbers_of(
    file: Path,
    key: str,
    columns: Sequence[str],
    exclude: Sequence[str],
    form: TableForm,
    said: Said | None = None,
    wanted: Collection[str] = (),
) -> Part:
    if is_matrix(file):
        matrix = read_matrix(file)
        return Part(
            _checked(key_values(matrix.cases, key), file), _chosen(matrix.numbers, columns, exclude)
        )
    if is_maf(file):
        counts = count_mutations(file, key, said)
        keys = pd.Series(counts.index, dtype=object)
        return Part(
            _checked(keys, file),
            _chosen(Numbers(list(counts.columns), counts.to_numpy().T, None), columns, exclude),
        )
    parts, header = key_columns(key), read_header(file, form)
    words = [name for name in form.categories if name in header and name not in parts]
    names = [
        name
        for name in header
        if name not in parts and name not in words and _is_chosen(name, columns, exclude)
    ]
    table = read_table(
        file,
        columns=None if not columns and not exclude else [*parts, *words, *names],
        text=[*parts, *words],
        strict=False,
        form=form,
    )
    if said is not None:
        said.remarks += remarks_of(table)
    keys = _checked(key_values(table.select(parts).to_pandas(), key), file)
    numbers = to_numbers(table.select(names), form)
    if said is not None:
        said.remarks += mixed_units(file, header, numbers.names, form)
    if said is not None and not columns:
        said.left_out |= (people := columns_of_people(numbers, wanted))
        numbers = only(numbers, [name not in people for name in numbers.names])
    return Part(
        keys,
        numbers,
        {word: table.column(word).to_pylist() for word in words},
        {} if columns else why_no_numbers(table, numbers, form),
        long_form(file, header, numbers.names, form),
    )


def _chosen(numbers: Numbers, columns: Sequence[str], exclude: Sequence[str]) -> Numbers:
    return only(numbers, [_is_chosen(name, columns, exclude) for name in numbers.names])


def _is_chosen(name: str, columns: Sequence[str], exclude: Sequence[str]) -> bool:
    return (not columns or is_named(name, columns)) and not is_named(name, exclude)


def is_named(column: str, patterns: Sequence[str]) -> bool:
    """Whether one of some globs fits a column's name."""
    return any(fnmatch.fnmatchcase(column, pattern) for pattern in patterns)


def _require_decimal(files: Sequence[Path], parts: Sequence[Part], form: TableForm) -> None:
    """The European form of a table is read as a whole or not at all."""
    why = {name: why for part in parts for name, why in part.why.items()}
    with_comma = [name for name, holds in why.items() if holds in (COMMAS, GROUPED)]
    for file in files if with_comma and form.decimal == "." else ():
        if form.delimiter == ";" or separator_in(file, form) == ";":
            raise DescriptionError(
                f"{file.name} is separated by semicolons, and {len(with_comma)} of its columns "
                'hold numbers with a decimal comma: write delimiter = ";" and decimal = "," under '
                "the modality in cohort.toml."
            )


def _say_thousands(
    files: Sequence[Path], parts: Sequence[Part], form: TableForm, said: Said
) -> None:
    """Points that may part thousands are said, unless the description says what they are."""
    if form.is_decimal_stated:
        return
    for file, part in zip(files, parts, strict=True):
        delimited = not is_matrix(file) and not is_maf(file) and separator_in(file, form)
        with as_description_error():
            grouped = grouped_columns(file, part.numbers, form) if delimited else []
        if grouped:
            shown = ", ".join(grouped[:SHOWN])
            said.remarks.append(
                "points before three digits are read as those of fractions, they may part "
                f"thousands: {shown}"
            )


def _hint(said: Said) -> str:
    """What its columns hold instead, where that has a cure."""
    why = Counter(said.left_out.values()).most_common(1)
    return f" ({len(said.left_out)} hold {why[0][0]})" if why else ""
