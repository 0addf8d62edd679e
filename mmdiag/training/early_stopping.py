"""`EarlyStopping`: the best weights so far, the curve that led there, and when to stop."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd
from torch import Tensor, nn

LOSS = "loss"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One row of a training curve.

    Args:
        valid_metric: The metric that is shown beside the loss; NaN where the validation cases do
            not allow it.
        learning_rate: Of the epoch's steps.
        gradient_norm: For each modality the length of its encoder's gradient in the epoch's first
            step.
        probe: For each modality what a linear probe reads from its summary token, and how alike the
            tokens are; empty in most epochs.
    """

    epoch: int
    train_loss: float
    valid_loss: float
    valid_metric: float
    learning_rate: float = math.nan
    gradient_norm: Mapping[str, float] = field(default_factory=dict)
    probe: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def curve_table(curve: Sequence[Epoch]) -> pd.DataFrame:
    """A curve as a table, one row an epoch; what it says of each modality is JSON."""
    columns = list(Epoch.__dataclass_fields__)
    table = pd.DataFrame([asdict(row) for row in curve], columns=columns)
    return table.assign(
        **{
            name: [json.dumps(value) for value in table[name]]
            for name in ("gradient_norm", "probe")
        }
    )


class EarlyStopping:
    """The best weights so far and the training curve, kept in the checkpoint.

    Args:
        model: Its weights are the best until an epoch is better.
        watched: `loss`, or the name of the metric that is to be as high as can be.
        patience: Epochs without a better value before training stops.
    """

    def __init__(self, model: nn.Module, watched: str, patience: int) -> None:
        self.watched, self.patience = watched, patience
        self.weights = _copy(model)
        self.value, self.epoch = -math.inf, 0
        self.curve: list[Epoch] = []
        self._rows: list[dict[str, Any]] = []  # of the curve, for the checkpoint of each epoch

    def update(self, model: nn.Module, row: Epoch) -> None:
        """Take an epoch, and keep its weights if it is better than all before it."""
        if self.watched != LOSS and not self.curve and math.isnan(row.valid_metric):
            self.watched = (
                LOSS  # the validation cases do not allow the metric, in this epoch or any other
            )
        self.curve.append(row)
        self._rows.append(asdict(row))
        value = -row.valid_loss if self.watched == LOSS else row.valid_metric
        if value > self.value:
            self.value, self.epoch, self.weights = value, row.epoch, _copy(model)

    @property
    def should_stop(self) -> bool:
        """Whether the last `patience` epochs brought nothing better."""
        return bool(self.curve) and self.curve[-1].epoch - self.epoch >= self.patience

    def facts(self) -> dict[str, Any]:
        """For the checkpoint, beside the weights."""
        return {
            "watched": self.watched,
            "value": self.value,
            "epoch": self.epoch,
            "curve": list(self._rows),
        }

    def restore(self, facts: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """From the checkpoint."""
        self.watched, self.value, self.epoch = facts["watched"], facts["value"], facts["epoch"]
        self._rows = list(facts["curve"])
        self.curve = [Epoch(**row) for row in self._rows]
        self.weights = dict(weights)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
