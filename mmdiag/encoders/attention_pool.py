"""Gated attention over the parts of a modality: what slices, sentences and windows share."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdiag.tokens import Tokens


def attention_score(width: int) -> nn.Sequential:
    """The network that scores each part, for `attention_pool`.

    Reference:
        Ilse 2018, Attention-based deep multiple instance learning.
    """
    return nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))


def attention_pool(
    values: Float[Tensor, "batch part width"],
    mask: Bool[Tensor, "batch part"],
    present: Bool[Tensor, "batch"],
    score: nn.Module,
    dropout: nn.Module,
) -> Tokens:
    """The parts behind a summary that is their mean, weighted by the softmax of their scores.

    Args:
        values: One vector a part, finite also where there is none.
        mask: Which parts are there; none of an absent case.
        present: Which cases have the modality.
        score: What `attention_score` built; it belongs to the encoder.
    """
    scores = score(values).squeeze(-1).masked_fill(~mask, float("-inf"))
    attention = torch.where(mask.any(1, keepdim=True), scores, 0.0).softmax(dim=1)
    summary = (attention[..., None] * values).sum(1)
    return Tokens(
        dropout(torch.cat([summary[:, None], values], dim=1)),
        torch.cat([present[:, None], mask], dim=1),
    )
