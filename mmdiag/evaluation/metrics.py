"""Metrics, each with a bootstrap interval and its n; and paired differences on the same resamples.

The bootstrap draws subjects, not rows, where subjects are given: cases of one person are not
independent. A metric sorts its scores once; each resample
is then a row of weights (bincount) and costs one pass (cumulative sums). Resamples are drawn a
block at a time, so that memory does not grow with them.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mmdiag.errors import UnknownNameError

LEVEL = 0.95
BINS = 10
BLOCK = 2**17  # weights held at once: 1 MiB, which stays in a core's cache
TINY = 1e-15  # the least probability that a log loss is told
COMPARED_ONLY = ("log_loss",)  # known to `paired_difference`, not among the rows that a run reports
Weights = Float[ndarray, "resample case"]
Measure = Callable[[Weights], Float[ndarray, "resample"]]
Pairs = Callable[[Weights], tuple[Float[ndarray, "resample"], Float[ndarray, "resample"]]]


def evaluate(
    label: ndarray,
    probability: ndarray,
    *,
    kind: str = "binary",
    subject: ndarray | None = None,
    time: ndarray | None = None,
    event: ndarray | None = None,
    labels: Sequence[str] = (),
    stratum: ndarray | None = None,
    fold: ndarray | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> list[dict[str, Any]]:
    """Measure one model.

    Args:
        label: Binary 0/1, multiclass class numbers, multilabel (n, label) 0/1 or NaN = unknown; not
            read for survival.
        probability: Binary (n,) of the positive class, multiclass (n, class), multilabel (n,
            label), survival (n,) a risk: higher = earlier.
        subject: Whose case each row is.
        labels: Names of the labels of a multilabel task: each has an AUROC of its own,
            `auroc_<name>`, with its own n.
        stratum: Site or group of each case; a survival task then has `c_index_within` too, of pairs
            from one stratum.
        fold: By which fold's model each case is judged, of survival: only pairs from one fold are
            compared, because risks of different models need not lie
            on one scale, and a model that knows nothing would seem to know less than nothing.

    Returns:
        `metric, value, low, high, n, n_positive`, one a metric; a metric that does not exist for
        these labels (AUROC of one class) is not in it.
        The interval is the 95 % percentile interval, widened to hold the value itself where the
        bootstrap's bias would leave it outside.
    """
    measures = dict(_measures(label, probability, kind, time, event, fold))
    if stratum is not None and time is not None and event is not None and len(set(stratum)) > 1:
        both = (
            stratum
            if fold is None
            else np.asarray([f"{one}\x1f{other}" for one, other in zip(fold, stratum, strict=True)])
        )
        measures["c_index_within"] = concordance_within(time, event, probability, both)
    n = len(probability)
    counted = {"survival": event, "binary": label}.get(kind)
    numbers = {name: (n, int(counted.sum()) if counted is not None else 0) for name in measures}
    for number, name in enumerate(labels):
        known = ~np.isnan(label[:, number])
        measures[f"auroc_{name}"] = _of_known(auroc, label[:, number], probability[:, number])
        numbers[f"auroc_{name}"] = int(known.sum()), int(label[known, number].sum())
    reported = {name: measure for name, measure in measures.items() if name not in COMPARED_ONLY}
    values = (
        {name: float(measure(np.ones((1, n)))[0]) for name, measure in reported.items()}
        if n
        else {}
    )
    known = [name for name, value in values.items() if np.isfinite(value)]
    drawn = _draw(
        {name: reported[name] for name in known},
        subject if subject is not None else np.arange(n),
        resamples,
        seed,
    )
    bounds = {name: interval(drawn[name], values[name]) for name in known}
    return [
        {
            "metric": name,
            "value": values[name],
            "low": bounds[name][0],
            "high": bounds[name][1],
            "n": numbers[name][0],
            "n_positive": numbers[name][1],
        }
        for name in known
    ]


def paired_difference(
    label: ndarray,
    first: ndarray,
    second: ndarray,
    *,
    metric: str = "auroc",
    kind: str = "binary",
    subject: ndarray | None = None,
    time: ndarray | None = None,
    event: ndarray | None = None,
    fold: ndarray | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """`first - second` of a metric on the same resamples.

    Args:
        first, second: What two models say, each as `evaluate` takes it.
        fold: As `evaluate` takes it.
        metric: One that the kind of task has: `auroc`, `auprc`, `brier`, `ece` or `log_loss` of a
            binary one, `c_index` of survival.

    Returns:
        `value, low, high, n, n_positive`, and `p`: two-sided, twice the share of resamples on the
        other side of 0.

    Raises:
        UnknownNameError: There is no such metric.
    """
    one, other = (_measures(label, p, kind, time, event, fold) for p in (first, second))
    if metric not in one:
        raise UnknownNameError("The metric of a paired difference", metric, one)
    n = len(label)
    value = float((one[metric](np.ones((1, n))) - other[metric](np.ones((1, n))))[0])
    pair = _draw(
        {"first": one[metric], "second": other[metric]},
        subject if subject is not None else np.arange(n),
        resamples,
        seed,
    )
    drawn = pair["first"] - pair["second"]
    low, high = interval(drawn, value)
    known = drawn[np.isfinite(drawn)]
    side = min(np.mean(known <= 0), np.mean(known >= 0)) if len(known) else 0.5
    p = min(1.0, max(2 * float(side), 1 / max(len(known), 1)))
    counted = {"survival": event, "binary": label}.get(kind)
    return {
        "value": value,
        "low": low,
        "high": high,
        "n": n,
        "n_positive": int(counted.sum()) if counted is not None else 0,
        "p": p,
    }


def delong(label: ndarray, first: ndarray, second: ndarray) -> dict[str, float]:
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
    alike = (
        1.0 if abs(value) < 1e-12 else 0.0
    )  # no variance: two scores that order every pair alike, or one that is right in every pair
    return {
        "value": value,
        "variance": variance,
        "p": math.erfc(abs(value) / math.sqrt(2 * variance)) if variance > 0 else alike,
    }


def _placements(positive: ndarray, score: ndarray) -> tuple[ndarray, ndarray]:
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


def _midranks(score: ndarray) -> ndarray:
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: ndarray = (last - (count - 1) / 2)[place]
    return ranks


def bootstrap_weights(subject: ndarray, resamples: int, seed: int) -> Iterator[Weights]:
    """How often each row is in each resample, when subjects are drawn with replacement; a block of
    resamples at a time.
    """
    _, place = np.unique(subject, return_inverse=True)
    number = int(place.max()) + 1 if len(place) else 0
    generator = np.random.default_rng(seed)
    block = max(1, BLOCK // max(len(place), 1))
    for start in range(0, resamples if number else 0, block):
        times = np.empty((min(block, resamples - start), number))
        for row in times:
            row[:] = np.bincount(generator.integers(0, number, number), minlength=number)
        yield (
            times if number == len(place) else np.take(times, place, axis=1)
        )  # any order serves where nobody has two rows


def _draw(
    measures: Mapping[str, Measure], subject: ndarray, resamples: int, seed: int
) -> dict[str, Float[ndarray, "resample"]]:
    parts: dict[str, list[ndarray]] = {name: [np.zeros(0)] for name in measures}
    for weights in bootstrap_weights(subject, resamples if measures else 0, seed):
        for name, measure in measures.items():
            parts[name].append(measure(weights))
    return {name: np.concatenate(part) for name, part in parts.items()}


def interval(drawn: ndarray, value: float) -> tuple[float, float]:
    """Percentile interval of the resamples in which the metric exists; it always holds the
    value.
    """
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return value, value
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return min(float(low), value), max(float(high), value)


def _measures(
    label: ndarray,
    probability: ndarray,
    kind: str,
    time: ndarray | None,
    event: ndarray | None,
    fold: ndarray | None = None,
) -> Mapping[str, Measure]:
    if kind == "binary":
        return {
            "auroc": auroc(label, probability),
            "auprc": average_precision(label, probability),
            "brier": _mean((probability - label) ** 2),
            "ece": calibration_error(label, probability),
            "log_loss": _mean(
                -np.log(np.clip(np.where(label > 0, probability, 1 - probability), TINY, 1))
            ),
        }
    if kind == "multiclass":
        hit = (probability.argmax(axis=1) == label).astype(float)
        one_hot = np.eye(probability.shape[1])[label.astype(int)]
        one_against_rest = [
            auroc(one_hot[:, c], probability[:, c]) for c in range(probability.shape[1])
        ]
        return {
            "auroc": lambda w: np.mean([measure(w) for measure in one_against_rest], axis=0),
            "accuracy": _mean(hit),
            "brier": _mean(((probability - one_hot) ** 2).sum(axis=1)),
            "ece": calibration_error(hit, probability.max(axis=1)),
        }
    if kind == "multilabel":
        two = [
            number
            for number in range(label.shape[1])
            if len(np.unique(label[~np.isnan(label[:, number]), number])) == 2
        ]
        single = [_of_known(auroc, label[:, number], probability[:, number]) for number in two]
        return {
            "auroc": lambda w: np.mean(
                [measure(w) for measure in single] or [np.full(len(w), np.nan)], axis=0
            )
        }
    if kind == "survival":
        assert time is not None and event is not None
        return {
            "c_index": concordance(time, event, probability)
            if fold is None
            else concordance_within(time, event, probability, fold)
        }
    raise UnknownNameError(
        "The kind of a task with metrics", kind, ("binary", "multiclass", "multilabel", "survival")
    )


def _mean(values: ndarray) -> Measure:
    return lambda weights: weights @ values / weights.sum(axis=1)


def _of_known(
    metric: Callable[[ndarray, ndarray], Measure], label: ndarray, score: ndarray
) -> Measure:
    """A metric of the cases whose label is known."""
    known = np.flatnonzero(~np.isnan(label))
    measure = metric(label[known], score[known])
    return lambda weights: measure(np.take(weights, known, axis=1))


def auroc(label: ndarray, score: ndarray) -> Measure:
    """Area under the ROC curve with case weights, ties counting half; NaN where a resample has one
    class.

    Sums of whole weights are exact, so that the one division is all that is rounded.
    """
    values = np.unique(score[label > 0])
    slot = np.searchsorted(values, score, side="left") + np.searchsorted(
        values, score, side="right"
    )  # even: between two values, odd: equal to one
    negatives = 2 * len(values) + 1
    place = np.where(label > 0, negatives + slot // 2, slot)

    def measure(weights: Weights) -> ndarray:
        sums = np.stack(
            [np.bincount(place, weights=row, minlength=negatives + len(values)) for row in weights]
        )
        passed, positive = np.cumsum(sums[:, :negatives], axis=1), sums[:, negatives:]
        pairs = np.einsum("rv,rv->r", positive, passed[:, :-1:2] + passed[:, 1::2])
        with np.errstate(invalid="ignore", divide="ignore"):
            area: ndarray = 0.5 * pairs / (positive.sum(axis=1) * passed[:, -1])
        return area

    return measure


def average_precision(label: ndarray, score: ndarray) -> Measure:
    """Average precision, as scikit-learn defines it, with case weights; NaN where a resample has no
    positive.
    """
    order = np.argsort(-score, kind="stable")
    last = np.append(
        np.flatnonzero(np.diff(score[order])), len(score) - 1
    )  # of each group of equal scores
    positive = (label[order] > 0).astype(float)

    def measure(weights: Weights) -> ndarray:
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


def calibration_bins(probability: ndarray) -> ndarray:
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


def calibration_error(label: ndarray, probability: ndarray) -> Measure:
    """Expected calibration error over bins of equal mass, which are those of all cases in every
    resample.

    Reference:
        Nixon 2019, Measuring calibration in deep learning (adaptive bins).
    """
    place = calibration_bins(probability)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    residual = (label - probability)[order]

    def measure(weights: Weights) -> ndarray:
        gap = np.abs(np.add.reduceat(np.take(weights, order, axis=1) * residual, starts, axis=1))
        error: ndarray = gap.sum(axis=1) / weights.sum(axis=1)
        return error

    return measure


def concordance(time: ndarray, event: ndarray, risk: ndarray) -> Measure:
    """Harrell's C with case weights: of pairs whose earlier time is an event, the share in which
    the earlier one has the higher risk.

    Reference:
        Harrell 1996, Multivariable prognostic models.
    """
    return _share([_ordered_pairs(time, event, risk)])


def concordance_within(time: ndarray, event: ndarray, risk: ndarray, stratum: ndarray) -> Measure:
    """Harrell's C over pairs from one stratum alone: what a model knows beyond the site or the
    group that a case comes from.
    """
    _, place = np.unique(np.asarray(stratum).astype(str), return_inverse=True)

    def of_stratum(rows: ndarray) -> Pairs:
        count = _ordered_pairs(time[rows], event[rows], risk[rows])
        return lambda weights: count(np.take(weights, rows, axis=1))

    return _share(
        [
            of_stratum(np.flatnonzero(place == number))
            for number in range(int(place.max(initial=-1)) + 1)
        ]
    )


def _share(counts: Sequence[Pairs]) -> Measure:
    """Pairs in the right order over all pairs that can be compared."""

    def measure(weights: Weights) -> ndarray:
        right, pairs = np.sum([count(weights) for count in counts], axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            share: ndarray = right / pairs
        return share

    return measure


def _ordered_pairs(time: ndarray, event: ndarray, risk: ndarray) -> Pairs:
    """Weights -> of each resample the pairs in the right order, ties half, and all that can be
    compared.
    """
    order = np.lexsort(
        (event != 1, time)
    )  # of one time, events stand before the censored, who outlived them
    group = np.cumsum(
        np.diff(time[order], prepend=-np.inf).astype(bool)
        | np.diff(event[order] == 1, prepend=False)
    )
    events = np.flatnonzero(event[order] == 1)
    outlived = np.searchsorted(
        group, group[events], side="right"
    )  # the cases to compare with stand from there on
    _, rank = np.unique(risk[order], return_inverse=True)
    levels = list(_suffix_blocks(rank, rank[events], outlived))

    def count(weights: Weights) -> tuple[ndarray, ndarray]:
        sorted_weights = np.take(weights, order, axis=1)
        passed, counted = _passed(sorted_weights), np.take(sorted_weights, events, axis=1)
        pairs = np.einsum("re,re->r", counted, passed[:, -1:] - np.take(passed, outlived, axis=1))
        right = np.zeros(len(weights))
        for places, queries, start, below, until in levels:
            inside = _passed(np.take(sorted_weights, places, axis=1))
            lower = 0.5 * (
                np.take(inside, below, axis=1) + np.take(inside, until, axis=1)
            ) - np.take(inside, start, axis=1)
            right += np.einsum("rq,rq->r", np.take(counted, queries, axis=1), lower)
        return right, pairs

    return count


def _suffix_blocks(
    rank: ndarray, asked: ndarray, first: ndarray
) -> Iterator[tuple[ndarray, ndarray, ndarray, ndarray, ndarray]]:
    """Cut each suffix [first, n) into aligned blocks of 1, 2, 4, ... places, each sorted by rank
    once: n log n instead of every pair.

    Returns:
        For each size of block: the places in sorted order; which queries use a block; where it
            starts; where the lower ranks and the equal ones end.
    """
    first, place, number = first.copy(), np.arange(len(rank)), int(rank.max(initial=0)) + 1
    for level in range(len(rank).bit_length()):
        queries = np.flatnonzero((first >> level & 1).astype(bool) & (first < len(rank)))
        block = first[queries] >> level
        key = (place >> level) * number + rank
        places = np.argsort(key, kind="stable")
        below, until = (
            np.searchsorted(key[places], block * number + asked[queries], side=side)
            for side in ("left", "right")
        )
        if len(queries):
            yield places, queries, block << level, below, until
        first[queries] += 1 << level


def _passed(weights: Float[ndarray, "resample column"]) -> Float[ndarray, "resample sum"]:
    """Running sums along the columns, from 0 on."""
    sums = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums


def roc_points(
    label: ndarray, score: ndarray
) -> tuple[Float[ndarray, "point"], Float[ndarray, "point"]]:
    """1 - specificity and sensitivity at every threshold, from (0, 0) to (1, 1)."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    true, false = np.cumsum(label[order] > 0)[last], np.cumsum(label[order] <= 0)[last]
    return np.append(0.0, false / max(int(false[-1]), 1)), np.append(
        0.0, true / max(int(true[-1]), 1)
    )


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    Reference:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    z = 1.959964
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))
