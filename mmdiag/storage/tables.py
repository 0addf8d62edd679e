"""The one way a table is written: as Parquet, whole or not at all."""

from pathlib import Path

import pandas as pd

from mmdiag.workspace import atomic_path


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write a table without its index; a process killed at any point leaves the old file or the new
    one.
    """
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)
