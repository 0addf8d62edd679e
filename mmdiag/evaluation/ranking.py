"""How well scores rank the positive before the negative, as functions of case weights: the area
under the ROC curve, over all pairs or those within a fold, and the average precision; and the curve
itself.
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


def roc_points(
    label: Real[ndarray, "case"],
    score: Real[ndarray, "case"],
    fold: Shaped[ndarray, "case"] | None = None,
) -> tuple[Float[ndarray, "point"], Float[ndarray, "point"]]:
    """1 - specificity and sensitivity at every threshold, from (0, 0) to (1, 1), to be joined by
    straight lines. Of folds the mean of their curves at each specificity, weighed by their pairs,
    so that the area below is the AUROC of pairs within a fold (Fawcett 2006, vertical averaging).

    Args:
        fold: By which fold's model each case was answered; None = all by one.
    """
    if fold is None:
        return _one_curve(label, score)
    weights, curves = [], []
    for name in np.unique(fold):
        inside = fold == name
        positive = int((label[inside] > 0).sum())
        if pairs := positive * (int(inside.sum()) - positive):
            weights.append(pairs)
            curves.append(_one_curve(label[inside], score[inside]))
    if not curves:
        return np.asarray([0.0, 1.0]), np.asarray([0.0, 1.0])
    x = np.unique(np.concatenate([found for found, _ in curves]))
    ends = np.stack([_before_and_after(x, *curve) for curve in curves])
    y = np.average(ends, axis=0, weights=weights)
    return np.append(0.0, np.repeat(x, 2)), np.append(0.0, y.T.ravel())


def _before_and_after(
    x: Float[ndarray, "place"], rates: Float[ndarray, "point"], hits: Float[ndarray, "point"]
) -> Float[ndarray, "2 place"]:
    """The height of a curve where it comes to each place, and where it leaves it."""
    first = np.searchsorted(rates, x, side="left")
    last = np.searchsorted(rates, x, side="right") - 1
    between = np.interp(x, rates, hits)
    met = first <= last
    return np.stack([np.where(met, hits[first], between), np.where(met, hits[last], between)])


def _one_curve(
    label: Real[ndarray, "case"], score: Real[ndarray, "case"]
) -> tuple[Float[ndarray, "point"], Float[ndarray, "point"]]:
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    true, false = np.cumsum(label[order] > 0)[last], np.cumsum(label[order] <= 0)[last]
    return np.append(0.0, false / max(int(false[-1]), 1)), np.append(
        0.0, true / max(int(true[-1]), 1)
    )
