"""The interface of every fusion, and the frame that all share.

Frame: encoder k gives h_k; z_k = LayerNorm(W_k h_k + b_k) + e_k; a learned null vector stands in for an absent modality; the mask itself is handed on.
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

    Args:
        modalities: Their names; the order of `Fused.weights`.
        width: Width of the tokens, and of the result.
    """

    def __init__(self, modalities: Sequence[str], width: int) -> None:
        super().__init__()
        self.modalities, self.width = tuple(modalities), width

    @abstractmethod
    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch; the order of the mapping's keys does not matter."""


class Frame(nn.Module):
    """z_k = LayerNorm(W_k h_k + b_k) + e_k of the summary tokens, with a learned null vector where a modality is absent.

    The offset b_k begins as large as a standardised signal: the norm of a bare linear map would keep the direction of h_k and lose how far it goes.
    """

    def __init__(self, modalities: Sequence[str], width: int) -> None:
        super().__init__()
        self.modalities, self.width = tuple(modalities), width
        self.maps = nn.ModuleList(nn.Linear(width, width) for _ in modalities)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in modalities)
        self.offset = nn.Parameter(torch.randn(len(modalities), width))
        self.identity = nn.Parameter(0.02 * torch.randn(len(modalities), width))
        self.null = nn.Parameter(0.02 * torch.randn(len(modalities), width))

    def forward(self, tokens: Mapping[str, Tokens]) -> tuple[Float[Tensor, "batch modality width"], Bool[Tensor, "batch modality"]]:
        """The summary of each modality, and which are present."""
        rows, present = [], []
        for k, name in enumerate(self.modalities):
            check_width(name, tokens[name], self.width)
            there = tokens[name].present()
            summary_BD = torch.where(there[:, None], tokens[name].values[:, 0], 0.0)
            z_BD = self.norms[k](self.maps[k](summary_BD) + self.offset[k]) + self.identity[k]
            rows.append(torch.where(there[:, None], z_BD, self.null[k]))
            present.append(there)
        return torch.stack(rows, dim=1), torch.stack(present, dim=1)


def check_width(name: str, tokens: Tokens, width: int) -> None:
    """Raise where an encoder's width is not the fusion's.

    Raises:
        UsageError: The widths differ.
    """
    if tokens.values.shape[-1] != width:
        raise UsageError(
            f"Every encoder must give tokens of the fusion's width {width}, {name} gives {tokens.values.shape[-1]}: set both from ModelConfig.width."
        )


def shares(amounts_BM: Tensor, present_BM: Tensor) -> Tensor:
    """Amounts (>= 0) as a distribution over what is present; even where all are 0, and 0 everywhere where nothing is present."""
    kept = torch.where(present_BM, amounts_BM + 1e-9, 0.0)
    return kept / kept.sum(dim=1, keepdim=True).clamp_min(1e-12)
