"""`Objective`: how much each label counts in a loss, alike for every head: class weights, focal
loss, label smoothing, and the share of one process.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mmdiag.config import TrainingConfig
from mmdiag.errors import UsageError
from mmdiag.task import Task

# the least sum of weights that a mean divides by: a batch in which nothing is known has loss 0
TINY = 1e-12
METRICS = {
    "binary": ("auroc", "auprc"),
    "multiclass": ("auroc", "accuracy"),
    "multilabel": ("auroc",),
    "survival": ("c_index",),
}


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """How a head turns the losses of single labels into one.

    Args:
        class_weights: (class,) of a label with classes, (label, 2) of several labels; None = all
            alike.
        gamma: Exponent of the focal loss.
        smoothing: Share of a label that is spread over all classes.
        share: Brings the sum of this process's weights to its share of the sum over all processes;
            None = there is one process.

    Reference:
        Lin 2017, Focal loss for dense object detection; Szegedy 2016, Rethinking the Inception
        architecture (label smoothing).
    """

    class_weights: Tensor | None = None
    gamma: float = 0.0
    smoothing: float = 0.0
    share: Callable[[Tensor], Tensor] | None = None

    def mean(
        self, losses: Float[Tensor, "*batch"], weights: Float[Tensor, "*batch"]
    ) -> Float[Tensor, ""]:
        """Weighted mean; with several processes, what this one adds to the mean over all, so that
        the average over processes is that mean.
        """
        total = weights.sum()
        return (losses * weights).sum() / (
            total if self.share is None else self.share(total)
        ).clamp(min=TINY)

    def binary(
        self, logits: Float[Tensor, "batch label"], target: Float[Tensor, "batch label"]
    ) -> tuple[Float[Tensor, "batch label"], Float[Tensor, "batch label"]]:
        """Loss and weight of every label that is 0, 1 or NaN (unknown: weight 0)."""
        labelled = ~torch.isnan(target)
        one = torch.where(labelled, target, 0.0).to(logits.dtype)
        soft = one * (1 - self.smoothing) + self.smoothing / 2 if self.smoothing else one
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, soft, reduction="none"
        )
        weights = labelled.to(losses.dtype)
        if self.gamma:
            losses = losses * torch.where(one > 0.5, -logits, logits).sigmoid() ** self.gamma
        if self.class_weights is not None:
            table = self.class_weights.to(logits)
            weights = weights * torch.where(one > 0.5, table[..., 1], table[..., 0])
        return losses, weights

    def classes(
        self, logits: Float[Tensor, "batch class"], target: Float[Tensor, "batch"]
    ) -> tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]:
        """Loss and weight of every class number; NaN = unknown: weight 0."""
        labelled = ~torch.isnan(target)
        number = torch.where(labelled, target, 0.0).long()
        losses = torch.nn.functional.cross_entropy(
            logits, number, reduction="none", label_smoothing=self.smoothing
        )
        weights = labelled.to(losses.dtype)
        if self.gamma:
            losses = (
                losses * (1 - logits.softmax(1).gather(1, number[:, None]).squeeze(1)) ** self.gamma
            )
        if self.class_weights is not None:
            weights = weights * self.class_weights.to(logits)[number]
        return losses, weights

    def alone(self) -> "Objective":
        """The same in one process."""
        return dataclasses.replace(self, share=None)


PLAIN = Objective()


def objective_of(
    task: Task, settings: TrainingConfig, target: Float[np.ndarray, "case target"]
) -> Objective:
    """The objective that a configuration asks for, its class weights counted on the training cases.

    Args:
        target: What `heads.targets` gives of the training cases; NaN = unknown.

    Raises:
        UsageError: The task has nothing to weigh, or not the metric that early stopping is to
            watch.
    """
    check_training(task, settings)
    weights = None
    if settings.class_weights == "balanced":
        counts = class_counts(task, target)
        weights = torch.from_numpy(
            counts.sum(-1, keepdims=True) / (counts.shape[-1] * np.maximum(counts, 1))
        ).float()
        weights = weights if task.multilabel else weights[0]
    return Objective(weights, settings.focal_gamma, settings.label_smoothing)


def class_counts(
    task: Task, target: Float[np.ndarray, "case target"]
) -> Float[np.ndarray, "label class"]:
    """How many cases each class has, one row a label."""
    number = len(task.classes) if task.kind == "multiclass" else 2
    return np.asarray(
        [[float(np.sum(column == value)) for value in range(number)] for column in target.T]
    )


def check_training(task: Task, settings: TrainingConfig) -> None:
    """Check that a configuration fits a task.

    Raises:
        UsageError: It asks for class weights, focal loss or smoothing where there are no classes,
            or for a metric that the task has not.
    """
    kind = task.kind
    if kind == "survival":
        asked = [
            name
            for name, plain in (
                ("class_weights", "none"),
                ("focal_gamma", 0.0),
                ("label_smoothing", 0.0),
            )
            if getattr(settings, name) != plain
        ]
        if asked:
            raise UsageError(
                f"{' and '.join(asked)} need a label with classes, a survival task has none: "
                "leave them at their defaults."
            )
    if settings.early_stopping not in ("loss", *METRICS[kind]):
        raise UsageError(
            f"early_stopping must watch what the task has, a {kind} task has no "
            f"{settings.early_stopping}: choose one of loss, {', '.join(METRICS[kind])}."
        )
