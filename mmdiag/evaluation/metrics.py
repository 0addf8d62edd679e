"""Metrics, each with a bootstrap interval and its n; and paired differences on the same resamples.

A metric sorts its scores once and answers with a function of case weights: a resample is a row of
weights and costs one pass (cumulative sums).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Real, Shaped
from numpy import ndarray

from mmdiag.errors import UnknownNameError
from mmdiag.evaluation.bootstrap import Measure, interval, resampled
from mmdiag.evaluation.calibration_error import calibration_error, less_its_bias
from mmdiag.evaluation.concordance import concordance, concordance_within
from mmdiag.evaluation.horizon import brier_by
from mmdiag.evaluation.ranking import auroc, average_precision

TINY = 1e-15  # the least probability of the true class in a log loss
COMPARED_ONLY = ("log_loss",)  # known to `paired_difference`, not among the rows that a run reports


@dataclass(frozen=True, slots=True)
class Counted:
    """A metric, the number of cases that it is about, and of those that are positive or events."""

    measure: Measure
    n: int
    n_positive: int


def evaluate(
    label: Real[ndarray, "case *label"],
    probability: Real[ndarray, "case *class"],
    *,
    kind: str = "binary",
    subject: Shaped[ndarray, "case"] | None = None,
    time: Real[ndarray, "case"] | None = None,
    event: Real[ndarray, "case"] | None = None,
    labels: Sequence[str] = (),
    stratum: Shaped[ndarray, "case"] | None = None,
    fold: Shaped[ndarray, "case"] | None = None,
    horizon: float = 0.0,
    seed: int = 0,
    resamples: int = 1000,
) -> list[dict[str, Any]]:
    """Measure one model.

    Args:
        label: Binary 0/1, multiclass class numbers, multilabel (case, label) 0/1 or NaN = unknown;
            not read for survival.
        probability: Binary of the positive class, multiclass (case, class), multilabel (case,
            label), survival a risk: higher = earlier.
        subject: Whose case each row is.
        labels: Names of a multilabel task's labels: each has an `auroc_<name>` with its own n.
        stratum: Site or group of each case; survival then has `c_index_within`, of pairs from one
            stratum.
        fold: By which fold's model each case is evaluated: the AUROC and the C-index compare pairs
            from one fold alone, because the answers of different models need not lie on one scale,
            and a model that knows nothing would seem to know less than nothing: the more positives
            a fold leaves to the others, the higher all of its answers.
        horizon: Of survival: the time within which `probability` is that of the event; there is a
            Brier score then.

    Returns:
        `metric, value, low, high, n, n_positive`, one a metric that exists for these labels. The
        interval is the 95 % percentile interval, widened to hold the value itself where the
        bootstrap's bias would leave it outside; that of `ece`, which noise makes larger, is of the
        error less its bias.

    Reference:
        Parker 2007, Stratification bias in low signal microarray studies (AUROC over pooled folds).
    """
    counted = _counted(label, probability, kind, time, event, labels, stratum, fold)
    n = len(probability)
    if horizon and n and time is not None and event is not None:
        of_event = brier_by(horizon, time, event, probability)
        counted["brier"] = Counted(of_event, n, _positive(kind, label, event))
    values = {name: _value(metric.measure, n) for name, metric in counted.items()} if n else {}
    exist = {name: counted[name].measure for name, value in values.items() if np.isfinite(value)}
    drawn = resampled(exist, subject if subject is not None else np.arange(n), resamples, seed)
    found = {name: (values[name], *interval(drawn[name], values[name])) for name in exist}
    if "ece" in found and resamples > 1:
        found["ece"] = less_its_bias(*_of_shares(label, probability), drawn["ece"], seed)
    return [_row(name, *told, counted[name]) for name, told in found.items()]


def _row(name: str, value: float, low: float, high: float, counted: Counted) -> dict[str, Any]:
    numbers = {"n": counted.n, "n_positive": counted.n_positive}
    return {"metric": name, "value": value, "low": low, "high": high, **numbers}


def _value(measure: Measure, n: int) -> float:
    return float(measure(np.ones((1, n)))[0])


def _counted(
    label: Real[ndarray, "case *label"],
    probability: Real[ndarray, "case *class"],
    kind: str,
    time: Real[ndarray, "case"] | None,
    event: Real[ndarray, "case"] | None,
    labels: Sequence[str],
    stratum: Shaped[ndarray, "case"] | None,
    fold: Shaped[ndarray, "case"] | None,
) -> dict[str, Counted]:
    """Every metric that a run reports, in order."""
    measures = dict(_measures(label, probability, kind, time, event, fold))
    if stratum is not None and time is not None and event is not None and len(set(stratum)) > 1:
        both = stratum if fold is None else _crossed(fold, stratum)
        measures["c_index_within"] = concordance_within(time, event, probability, both)
    n, positive = len(probability), _positive(kind, label, event)
    found = {
        name: Counted(measure, n, positive)
        for name, measure in measures.items()
        if name not in COMPARED_ONLY
    }
    for number, name in enumerate(labels):
        of_label = label[:, number]
        labelled = of_label[~np.isnan(of_label)]
        measure = _of_known(of_label, probability[:, number], fold)
        found[f"auroc_{name}"] = Counted(measure, len(labelled), int(labelled.sum()))
    return found


def _crossed(
    fold: Shaped[ndarray, "case"], stratum: Shaped[ndarray, "case"]
) -> Shaped[ndarray, "case"]:
    pairs = zip(fold, stratum, strict=True)
    return np.asarray([f"{one}\x1f{other}" for one, other in pairs])


def _positive(
    kind: str, label: Real[ndarray, "case *label"], event: Real[ndarray, "case"] | None
) -> int:
    """How many cases are positive or have the event; 0 where that is no question."""
    counted = {"survival": event, "binary": label}.get(kind)
    return int(counted.sum()) if counted is not None else 0


def paired_difference(
    label: Real[ndarray, "case *label"],
    first: Real[ndarray, "case *class"],
    second: Real[ndarray, "case *class"],
    *,
    metric: str = "auroc",
    kind: str = "binary",
    subject: Shaped[ndarray, "case"] | None = None,
    time: Real[ndarray, "case"] | None = None,
    event: Real[ndarray, "case"] | None = None,
    fold: Shaped[ndarray, "case"] | None = None,
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
    pair = {"first": one[metric], "second": other[metric]}
    value = float(np.subtract(*(measure(np.ones((1, n))) for measure in pair.values()))[0])
    both = resampled(pair, subject if subject is not None else np.arange(n), resamples, seed)
    drawn = both["first"] - both["second"]
    low, high = interval(drawn, value)
    numbers = {"n": n, "n_positive": _positive(kind, label, event)}
    return {"value": value, "low": low, "high": high, **numbers, "p": two_sided(drawn)}


def two_sided(drawn: Float[ndarray, "resample"]) -> float:
    """The two-sided p-value of resampled differences: twice the share on the other side of 0."""
    exist = drawn[np.isfinite(drawn)]
    side = min(np.mean(exist <= 0), np.mean(exist >= 0)) if len(exist) else 0.5
    return min(1.0, max(2 * float(side), 1 / max(len(exist), 1)))


def _measures(
    label: Real[ndarray, "case *label"],
    probability: Real[ndarray, "case *class"],
    kind: str,
    time: Real[ndarray, "case"] | None,
    event: Real[ndarray, "case"] | None,
    fold: Shaped[ndarray, "case"] | None = None,
) -> Mapping[str, Measure]:
    """The metrics of a kind of task, those that are only compared among them."""
    if kind == "binary":
        return _of_binary(label, probability, fold)
    if kind == "multiclass":
        return _of_classes(label, probability, fold)
    if kind == "multilabel":
        return _of_labels(label, probability, fold)
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


def _of_binary(
    label: Real[ndarray, "case"],
    probability: Real[ndarray, "case"],
    fold: Shaped[ndarray, "case"] | None,
) -> Mapping[str, Measure]:
    of_truth = np.where(label > 0, probability, 1 - probability)
    return {
        "auroc": auroc(label, probability, fold),
        "auprc": average_precision(label, probability),
        "brier": _mean((probability - label) ** 2),
        "ece": calibration_error(label, probability),
        "log_loss": _mean(-np.log(np.clip(of_truth, TINY, 1))),
    }


def _of_classes(
    label: Real[ndarray, "case"],
    probability: Real[ndarray, "case class"],
    fold: Shaped[ndarray, "case"] | None,
) -> Mapping[str, Measure]:
    hit, surest = _of_shares(label, probability)
    one_hot = np.eye(probability.shape[1])[label.astype(int)]
    one_against_rest = [
        auroc(one_hot[:, c], probability[:, c], fold) for c in np.unique(label.astype(int))
    ]
    return {
        "auroc": lambda w: np.mean(
            [measure(w) for measure in one_against_rest] or [np.full(len(w), np.nan)], axis=0
        ),
        "accuracy": _mean(hit),
        "brier": _mean(((probability - one_hot) ** 2).sum(axis=1)),
        "ece": calibration_error(hit, surest),
    }


def _of_shares(
    label: Real[ndarray, "case"], probability: Real[ndarray, "case *class"]
) -> tuple[Real[ndarray, "case"], Real[ndarray, "case"]]:
    """What calibration is about: whether the answer came true, and how probable it was said to
    be.
    """
    if probability.ndim == 1:
        return label, probability
    return (probability.argmax(axis=1) == label).astype(float), probability.max(axis=1)


def _of_labels(
    label: Real[ndarray, "case label"],
    probability: Real[ndarray, "case label"],
    fold: Shaped[ndarray, "case"] | None,
) -> Mapping[str, Measure]:
    with_both_values = [
        number
        for number in range(label.shape[1])
        if len(np.unique(label[~np.isnan(label[:, number]), number])) == 2
    ]
    single = [
        _of_known(label[:, number], probability[:, number], fold) for number in with_both_values
    ]
    return {
        "auroc": lambda w: np.mean(
            [measure(w) for measure in single] or [np.full(len(w), np.nan)], axis=0
        )
    }


def _mean(values: Float[ndarray, "case"]) -> Measure:
    return lambda weights: weights @ values / weights.sum(axis=1)


def _of_known(
    label: Real[ndarray, "case"],
    score: Real[ndarray, "case"],
    fold: Shaped[ndarray, "case"] | None,
) -> Measure:
    """AUROC of the cases whose label is known."""
    known = np.flatnonzero(~np.isnan(label))
    measure = auroc(label[known], score[known], None if fold is None else fold[known])
    return lambda weights: measure(np.take(weights, known, axis=1))


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    Reference:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    z = 1.959964
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))
