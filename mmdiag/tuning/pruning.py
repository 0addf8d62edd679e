"""The loss that a trial is compared by, and when a trial without prospect ends."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna

from mmdiag.training.early_stopping import LOSS, Epoch

UNPRUNED = 5  # trials that nothing is compared with yet
LEAST_EPOCHS, EVERY = 10, 5  # before a trial may be pruned; and between two looks at it
STRIDE = 100_000  # from a trial's step in one inner fold to the same epoch of the next


class PruningWatch:
    """Reports a training to its trial, epoch by epoch, and ends it where the trial has no prospect.

    Args:
        before: Losses of the inner folds that are done.
    """

    def __init__(self, trial: optuna.Trial, before: Sequence[float]) -> None:
        self.trial, self.before, self.best, self.pruned = trial, tuple(before), math.inf, False

    def attach(self, trainer: Any) -> None:
        """Add it to MONAI's trainer."""
        from ignite.engine import Events

        trainer.add_event_handler(Events.EPOCH_COMPLETED, self.look)

    def look(self, trainer: Any) -> None:
        """Report the mean loss so far, this fold's best included."""
        epoch, loss = trainer.state.epoch, trainer.state.metrics["valid_loss"]
        self.best = min(self.best, loss if math.isfinite(loss) else math.inf)
        if epoch % EVERY:
            return
        self.trial.report(
            float(np.mean([*self.before, self.best])), len(self.before) * STRIDE + epoch
        )
        if self.trial.should_prune():
            self.pruned = True
            trainer.terminate()


def best_epoch_loss(curve: Sequence[Epoch], watched: str) -> float:
    """Validation loss of the epoch whose weights are kept.

    Args:
        watched: What early stopping watches.
    """
    known = [row for row in curve if math.isfinite(row.valid_loss)]
    if not known:
        return math.inf
    if watched == LOSS or math.isnan(curve[0].valid_metric):
        return min(row.valid_loss for row in known)
    return max(known, key=lambda row: row.valid_metric).valid_loss
