"""Training by MONAI's engines: weight decay, warm-up and cosine, early stopping, and a killed
process that ends as if it had not been.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmdiag.config import RunConfig, digest, to_json
from mmdiag.encoders.layers import freeze, pretrained_layers
from mmdiag.errors import UsageError
from mmdiag.model.ensemble import EnsembleModel
from mmdiag.model.heads import Head
from mmdiag.model.losses import objective_of
from mmdiag.model.network import DiagnosisModel
from mmdiag.prepare import Preparation
from mmdiag.progress import Progress
from mmdiag.samples import Batches
from mmdiag.task import EVEN, Task
from mmdiag.training.checkpoints import Checkpoints, moments_of, restore_optimizer
from mmdiag.training.collapse import collapsed, due
from mmdiag.training.collectives import (
    all_reduce_sum,
    mean_over_ranks,
    rank_and_world_size,
    training_device,
    wrap_ddp,
)
from mmdiag.training.early_stopping import EarlyStopping, Epoch
from mmdiag.training.engines import Steps, make_engines
from mmdiag.training.optimizer import parameter_groups, rate_of
from mmdiag.training.randomness import begin_randomness
from mmdiag.training.threads import one_thread
from mmdiag.training.validation import Score, Validation

Attach = Callable[[Any], None]  # adds handlers to MONAI's trainer


@dataclass(frozen=True, slots=True)
class Trained:
    """A network with its best weights, in eval mode, and how it got there.

    Args:
        warnings: Sentences on branches that collapsed.
        waiting: Share of the time of training that was spent waiting for cases.
    """

    model: DiagnosisModel | EnsembleModel
    curve: tuple[Epoch, ...]
    warnings: tuple[str, ...] = ()
    waiting: float = 0.0


def train(
    train_rows: Batches,
    valid_rows: Batches,
    preparations: Mapping[str, Preparation],
    task: Task,
    config: RunConfig,
    *,
    score: Score,
    folder: Path,
    start: Mapping[str, Tensor] | None = None,
    progress: Progress | None = None,
    attach: Attach | None = None,
) -> Trained:
    """Train until what is watched on the validation cases has not improved for `patience` epochs;
    keep the weights of the best epoch.

    Where several processes were started (`mmdiag.workers.launch`), each calls this with the same
    cases, works on its share of every batch, and returns the same.

    Args:
        train_rows, valid_rows: Labelled cases; the targets as `heads.targets` gives them.
        score: (target, probability) -> the metric shown beside the loss, and watched where the
            configuration says so.
        folder: Where checkpoints lie; a training that was killed goes on from the last one.
        start: Weights that the encoders begin with, where these were pretrained as a whole.
        attach: Adds handlers to the trainer; as an epoch is completed, its `state.metrics` hold
            `train_loss`, `valid_loss` and `valid_metric`.

    Raises:
        UsageError: The configuration asks for what the task has not.
    """
    device = training_device()
    small = not any(preparation.trains_on_raw_input for preparation in preparations.values())
    with torch.random.fork_rng(), one_thread(when=small and device.type == "cpu"):
        torch.manual_seed(config.seed)
        model = DiagnosisModel(config, preparations, task)
        if start is not None:
            load_encoders(model, start)
        _set_objective(model.to(device), task, config, train_rows)
        owner = _owner(config, task, model, start is not None)
        writes = not rank_and_world_size()[0]
        with _shared(train_rows, valid_rows), Checkpoints(folder, owner, writes=writes) as kept:
            seen = Validation(model, task.kind, score)
            training = _Training(model, train_rows, valid_rows, config, seen, kept, start, progress)
            training.run(attach)
        _finalize(model, training.best, valid_rows)
    kept.clear()
    return training.result()


class _Training:
    """The epochs of one training, from the first or from where a killed process stopped."""

    def __init__(
        self,
        model: DiagnosisModel,
        train_rows: Batches,
        valid_rows: Batches,
        config: RunConfig,
        seen: Validation,
        kept: Checkpoints,
        start: Mapping[str, Tensor] | None,
        progress: Progress | None,
    ) -> None:
        settings, whole = config.training, start is not None
        self.model, self.rows, self.config, self.seen = model, train_rows, config, seen
        self.kept, self.progress = kept, progress
        self.best = EarlyStopping(model, settings.early_stopping, settings.patience)
        self.pretrained = [
            pretrained_layers(encoder, whole=whole) for encoder in model.encoders.values()
        ]
        self.optimizer = torch.optim.AdamW(
            parameter_groups(model, self.pretrained, settings), lr=settings.learning_rate
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            lambda epoch: rate_of(epoch, settings.warmup_epochs, settings.max_epochs),
        )
        self.steps = Steps(
            model, wrap_ddp(model), self.optimizer, train_rows, settings, training_device()
        )
        self.trainer, self.evaluator = make_engines(self.steps, valid_rows, seen)
        self.seconds, self.began = 0.0, 0.0

    def run(self, attach: Attach | None) -> None:
        """Train the epochs that are left."""
        from ignite.engine import Events

        epoch = self._resume()
        if epoch >= self.config.training.max_epochs or self.best.should_stop:
            return  # it was killed after its last epoch
        self.trainer.add_event_handler(Events.EPOCH_STARTED, self._begin)
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, self._end)
        if attach is not None:
            attach(self.trainer)
        self.rows.waited = 0.0
        self.trainer.run()
        self._freeze(False)

    def result(self) -> Trained:
        """The model as it is now, and how it got there."""
        curve = tuple(self.best.curve)
        waiting = self.rows.waited / self.seconds if self.seconds else 0.0
        return Trained(self.model.cpu(), curve, tuple(collapsed(curve)), waiting)

    def _begin(self, engine: Any) -> None:
        """Order and randomness of an epoch come from its number alone, wherever a resumed training
        began.
        """
        epoch, (rank, ranks) = engine.state.epoch, rank_and_world_size()
        self._freeze(epoch <= self.config.training.probe_epochs)
        self.rows.set_epoch(epoch)
        begin_randomness((self.config.seed * 100_003 + epoch) * ranks + rank)
        self.steps.begin()
        self.began = time.perf_counter()

    def _freeze(self, frozen: bool) -> None:
        for layers in self.pretrained:
            freeze(layers, frozen)

    def _end(self, engine: Any) -> None:
        """Validate, keep what is best and all that the next epoch needs, and report how it went."""
        epoch = engine.state.epoch
        self.seconds += time.perf_counter() - self.began
        row = self._validated(epoch)
        engine.state.metrics |= {
            "train_loss": row.train_loss,
            "valid_loss": row.valid_loss,
            "valid_metric": row.valid_metric,
        }
        self.best.update(self.model, row)
        self.schedule.step()
        self.kept.save(epoch, self._tensors(), self._facts())
        if self.best.should_stop:
            engine.terminate()
        if self.progress is not None:
            warning = [sentence.split(":")[0] for sentence in collapsed(self.best.curve)][:1]
            message = (
                f"loss {row.train_loss:.3f}, validation {row.valid_loss:.3f}, metric "
                f"{row.valid_metric:.3f}"
            )
            self.progress(epoch, self.config.training.max_epochs, ", ".join([message, *warning]))

    def _validated(self, epoch: int) -> Epoch:
        norms = {name: float(norm) for name, norm in self.steps.norms.items()}
        losses = all_reduce_sum(torch.stack(self.steps.losses)) / rank_and_world_size()[1]
        self.model.eval()
        self.seen.begin(probed=due(epoch))
        self.evaluator.run(epoch)
        loss, metric = self.seen.summary()
        train_loss = float(np.mean(losses.cpu().numpy().astype(np.float64)))
        return Epoch(
            epoch,
            train_loss,
            loss,
            metric,
            float(self.optimizer.param_groups[0]["lr"]),
            norms,
            self.seen.probes(),
        )

    def _resume(self) -> int:
        """Go on from what a killed process left; the epochs that are done."""
        found = self.kept.last(self._tensors())
        if found is None:
            return 0
        tensors, facts = found
        self.model.load_state_dict(tensors["model"])
        self.best.restore(facts["best"], tensors["best"])
        restore_optimizer(self.optimizer, tensors["optimizer"], facts["groups"])
        self.schedule.load_state_dict(facts["schedule"])
        self.steps.scaler.load_state_dict(facts["scaler"])
        self.trainer.load_state_dict(
            {
                "epoch": facts["epoch"],
                "max_epochs": self.config.training.max_epochs,
                "epoch_length": len(self.rows),
            }
        )
        return int(facts["epoch"])

    def _tensors(self) -> dict[str, dict[str, Tensor]]:
        return {
            "model": dict(self.model.state_dict()),
            "best": self.best.weights,
            "optimizer": moments_of(self.optimizer),
        }

    def _facts(self) -> dict[str, Any]:
        groups, schedule = self.optimizer.state_dict()["param_groups"], self.schedule.state_dict()
        return {
            "best": self.best.facts(),
            "groups": groups,
            "schedule": schedule,
            "scaler": self.steps.scaler.state_dict(),
        }


@contextmanager
def _shared(*rows: Batches) -> Iterator[None]:
    """Each process works on its share of every batch for a while."""
    rank, ranks = rank_and_world_size()
    for batches in rows:
        batches.share(rank, ranks)
    try:
        yield
    finally:
        for batches in rows:
            batches.share(0, 1)


def _set_objective(model: DiagnosisModel, task: Task, config: RunConfig, rows: Batches) -> None:
    """Give every head the objective, and let it begin at what the training cases say on their
    own.
    """
    target = rows.targets()
    objective = objective_of(task, config.training, target.numpy())
    share = mean_over_ranks if rank_and_world_size()[1] > 1 else None
    for head in _heads(model):
        head.objective = objective
        head.init_bias_from_prior(target.to(head.map.weight.device))
        head.objective = replace(objective, share=share)


def _finalize(model: DiagnosisModel, best: EarlyStopping, valid_rows: Batches) -> None:
    """Take the weights of the best epoch, and fit what is fitted after training."""
    model.load_state_dict(best.weights)
    for head in _heads(model):
        head.objective = head.objective.alone()
    model.eval().finalize(valid_rows)


def load_encoders(model: DiagnosisModel, weights: Mapping[str, Tensor]) -> None:
    """Give the encoders weights that were pretrained together; those of modalities that the model
    has not are left aside.

    Args:
        weights: By the names of `model.encoders`.

    Raises:
        UsageError: They are of other encoders.
    """
    own = model.encoders.state_dict()
    wrong = [
        name
        for name, value in own.items()
        if name not in weights or weights[name].shape != value.shape
    ]
    if wrong:
        raise UsageError(
            "Weights of encoders must be those of the encoders that the configuration names, "
            f"{len(wrong)} of {len(own)} tensors are missing or have "
            f"another shape, such as {wrong[0]}: pretrain again with this recipe."
        )
    model.encoders.load_state_dict({name: weights[name] for name in own})


def _heads(model: DiagnosisModel) -> list[Head]:
    return [model.head, *(head for head in model.own_heads.values() if isinstance(head, Head))]


def _owner(config: RunConfig, task: Task, model: nn.Module, started: bool) -> str:
    """Whose checkpoints go on: the same configuration, task and shapes, and encoders that began
    alike.
    """
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    # words change no weights, nor does from which probability an answer is positive
    learned = replace(task, title="", class_names={}, positive="", threshold=EVEN)
    facts = json.dumps(learned.facts(), sort_keys=True)
    return digest(to_json(config), facts, json.dumps(shapes), str(started))
