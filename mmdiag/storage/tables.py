"""The one way a table is written: whole or not at all."""

from pathlib import Path

import pandas as pd

from mmdiag.workspace import atomic_path


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, without its index, under a temporary name that is then renamed."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)
