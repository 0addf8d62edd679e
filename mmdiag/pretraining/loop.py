"""The epochs of a pretraining: seeded by their numbers, each kept in a checkpoint, the best by the
loss of the cases that are held back.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor, nn

from mmdiag.config import TrainingConfig
from mmdiag.progress import Progress
from mmdiag.training.checkpoints import Checkpoints, moments_of, restore_optimizer
from mmdiag.training.collectives import training_device
from mmdiag.training.early_stopping import LOSS, EarlyStopping, Epoch
from mmdiag.training.engines import mixed, precision_of
from mmdiag.training.randomness import begin_randomness
from mmdiag.training.threads import one_thread

CLIP_NORM = 1.0
WARMUP = 0.05  # share of the epochs in which the learning rate rises


@dataclass(frozen=True, slots=True, kw_only=True)
class PretextTask:
    """What a network is to learn without a label.

    Args:
        loss: Numbers of some items -> their mean loss; what it draws at random comes from torch's
            generator.
        train: Numbers of the items to learn from.
        held: Numbers of those by whose loss the best epoch is chosen, of other subjects.
        save: Writes what training begins with afterwards into a folder.
        new: Parts of the network that begin at random beside others that do not, and their learning
            rate.
        small: Whether a step is so small that other threads only cost.
    """

    network: nn.Module
    loss: Callable[[Int64[ndarray, "item"]], Float[Tensor, ""]]
    train: Int64[ndarray, "train"]
    held: Int64[ndarray, "held"]
    save: Callable[[Path], None]
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.05
    new: tuple[Sequence[nn.Module], float] = ((), 0.0)
    small: bool = False


def learn(
    pretext: PretextTask, *, seed: int, folder: Path, owner: str, progress: Progress | None = None
) -> tuple[list[Epoch], int]:
    """Learn, and leave the network with the weights of the best epoch.

    Args:
        folder: Where checkpoints lie; what was killed goes on from the last one, and ends as if it
            had not been.
        owner: What a checkpoint has to be of.

    Returns:
        The curve (`valid_loss` is of the items held back), and the best epoch.
    """
    device = training_device()
    network = pretext.network.to(device)
    optimizer = torch.optim.AdamW(
        _groups(pretext), lr=pretext.learning_rate, weight_decay=pretext.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda epoch: _rate(epoch, pretext.epochs)
    )
    best = EarlyStopping(network, LOSS, pretext.epochs)
    one = one_thread(when=pretext.small and device.type == "cpu")
    with torch.random.fork_rng(), one, Checkpoints(folder, owner) as kept:
        done = _resume(kept, network, best, optimizer, schedule)
        for epoch in range(done + 1, pretext.epochs + 1):
            rate = float(optimizer.param_groups[0]["lr"])
            loss = _learn_epoch(pretext, optimizer, seed, epoch, device)
            row = Epoch(epoch, loss, _held_back(pretext, seed, device), math.nan, rate)
            best.update(network, row)
            schedule.step()
            facts = {
                "best": best.facts(),
                "groups": optimizer.state_dict()["param_groups"],
                "schedule": schedule.state_dict(),
            }
            kept.save(epoch, _tensors(network, best, optimizer), facts)
            if progress is not None:
                message = f"loss {row.train_loss:.4f}, held back {row.valid_loss:.4f}"
                progress(epoch, pretext.epochs, message)
    network.load_state_dict(best.weights)
    network.cpu().eval()
    return best.curve, best.epoch


def _groups(pretext: PretextTask) -> list[dict[str, Any]]:
    modules, rate = pretext.new
    new = {id(parameter) for module in modules for parameter in module.parameters()}
    old = {
        id(parameter)
        for module in pretext.network.children()
        if module not in modules
        for parameter in module.parameters()
    }
    named = list(pretext.network.parameters())
    # what is shared with the rest learns with the rest
    fresh = [parameter for parameter in named if id(parameter) in new - old]
    rest = [parameter for parameter in named if id(parameter) not in new - old]
    return [{"params": rest}, *([{"params": fresh, "lr": rate}] if fresh else [])]


def _resume(
    kept: Checkpoints,
    network: nn.Module,
    best: EarlyStopping,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
) -> int:
    found = kept.last(_tensors(network, best, optimizer))
    if found is None:
        return 0
    tensors, facts = found
    network.load_state_dict(tensors["network"])
    best.restore(facts["best"], tensors["best"])
    restore_optimizer(optimizer, tensors["optimizer"], facts["groups"])
    schedule.load_state_dict(facts["schedule"])
    return int(facts["epoch"])


def _tensors(
    network: nn.Module, best: EarlyStopping, optimizer: torch.optim.Optimizer
) -> dict[str, dict[str, Tensor]]:
    return {
        "network": dict(network.state_dict()),
        "best": best.weights,
        "optimizer": moments_of(optimizer),
    }


def _learn_epoch(
    pretext: PretextTask,
    optimizer: torch.optim.Optimizer,
    seed: int,
    epoch: int,
    device: torch.device,
) -> float:
    """One pass, whose order and randomness come from its number alone; the mean loss."""
    begin_randomness(seed * 100_003 + epoch)
    order = np.random.default_rng((seed, epoch)).permutation(pretext.train)
    pretext.network.train()
    losses = []
    for items in _batches(order, pretext.batch_size):
        optimizer.zero_grad(set_to_none=True)
        loss = _loss(pretext, items, device)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(pretext.network.parameters(), CLIP_NORM)
        optimizer.step()
        losses.append(loss.detach())
    return float(torch.stack(losses).mean())


@torch.no_grad()
def _held_back(pretext: PretextTask, seed: int, device: torch.device) -> float:
    """Mean loss of the items that are held back, masked alike in every epoch."""
    begin_randomness(seed)
    pretext.network.eval()
    parts = list(_batches(pretext.held, pretext.batch_size))
    losses = torch.stack([_loss(pretext, items, device).cpu() for items in parts])
    return float((losses * torch.tensor([len(items) for items in parts])).sum() / len(pretext.held))


def _loss(
    pretext: PretextTask, items: Int64[ndarray, "item"], device: torch.device
) -> Float[Tensor, ""]:
    precision = precision_of(TrainingConfig(), device)
    with mixed(precision if precision is torch.bfloat16 else None, device):
        return pretext.loss(items)


def _batches(items: Int64[ndarray, "item"], size: int) -> list[Int64[ndarray, "_"]]:
    """Batches of nearly equal size: a contrast in a last batch of one case would be none."""
    return np.array_split(items, -(-len(items) // size))


def _rate(epoch: int, epochs: int) -> float:
    """Linear warm-up, then a cosine down to a hundredth."""
    warmup = max(round(WARMUP * epochs), 1)
    if epoch < warmup:
        return (epoch + 1) / (warmup + 1)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (epoch - warmup) / max(epochs - warmup, 1)))
