"""Task heads: what the fused vector is asked, the loss it is trained on, and the probability that is reported."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmdiag.errors import UnknownNameError


class Head(nn.Module, ABC):
    """A linear map to the task's logits, with the task's loss and probability.

    Args:
        width: Width of the fused vector.
        outputs: Number of logits.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.map = nn.Linear(width, outputs)

    def forward(self, values: Float[Tensor, "batch width"]) -> Float[Tensor, "batch logit"]:
        """Logits."""
        logits: Tensor = self.map(values)
        return logits

    @abstractmethod
    def loss(self, logits: Float[Tensor, "batch logit"], target: Float[Tensor, "batch target"]) -> Float[Tensor, ""]:
        """Mean loss of a batch."""

    @abstractmethod
    def probability(self, logits: Float[Tensor, "batch logit"]) -> Float[Tensor, "batch probability"]:
        """What is reported: binary (B, 1) of the positive class, multiclass (B, C), survival (B, 1) the risk in 0..1."""

    def log_odds(self, logits: Float[Tensor, "batch logit"], chosen: Tensor) -> Float[Tensor, "batch"]:
        """The scalar that explanations decompose: the log-odds of the reported probability (of class `chosen`, where there are several)."""
        p = self.probability(logits).gather(1, chosen[:, None]).squeeze(1).clamp(1e-6, 1 - 1e-6)
        return torch.log(p) - torch.log1p(-p)


class BinaryHead(Head):
    """One logit, cross-entropy."""

    def __init__(self, width: int) -> None:
        super().__init__(width, 1)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy."""
        return functional.binary_cross_entropy_with_logits(logits, target)

    def probability(self, logits: Tensor) -> Tensor:
        """Probability of the positive class."""
        return logits.sigmoid()

    def log_odds(self, logits: Tensor, chosen: Tensor) -> Tensor:
        """The logit itself."""
        del chosen
        return logits[:, 0]


class MulticlassHead(Head):
    """One logit a class, cross-entropy."""

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Cross-entropy."""
        return functional.cross_entropy(logits, target[:, 0].long())

    def probability(self, logits: Tensor) -> Tensor:
        """Probability of each class."""
        return logits.softmax(dim=1)


class SurvivalHead(Head):
    """Discrete-time hazards in intervals that hold equal numbers of training events.

    The reported risk is one minus the mean survival over the intervals, so that 0 = survives all of them, 1 = dies in the first.

    Reference:
        Gensheimer 2019, A scalable discrete-time survival model for neural networks.
    """

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Negative log-likelihood; `target` holds the interval's number and whether the event was seen in it."""
        interval, event = target[:, 0].long(), target[:, 1]
        survived = torch.arange(self.outputs, device=logits.device) < interval[:, None]
        at_risk = functional.logsigmoid(-logits)
        last = logits.gather(1, interval[:, None]).squeeze(1)
        likelihood = (at_risk * survived).sum(1) + torch.where(event > 0, functional.logsigmoid(last), functional.logsigmoid(-last))
        return -likelihood.mean()

    def probability(self, logits: Tensor) -> Tensor:
        """Risk in 0..1."""
        return 1 - functional.logsigmoid(-logits).cumsum(1).exp().mean(1, keepdim=True)


INTERVALS = 8


def make_head(task: Mapping[str, Any], width: int) -> Head:
    """The head of a task, as a run's `task` describes it (`kind`, `classes`, `cuts`)."""
    if task["kind"] == "binary":
        return BinaryHead(width)
    if task["kind"] == "multiclass":
        return MulticlassHead(width, len(task["classes"]))
    if task["kind"] == "survival":
        return SurvivalHead(width, len(task["cuts"]) + 1)
    raise UnknownNameError("The kind of a task with a head", task["kind"], ("binary", "multiclass", "survival"))


def survival_cuts(time: np.ndarray, event: np.ndarray) -> list[float]:
    """Ends of the intervals but the last: quantiles of the training events' times."""
    seen = time[event > 0]
    number = max(2, min(INTERVALS, len(seen) // 4))
    return sorted({float(q) for q in np.quantile(seen, np.arange(1, number) / number)}) if len(seen) else [float(np.median(time))]


def targets(task: Mapping[str, Any], label: np.ndarray, time: np.ndarray, event: np.ndarray) -> Float[np.ndarray, "case target"]:
    """What the loss is given: the label, or interval and event."""
    if task["kind"] != "survival":
        return label[:, None].astype(np.float32)
    interval = np.searchsorted(np.asarray(task["cuts"]), time, side="left")
    return np.stack([interval, event], axis=1).astype(np.float32)


def class_columns(classes: Sequence[str]) -> list[str]:
    """Columns of predictions.parquet for several classes."""
    return [f"probability_{name}" for name in classes]
