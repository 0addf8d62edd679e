"""Training by MONAI's engines: weight decay, warm-up and cosine, early stopping, and a killed
process that ends as if it had not been.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmdiag.config import RunConfig, TrainingConfig, digest, to_json
from mmdiag.encoders.layers import Layers, depths, hold, pretrained_layers
from mmdiag.errors import UsageError
from mmdiag.model.heads import Head
from mmdiag.model.losses import objective_of
from mmdiag.model.network import DiagnosisModel
from mmdiag.prepare import Preparation
from mmdiag.samples import Batches
from mmdiag.task import Task
from mmdiag.training import collapse as branch_monitor
from mmdiag.training.checkpoints import Checkpoints, moments_of, restore_optimizer
from mmdiag.training.collectives import joined, place, share_of_sum, summed, training_device
from mmdiag.training.early_stopping import Best, Epoch
from mmdiag.training.engines import Steps, make_engines
from mmdiag.training.threads import one_thread
from mmdiag.training.validation import Score, Validation

KEPT = ("identity", "null", "offset")  # vectors that weight decay leaves alone
Progress = Callable[[int, int, str], None]  # done, total, what
Attach = Callable[[Any], None]  # adds handlers to MONAI's trainer


@dataclass(frozen=True, slots=True)
class Trained:
    """A network with its best weights, in eval mode, and how it got there.

    Args:
        warnings: Sentences on branches that collapsed.
        waiting: Share of the time of training that was spent waiting for cases.
    """

    model: DiagnosisModel
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
        start: Weights that the encoders begin with, where these were pretrained as a whole.
        folder: Where checkpoints lie; a training that was killed goes on from the last one.
        attach: Adds handlers to the trainer; as an epoch is completed, its `state.metrics` hold
            `train_loss`, `valid_loss` and `valid_metric`.

    Raises:
        UsageError: The configuration asks for what the task has not.
    """
    device = training_device()
    small = not any(preparation.trains_on_raw_input for preparation in preparations.values())
    rank, ranks = place()
    with torch.random.fork_rng(), one_thread(when=small and device.type == "cpu"):
        torch.manual_seed(config.seed)
        model = DiagnosisModel(config, preparations, task)
        if start is not None:
            begin_encoders(model, start)
        model = model.to(device)
        _aim(model, task, config, train_rows, share_of_sum if ranks > 1 else None)
        best = Best(model, config.training.early_stopping, config.training.patience)
        for rows in (train_rows, valid_rows):
            rows.share(rank, ranks)
        with Checkpoints(
            folder, _owner(config, task, model, start is not None), writes=rank == 0
        ) as kept:
            seen = Validation(model, task.kind, score)
            training = _Training(
                model,
                best,
                train_rows,
                valid_rows,
                config,
                device,
                seen,
                kept,
                progress,
                start is not None,
            )
            training.run(attach)
        for rows in (train_rows, valid_rows):
            rows.share(0, 1)
        model.load_state_dict(best.weights)
        for head in _heads(model):
            head.objective = head.objective.alone()
        model.eval().settle(valid_rows)
    kept.clear()
    return Trained(
        model.cpu(),
        tuple(best.curve),
        tuple(branch_monitor.collapsed(best.curve)),
        training.waiting,
    )


class _Training:
    """The epochs of one training, from the first or from where a killed process stopped."""

    def __init__(
        self,
        model: DiagnosisModel,
        best: Best,
        train_rows: Batches,
        valid_rows: Batches,
        config: RunConfig,
        device: torch.device,
        seen: Validation,
        kept: Checkpoints,
        progress: Progress | None,
        started: bool,
    ) -> None:
        self.model, self.best, self.rows, self.config, self.seen, self.kept, self.progress = (
            model,
            best,
            train_rows,
            config,
            seen,
            kept,
            progress,
        )
        settings = config.training
        self.pretrained = [
            pretrained_layers(encoder, whole=started) for encoder in model.encoders.values()
        ]
        self.optimizer = torch.optim.AdamW(
            _groups(model, self.pretrained, settings), lr=settings.learning_rate
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda epoch: _rate(epoch, settings.warmup_epochs, settings.max_epochs)
        )
        self.steps = Steps(model, joined(model), self.optimizer, train_rows, settings, device)
        self.trainer, self.evaluator = make_engines(self.steps, valid_rows, seen)
        self.seconds, self.began = 0.0, 0.0

    def run(self, attach: Attach | None) -> None:
        """Train the epochs that are left."""
        from ignite.engine import Events

        epoch = self._resume()
        if epoch >= self.config.training.max_epochs or self.best.waited_enough:
            return  # it was killed after its last epoch
        self.trainer.add_event_handler(Events.EPOCH_STARTED, self._begin)
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, self._end)
        if attach is not None:
            attach(self.trainer)
        self.rows.waited = 0.0
        self.trainer.run()
        self._hold(still=False)

    @property
    def waiting(self) -> float:
        """Share of the time of training steps that was spent waiting for cases."""
        return self.rows.waited / self.seconds if self.seconds else 0.0

    def _begin(self, engine: Any) -> None:
        """Order and randomness of an epoch come from its number alone, wherever a resumed training
        began.
        """
        epoch, (rank, ranks) = engine.state.epoch, place()
        self._hold(still=epoch <= self.config.training.probe_epochs)
        self.rows.set_epoch(epoch)
        torch.manual_seed((self.config.seed * 100_003 + epoch) * ranks + rank)
        self.steps.begin()
        self.began = time.perf_counter()

    def _hold(self, *, still: bool) -> None:
        for layers in self.pretrained:
            hold(layers, still)

    def _end(self, engine: Any) -> None:
        """Validate, keep what is best, keep all that the next epoch needs, and say how it went."""
        epoch = engine.state.epoch
        self.seconds += time.perf_counter() - self.began
        row = self._validated(epoch)
        engine.state.metrics |= {
            "train_loss": row.train_loss,
            "valid_loss": row.valid_loss,
            "valid_metric": row.valid_metric,
        }
        self.best.offer(self.model, row)
        self.schedule.step()
        self.kept.save(epoch, self._tensors(), self._facts())
        if self.best.waited_enough:
            engine.terminate()
        if self.progress is not None:
            collapse = [
                sentence.split(":")[0] for sentence in branch_monitor.collapsed(self.best.curve)
            ][:1]
            said = (
                f"loss {row.train_loss:.3f}, validation {row.valid_loss:.3f}, metric "
                f"{row.valid_metric:.3f}"
            )
            self.progress(epoch, self.config.training.max_epochs, ", ".join([said, *collapse]))

    def _validated(self, epoch: int) -> Epoch:
        norms = {name: float(norm) for name, norm in self.steps.norms.items()}
        losses = summed(torch.stack(self.steps.losses)) / place()[1]
        self.model.eval()
        self.seen.begin(probed=branch_monitor.due(epoch))
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


def _aim(
    model: DiagnosisModel,
    task: Task,
    config: RunConfig,
    rows: Batches,
    share: Callable[[Tensor], Tensor] | None,
) -> None:
    """Give every head the objective, and let it begin at what the training cases say on their
    own.
    """
    target = rows.targets()
    objective = objective_of(task, config.training, target.numpy())
    for head in _heads(model):
        head.objective = objective
        head.start(target.to(head.map.weight.device))
        head.objective = replace(objective, share=share)


def begin_encoders(model: DiagnosisModel, weights: Mapping[str, Tensor]) -> None:
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
    return digest(
        to_json(config), json.dumps(task.facts(), sort_keys=True), json.dumps(shapes), str(started)
    )


def _groups(
    model: nn.Module, pretrained: Iterable[Layers], settings: TrainingConfig
) -> list[dict[str, Any]]:
    """What is new first, then the layers of what is pretrained, each further down with a smaller
    rate.

    Weight decay is on matrices alone: biases, norms, identities and null vectors are not pulled to
    zero.
    """
    depth = depths(pretrained)
    named = [
        (name.split(".")[-1], p, depth.get(id(p), -1))
        for name, p in model.named_parameters()
        if p.requires_grad
    ]
    groups: list[dict[str, Any]] = []
    for layer in range(-1, max(depth.values(), default=-1) + 1):
        rate = settings.learning_rate * (
            1.0 if layer < 0 else settings.pretrained_rate * settings.layer_decay**layer
        )
        decayed = [p for name, p, own in named if own == layer and p.ndim > 1 and name not in KEPT]
        rest = [p for name, p, own in named if own == layer and (p.ndim <= 1 or name in KEPT)]
        groups += [
            {"params": decayed, "lr": rate, "weight_decay": settings.weight_decay},
            {"params": rest, "lr": rate, "weight_decay": 0.0},
        ]
    return groups


def _rate(epoch: int, warmup: int, most: int) -> float:
    """Linear warm-up, then a cosine down to a twentieth."""
    if epoch < warmup:
        return (epoch + 1) / (warmup + 1)
    return 0.05 + 0.95 * 0.5 * (1 + float(np.cos(np.pi * (epoch - warmup) / max(most - warmup, 1))))
