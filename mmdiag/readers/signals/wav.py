"""Reads WAV recordings."""

import struct
import warnings
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from mmdiag.errors import ReadError

WAV: Final = (".wav", ".wave")


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
        # of a parser that expects good files
        except (
            ValueError,
            EOFError,
            TypeError,
            ZeroDivisionError,
            OverflowError,
            UnboundLocalError,
            struct.error,
        ) as error:
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
