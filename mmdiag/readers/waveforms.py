"""Reads a signal (an ECG, an auscultation) from a WAV or a table, and brings it to one rate, one
length and 16 bits.
"""

import hashlib
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int16
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.tables.delimited import read_table
from mmdiag.readers.tables.numbers import to_numbers

WAV = (".wav", ".wave")
TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
TIME = "time_s"  # a column of a table that says when each sample was taken
UNEVEN = 0.01  # share of the mean distance by which the distance of two samples may differ
FINEST = 1000  # denominator of the ratio of two rates
RATES_HZ = (1.0, 768_000.0)
STEPS = 32767  # of a 16-bit number on either side of zero


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal as it lies in its file.

    Args:
        samples: In the file's unit; of a WAV from -1 to 1.
        seconds: How long the whole recording is; `samples` may be its beginning.
    """

    samples: Float32[ndarray, "time channel"]
    rate_hz: float
    seconds: float


@dataclass(frozen=True, slots=True)
class StoredSignal:
    """A signal as the store keeps it.

    Args:
        samples: `full_scale` of the file's unit is 32767.
        share_clipped: Of samples that lay beyond the full scale.
    """

    samples: Int16[ndarray, "time channel"]
    share_clipped: float


def read_signal(
    file: Path, channels: Sequence[str], *, rate_hz: float | None, seconds: float
) -> Signal:
    """Read the beginning of a signal.

    Args:
        channels: Names of its channels: columns of a table; of a WAV their number and order. None =
            it has one.
        rate_hz: Of a table that has no column `time_s`; a WAV says its own.
        seconds: How much is read.

    Raises:
        ReadError: It is no WAV or table, is cut, has other channels or gaps, or its rate is not
            known.
    """
    name = file.name.lower()
    if name.endswith(WAV):
        samples, rate = read_wav(file)
        if samples.shape[1] != max(len(channels), 1):
            raise ReadError(
                "signal_channels",
                f"{file.name} has {samples.shape[1]} channels, {max(len(channels), 1)} are "
                "described",
            )
    elif name.endswith(TABLES):
        samples, rate = _read_columns(file, channels, rate_hz)
    else:
        raise ReadError("not_a_signal", file.name)
    if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        raise ReadError("signal_rate", f"{file.name} has {rate:g} samples a second")
    if len(samples) < 2:
        raise ReadError("signal_gap", f"{file.name} has {len(samples)} samples")
    return Signal(samples[: round(seconds * rate) + 1], rate, len(samples) / rate)


def to_stored_signal(
    signal: Signal, *, rate_hz: float, seconds: float, full_scale: float
) -> StoredSignal:
    """Bring a signal to one rate, at most one length and 16 bits; what the new rate cannot show is
    filtered out first.

    Args:
        rate_hz: Of the result.
        seconds: Longest result; a shorter signal stays shorter.
        full_scale: Value of the file's unit that becomes the largest 16-bit number.
    """
    from scipy.signal import resample_poly

    ratio = Fraction(rate_hz / signal.rate_hz).limit_denominator(FINEST)
    ratio = ratio if ratio > 0 else Fraction(1, FINEST)
    same = ratio == 1
    samples = (
        signal.samples
        if same
        else resample_poly(
            signal.samples, ratio.numerator, ratio.denominator, axis=0, padtype="line"
        )
    )
    scaled = np.asarray(samples)[: round(seconds * rate_hz)] / full_scale
    clipped = float((np.abs(scaled) > 1).mean())
    return StoredSignal(np.rint(np.clip(scaled, -1, 1) * STEPS).astype(np.int16), clipped)


def content_hash(samples: Int16[ndarray, "time channel"]) -> str:
    """SHA-256 of a signal as the store keeps it: two recordings that share it are the same."""
    return hashlib.sha256(
        np.ascontiguousarray(samples).tobytes() + str(samples.shape).encode()
    ).hexdigest()


def read_wav(file: Path) -> tuple[Float32[ndarray, "time channel"], float]:
    """The samples of a WAV from -1 to 1, and its rate.

    Raises:
        ReadError: It is no WAV, is cut, or holds values that are no numbers.

    Reference:
        Multimedia programming interface and data specifications 1.0, IBM and Microsoft 1991 (RIFF
        WAVE).
    """
    from scipy.io import wavfile

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", wavfile.WavFileWarning)
        try:
            rate, samples = wavfile.read(file)
        except (
            ValueError,
            EOFError,
            TypeError,
            ZeroDivisionError,
            OverflowError,
            UnboundLocalError,
            struct.error,
        ) as error:  # of a parser that expects good files
            raise ReadError("not_a_signal", f"{file.name} ({type(error).__name__})") from None
    if any("EOF" in str(one.message) for one in caught):
        raise ReadError("truncated", file.name)
    samples = samples[:, None] if samples.ndim == 1 else samples
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128, float(rate)
    if samples.dtype.kind == "i":
        return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32), float(rate)
    if not np.isfinite(samples).all():
        raise ReadError(
            "signal_gap",
            f"{file.name} has {int((~np.isfinite(samples)).sum())} samples without a value",
        )
    return samples.astype(np.float32), float(rate)


def _read_columns(
    file: Path, channels: Sequence[str], rate_hz: float | None
) -> tuple[Float32[ndarray, "time channel"], float]:
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
