"""Task heads: what the fused vector is asked, the loss it is trained on, and the probability that
is reported.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional

from mmdiag.errors import UnknownNameError
from mmdiag.model.losses import PLAIN, Objective
from mmdiag.task import Task


class Head(nn.Module, ABC):
    """A linear map to the task's logits, with the task's loss and probability.

    Args:
        width: Width of the fused vector.
        outputs: Number of logits.
    """

    def __init__(self, width: int, outputs: int = 1) -> None:
        super().__init__()
        self.outputs = outputs
        self.map = nn.Linear(width, outputs)
        self.objective: Objective = PLAIN  # training sets another; it is no part of the weights

    def forward(self, values: Float[Tensor, "batch width"]) -> Float[Tensor, "batch logit"]:
        """Logits."""
        logits: Tensor = self.map(values)
        return logits

    def loss(
        self, logits: Float[Tensor, "batch logit"], target: Float[Tensor, "batch target"]
    ) -> Float[Tensor, ""]:
        """Mean loss of a batch by the head's objective; what is unknown (NaN) does not count, and
        where nothing is known it is 0.
        """
        return self.objective.mean(
            *self.losses(logits if logits.dtype == torch.float64 else logits.float(), target)
        )

    @abstractmethod
    def losses(
        self, logits: Float[Tensor, "batch logit"], target: Float[Tensor, "batch target"]
    ) -> tuple[Float[Tensor, "*label"], Float[Tensor, "*label"]]:
        """Loss and weight of every label, of one shape; the weight of an unknown one is 0."""

    @abstractmethod
    def probability(
        self, logits: Float[Tensor, "batch logit"]
    ) -> Float[Tensor, "batch probability"]:
        """What is reported: binary (B, 1) of the positive class, multiclass (B, C), multilabel (B,
        L), survival (B, 1) the risk in 0..1.
        """

    def log_odds(
        self, logits: Float[Tensor, "batch logit"], chosen: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch"]:
        """The scalar that explanations decompose: the log-odds of the reported probability (of
        number `chosen`, where there are several).
        """
        p = self.probability(logits).gather(1, chosen[:, None]).squeeze(1).clamp(1e-6, 1 - 1e-6)
        return torch.log(p) - torch.log1p(-p)

    @abstractmethod
    def init_bias_from_prior(self, target: Float[Tensor, "case target"]) -> None:
        """Begin at what the training cases say on their own, so that an answer is what it adds to
        that: `late` sums answers.

        Args:
            target: Of the training cases; what is unknown is NaN.
        """


class BinaryHead(Head):
    """One logit, cross-entropy."""

    def losses(
        self, logits: Float[Tensor, "batch logit"], target: Float[Tensor, "batch target"]
    ) -> tuple[Float[Tensor, "*label"], Float[Tensor, "*label"]]:
        """Binary cross-entropy."""
        return self.objective.binary(logits, target)

    def probability(
        self, logits: Float[Tensor, "batch logit"]
    ) -> Float[Tensor, "batch probability"]:
        """Probability of the positive class."""
        return logits.sigmoid()

    def log_odds(
        self, logits: Float[Tensor, "batch logit"], chosen: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch"]:
        """The logit itself."""
        return logits.gather(1, chosen[:, None]).squeeze(1)

    @torch.no_grad()
    def init_bias_from_prior(self, target: Float[Tensor, "case target"]) -> None:
        """The bias begins at the prevalence, as the objective weighs it, instead of one half."""
        weights = self.objective.binary(torch.zeros_like(target), target)[1].double()
        share = (weights * torch.nan_to_num(target).double()).sum(0) / weights.sum(0).clamp(
            min=1e-12
        )
        self.map.bias.copy_(share.clamp(0.02, 0.98).logit())


class MultilabelHead(BinaryHead):
    """One logit a label; each label may be there or not whatever the others are, and may be unknown
    in a case.
    """


class MulticlassHead(Head):
    """One logit a class, cross-entropy."""

    def losses(
        self, logits: Float[Tensor, "batch logit"], target: Float[Tensor, "batch target"]
    ) -> tuple[Float[Tensor, "*label"], Float[Tensor, "*label"]]:
        """Cross-entropy."""
        return self.objective.classes(logits, target[:, 0])

    def probability(
        self, logits: Float[Tensor, "batch logit"]
    ) -> Float[Tensor, "batch probability"]:
        """Probability of each class."""
        return logits.softmax(dim=1)

    @torch.no_grad()
    def init_bias_from_prior(self, target: Float[Tensor, "case target"]) -> None:
        """The biases begin at the frequencies of the classes, as the objective weighs them."""
        weights = self.objective.classes(
            self.map.bias.new_zeros(len(target), self.outputs), target[:, 0]
        )[1].double()
        number = torch.nan_to_num(target[:, 0]).long()
        share = torch.zeros(self.outputs, dtype=torch.float64, device=target.device).index_add_(
            0, number, weights
        )
        self.map.bias.copy_((share / weights.sum().clamp(min=1e-12)).clamp(min=0.02).log())


class SurvivalHead(Head):
    """Discrete-time hazards in intervals that hold equal numbers of training events.

    The reported probability is that of the event within the task's horizon; of an interval that the
    horizon divides, the hazard counts by the part before it. Of a model of 0.1, which has no
    horizon, it is one minus the mean survival over the intervals: 0 = survives all of them, 1 =
    dies in the first.

    Args:
        counted: Of each interval the part before the horizon; None = there is no horizon.

    Reference:
        Gensheimer 2019, A scalable discrete-time survival model for neural networks.
    """

    def __init__(
        self, width: int, outputs: int = 1, counted: Float[ndarray, "interval"] | None = None
    ) -> None:
        super().__init__(width, outputs)
        self.counted: Tensor | None
        parts = None if counted is None else torch.from_numpy(counted.astype(np.float32))
        self.register_buffer("counted", parts, persistent=False)  # the task says it

    def losses(
        self, logits: Float[Tensor, "batch logit"], target: Float[Tensor, "batch target"]
    ) -> tuple[Float[Tensor, "*label"], Float[Tensor, "*label"]]:
        """Negative log-likelihood; `target` holds the interval's number and whether the event was
        seen in it.
        """
        labelled = ~torch.isnan(target).any(1)
        target = torch.where(labelled[:, None], target, 0.0)
        interval, event = target[:, 0].long(), target[:, 1]
        survived = torch.arange(self.outputs, device=logits.device) < interval[:, None]
        at_risk = functional.logsigmoid(-logits)
        last = logits.gather(1, interval[:, None]).squeeze(1)
        likelihood = (at_risk * survived).sum(1) + torch.where(
            event > 0, functional.logsigmoid(last), functional.logsigmoid(-last)
        )
        return -likelihood, labelled.to(likelihood.dtype)

    def probability(
        self, logits: Float[Tensor, "batch logit"]
    ) -> Float[Tensor, "batch probability"]:
        """Probability of the event within the horizon; without one a risk in 0..1."""
        if self.counted is not None:
            survived = functional.logsigmoid(-logits) * self.counted
            return -torch.expm1(survived.sum(1, keepdim=True))
        return 1 - functional.logsigmoid(-logits).cumsum(1).exp().mean(1, keepdim=True)

    @torch.no_grad()
    def init_bias_from_prior(self, target: Float[Tensor, "case target"]) -> None:
        """The biases begin at the hazards of all cases together: events in an interval over those
        at risk in it (Kaplan & Meier 1958).
        """
        labelled = target[~torch.isnan(target).any(1)].double()
        interval, event = labelled[:, 0].long(), labelled[:, 1]
        events = torch.zeros(self.outputs, dtype=torch.float64, device=target.device).index_add_(
            0, interval, event
        )
        at_risk = (interval[:, None] >= torch.arange(self.outputs, device=target.device)).sum(0)
        self.map.bias.copy_((events / at_risk.clamp(min=1)).clamp(0.002, 0.98).logit())


HEADS: dict[str, type[Head]] = {
    "binary": BinaryHead,
    "multiclass": MulticlassHead,
    "multilabel": MultilabelHead,
    "survival": SurvivalHead,
}
INTERVALS = 8


def make_head(task: Task, width: int) -> Head:
    """The head of a task, as a run's `task` describes it (`kind`, and `classes`, `labels` or
    `cuts`).
    """
    kind = task.kind
    if kind not in HEADS:
        raise UnknownNameError("The kind of a task with a head", kind, HEADS)
    outputs = {
        "multiclass": len(task.classes),
        "multilabel": len(task.labels),
        "survival": len(task.cuts) + 1,
    }
    if task.survival and task.horizon:
        return SurvivalHead(width, outputs[kind], counted_intervals(task.cuts, task.horizon))
    return HEADS[kind](width, outputs.get(kind, 1))


def counted_intervals(cuts: Sequence[float], horizon: float) -> Float[ndarray, "interval"]:
    """Of each interval between the cuts the part that lies before a horizon; the last one, which
    has no end, counts as long as the one before it.
    """
    edges = np.asarray([0.0, *cuts])
    ends = np.append(edges[1:], edges[-1] + max(edges[-1] - edges[-2], 1e-9))
    lengths = np.maximum(ends - edges, 1e-9)
    parts: ndarray = np.clip((horizon - edges) / lengths, 0.0, 1.0)
    return parts


def survival_cuts(time: Float[ndarray, "case"], event: Float[ndarray, "case"]) -> list[float]:
    """Ends of the intervals but the last: quantiles of the training events' times."""
    seen = time[event > 0]
    number = max(2, min(INTERVALS, len(seen) // 4))
    return (
        sorted({float(q) for q in np.quantile(seen, np.arange(1, number) / number)})
        if len(seen)
        else [float(np.median(time))]
    )


def targets(
    task: Task,
    label: Float[ndarray, "case *label"],
    time: Float[ndarray, "case"],
    event: Float[ndarray, "case"],
) -> Float[ndarray, "case target"]:
    """What the loss is given: the label (a column each, where there are several), or interval and
    event.
    """
    if not task.survival:
        return (label if label.ndim == 2 else label[:, None]).astype(np.float32)
    interval = np.searchsorted(np.asarray(task.cuts), time, side="left")
    return np.stack([interval, event], axis=1).astype(np.float32)
