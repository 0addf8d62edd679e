"""`Judged`: what a model said of some cases, and what came out; measured whole and by parts."""

from dataclasses import dataclass, replace
from typing import Any

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

    def measure_part(self, which: Bool[ndarray, "case"], resamples: int) -> list[dict[str, Any]]:
        """The same of some of the cases; `value`, `low` and `high` are None where they are too
        few.
        """
        part = self.part(which)
        if part.enough:
            return part.measure(resamples)
        unknown = dict.fromkeys(("value", "low", "high"))
        counts = {"n": len(part.probability), "n_positive": part.positive}
        return [{"metric": row["metric"], **unknown, **counts} for row in self.measure(1)]
