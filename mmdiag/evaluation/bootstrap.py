"""The bootstrap: resamples that draw subjects, and the interval that they give.

Subjects are drawn, not rows: cases of one person are not independent. A resample is a row of
weights (bincount); resamples are drawn a block at a time, so that memory does not grow with them.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

LEVEL = 0.95
BLOCK = 2**17  # weights held at once: 1 MiB, which stays in a core's cache
Weights = Float[ndarray, "resample case"]
Measure = Callable[[Weights], Float[ndarray, "resample"]]


def bootstrap_weights(
    subject: Shaped[ndarray, "case"], resamples: int, seed: int
) -> Iterator[Weights]:
    """How often each row is in each resample, when subjects are drawn with replacement; a block of
    resamples at a time.
    """
    _, number_of = np.unique(subject, return_inverse=True)
    number = int(number_of.max()) + 1 if len(number_of) else 0
    generator = np.random.default_rng(seed)
    block = max(1, BLOCK // max(len(number_of), 1))
    for start in range(0, resamples if number else 0, block):
        times = np.empty((min(block, resamples - start), number))
        for row in times:
            row[:] = np.bincount(generator.integers(0, number, number), minlength=number)
        # any order serves where nobody has two rows
        yield (times if number == len(number_of) else np.take(times, number_of, axis=1))


def resampled(
    measures: Mapping[str, Measure], subject: Shaped[ndarray, "case"], resamples: int, seed: int
) -> dict[str, Float[ndarray, "resample"]]:
    """Each metric in each resample."""
    parts: dict[str, list[ndarray]] = {name: [np.zeros(0)] for name in measures}
    for weights in bootstrap_weights(subject, resamples if measures else 0, seed):
        for name, measure in measures.items():
            parts[name].append(measure(weights))
    return {name: np.concatenate(part) for name, part in parts.items()}


def interval(drawn: Float[ndarray, "resample"], value: float) -> tuple[float, float]:
    """Percentile interval of the resamples in which the metric exists; it always holds the
    value.
    """
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return value, value
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return min(float(low), value), max(float(high), value)
