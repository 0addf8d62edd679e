"""Reads the embeddings of all cases from one Parquet: a list column, a vector or a bag a row;
several rows of a case are one bag.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int64
from numpy import ndarray
from pyarrow import compute, parquet

from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.tables.delimited import INDEX, as_description_error
from mmdiag.readers.tables.keys import check_keys, key_columns, key_values
from mmdiag.spelling import column_hint


@dataclass(frozen=True, slots=True)
class VectorTable:
    """The vectors of all cases of a table.

    Args:
        keys: Case of each vector.
        lengths: Numbers of each vector.
        numbers: Of all of them, one after the other; NaN where a cell is empty.
    """

    keys: list[str]
    lengths: Int64[ndarray, "vector"]
    numbers: Float32[ndarray, "number"]


def read_vectors(files: Sequence[Path], key: str, column: str | None) -> VectorTable:
    """The vectors of all cases; rows without a key, and empty cells, are nobody's.

    Args:
        key: Column of the cases' keys, or a template of several.
        column: The list column; None = the only one.

    Raises:
        DescriptionError: A file is no Parquet, lacks the column, or has bad keys.
    """
    with as_description_error():
        parts = [_read(file, key, column) for file in files]
    return VectorTable(
        [one for part in parts for one in part.keys],
        np.concatenate([part.lengths for part in parts]),
        np.concatenate([part.numbers for part in parts]),
    )


def _read(file: Path, key: str, column: str | None) -> VectorTable:
    if not file.name.lower().endswith(".parquet"):
        raise ReadError("not_an_embedding", file.name)
    try:
        schema = parquet.read_schema(file)
        chosen = _column(schema, file.name, column)
        names_in = {INDEX.get(name, name): name for name in schema.names}
        keys_in = [names_in[_required(one, names_in, file.name)] for one in key_columns(key)]
        table = parquet.read_table(file, columns=[*keys_in, chosen])
        cells = table.column(chosen).combine_chunks()
        frame = table.select(keys_in).to_pandas(ignore_metadata=True).rename(columns=INDEX)
    except (ValueError, OSError) as error:  # Arrow's errors are ValueErrors or OSErrors
        raise ReadError("unreadable", f"{file.name} ({type(error).__name__})") from None
    keys = key_values(frame.astype("string").astype(object).where(frame.notna(), None), key)
    check_keys(keys.tolist(), file.name, unique=False, complete=False)
    rows = np.flatnonzero(keys.notna().to_numpy())
    cells, names = cells.take(pa.array(rows)), keys.to_numpy()[rows]
    if _is_list(cells.type.value_type):  # a bag a row
        names = np.repeat(names, _lengths(cells))
        cells = compute.list_flatten(cells)
    else:
        there = np.flatnonzero(cells.is_valid().to_numpy(zero_copy_only=False))
        cells, names = cells.take(pa.array(there)), names[there]
    numbers = compute.list_flatten(cells).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        return VectorTable([*map(str, names)], _lengths(cells), numbers.astype(np.float32))


def _required(column: str, known: Mapping[str, str], name: str) -> str:
    if column not in known:
        raise DescriptionError(
            f"A table must have its key column, {column!r} is none of {name}: "
            f"{column_hint(column, list(known))}"
        )
    return column


def _column(schema: Any, name: str, column: str | None) -> str:
    """The list column that is meant."""
    known = [str(one) for one in schema.names]
    if column is not None and column not in known:
        raise DescriptionError(
            f"column of an embedding is a column of its table, {column!r} is none of {name}: "
            f"{column_hint(column, known)}"
        )
    lists = [one for one in known if _is_vector(schema.field(one).type)]
    if column is not None and column not in lists:
        raise DescriptionError(
            f"column of an embedding holds lists of numbers, {column!r} of {name} does not: name "
            "another one, or write the vectors as lists."
        )
    if column is None and len(lists) != 1:
        raise DescriptionError(
            f"A table of embeddings has one column of lists of numbers, {name} has {len(lists)}: "
            'name the one that is meant, column = "...", under the modality in cohort.toml.'
        )
    return column or lists[0]


def _is_list(of: Any) -> bool:
    return bool(
        pa.types.is_list(of) or pa.types.is_large_list(of) or pa.types.is_fixed_size_list(of)
    )


def _is_vector(of: Any) -> bool:
    """Whether cells are lists of numbers, or lists of these."""
    if not _is_list(of):
        return False
    inner = of.value_type.value_type if _is_list(of.value_type) else of.value_type
    return bool(pa.types.is_floating(inner) or pa.types.is_integer(inner))


def _lengths(cells: Any) -> Int64[ndarray, "cell"]:
    found: ndarray = compute.list_value_length(cells).fill_null(0).to_numpy(zero_copy_only=False)
    return found.astype(np.int64)
