"""When the samples of a table were taken: a column of times gives their rate, or agrees with the
one that is described.
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float64
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.tables.numbers import strict_numbers

TIME: Final = "time_s"  # the column that is documented
UNEVEN: Final = 0.01  # share of the mean distance by which the distance of two samples may differ
AGREES: Final = 0.01  # share by which the rate of the times may differ from the described one
SAME: Final = 1e-4  # share up to which the described rate is the exact one
MOST_DECIMALS: Final = 9
MOST_STEPS: Final = 60  # in looking for a line
_UNITS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_UNIT: Final = r"(?P<unit>n|u|\u00b5|\u03bc|m|milli|micro|nano)?(?:s|secs?|seconds?)"
_NAMED: Final = re.compile(
    r"(?:(?:elapsed|relative|sample|recording)[ _-]?)?"
    r"(?:times?|timestamps?|zeit|zeitstempel|tiempo|temps|tempo|t)"
    rf"(?:[ _]*[\[(]?[ ]?(?P<known>{_UNIT})[ ]?[\])]?)?",
    re.IGNORECASE,
)
_UNIT_ALONE: Final = re.compile(r"(?P<unit>m|milli)?(?:secs?|seconds?)|ms", re.IGNORECASE)


def time_column(names: Sequence[str], channels: Sequence[str]) -> str | None:
    """The column that says when samples were taken; one that names its unit comes first.

    Args:
        channels: Columns that are signals, whatever they are called.
    """
    others = [name for name in names if name not in channels]
    if TIME in others:
        return TIME
    found = [name for name in others if _NAMED.fullmatch(name.strip())]
    found += [name for name in others if _UNIT_ALONE.fullmatch(name.strip())]
    return next((name for name in found if _seconds_each(name)), found[0] if found else None)


def rate_by_times(cells: pa.ChunkedArray, column: str, described: float | None, file: str) -> float:
    """Samples a second of times that are evenly spaced, as far as they are written out.

    Args:
        cells: Numbers, clock times or ISO dates, as text.
        column: Its name, which may say its unit; without one the described rate tells which is
            meant, or that samples are numbered.
        described: Samples a second, by the description.

    Raises:
        ReadError: `signal_rate`, where times do not rise evenly, do not agree with the described
            rate, or nobody says their unit.
    """
    times, unit = _times(cells, column)
    if times is None:
        if described is not None and column != TIME:
            return described  # words, or nothing
        raise ReadError("signal_rate", f"the times of {file} are no numbers")
    if described is not None and column.strip() in ("t", "T") and (np.diff(times) < 0).any():
        return described  # a temperature, or another t
    step, unsure = _step(times, file, coarse=described is not None)
    if unit is None and described is None:
        raise ReadError(
            "signal_rate",
            f"{file} has no column {TIME}, no rate_hz is described, and its times have no unit",
        )
    rates = [1 / (step * each) for each in (_UNITS.values() if unit is None else (unit,))]
    if described is None or (column == TIME and unsure < AGREES):
        return round(rates[0], 3)
    if unit is None and step == 1:  # the numbers of samples
        return described
    nearest = min(rates, key=lambda rate: abs(rate - described))
    apart = abs(nearest - described) / described
    if apart > max(AGREES, 2 * unsure):
        said = f"{nearest:.6g} samples a second" if unit is not None else "another rate in any unit"
        raise ReadError("signal_rate", f"the times of {file} say {said}, rate_hz is {described:g}")
    return described if apart <= max(SAME, 2 * unsure) else round(nearest, 3)


def _seconds_each(column: str) -> float | None:
    """The length of a column's unit in seconds, where its name says it."""
    name = column.strip().lower()
    alone = _UNIT_ALONE.fullmatch(name)
    found = _NAMED.fullmatch(name)
    if alone is None and (found is None or found["known"] is None):
        return None
    said = "m" if name == "ms" else (alone or found or {"unit": None})["unit"] or ""
    return _UNITS[{"": "s", "n": "ns", "m": "ms"}.get(said[:1].replace("mi", "m"), "us")]


def _times(
    cells: pa.ChunkedArray, column: str
) -> tuple[Float64[ndarray, " time"] | None, float | None]:
    """The times of samples, and the length of their unit in seconds where it is known; no times
    where the column holds something else.
    """
    values, wrong = strict_numbers(cells)
    if not wrong.any() and not np.isnan(values).any():
        return values, _seconds_each(column)
    texts = pd.Series(cells.to_pylist(), dtype=object)
    clock = pd.to_timedelta(texts, errors="coerce")
    if not clock.isna().any():
        return clock.dt.total_seconds().to_numpy(np.float64), 1.0
    dated = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    if not dated.isna().any():
        return (dated - dated.iloc[0]).dt.total_seconds().to_numpy(np.float64), 1.0
    return None, None


def _step(times: Float64[ndarray, " time"], file: str, *, coarse: bool) -> tuple[float, float]:
    """The mean distance of samples, and the share of it that the writing of times leaves open.

    Args:
        coarse: Whether several samples may have one time, as of whole seconds.

    Raises:
        ReadError: `signal_rate`, where they do not rise evenly.
    """
    steps = np.diff(times)
    mean = float(steps.mean()) if len(steps) else 0.0
    if not np.isfinite(mean) or mean <= 0:
        raise ReadError("signal_rate", f"the times of {file} do not rise")
    finest = _finest(times)
    noise = 2 * float(np.spacing(np.abs(times).max()))
    unsure = finest / (mean * len(steps))
    if np.abs(steps - mean).max() <= max(UNEVEN * mean, noise):
        return mean, unsure
    # of even times that were rounded each lies within one place of a line
    line, width = _nearest_line(times, mean, 2 * finest / len(steps))
    told = finest <= line / 2 or (coarse and finest >= 2 * line)
    if not told or width > finest * (1 + 1e-6):
        raise ReadError("signal_rate", f"the times of {file} do not rise evenly")
    return line, unsure


def _nearest_line(
    times: Float64[ndarray, " time"], slope: float, around: float
) -> tuple[float, float]:
    """The slope of the line that times lie about most narrowly, and how narrowly.

    Args:
        slope, around: Where it is looked for.
    """
    from scipy.optimize import minimize_scalar

    number = np.arange(len(times))
    found = minimize_scalar(  # convex
        lambda each: float(np.ptp(times - each * number)),
        bounds=(slope - around, slope + around),
        method="bounded",
        options={"xatol": around * 1e-7, "maxiter": MOST_STEPS},
    )
    return float(found.x), float(found.fun)


def _finest(times: Float64[ndarray, " time"]) -> float:
    """The last decimal place that times are written to."""
    for decimals in range(MOST_DECIMALS):
        if np.abs(times - np.round(times, decimals)).max() <= 1e-6 * 10.0**-decimals:
            return float(10.0**-decimals)
    return 0.0
