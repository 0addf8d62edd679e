"""Reads a signal from the columns of a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.tables.delimited import read_table
from mmdiag.readers.tables.numbers import to_numbers

TABLES: Final = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
TIME: Final = "time_s"  # a column of a table that says when each sample was taken
UNEVEN: Final = 0.01  # share of the mean distance by which the distance of two samples may differ


def read_columns(
    file: Path, channels: Sequence[str], rate_hz: float | None
) -> tuple[Float32[ndarray, "time channel"], float]:
    """The channels of a table, and its rate.

    Args:
        channels: Names of its columns, in order; none = it has one besides `time_s`.
        rate_hz: Where it has no column `time_s`.

    Raises:
        ReadError: `signal_channels`, `table_value`, `signal_gap` or `signal_rate`.
    """
    numbers = to_numbers(read_table(file))
    column_of = {name: number for number, name in enumerate(numbers.names)}
    wanted = list(channels) or [name for name in numbers.names if name != TIME]
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
        raise ReadError(
            "table_value", f"{file.name} has {int(numbers.wrong[rows].sum())} cells that are not"
        )
    samples = numbers.values[rows].T
    gaps = int(np.isnan(samples).sum())
    if gaps:
        raise ReadError("signal_gap", f"{file.name} has {gaps} samples without a value")
    rate = (
        _rate_of(numbers.values[column_of[TIME]].astype(np.float64), file.name)
        if TIME in column_of
        else rate_hz
    )
    if rate is None:
        raise ReadError(
            "signal_rate", f"{file.name} has no column {TIME}, and no rate_hz is described"
        )
    return np.ascontiguousarray(samples), rate


def _rate_of(times: Float64[ndarray, " time"], name: str) -> float:
    """Samples a second of times that are evenly spaced."""
    steps = np.diff(times)
    mean = float(steps.mean()) if len(steps) else 0.0
    if (
        not np.isfinite(mean)
        or mean <= 0
        or np.abs(steps - mean).max()
        > max(UNEVEN * mean, 2 * np.spacing(np.float32(np.abs(times).max())))
    ):
        raise ReadError("signal_rate", f"the times of {name} do not rise evenly")
    return round(1 / mean, 3)
