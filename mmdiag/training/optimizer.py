"""What the optimiser is given: groups of parameters with their learning rates and weight decay, and
how rates change over the epochs.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import nn

from mmdiag.config import TrainingConfig
from mmdiag.encoders.layers import Layers, depths

NOT_DECAYED = ("identity", "null", "offset")  # matrices of vectors that weight decay leaves alone


def parameter_groups(
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
        decayed = [
            p for name, p, own in named if own == layer and p.ndim > 1 and name not in NOT_DECAYED
        ]
        rest = [
            p for name, p, own in named if own == layer and (p.ndim <= 1 or name in NOT_DECAYED)
        ]
        groups += [
            {"params": decayed, "lr": rate, "weight_decay": settings.weight_decay},
            {"params": rest, "lr": rate, "weight_decay": 0.0},
        ]
    return groups


def rate_of(epoch: int, warmup: int, most: int) -> float:
    """The learning rate of an epoch over the configured one: linear warm-up, then a cosine down to
    a twentieth.

    Args:
        epoch: From 0.
        warmup, most: Epochs of the warm-up, and in all.
    """
    if epoch < warmup:
        return (epoch + 1) / (warmup + 1)
    return 0.05 + 0.95 * 0.5 * (1 + float(np.cos(np.pi * (epoch - warmup) / max(most - warmup, 1))))
