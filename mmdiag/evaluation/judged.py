"""`Judged`: what a model said of some cases, and what came out; measured whole and by parts."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Real, Shaped
from numpy import ndarray

from mmdiag.evaluation.metrics import evaluate
from mmdiag.task import Task

# of a part of the cases, and of its rarer class or its events: of fewer, a number would mislead
LEAST_CASES, LEAST_OF_A_KIND = 20, 5
TOO_FEW = "These are too few to rely on."


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Some cases, with the answers of one model.

    Args:
        label, probability, subject, time, event, stratum, fold: As `mmdiag.evaluation.metrics`
            takes them.
    """

    task: Task
    label: Real[ndarray, "case *label"]
    probability: Real[ndarray, "case *class"]
    subject: Shaped[ndarray, "case"]
    time: Real[ndarray, "case"]
    event: Real[ndarray, "case"]
    stratum: Shaped[ndarray, "case"] | None = None
    fold: Shaped[ndarray, "case"] | None = None

    def measure(self, resamples: int) -> list[dict[str, Any]]:
        """Every metric of the task with its interval: metric, value, low, high, n, n_positive."""
        return evaluate(
            self.label,
            self.probability,
            kind=self.task.kind,
            subject=self.subject,
            time=self.time,
            event=self.event,
            labels=self.task.labels,
            stratum=self.stratum,
            fold=self.fold,
            horizon=self.task.horizon,
            resamples=resamples,
        )

    def part(self, which: Bool[ndarray, "case"]) -> "Judged":
        """Some of the cases."""
        optional = {
            name: values[which]
            for name in ("stratum", "fold")
            if (values := getattr(self, name)) is not None
        }
        return replace(
            self,
            label=self.label[which],
            probability=self.probability[which],
            subject=self.subject[which],
            time=self.time[which],
            event=self.event[which],
            **optional,
        )

    @property
    def positive(self) -> int:
        """How many cases are positive, or have the event; 0 where that is no question."""
        counted = {"binary": self.label, "survival": self.event}.get(self.task.kind)
        return 0 if counted is None else int(counted.sum())

    @property
    def enough(self) -> bool:
        """Whether a metric of these cases says something."""
        cases = len(self.probability)
        if self.task.kind not in ("binary", "survival"):
            return cases >= LEAST_CASES
        rarer = self.positive if self.task.survival else min(self.positive, cases - self.positive)
        return cases >= LEAST_CASES and rarer >= LEAST_OF_A_KIND

    @property
    def averaged(self) -> frozenset[int]:
        """Of several classes or labels the numbers of those that a mean over them is of: classes
        that some case has, labels that some have and others have not.
        """
        if self.task.kind == "multiclass":
            return frozenset(map(int, np.unique(self.label)))
        if not self.task.multilabel:
            return frozenset()
        counts = map(self._of_a_label, range(len(self.task.labels)))
        return frozenset(number for number, (some, n) in enumerate(counts) if 0 < some < n)

    def measure_part(self, which: Bool[ndarray, "case"], resamples: int) -> list[dict[str, Any]]:
        """The same of some of the cases; `value`, `low` and `high` are None where they are too few:
        of a mean over classes or labels also where one of these is not among them, since the mean
        of the others cannot be compared with it.
        """
        part = self.part(which)
        too_few = set(part._rare)
        if part.averaged < self.averaged:
            too_few.add(self.task.metric)
        told = {row["metric"]: row for row in part.measure(resamples)} if part.enough else {}
        names = [row["metric"] for row in self.measure(1)]
        there = names if not part.enough else [name for name in names if name in {*told, *too_few}]
        return [part._unknown(n) if n in too_few or n not in told else told[n] for n in there]

    @property
    def _rare(self) -> list[str]:
        """Metrics of single labels that too few cases have, or have not."""
        counts = map(self._of_a_label, range(len(self.task.labels)))
        return [
            f"auroc_{name}"
            for name, (some, n) in zip(self.task.labels, counts, strict=True)
            if n < LEAST_CASES or min(some, n - some) < LEAST_OF_A_KIND
        ]

    def _of_a_label(self, number: int) -> tuple[int, int]:
        """How many cases have a label of several, and of how many it is known."""
        known = self.label[:, number][~np.isnan(self.label[:, number])]
        return int(known.sum()), len(known)

    def _unknown(self, metric: str) -> dict[str, Any]:
        """The row of a metric that these cases are too few for."""
        some, n = self.positive, len(self.probability)
        if metric.startswith("auroc_"):
            some, n = self._of_a_label(self.task.labels.index(metric.removeprefix("auroc_")))
        unknown = dict.fromkeys(("value", "low", "high"))
        return {"metric": metric, **unknown, "n": n, "n_positive": some}
