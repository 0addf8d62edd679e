"""The interface of every fusion, and the frame that all share.

Frame: encoder k gives h_k; z_k = LayerNorm(W_k h_k + b_k) + e_k; a learned null vector stands in
for an absent modality; the mask itself is handed on.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdiag.errors import UsageError
from mmdiag.tokens import Fused, Tokens


class Fusion(nn.Module, ABC):
    """Brings K encoded modalities to one vector.

    A family that exchanges tokens between modalities does so in `exchange`, which a chain hands to
    the next family; one that only pools leaves it as it is.

    Args:
        modalities: Their names; the order of `Fused.weights`.
        width: Width of the tokens, and of the result.
    """

    # whether branches learn from their own answers alone and are blended after training, on
    # validation cases
    stacks = False

    def __init__(self, modalities: Sequence[str], width: int) -> None:
        super().__init__()
        self.modalities, self.width = tuple(modalities), width

    def exchange(self, tokens: Mapping[str, Tokens]) -> Mapping[str, Tokens]:
        """Tokens that know of each other; their shapes and masks are those that came in."""
        return tokens

    @abstractmethod
    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch; the order of the mapping's keys does not matter."""


class Frame(nn.Module):
    """z_k = LayerNorm(W_k h_k + b_k) + e_k of the summary tokens, with a learned null vector where
    a modality is absent.

    The offset b_k begins as large as a standardised signal: the norm of a bare linear map would
    keep the direction of h_k and lose how far it goes.
    """

    def __init__(self, modalities: Sequence[str], width: int) -> None:
        super().__init__()
        self.modalities, self.width = tuple(modalities), width
        self.maps = nn.ModuleList(nn.Linear(width, width) for _ in modalities)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in modalities)
        self.offset = nn.Parameter(torch.randn(len(modalities), width))
        self.identity = nn.Parameter(0.02 * torch.randn(len(modalities), width))
        self.null = nn.Parameter(0.02 * torch.randn(len(modalities), width))

    def forward(
        self, tokens: Mapping[str, Tokens]
    ) -> tuple[Float[Tensor, "batch modality width"], Bool[Tensor, "batch modality"]]:
        """The summary of each modality, and which are present."""
        h_BMD, present_BM = summaries(tokens, self.modalities, self.width)
        z_BMD = torch.stack(
            [
                self.norms[k](self.maps[k](h_BMD[:, k]) + self.offset[k])
                for k in range(len(self.modalities))
            ],
            dim=1,
        )
        return torch.where(present_BM[..., None], z_BMD + self.identity, self.null), present_BM


def summaries(
    tokens: Mapping[str, Tokens], modalities: Sequence[str], width: int
) -> tuple[Float[Tensor, "batch modality width"], Bool[Tensor, "batch modality"]]:
    """The summary token of each modality, 0 where it is absent, and which are present.

    Raises:
        UsageError: An encoder's width is not the fusion's.
    """
    rows = []
    for name in modalities:
        check_width(name, tokens[name], width)
        rows.append(torch.where(tokens[name].present()[:, None], tokens[name].values[:, 0], 0.0))
    return torch.stack(rows, dim=1), torch.stack(
        [tokens[name].present() for name in modalities], dim=1
    )


def check_width(name: str, tokens: Tokens, width: int) -> None:
    """Raise where an encoder's width is not the fusion's.

    Raises:
        UsageError: The widths differ.
    """
    if tokens.values.shape[-1] != width:
        raise UsageError(
            f"Every encoder must give tokens of the fusion's width {width}, {name} gives "
            f"{tokens.values.shape[-1]}: set both from ModelConfig.width."
        )


def shares(amounts_BM: Tensor, present_BM: Tensor) -> Tensor:
    """Amounts (>= 0) as a distribution over what is present; even where all are 0, and 0 everywhere
    where nothing is present.
    """
    kept = torch.where(present_BM, amounts_BM + 1e-9, 0.0)
    return kept / kept.sum(dim=1, keepdim=True).clamp_min(1e-12)


def softmax_over(scores: Tensor, there: Tensor) -> Tensor:
    """Softmax over the last axis of what is there; 0 elsewhere, and everywhere where nothing is
    there.
    """
    return torch.where(there, scores.masked_fill(~there, -1e9).softmax(dim=-1), 0.0)


class Branches(nn.Module):
    """f_k(x_k) = A_k x_k + g_k(x_k), one for each modality: linear at the start, g_k is learned."""

    def __init__(self, count: int, width: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(count))
        self.deep = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width)
            )
            for _ in range(count)
        )
        for deep in self.deep:
            nn.init.zeros_(deep[-1].weight)  # type: ignore[index]

    def forward(
        self, x_BMD: Float[Tensor, "batch modality width"]
    ) -> Float[Tensor, "batch modality width"]:
        """The branches' vectors."""
        return torch.stack(
            [
                self.linear[k](x_BMD[:, k]) + self.deep[k](x_BMD[:, k])
                for k in range(x_BMD.shape[1])
            ],
            dim=1,
        )
