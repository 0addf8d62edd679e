"""Embedding fusion: the summaries side by side."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmdiag.fusion.base import Frame, Fusion, shares
from mmdiag.tokens import Fused, Tokens


class Concat(Fusion):
    """`y = sum_k A_k z_k + B m + g([z_1 .. z_K, m])`: a linear part, and a non-linear one that
    starts at zero.

    Its weights are the shares of the linear terms' norms: a description, not a mechanism.
    """

    def __init__(
        self, modalities: Sequence[str], width: int, *, heads: int = 4, dropout: float = 0.0
    ) -> None:
        super().__init__(modalities, width)
        del heads
        self.frame = Frame(modalities, width)
        count = len(self.modalities)
        self.linear = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in modalities)
        self.mask = nn.Linear(count, width)
        self.deep = nn.Sequential(
            nn.Linear(count * width + count, width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
        )
        last = self.deep[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch."""
        z_BMD, present_BM = self.frame(tokens)
        terms_BMD = torch.stack([layer(z_BMD[:, k]) for k, layer in enumerate(self.linear)], dim=1)
        mask_BM = present_BM.to(z_BMD.dtype)
        flat: Tensor = torch.cat([z_BMD.flatten(1), mask_BM], dim=1)
        return Fused(
            terms_BMD.sum(1) + self.mask(mask_BM) + self.deep(flat),
            shares(terms_BMD.norm(dim=-1), present_BM),
        )
