"""Metrics, each with a bootstrap interval and its n; and paired differences on the same resamples.

The bootstrap draws subjects, not rows, where subjects are given: cases of one person are not independent. AUROC is computed from weights on sorted
scores (bincount, cumulative sums), so that a resample costs one pass instead of a sort.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mmdiag.errors import UnknownNameError

LEVEL = 0.95
BINS = 10
Weights = Float[ndarray, "resample case"]
Measure = Callable[[Weights], Float[ndarray, "resample"]]


def evaluate(
    label: ndarray,
    probability: ndarray,
    *,
    kind: str = "binary",
    subject: ndarray | None = None,
    time: ndarray | None = None,
    event: ndarray | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> list[dict[str, Any]]:
    """Measure one model.

    Args:
        label: Binary 0/1, multiclass class numbers; not read for survival.
        probability: Binary (n,) of the positive class, multiclass (n, class), survival (n,) a risk: higher = earlier.
        subject: Whose case each row is.

    Returns:
        `metric, value, low, high, n, n_positive`, one a metric; a metric that does not exist for these labels (AUROC of one class) is not in it.
        The interval is the 95 % percentile interval, widened to hold the value itself where the bootstrap's bias would leave it outside.
    """
    measures = _measures(label, probability, kind, time, event)
    n = len(probability)
    counted = {"survival": event, "binary": label}.get(kind)
    positive = int(counted.sum()) if counted is not None else 0
    weights = bootstrap_weights(subject if subject is not None else np.arange(n), resamples, seed)
    rows = []
    for name, measure in measures.items():
        value = float(measure(np.ones((1, n)))[0])
        if np.isfinite(value):
            low, high = interval(measure(weights), value)
            rows.append({"metric": name, "value": value, "low": low, "high": high, "n": n, "n_positive": positive})
    return rows


def paired_difference(
    label: ndarray,
    first: ndarray,
    second: ndarray,
    *,
    metric: str = "auroc",
    subject: ndarray | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """`first - second` of a binary metric on the same resamples.

    Returns:
        `value, low, high, n, n_positive`, and `p`: two-sided, the share of resamples on the other side of 0.
    """
    one, other = (_measures(label, p, "binary", None, None)[metric] for p in (first, second))
    n = len(label)
    weights = bootstrap_weights(subject if subject is not None else np.arange(n), resamples, seed)
    value = float((one(np.ones((1, n))) - other(np.ones((1, n))))[0])
    drawn = one(weights) - other(weights)
    low, high = interval(drawn, value)
    known = drawn[np.isfinite(drawn)]
    side = min(np.mean(known <= 0), np.mean(known >= 0)) if len(known) else 0.5
    p = min(1.0, max(2 * float(side), 1 / max(len(known), 1)))
    return {"value": value, "low": low, "high": high, "n": n, "n_positive": int(np.sum(label)), "p": p}


def bootstrap_weights(subject: ndarray, resamples: int, seed: int) -> Weights:
    """How often each row is in each resample, when subjects are drawn with replacement."""
    _, place = np.unique(subject, return_inverse=True)
    number = int(place.max()) + 1 if len(place) else 0
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(number, np.full(number, 1 / number), size=resamples) if number else np.zeros((resamples, 0))
    return drawn[:, place].astype(np.float64)


def interval(drawn: ndarray, value: float) -> tuple[float, float]:
    """Percentile interval of the resamples in which the metric exists; it always holds the value."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return value, value
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return min(float(low), value), max(float(high), value)


def _measures(label: ndarray, probability: ndarray, kind: str, time: ndarray | None, event: ndarray | None) -> Mapping[str, Measure]:
    if kind == "binary":
        return {
            "auroc": lambda w: weighted_auroc(label, probability, w),
            "auprc": lambda w: weighted_auprc(label, probability, w),
            "brier": lambda w: _mean((probability - label) ** 2, w),
            "ece": lambda w: calibration_error(label, probability, w),
        }
    if kind == "multiclass":
        hit = (probability.argmax(axis=1) == label).astype(float)
        one_hot = np.eye(probability.shape[1])[label.astype(int)]
        return {
            "auroc": lambda w: np.mean([weighted_auroc(one_hot[:, c], probability[:, c], w) for c in range(probability.shape[1])], axis=0),
            "accuracy": lambda w: _mean(hit, w),
            "brier": lambda w: _mean(((probability - one_hot) ** 2).sum(axis=1), w),
            "ece": lambda w: calibration_error(hit, probability.max(axis=1), w),
        }
    if kind == "survival":
        assert time is not None and event is not None
        return {"c_index": concordance(time, event, probability)}
    raise UnknownNameError("The kind of a task with metrics", kind, ("binary", "multiclass", "survival"))


def _mean(values: ndarray, weights: Weights) -> Float[ndarray, "resample"]:
    mean: ndarray = weights @ values / weights.sum(axis=1)
    return mean


def weighted_auroc(label: ndarray, score: ndarray, weights: Weights) -> Float[ndarray, "resample"]:
    """Area under the ROC curve with case weights, ties counting half; NaN where a resample has one class."""
    values, place = np.unique(score, return_inverse=True)
    positive = _by_value(weights * (label > 0), place, len(values))
    negative = _by_value(weights * (label <= 0), place, len(values))
    below = np.cumsum(negative, axis=1) - negative
    with np.errstate(invalid="ignore", divide="ignore"):
        area: ndarray = (positive * (below + 0.5 * negative)).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1))
    return area


def weighted_auprc(label: ndarray, score: ndarray, weights: Weights) -> Float[ndarray, "resample"]:
    """Average precision, as scikit-learn defines it, with case weights."""
    values, place = np.unique(-score, return_inverse=True)
    positive = _by_value(weights * (label > 0), place, len(values))
    every = _by_value(weights, place, len(values))
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.nan_to_num(np.cumsum(positive, axis=1) / np.cumsum(every, axis=1))
        area: ndarray = (precision * positive).sum(axis=1) / positive.sum(axis=1)
    return area


def _by_value(weights: Weights, place: ndarray, number: int) -> ndarray:
    """Sums of the columns that share a value: (resample, value)."""
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(number))
    sums: ndarray = np.add.reduceat(weights[:, order], starts, axis=1) if number else np.zeros((len(weights), 0))
    return sums


def calibration_bins(probability: ndarray) -> ndarray:
    """Bin of each case: up to ten bins of equal mass, at least five cases each, equal probabilities never parted."""
    number = max(1, min(BINS, len(probability) // 5))
    edges = np.unique(np.quantile(probability, np.arange(1, number) / number)) if number > 1 else np.zeros(0)
    return np.searchsorted(edges, probability, side="right")


def calibration_error(label: ndarray, probability: ndarray, weights: Weights) -> Float[ndarray, "resample"]:
    """Expected calibration error over bins of equal mass.

    Reference:
        Nixon 2019, Measuring calibration in deep learning (adaptive bins).
    """
    gap = np.zeros(len(weights))
    place = calibration_bins(probability)
    for number in np.unique(place):
        inside = place == number
        gap += np.abs(weights[:, inside] @ (label[inside] - probability[inside]))
    error: ndarray = gap / weights.sum(axis=1)
    return error


def concordance(time: ndarray, event: ndarray, risk: ndarray) -> Measure:
    """Harrell's C with case weights: of pairs whose earlier time is an event, the share in which the earlier one has the higher risk.

    Reference:
        Harrell 1996, Multivariable prognostic models.
    """
    earlier = ((time[:, None] < time[None, :]) | ((time[:, None] == time[None, :]) & (event[None, :] == 0))) & (event[:, None] == 1)
    np.fill_diagonal(earlier, False)
    right = (earlier * ((risk[:, None] > risk[None, :]) + 0.5 * (risk[:, None] == risk[None, :]))).astype(np.float32)
    pairs = earlier.astype(np.float32)

    def measure(weights: Weights) -> ndarray:
        light = weights.astype(np.float32)
        with np.errstate(invalid="ignore", divide="ignore"):
            share: ndarray = ((light @ right) * light).sum(axis=1, dtype=np.float64) / ((light @ pairs) * light).sum(
                axis=1, dtype=np.float64
            )
        return share

    return measure


def roc_points(label: ndarray, score: ndarray) -> tuple[Float[ndarray, "point"], Float[ndarray, "point"]]:
    """1 - specificity and sensitivity at every threshold, from (0, 0) to (1, 1)."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    true, false = np.cumsum(label[order] > 0)[last], np.cumsum(label[order] <= 0)[last]
    return np.append(0.0, false / max(int(false[-1]), 1)), np.append(0.0, true / max(int(true[-1]), 1))


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    Reference:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    z = 1.959964
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))
