"""Integrated gradients of the answer along the straight path of one modality's inputs, averaged
over the coalitions of the other modalities.

References:
    Sundararajan 2017, Axiomatic attribution for deep networks (they sum to the difference between
    the ends of the path); Owen 1977, Values of games with a priori unions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import factorial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor

from mmdiag.inference.predict import log_odds_of
from mmdiag.model.ensemble import EnsembleModel
from mmdiag.model.network import DiagnosisModel
from mmdiag.tokens import Tokens, present_in

NODES = 12  # of the integral along a path, by Gauss and Legendre
Encode = Callable[[Sequence[Tensor]], Tokens]


@dataclass(frozen=True, slots=True)
class Integral:
    """What was found along a path.

    Args:
        gradients: Of each input their mean along the path.
        contribution: What the modality adds at the end of the path to what is known without it.
        presence: What it adds at the start.
        gap: How far what the gradients add up to is from the difference between the ends.
    """

    gradients: list[ndarray]
    contribution: float
    presence: float
    gap: float


@dataclass(frozen=True, slots=True)
class _Game:
    """The coalitions of the other modalities that a case has.

    Args:
        tokens: Of all its modalities.
        chosen: Number of the answer that is looked at.
    """

    model: DiagnosisModel | EnsembleModel
    name: str
    tokens: Mapping[str, Tokens]
    chosen: Int64[Tensor, "case"]

    def others(self) -> list[str]:
        """The other modalities of the case."""
        return [
            name
            for name in self.model.modalities
            if name != self.name and bool(self.tokens[name].present()[0])
        ]

    def log_odds(self, own: Tokens, kept: Bool[Tensor, "row other"]) -> Float[Tensor, "row"]:
        """What the model says of these tokens of the modality beside the others that are kept."""
        others, count = self.others(), len(kept)
        known = {
            n: Tokens(
                self.tokens[n].values.expand(count, -1, -1),
                self.tokens[n].mask.expand(count, -1)
                & (kept[:, others.index(n)][:, None] if n in others else torch.tensor(False)),
            )
            for n in self.model.modalities
        }
        return log_odds_of(
            self.model,
            known | {self.name: own},
            self.chosen.expand(count),
            present_in(self.tokens, self.model.modalities).expand(count, -1),
        )


def integrate(
    model: DiagnosisModel | EnsembleModel,
    name: str,
    starts: Sequence[Tensor],
    ends: Sequence[Tensor],
    encode: Encode,
    tokens: Mapping[str, Tokens],
    chosen: Int64[Tensor, "case"],
) -> Integral:
    """Integrate over the nodes of the path and the coalitions of the other modalities.

    Args:
        starts, ends: Inputs of the modality `name` of the usual case, and of this one.
        encode: From inputs to its tokens.
        tokens: Of all modalities of the case.
    """
    game = _Game(model, name, tokens, chosen)
    coalitions, shares = owen_shares(len(game.others()))
    nodes, lengths = _nodes()
    count, steps = len(coalitions), len(nodes)
    where = torch.from_numpy(np.tile(nodes, count)).float()
    with torch.enable_grad():
        leaves = [
            (start + where.reshape(-1, *[1] * (start.ndim - 1)) * (end - start)).requires_grad_()
            for start, end in zip(starts, ends, strict=True)
        ]
        kept = torch.from_numpy(np.repeat(coalitions, steps, axis=0))
        total = game.log_odds(encode(leaves), kept)
        found = torch.autograd.grad(total.sum(), leaves, allow_unused=True)
    amounts = np.repeat(shares, steps) * np.tile(lengths, count)
    gradients = [
        np.zeros(end.shape)
        if g is None
        else np.tensordot(amounts, g.detach().numpy().astype(float), axes=1)[None]
        for g, end in zip(found, ends, strict=True)
    ]
    moved = sum(
        float(((end - start).numpy().astype(float) * gradient).sum())
        for start, end, gradient in zip(starts, ends, gradients, strict=True)
    )
    contribution, difference = _differences(game, starts, ends, encode)
    return Integral(gradients, contribution, contribution - difference, difference - moved)


@torch.no_grad()
def _differences(
    game: _Game, starts: Sequence[Tensor], ends: Sequence[Tensor], encode: Encode
) -> tuple[float, float]:
    """What a modality adds to what is known without it, and its path from start to end alone."""
    coalitions, shares = owen_shares(len(game.others()))
    kept = torch.from_numpy(coalitions)
    size = len(coalitions)
    last = encode([end.expand(size, *end.shape[1:]) for end in ends])
    first = encode([start.expand(size, *start.shape[1:]) for start in starts])
    without = Tokens(last.values, torch.zeros_like(last.mask))
    after, before, absent = (
        game.log_odds(one, kept).numpy().astype(float) @ shares for one in (last, first, without)
    )
    return float(after - absent), float(after - before)


@cache
def _nodes() -> tuple[ndarray, ndarray]:
    at, length = np.polynomial.legendre.leggauss(NODES)
    return (at + 1) / 2, length / 2


@cache
def owen_shares(others: int) -> tuple[ndarray, ndarray]:
    """Every coalition of so many other modalities, and the share of orders in which it comes
    before a modality.
    """
    coalitions = (np.arange(2**others)[:, None] >> np.arange(others)) & 1
    size, total = coalitions.sum(axis=1), others + 1
    share = [factorial(s) * factorial(total - 1 - s) / factorial(total) for s in size.tolist()]
    return coalitions.astype(bool), np.asarray(share)
