"""Several fits of one architecture as one network: their parameters stacked, a fit is a slice.

A step of a small network costs the time of its calls, not of its sums; together the fits of all
inner folds take little more than one of them alone. MONAI's trainer drives the epochs, as it does
those of a single fit.
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from numpy import ndarray
from torch import Tensor, nn
from torch.func import functional_call, vmap

from mmdiag.config import TrainingConfig
from mmdiag.ensemble.ridge import chosen_by_others
from mmdiag.model.losses import objective_of
from mmdiag.model.network import DiagnosisModel, loss_of
from mmdiag.progress import Progress
from mmdiag.samples import Batch
from mmdiag.task import Task
from mmdiag.training.early_stopping import Epoch
from mmdiag.training.optimizer import NOT_DECAYED, rate_of
from mmdiag.training.randomness import begin_randomness
from mmdiag.training.threads import one_thread

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of AdamW


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows of a batch that one fit learns from, and stops early on."""

    train: Int[ndarray, "_"]
    valid: Int[ndarray, "_"]


@dataclass(frozen=True, slots=True)
class TrainedTogether:
    """Networks with the weights of their best epochs, in eval mode.

    Args:
        networks: One a fold, in order.
        held_out: Logits of each fold's own cases, by its network as it was after the epoch that the
            other folds would have stopped at: the cases that are answered did not choose it.
        curve: The means over the folds.
    """

    networks: list[DiagnosisModel]
    held_out: list[Float[Tensor, "_ logit"]]
    curve: tuple[Epoch, ...]


def train_together(
    make: Callable[[], DiagnosisModel],
    cases: Batch,
    folds: Sequence[Fold],
    task: Task,
    settings: TrainingConfig,
    *,
    seed: int,
    progress: Progress | None = None,
    attach: Callable[[Any], None] | None = None,
) -> TrainedTogether:
    """Train one network a fold until its loss on the fold's own cases has not improved for
    `patience` epochs; each as it would be trained alone.

    Args:
        make: Builds a network with fresh weights.
        cases: Every labelled case that some fold has, in memory.
        seed: Where weights, orders and dropout come from.
        attach: Adds handlers to the trainer; as an epoch is completed, its `state.metrics` hold the
            means of `train_loss` and `valid_loss`.
    """
    with torch.random.fork_rng(), one_thread():
        networks = []
        for number, fold in enumerate(folds):
            torch.manual_seed(seed * 100_003 + number)
            networks.append(_begun(make(), cases, fold, task, settings))
        training = _Together(networks, cases, folds, settings, seed, progress)
        with _plain_attention():
            training.run(attach)
        return TrainedTogether(training.result(), training.held_out(), tuple(training.curve))


def _begun(
    network: DiagnosisModel, cases: Batch, fold: Fold, task: Task, settings: TrainingConfig
) -> DiagnosisModel:
    target = cases.target[torch.from_numpy(fold.train)]
    for head in (network.head, *network.own_heads.values()):
        head.objective = objective_of(task, settings, cases.target.numpy())  # type: ignore[assignment]
        head.init_bias_from_prior(target)  # type: ignore[operator]
    return network


class _Loss(nn.Module):
    """Loss and logits of one network on some cases: what is mapped over the slices."""

    def __init__(self, network: DiagnosisModel, weight: float) -> None:
        super().__init__()
        self.network, self.own_weight = network, weight

    def forward(
        self, values: dict[str, dict[str, Tensor]], present: dict[str, Tensor], target: Tensor
    ) -> tuple[Tensor, Tensor]:
        output = self.network(Batch(values, present, target))
        if self.training or output.stacked:  # how branches are weighed is fitted afterwards
            return loss_of(self.network.head, output, target, self.own_weight), output.logits
        return self.network.head.loss(output.logits, target), output.logits


class _Together:
    """The epochs of all fits."""

    def __init__(
        self,
        networks: Sequence[DiagnosisModel],
        cases: Batch,
        folds: Sequence[Fold],
        settings: TrainingConfig,
        seed: int,
        progress: Progress | None,
    ) -> None:
        self.networks, self.cases, self.folds = list(networks), cases, folds
        self.settings, self.seed, self.progress = settings, seed, progress
        base = networks[0]
        self.names = [name for name, _ in base.named_parameters()]
        self.shapes = [tuple(p.shape) for p in base.parameters()]
        self.sizes = [p.numel() for p in base.parameters()]
        self.weights = torch.stack([_flat(network) for network in networks]).requires_grad_()
        self.moments = [torch.zeros_like(self.weights) for _ in BETAS]
        self.decayed = torch.cat([_decayed(name, p) for name, p in base.named_parameters()])
        self.loss = _Loss(base, settings.auxiliary_weight)
        self.call = vmap(self._of_slice, randomness="different")
        self.steps, self.losses, self.rate = 0, list[float](), 0.0
        self.best = self.weights.detach().clone()
        self.value = np.full(len(folds), math.inf)
        self.epoch_of = np.zeros(len(folds), int)
        self.curve: list[Epoch] = []
        self.told: list[tuple[Float64[ndarray, "fold"], Tensor]] = []  # losses and logits
        self.valid = _padded([fold.valid for fold in folds])

    def _of_slice(
        self, flat: Tensor, values: Any, present: Any, target: Tensor
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "case logit"]]:
        parts = zip(self.names, torch.split(flat, self.sizes), self.shapes, strict=True)
        weights = {f"network.{name}": part.view(shape) for name, part, shape in parts}
        loss, logits = functional_call(self.loss, weights, (values, present, target))
        return loss, logits

    def run(self, attach: Callable[[Any], None] | None = None) -> None:
        """Train all epochs, by MONAI's trainer."""
        from ignite.engine import Events
        from monai.engines import SupervisedTrainer

        trainer = SupervisedTrainer(
            device=torch.device("cpu"),
            max_epochs=self.settings.max_epochs,
            train_data_loader=_Orders(self.folds, self.settings.batch_size, self.seed),
            network=self.loss,
            optimizer=torch.optim.SGD([self.weights], lr=1.0),  # what steps is `_step`
            loss_function=loss_of,
            iteration_update=self._learn,
            decollate=False,
        )
        for logger in (trainer.logger, logging.getLogger("ignite")):
            logger.setLevel(logging.WARNING)
        trainer.add_event_handler(Events.EPOCH_STARTED, self._begin)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._end)
        if attach is not None:
            attach(trainer)
        trainer.run()

    def result(self) -> list[DiagnosisModel]:
        """Networks with the weights of their best epochs."""
        with torch.no_grad():
            for network, flat in zip(self.networks, self.best, strict=True):
                parts = torch.split(flat, self.sizes)
                for parameter, part in zip(network.parameters(), parts, strict=True):
                    parameter.copy_(part.view_as(parameter))
        return [network.eval() for network in self.networks]

    def held_out(self) -> list[Float[Tensor, "_ logit"]]:
        """What each fold's own cases are answered after the epoch that other folds choose."""
        losses = np.stack([loss for loss, _ in self.told], axis=1)
        return [
            self.told[epoch][1][number, : len(fold.valid)]
            for number, (fold, epoch) in enumerate(
                zip(self.folds, chosen_by_others(losses), strict=True)
            )
        ]

    def _begin(self, engine: Any) -> None:
        epoch, settings = engine.state.epoch, self.settings
        engine.state.dataloader.epoch = epoch
        self.losses = []
        self.rate = settings.learning_rate * rate_of(
            epoch - 1, settings.warmup_epochs, settings.max_epochs
        )
        begin_randomness(self.seed * 100_003 + epoch)
        self.loss.train()

    def _learn(self, _: Any, rows: Int[ndarray, "fold case"]) -> Tensor:
        loss, _ = self._asked(torch.from_numpy(rows))
        (gradient,) = torch.autograd.grad(loss.sum(), self.weights)
        if self.settings.clip_norm is not None:
            length = gradient.norm(dim=1, keepdim=True)
            gradient = gradient * (self.settings.clip_norm / length.clamp_min(1e-6)).clamp(max=1.0)
        self._step(gradient)
        self.losses.append(float(loss.detach().mean()))
        return loss.detach().mean()

    def _asked(
        self, rows: Int[Tensor, "fold case"]
    ) -> tuple[Float[Tensor, "fold"], Float[Tensor, "fold case logit"]]:
        """The loss of each slice on rows of its own, and what it answers; -1 = no row."""
        there = rows >= 0
        index = rows.clamp(min=0)
        values = {
            name: {key: array[index] for key, array in arrays.items()}
            for name, arrays in self.cases.values.items()
        }
        present = {name: array[index] for name, array in self.cases.present.items()}
        target = torch.where(there[..., None], self.cases.target[index], torch.nan)
        loss, logits = self.call(self.weights, values, present, target)
        return loss, logits

    @torch.no_grad()
    def _step(self, gradient: Float[Tensor, "fold parameter"]) -> None:
        """A step of AdamW (Loshchilov 2019), elementwise, so that slices are apart."""
        self.steps += 1
        first, second = self.moments
        first.mul_(BETAS[0]).add_(gradient, alpha=1 - BETAS[0])
        second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        correct = [1 - beta**self.steps for beta in BETAS]
        self.weights.sub_(self.rate * self.settings.weight_decay * self.decayed * self.weights)
        spread = second.sqrt().div_(math.sqrt(correct[1])).add_(EPSILON)
        self.weights.addcdiv_(first, spread, value=-self.rate / correct[0])

    def _end(self, engine: Any) -> None:
        self.loss.eval()
        epoch = engine.state.epoch
        with torch.no_grad():
            loss, logits = self._asked(self.valid)
        valid = loss.numpy().astype(float)
        self.told.append((valid, logits))
        better = (valid < self.value) & np.isfinite(valid)
        self.value = np.where(better, valid, self.value)
        self.epoch_of = np.where(better, epoch, self.epoch_of)
        with torch.no_grad():
            chosen = torch.from_numpy(better)[:, None]
            self.best = torch.where(chosen, self.weights, self.best)
        train = float(np.mean(self.losses))
        self.curve.append(Epoch(epoch, train, float(valid.mean()), math.nan, self.rate))
        engine.state.metrics |= {"train_loss": train, "valid_loss": float(valid.mean())}
        if (epoch - self.epoch_of >= self.settings.patience).all():
            engine.terminate()
        if self.progress is not None:
            message = f"loss {train:.3f}, validation {valid.mean():.3f}"
            self.progress(epoch, self.settings.max_epochs, message)


class _Orders:
    """Rows of each step of an epoch, for every fold; the order follows from the seed, the epoch and
    the fold alone. A fold whose cases run out begins with them again.
    """

    def __init__(self, folds: Sequence[Fold], batch_size: int, seed: int) -> None:
        self.folds, self.size, self.seed, self.epoch = folds, batch_size, seed, 0
        cases = len(np.unique(np.concatenate([np.r_[f.train, f.valid] for f in folds])))
        least = min(len(fold.train) for fold in folds)
        self.size = min(batch_size, least)
        self.steps = max(1, round(cases * (1 - 1 / max(len(folds), 2)) / self.size))

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Int[ndarray, "fold case"]]:
        orders = []
        for number, fold in enumerate(self.folds):
            rng = np.random.default_rng((self.seed, self.epoch, number))
            again = -(-self.steps * self.size // len(fold.train))
            orders.append(np.concatenate([rng.permutation(fold.train) for _ in range(again)]))
        for start in range(0, self.steps * self.size, self.size):
            yield np.stack([order[start : start + self.size] for order in orders])


def _flat(network: nn.Module) -> Float[Tensor, "parameter"]:
    return torch.cat([parameter.detach().reshape(-1) for parameter in network.parameters()])


def _decayed(name: str, parameter: Tensor) -> Float[Tensor, "parameter"]:
    """1 for the entries of matrices, 0 for what weight decay leaves alone."""
    decayed = parameter.ndim > 1 and name.split(".")[-1] not in NOT_DECAYED
    return torch.full((parameter.numel(),), float(decayed))


def _padded(rows: Sequence[Int[ndarray, "_"]]) -> Int[Tensor, "fold case"]:
    longest = max(map(len, rows))
    table = np.full((len(rows), longest), -1)
    for number, own in enumerate(rows):
        table[number, : len(own)] = own
    return torch.from_numpy(table)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """torch's fused attention of evaluation cannot be mapped over slices."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
