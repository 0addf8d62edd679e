"""How well scores rank the positive before the negative, as functions of case weights: the area
under the ROC curve, over all pairs or those within a fold, and the average precision.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Real, Shaped
from numpy import ndarray

from mmdiag.evaluation.bootstrap import Measure, Weights


def auroc(
    label: Real[ndarray, "case"],
    score: Real[ndarray, "case"],
    fold: Shaped[ndarray, "case"] | None = None,
) -> Measure:
    """Area under the ROC curve with case weights, ties counting half; NaN where a resample has no
    pair of a positive and a negative.

    Sums of whole weights are exact, so that the one division is all that is rounded.

    Args:
        fold: Only pairs from one fold are compared; None = all.
    """
    _, number_of = np.unique(
        np.zeros(len(label)) if fold is None else np.asarray(fold).astype(str), return_inverse=True
    )
    parts = [np.flatnonzero(number_of == k) for k in range(int(number_of.max(initial=-1)) + 1)]
    counts = [(rows, _ranked(label[rows], score[rows])) for rows in parts]

    def measure(weights: Weights) -> Float[ndarray, "resample"]:
        found = [count(np.take(weights, rows, axis=1)) for rows, count in counts]
        right, pairs = np.sum(found, axis=0) if found else np.zeros((2, len(weights)))
        with np.errstate(invalid="ignore", divide="ignore"):
            area: ndarray = 0.5 * right / pairs
        return area

    return measure


def _ranked(
    label: Real[ndarray, "case"], score: Real[ndarray, "case"]
) -> Callable[[Weights], Float[ndarray, "2 resample"]]:
    """Twice the pairs of a positive and a negative that are in the right order, and all of them."""
    values = np.unique(score[label > 0])
    # even: between two values, odd: equal to one
    slot = np.searchsorted(values, score, side="left") + np.searchsorted(
        values, score, side="right"
    )
    negatives = 2 * len(values) + 1
    slot_of_case = np.where(label > 0, negatives + slot // 2, slot)

    def count(weights: Weights) -> Float[ndarray, "2 resample"]:
        sums = np.stack(
            [
                np.bincount(slot_of_case, weights=row, minlength=negatives + len(values))
                for row in weights
            ]
        )
        passed, positive = np.cumsum(sums[:, :negatives], axis=1), sums[:, negatives:]
        right = np.einsum("rv,rv->r", positive, passed[:, :-1:2] + passed[:, 1::2])
        return np.stack([right, positive.sum(axis=1) * passed[:, -1]])

    return count


def average_precision(label: Real[ndarray, "case"], score: Real[ndarray, "case"]) -> Measure:
    """Average precision, as scikit-learn defines it, with case weights; NaN where a resample has no
    positive.
    """
    order = np.argsort(-score, kind="stable")
    # of each group of equal scores
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    positive = (label[order] > 0).astype(float)

    def measure(weights: Weights) -> Float[ndarray, "resample"]:
        sorted_weights = np.take(weights, order, axis=1)
        found = np.take(np.cumsum(sorted_weights * positive, axis=1), last, axis=1)
        named = np.take(np.cumsum(sorted_weights, axis=1), last, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.nan_to_num(found / named)
            area: ndarray = (
                np.einsum("rc,rc->r", precision, np.diff(found, axis=1, prepend=0.0)) / found[:, -1]
            )
        return area

    return measure
