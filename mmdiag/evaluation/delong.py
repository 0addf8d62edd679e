"""DeLong's test of two correlated AUROCs, without resampling."""

import math

import numpy as np
from jaxtyping import Bool, Float, Real
from numpy import ndarray


def delong(
    label: Real[ndarray, "case"], first: Real[ndarray, "case"], second: Real[ndarray, "case"]
) -> dict[str, float]:
    """`first - second` in AUROC without resampling; rows count as independent, so one case a
    subject.

    Returns:
        `value`, `variance` of the difference, and the two-sided `p`; NaN variance and p with fewer
        than two cases of a class.

    Reference:
        DeLong 1988, Comparing the areas under two or more correlated ROC curves; Sun & Xu 2014 for
        the mid-rank form, O(n log n).
    """
    of_positive, of_negative = zip(
        *(_placements(label > 0, score) for score in (first, second)), strict=True
    )
    gain = of_positive[0] - of_positive[1], of_negative[0] - of_negative[1]
    value = float(np.mean(gain[0])) if len(gain[0]) else math.nan
    if min(map(len, gain)) < 2:
        return {"value": value, "variance": math.nan, "p": math.nan}
    variance = float(sum(np.var(part, ddof=1) / len(part) for part in gain))
    # no variance: two scores that order every pair alike, or one that is right in every pair
    alike = 1.0 if abs(value) < 1e-12 else 0.0
    return {
        "value": value,
        "variance": variance,
        "p": math.erfc(abs(value) / math.sqrt(2 * variance)) if variance > 0 else alike,
    }


def _placements(
    positive: Bool[ndarray, "case"], score: Real[ndarray, "case"]
) -> tuple[Float[ndarray, "positive"], Float[ndarray, "negative"]]:
    """Of each positive the share of negatives below it, of each negative the share of positives
    above it, ties half.
    """
    among_all, among_positive, among_negative = (
        _midranks(score),
        _midranks(score[positive]),
        _midranks(score[~positive]),
    )
    numbers = max(len(among_positive), 1), max(len(among_negative), 1)
    return (among_all[positive] - among_positive) / numbers[1], 1 - (
        among_all[~positive] - among_negative
    ) / numbers[0]


def _midranks(score: Real[ndarray, "case"]) -> Float[ndarray, "case"]:
    _, number, count = np.unique(score, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: ndarray = (last - (count - 1) / 2)[number]
    return ranks
