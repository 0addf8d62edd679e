"""Standardisation of a signal's channels, fitted on training cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Num
from numpy import ndarray

from mmdiag.errors import UsageError
from mmdiag.readers.signals.stored import is_missing


@dataclass(frozen=True, slots=True)
class Channels:
    """Mean and deviation of each channel over the training cases.

    Args:
        scale: Infinity for a channel that does not vary, so that it contributes 0.
    """

    center: Float32[ndarray, "channel"]
    scale: Float32[ndarray, "channel"]

    CLIP = 20.0  # deviations: an R wave has about 10, an electrode that came off more

    def __call__(self, signal: Num[ndarray, "time channel"]) -> Float32[ndarray, "time channel"]:
        """Deviations from the training mean; none in a channel that the recording lacks.

        Raises:
            UsageError: The signal has another number of channels than those it was fitted on.
        """
        if signal.shape[1] != len(self.center):
            raise UsageError(
                f"A signal must have the {len(self.center)} channels that the model was fitted "
                f"on, found {signal.shape[1]}: describe the cohort with the same channels."
            )
        deviations: ndarray = np.clip((signal - self.center) / self.scale, -self.CLIP, self.CLIP)
        deviations[:, is_missing(signal)] = 0
        return deviations


def fit_channels(signals: Sequence[Num[ndarray, "_ channel"]]) -> Channels:
    """Fit on training signals, every sample counting alike; a channel that one lacks counts in the
    others.
    """
    there = [~is_missing(signal) for signal in signals]
    pairs = list(zip(signals, there, strict=True))
    samples = np.maximum(sum(len(signal) * has for signal, has in pairs), 1)
    center = sum(signal.sum(axis=0, dtype=np.float64) * has for signal, has in pairs) / samples
    spread = np.sqrt(sum(((one - center) ** 2).sum(axis=0) * has for one, has in pairs) / samples)
    return Channels(
        np.asarray(center, dtype=np.float32),
        np.where(spread > 0, spread, np.inf).astype(np.float32),
    )


def signal_statistics(samples: Num[ndarray, "time channel"]) -> Float[ndarray, "channel feature"]:
    """Level, deviation, percentiles and mean step of each channel; NaN of one that is missing."""
    values = samples.astype(np.float64)
    values[:, is_missing(samples)] = np.nan
    shares = np.percentile(values, (5, 25, 50, 75, 95), axis=0)
    steps = np.abs(np.diff(values, axis=0)).mean(axis=0) if len(values) > 1 else values[0] * 0
    parts = [values.mean(axis=0), values.std(axis=0), *shares, steps]
    return np.stack(parts, axis=1)
