"""How tables are written, whole or not at all; and how one that lies in many files is read."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from mmdiag.workspace import atomic_path


def read_parts(
    files: Iterable[Path], columns: Sequence[str], *, only: bool = False
) -> pd.DataFrame:
    """The rows of several files, one after the other: a cohort has hundreds of them, and what
    pandas does for each costs more than reading it.

    Args:
        columns: Of the table where no file has a row.
        only: Whether no other columns are wanted.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    wanted = list(columns) if only else None
    read = (ParquetFile(file).read(columns=wanted) for file in files)
    parts = [part for part in read if part.num_rows]
    if not parts:
        return pd.DataFrame(columns=list(columns))
    if all(part.schema.equals(parts[0].schema) for part in parts):
        parts = [pa.concat_tables(parts)]
    found: pd.DataFrame = pd.concat([part.to_pandas() for part in parts], ignore_index=True)
    return found


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, without its index, under a temporary name that is then renamed."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)
