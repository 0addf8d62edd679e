"""MONAI's trainer and evaluator on whole batches: what one batch does to the network, and what is
seen of it on the validation cases.
"""

import logging
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from mmdiag.config import TrainingConfig
from mmdiag.model.network import DiagnosisModel, loss_of
from mmdiag.samples import Batch, Batches
from mmdiag.training.collapse import gradient_norms
from mmdiag.training.validation import Validation


class Steps:
    """One call a batch: forward, backward, and at the end of a group of batches a step of the
    optimiser.

    Args:
        network: The model, or what joins it with other processes.
        rows: The training cases, for the sizes of their batches.
    """

    def __init__(
        self,
        model: DiagnosisModel,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        rows: Batches,
        settings: TrainingConfig,
        device: torch.device,
    ) -> None:
        self.model, self.network, self.optimizer, self.rows, self.settings, self.device = (
            model,
            network,
            optimizer,
            rows,
            settings,
            device,
        )
        self.precision = precision_of(settings, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision is torch.float16)
        self.begin()

    def begin(self) -> None:
        """Begin an epoch."""
        self.network.train()
        self.losses: list[Tensor] = []
        self.norms: dict[str, Tensor] = {}

    def __call__(self, engine: Any, batch: Batch) -> Tensor:
        """Learn from a batch; returns its loss."""
        number = (engine.state.iteration - 1) % len(self.rows)
        first = number - number % self.settings.accumulate
        group = range(first, min(first + self.settings.accumulate, len(self.rows)))
        if number == group[0]:
            self.optimizer.zero_grad(set_to_none=True)
        moved = batch.to(self.device, non_blocking=True)
        with mixed(self.precision, self.device):
            output = self.network(moved)
        loss = loss_of(self.model.head, output, moved.target, self.settings.auxiliary_weight)
        part = (
            loss
            if len(group) == 1
            else loss * (self.rows.size(number) / sum(map(self.rows.size, group)))
        )
        scaled: Tensor = self.scaler.scale(part)
        torch.autograd.backward(scaled)
        if number == group[-1]:
            self._step()
        self.losses.append(loss.detach())
        return self.losses[-1]

    def _step(self) -> None:
        if not self.norms or self.settings.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
        if not self.norms:
            self.norms = gradient_norms(self.model)
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()


def make_engines(steps: Steps, valid_rows: Batches, seen: Validation) -> tuple[Any, Any]:
    """MONAI's trainer, which calls `steps` with each batch, and its evaluator, which shows the
    validation cases to `seen`.
    """
    with warnings.catch_warnings():
        # MONAI's first import with torch 2.13: torch.jit
        warnings.simplefilter("ignore", DeprecationWarning)
        from monai.engines import SupervisedEvaluator, SupervisedTrainer

    def look(_: Any, batch: Batch) -> None:
        moved = batch.to(steps.device, non_blocking=True)
        with torch.no_grad(), mixed(steps.precision, steps.device):
            tokens = steps.model.encode(moved, moved.present)
            seen.add(tokens, steps.model.diagnose(tokens), moved.target)

    shared: dict[str, Any] = {"device": steps.device, "network": steps.network, "decollate": False}
    trainer = SupervisedTrainer(
        max_epochs=steps.settings.max_epochs,
        train_data_loader=steps.rows,
        optimizer=steps.optimizer,
        loss_function=loss_of,
        iteration_update=steps,
        **shared,
    )
    evaluator = SupervisedEvaluator(val_data_loader=valid_rows, iteration_update=look, **shared)
    for logger in (trainer.logger, evaluator.logger, logging.getLogger("ignite")):
        logger.setLevel(logging.WARNING)
    return trainer, evaluator


def precision_of(settings: TrainingConfig, device: torch.device) -> torch.dtype | None:
    """What the network computes in: bfloat16 first, where the device has it and the configuration
    allows it; None = float32.
    """
    if settings.amp == "bf16":
        return torch.bfloat16
    if not settings.amp or device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def mixed(precision: torch.dtype | None, device: torch.device) -> AbstractContextManager[Any]:
    """Autocast to a precision; on a CPU, too, which MONAI's own `amp` leaves at float32."""
    return nullcontext() if precision is None else torch.autocast(device.type, dtype=precision)
