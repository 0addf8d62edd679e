"""Champion and challenger on the same cases, which neither has learned from: paired differences of
the task's metric, the calibration and the sensitivity, of all cases and of subgroups.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Real, Shaped
from numpy import ndarray

from mmdiag.evaluation.bootstrap import Measure, interval, resampled
from mmdiag.evaluation.judged import Judged
from mmdiag.evaluation.metrics import paired_difference, two_sided
from mmdiag.lifecycle.plan import ChangePlan
from mmdiag.spelling import may_be_printed

SENSITIVITY, CALIBRATION, EVERYBODY = "sensitivity", "ece", "all"


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """What two models said of the same cases, and what came out.

    Args:
        champion: Its answers, and what came out.
        challenger: The other's answers.
        groups: Site or group column -> its value in each case, "" = unknown.
        fold: By which fold's model the challenger answered each case.
    """

    champion: Judged
    challenger: Real[ndarray, "case *class"]
    groups: Mapping[str, Shaped[ndarray, "case"]]
    fold: Shaped[ndarray, "case"] | None = None

    def part(self, which: Bool[ndarray, "case"]) -> "Pair":
        """Some of the cases."""
        fold = None if self.fold is None else self.fold[which]
        return Pair(self.champion.part(which), self.challenger[which], {}, fold)


def compare(pair: Pair, plan: ChangePlan) -> list[dict[str, Any]]:
    """Every difference that the plan asks for, in the form of docs/interface.md 8: metric, on,
    champion, challenger, difference (challenger less champion), low, high, p, n.
    """
    if not len(pair.challenger):
        return []
    metric, binary = pair.champion.task.metric, pair.champion.task.kind == "binary"
    rows = [*_metric(pair, metric, EVERYBODY, plan)]
    if binary:
        rows += _metric(pair, CALIBRATION, EVERYBODY, plan)
        rows += _sensitivity(pair, EVERYBODY, plan)
    for name, which in subgroups(pair, plan).items():
        part = pair.part(which)
        rows += _metric(part, metric, name, plan)
        if binary:
            rows += _sensitivity(part, name, plan)
    return rows


def subgroups(pair: Pair, plan: ChangePlan) -> dict[str, Bool[ndarray, "case"]]:
    """`column=value` -> its cases, of those that are large enough to be judged."""
    found: dict[str, Bool[ndarray, "case"]] = {}
    for column, values in pair.groups.items():
        names = [str(name) for name in np.unique(values) if name]
        if len(names) < 2 or not may_be_printed(names):
            continue
        for name in names:
            which = values == name
            cases, rarer = size_of(pair.champion.part(which))
            if cases >= plan.subgroup_least_cases and rarer >= plan.subgroup_least_of_a_kind:
                found[f"{column}={name}"] = which
    return found


def size_of(judged: Judged) -> tuple[int, int]:
    """How many cases, and how many of the rarer class, or events; where there are neither, all."""
    cases = len(judged.probability)
    if judged.task.kind == "binary":
        return cases, min(judged.positive, cases - judged.positive)
    return cases, judged.positive if judged.task.survival else cases


def _metric(pair: Pair, metric: str, on: str, plan: ChangePlan) -> Iterator[dict[str, Any]]:
    """The difference of a metric, where it exists for these cases."""
    judged = pair.champion
    found = paired_difference(
        judged.label,
        pair.challenger,
        judged.probability,
        metric=metric,
        kind=judged.task.kind,
        subject=judged.subject,
        time=judged.time,
        event=judged.event,
        fold=pair.fold,
        resamples=plan.resamples,
    )
    if np.isfinite(found["value"]):
        other = replace(judged, probability=pair.challenger)
        champion, challenger = (
            _value(replace(side, fold=pair.fold), metric) for side in (judged, other)
        )
        yield _row(metric, on, champion, challenger, found)


def _value(judged: Judged, metric: str) -> float:
    found = {row["metric"]: row["value"] for row in judged.measure(1)}
    return float(found[metric])


def _sensitivity(pair: Pair, on: str, plan: ChangePlan) -> Iterator[dict[str, Any]]:
    """The difference of the share of positive cases whose answer is positive."""
    judged = pair.champion
    positive = judged.label > 0
    if not positive.any():
        return
    threshold = judged.task.threshold if plan.threshold is None else plan.threshold
    measures = {
        name: _share(positive, answer >= threshold)
        for name, answer in (("champion", judged.probability), ("challenger", pair.challenger))
    }
    one = np.ones((1, len(positive)))
    champion, challenger = (float(measure(one)[0]) for measure in measures.values())
    drawn = resampled(measures, judged.subject, plan.resamples, seed=0)
    difference = drawn["challenger"] - drawn["champion"]
    value = challenger - champion
    low, high = interval(difference, value)
    found = {"value": value, "low": low, "high": high, "p": two_sided(difference)}
    yield _row(SENSITIVITY, on, champion, challenger, found | {"n": int(positive.sum())})


def _share(of: Bool[ndarray, "case"], which: Bool[ndarray, "case"]) -> Measure:
    def measure(weights: Float[ndarray, "resample case"]) -> Float[ndarray, "resample"]:
        total = weights @ of.astype(float)
        hits: ndarray = weights @ (of & which).astype(float)
        share: ndarray = np.divide(hits, total, out=np.full(len(total), np.nan), where=total > 0)
        return share

    return measure


def _row(
    metric: str, on: str, champion: float, challenger: float, found: Mapping[str, Any]
) -> dict[str, Any]:
    row = {"metric": metric, "on": on, "champion": champion, "challenger": challenger}
    row |= {"difference": found["value"], "low": found["low"], "high": found["high"]}
    return row | {"p": found["p"], "n": found["n"]}
