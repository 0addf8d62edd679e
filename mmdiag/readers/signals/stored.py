"""Brings a signal to one rate, one length and 16 bits, as the store keeps it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32, Int16, Num
from numpy import ndarray

FINEST: Final = 1000  # denominator of the ratio of two rates
STEPS: Final = 32767  # of a 16-bit number on either side of zero
MISSING: Final = -32768  # of every sample of a channel that a recording lacks


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal as it lies in its file.

    Args:
        samples: In the file's unit, or, where the file says one, in that of the cohort; of a WAV
            from -1 to 1. NaN throughout in a channel that the file lacks.
        seconds: How long the whole recording is; `samples` may be its beginning.
        renamed: Channel -> what the file calls it, where that is another name of the same lead.
        missing: Channels that the file lacks.
        recorded: The day on which it began, where its own header says it.
        patient: What the header says of its patient: DICOM keyword -> values. Never stored.
    """

    samples: Float32[ndarray, "time channel"]
    rate_hz: float
    seconds: float
    renamed: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    recorded: date | None = None
    patient: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class StoredSignal:
    """A signal as the store keeps it.

    Args:
        samples: `full_scale` of the file's unit is 32767; `MISSING` throughout in a channel that
            the file lacks.
        share_clipped: Of samples that lay beyond the full scale.
    """

    samples: Int16[ndarray, "time channel"]
    share_clipped: float


def to_stored_signal(
    signal: Signal, *, rate_hz: float, seconds: float, full_scale: float
) -> StoredSignal:
    """Bring a signal to one rate, at most one length and 16 bits; what the new rate cannot show is
    filtered out first (a polyphase filter, scipy's Kaiser window of beta 5).

    Args:
        rate_hz: Of the result.
        seconds: Longest result; a shorter signal stays shorter.
        full_scale: Value of the file's unit that becomes the largest 16-bit number.
    """
    from scipy.signal import resample_poly

    there = ~np.isnan(signal.samples).any(axis=0)
    samples = signal.samples if there.all() else signal.samples[:, there]
    ratio = Fraction(rate_hz / signal.rate_hz).limit_denominator(FINEST)
    ratio = ratio if ratio > 0 else Fraction(1, FINEST)
    if ratio != 1:
        up, down = ratio.numerator, ratio.denominator
        samples = resample_poly(samples, up, down, axis=0, padtype="line")
    scaled = np.asarray(samples)[: round(seconds * rate_hz)] / full_scale
    clipped = float((np.abs(scaled) > 1).mean())
    stored = np.full((len(scaled), len(there)), MISSING, np.int16)
    stored[:, there] = np.rint(np.clip(scaled, -1, 1) * STEPS).astype(np.int16)
    return StoredSignal(stored, clipped)


def is_missing(samples: Num[ndarray, "time channel"]) -> Bool[ndarray, " channel"]:
    """The channels that a recording lacks, of samples as the store keeps them."""
    found: ndarray = (samples == MISSING).all(axis=0)
    return found


def content_hash(samples: Int16[ndarray, "time channel"]) -> str:
    """SHA-256 of a signal as the store keeps it: two recordings that share it are the same."""
    return hashlib.sha256(
        np.ascontiguousarray(samples).tobytes() + str(samples.shape).encode()
    ).hexdigest()
