"""Training by MONAI's engines: weight decay, warm-up and cosine, early stopping, checkpoints that a killed process goes on from."""

import copy
import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmdiag.config import RunConfig
from mmdiag.model import DiagnosisModel, Output, loss_of
from mmdiag.prepare import Preparation
from mmdiag.samples import Batch, Batches
from mmdiag.threads import one_thread

CHECKPOINT_EVERY = 5  # epochs
KEPT = ("identity", "null", "offset")  # vectors that weight decay leaves alone
Progress = Callable[[int, int, str], None]  # done, total, what


@dataclass(frozen=True, slots=True)
class Epoch:
    """One row of a training curve."""

    epoch: int
    train_loss: float
    valid_loss: float
    valid_metric: float


@dataclass(frozen=True, slots=True)
class Trained:
    """A network with its best weights, in eval mode, and how it got there."""

    model: DiagnosisModel
    curve: tuple[Epoch, ...]


def train(
    train_rows: Batches,
    valid_rows: Batches,
    preparations: Mapping[str, Preparation],
    task: Mapping[str, Any],
    config: RunConfig,
    *,
    score: Callable[[np.ndarray, np.ndarray], float],
    folder: Path,
    progress: Progress | None = None,
) -> Trained:
    """Train until the validation loss has not improved for `patience` epochs; keep the weights of the best epoch.

    Args:
        train_rows, valid_rows: Labelled cases; the targets as `heads.targets` gives them.
        score: (target, probability) -> the metric shown beside the loss.
        folder: Where checkpoints lie; a training that was killed goes on from the last one.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    small = not any(preparation.raw_image for preparation in preparations.values())
    with torch.random.fork_rng(), one_thread(when=small and device.type == "cpu"):
        torch.manual_seed(config.seed)
        model = DiagnosisModel(config, preparations, task).to(device)
        _start_at_prevalence(model, train_rows, task)
        best = Best(model)
        _run_engines(model, best, train_rows, valid_rows, config, device, score, folder, progress)
    model.load_state_dict(best.weights)
    for leftover in folder.glob("checkpoint*.pt"):
        leftover.unlink()
    return Trained(model.cpu().eval(), tuple(best.curve))


class Best:
    """The best weights so far and the training curve, kept in the checkpoint."""

    def __init__(self, model: nn.Module) -> None:
        self.weights: dict[str, Tensor] = copy.deepcopy(model.state_dict())
        self.loss = float("inf")
        self.curve: list[Epoch] = []

    def offer(self, model: nn.Module, row: Epoch) -> None:
        """Keep the weights if their validation loss is the lowest."""
        self.curve.append(row)
        if row.valid_loss < self.loss:
            self.loss, self.weights = row.valid_loss, copy.deepcopy(model.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {
            "weights": self.weights,
            "loss": self.loss,
            "curve": [(r.epoch, r.train_loss, r.valid_loss, r.valid_metric) for r in self.curve],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """From the checkpoint."""
        self.weights, self.loss, self.curve = state["weights"], state["loss"], [Epoch(*row) for row in state["curve"]]


def _run_engines(
    model: DiagnosisModel,
    best: Best,
    train_rows: Batches,
    valid_rows: Batches,
    config: RunConfig,
    device: torch.device,
    score: Callable[[np.ndarray, np.ndarray], float],
    folder: Path,
    progress: Progress | None,
) -> None:
    settings = config.training
    optimizer = torch.optim.AdamW(_groups(model, settings.weight_decay), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: _rate(epoch, settings.warmup_epochs, settings.max_epochs))
    trainer, evaluator = _engines(model, optimizer, train_rows, valid_rows, config, device)
    losses = _in_epochs(trainer, train_rows, config.seed)

    def judged(loss: float, metric: float) -> None:
        epoch, train_loss = trainer.state.epoch, float(np.mean(losses))
        best.offer(model, Epoch(epoch, train_loss, loss, metric))
        if progress:
            progress(epoch, settings.max_epochs, f"loss {train_loss:.3f}, validation {loss:.3f}, metric {metric:.3f}")

    stopper = _validated(trainer, evaluator, Validation(model), score, judged, settings.patience)
    _stepped(trainer, schedule)
    state = {"model": model, "optimizer": optimizer, "schedule": schedule, "best": best, "stopper": stopper, "trainer": trainer}
    _checkpointed(trainer, state, folder)
    trainer.run()


def _engines(
    model: DiagnosisModel,
    optimizer: torch.optim.Optimizer,
    train_rows: Batches,
    valid_rows: Batches,
    config: RunConfig,
    device: torch.device,
) -> tuple[Any, Any]:
    """MONAI's trainer and evaluator on whole batches."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # MONAI's first import with torch 2.13: torch.jit
        from monai.engines import SupervisedEvaluator, SupervisedTrainer

    def loss_function(output: Output, target: Tensor) -> Tensor:
        return loss_of(model.head, output, target, config.training.auxiliary_weight)

    shared: dict[str, Any] = {"device": device, "network": model, "prepare_batch": prepare_batch, "decollate": False}
    shared["amp"] = config.training.amp and device.type == "cuda"
    trainer = SupervisedTrainer(
        max_epochs=config.training.max_epochs, train_data_loader=train_rows, optimizer=optimizer, loss_function=loss_function, optim_set_to_none=True, **shared
    )  # fmt: skip
    evaluator = SupervisedEvaluator(val_data_loader=valid_rows, **shared)
    for logger in (trainer.logger, evaluator.logger, logging.getLogger("ignite")):
        logger.setLevel(logging.WARNING)
    return trainer, evaluator


def _in_epochs(trainer: Any, rows: Batches, seed: int) -> list[float]:
    """Give every epoch its own order and randomness, wherever a resumed training began; the losses of the running epoch are in the list."""
    from ignite.engine import Events

    losses: list[float] = []

    def begin(engine: Any) -> None:
        rows.set_epoch(engine.state.epoch)
        torch.manual_seed(seed * 100_003 + engine.state.epoch)
        losses.clear()

    trainer.add_event_handler(Events.EPOCH_STARTED, begin)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: losses.append(float(engine.state.output["loss"].detach())))
    return losses


def _validated(
    trainer: Any,
    evaluator: Any,
    seen: "Validation",
    score: Callable[[np.ndarray, np.ndarray], float],
    judged: Callable[[float, float], None],
    patience: int,
) -> Any:
    """Validate after every epoch and stop when it no longer helps; gives the handler that counts."""
    from ignite.engine import Events
    from ignite.handlers import EarlyStopping
    from monai.handlers import ValidationHandler

    def summarise(engine: Any) -> None:
        loss, metric = seen.summary(score)
        engine.state.metrics["valid_loss"] = loss
        judged(loss, metric)

    evaluator.add_event_handler(Events.EPOCH_STARTED, lambda _: seen.clear())
    evaluator.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: seen.add(engine.state.output))
    evaluator.add_event_handler(Events.COMPLETED, summarise)
    stopper = EarlyStopping(patience, lambda engine: -engine.state.metrics["valid_loss"], trainer)
    stopper.logger.setLevel(logging.WARNING)
    evaluator.add_event_handler(Events.COMPLETED, stopper)
    ValidationHandler(interval=1, validator=evaluator).attach(trainer)
    return stopper


def _stepped(trainer: Any, schedule: Any) -> None:
    from ignite.engine import Events

    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda _: schedule.step())


def _checkpointed(trainer: Any, state: Mapping[str, Any], folder: Path) -> None:
    """Save the whole state every few epochs, and go on from what a killed process left."""
    from monai.handlers import CheckpointLoader, CheckpointSaver

    saver = CheckpointSaver(
        save_dir=str(folder), save_dict=dict(state), save_interval=CHECKPOINT_EVERY, n_saved=1, epoch_level=True, file_prefix="checkpoint"
    )
    handlers: list[Any] = [saver]
    left = sorted(folder.glob("checkpoint*.pt"), key=lambda path: path.stat().st_mtime)
    if left:
        handlers.append(CheckpointLoader(load_path=str(left[-1]), load_dict=dict(state), map_location="cpu", strict=True))
    for handler in handlers:
        handler.logger.setLevel(logging.WARNING)
        handler.attach(trainer)


class Validation:
    """Loss and metric over a whole validation pass."""

    def __init__(self, model: DiagnosisModel) -> None:
        self.model = model
        self.logits: list[Tensor] = []
        self.target: list[Tensor] = []

    def clear(self) -> None:
        """Begin a pass."""
        self.logits, self.target = [], []

    def add(self, output: Mapping[str, Any]) -> None:
        """Take a batch's output."""
        self.logits.append(output["pred"].logits.detach().float())
        self.target.append(output["label"])

    def summary(self, score: Callable[[np.ndarray, np.ndarray], float]) -> tuple[float, float]:
        """Loss over all cases, and the metric."""
        logits, target = torch.cat(self.logits), torch.cat(self.target)
        probability = self.model.head.probability(logits)
        return float(self.model.head.loss(logits, target)), score(target.cpu().numpy(), probability.cpu().numpy())


def prepare_batch(batch: Batch, device: Any = None, non_blocking: bool = False, **_: Any) -> tuple[Batch, Tensor]:
    """A batch for MONAI's engines: inputs and targets on the device."""
    moved = batch.to(torch.device(device) if device is not None else torch.device("cpu"), non_blocking=non_blocking)
    return moved, moved.target


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay on matrices alone: biases, norms, identities and null vectors are not pulled to zero."""
    named = [(name.split(".")[-1], p) for name, p in model.named_parameters() if p.requires_grad]
    decayed = [p for name, p in named if p.ndim > 1 and name not in KEPT]
    rest = [p for name, p in named if p.ndim <= 1 or name in KEPT]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def _rate(epoch: int, warmup: int, most: int) -> float:
    """Linear warm-up, then a cosine down to a twentieth."""
    if epoch < warmup:
        return (epoch + 1) / (warmup + 1)
    return 0.05 + 0.95 * 0.5 * (1 + float(np.cos(np.pi * (epoch - warmup) / max(most - warmup, 1))))


def _start_at_prevalence(model: DiagnosisModel, rows: Batches, task: Mapping[str, Any]) -> None:
    """The heads of a binary task begin at the training prevalence instead of one half."""
    if task["kind"] != "binary":
        return
    share = float(rows.take(np.arange(rows.rows)).target.mean().clamp(0.02, 0.98))
    for head in [model.head, *model.own_heads.values()]:
        nn.init.constant_(head.map.bias, float(np.log(share / (1 - share))))  # type: ignore[union-attr, arg-type]
