"""Reads a signal from the columns of a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.signals.sample_times import TIME, rate_by_times, time_column
from mmdiag.readers.tables.delimited import read_table
from mmdiag.readers.tables.form import TableForm
from mmdiag.readers.tables.numbers import to_numbers

TABLES: Final = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


def read_columns(
    file: Path, channels: Sequence[str], rate_hz: float | None
) -> tuple[Float32[ndarray, "time channel"], float]:
    """The channels of a table, and its rate.

    Args:
        channels: Names of its columns, in order; none = it has one besides that of times.
        rate_hz: As it is described; a column `time_s` comes before it, and other times must agree
            with it.

    Raises:
        ReadError: `signal_channels`, `delimiter`, `table_value`, `signal_gap` or `signal_rate`.
    """
    # devices write facts of a recording above its header: it is the line that holds the channels
    table = read_table(file, form=TableForm(key=tuple(channels)))
    times = time_column(table.column_names, channels)
    numbers = to_numbers(table)
    column_of = {name: number for number, name in enumerate(numbers.names)}
    wanted = list(channels) or [name for name in numbers.names if name != times]
    lacking = [name for name in wanted if name not in column_of]
    if lacking or (not channels and len(wanted) != 1):
        fact = (
            f"{len(lacking)} of the {len(wanted)} channels are no columns"
            if lacking
            else f"{len(wanted)} columns and no channels are described"
        )
        raise ReadError("signal_channels", f"{file.name}: {fact}")
    rows = [column_of[name] for name in wanted]
    if numbers.wrong is not None and numbers.wrong[rows].any():
        if any("," in cell for name in wanted for cell in table.column(name).to_pylist()):
            raise ReadError("delimiter", f"{file.name} has decimal commas")
        raise ReadError(
            "table_value", f"{file.name} has {int(numbers.wrong[rows].sum())} cells that are not"
        )
    samples = numbers.values[rows].T
    gaps = int(np.isnan(samples).sum())
    if gaps:
        raise ReadError("signal_gap", f"{file.name} has {gaps} samples without a value")
    rate = rate_by_times(table.column(times), times, rate_hz, file.name) if times else rate_hz
    if rate is None:
        raise ReadError(
            "signal_rate", f"{file.name} has no column {TIME}, and no rate_hz is described"
        )
    return np.ascontiguousarray(samples), rate
