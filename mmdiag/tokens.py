"""`Tokens`: one modality, encoded; `Fused`: all of them, brought to one vector."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Tokens:
    """One modality of a batch, encoded.

    Token 0 is the summary of the modality (a pooled image, a whole note, all genes); the others are
    its parts (slices, sentences, pathways).
    An encoder that yields one vector returns T = 1. What lies behind a False mask is never read.

    Args:
        values: One vector a token.
        mask: Which tokens are there. A case without this modality has a row of False.
    """

    values: Float[Tensor, "batch token width"]
    mask: Bool[Tensor, "batch token"]

    def present(self) -> Bool[Tensor, "batch"]:
        """Which cases have this modality."""
        return self.mask[:, 0]


def present_in(
    tokens: Mapping[str, Tokens], modalities: Sequence[str]
) -> Bool[Tensor, "batch modality"]:
    """Which case has which modality."""
    return torch.stack([tokens[name].present() for name in modalities], dim=1)


@dataclass(frozen=True, slots=True)
class Fused:
    """All modalities of a batch in one vector.

    Args:
        values: The fused representation.
        weights: How much each modality counts: a distribution over those present, 0 where absent.
            Modalities in the order of the fusion's `modalities`.
        attention: The K x K matrix of an attention family: row k says where modality k looks. Rows
            and columns of absent modalities are 0.
        branches: Vectors that also have to answer by themselves in training: one a modality, and
            where a chain ends in `late` the fused one of the families
            before it. Not to be read where the modality is absent.
    """

    values: Float[Tensor, "batch width"]
    weights: Float[Tensor, "batch modality"]
    attention: Float[Tensor, "batch modality modality"] | None = None
    branches: Float[Tensor, "batch branch width"] | None = None
