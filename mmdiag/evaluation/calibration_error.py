"""How far probabilities are from shares, in the mean: a figure that noise alone makes larger, and
what is left of it without.
"""

import numpy as np
from jaxtyping import Float, Int, Real
from numpy import ndarray

from mmdiag.evaluation.bootstrap import BLOCK, LEVEL, Measure, Weights

BINS = 10


def calibration_bins(probability: Real[ndarray, "case"]) -> Int[ndarray, "case"]:
    """Bin of each case: up to ten bins of equal mass, at least five cases each, equal probabilities
    never parted.
    """
    number = max(1, min(BINS, len(probability) // 5))
    edges = (
        np.unique(np.quantile(probability, np.arange(1, number) / number))
        if number > 1
        else np.zeros(0)
    )
    return np.searchsorted(edges, probability, side="right")


def calibration_error(label: Real[ndarray, "case"], probability: Real[ndarray, "case"]) -> Measure:
    """Expected calibration error over bins of equal mass, which are those of all cases in every
    resample.

    Reference:
        Nixon 2019, Measuring calibration in deep learning (adaptive bins).
    """
    order, starts = _by_bins(probability)
    residual = (label - probability)[order]

    def measure(weights: Weights) -> Float[ndarray, "resample"]:
        gaps = _gaps(np.take(weights, order, axis=1) * residual, starts)
        error: ndarray = gaps / weights.sum(axis=1)
        return error

    return measure


def less_its_bias(
    label: Real[ndarray, "case"],
    probability: Real[ndarray, "case"],
    drawn: Float[ndarray, "resample"],
    seed: int = 0,
) -> tuple[float, float, float]:
    """The expected calibration error less its bias, and the ends of its interval, which reaches
    down to 0 where a right model would have as much by chance.

    Args:
        drawn: The error in each resample.
    """
    one = np.ones((1, len(label)))
    found = float(calibration_error(label, probability)(one)[0])
    tail = (1 - LEVEL) / 2
    high, low = 2 * found - np.quantile(drawn, [tail, 1 - tail])
    if found <= np.quantile(_by_chance(probability, len(drawn), seed), 1 - tail):
        low = 0.0
    unbiased = max(0.0, 2 * found - float(drawn.mean()))
    return unbiased, min(unbiased, max(0.0, float(low))), max(found, float(high))


def _by_bins(
    probability: Real[ndarray, "case"],
) -> tuple[Int[ndarray, "case"], Int[ndarray, "bin"]]:
    """The cases in the order of their bins, and where each bin begins."""
    bins = calibration_bins(probability)
    order = np.argsort(bins, kind="stable")
    return order, np.flatnonzero(np.diff(bins[order], prepend=-1))


def _gaps(
    residual: Float[ndarray, "resample case"], starts: Int[ndarray, "bin"]
) -> Float[ndarray, "resample"]:
    """How far the bins are off, added up."""
    found: ndarray = np.abs(np.add.reduceat(residual, starts, axis=1)).sum(axis=1)
    return found


def _by_chance(
    probability: Real[ndarray, "case"], draws: int, seed: int
) -> Float[ndarray, "resample"]:
    """The error that a right model has with outcomes drawn by its own probabilities."""
    generator, count = np.random.default_rng(seed), len(probability)
    order, starts = _by_bins(probability)
    found = [np.zeros(0)]
    block = max(1, BLOCK // count)
    for start in range(0, draws, block):
        label = generator.random((min(block, draws - start), count)) < probability
        found.append(_gaps((label - probability)[:, order], starts) / count)
    return np.concatenate(found)
