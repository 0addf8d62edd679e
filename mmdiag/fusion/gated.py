"""Gated fusion: what all modalities say together opens or closes each of them, feature by
feature.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmdiag.fusion.base import (
    Fusion,
    FusionConfig,
    ModalityMLPs,
    ModalityProjection,
    normalize_over_present,
)
from mmdiag.tokens import Fused, Tokens


class Gated(Fusion):
    """`y = sum_k 2 sigmoid(G_k [z_1 .. z_K, m]) * f_k(z_k) + B m` over the modalities present.

    The gates start at zero, as a plain sum. Its weights are the shares of the gated terms' norms.

    Reference:
        Arevalo 2017, Gated multimodal units for information fusion.
    """

    def __init__(self, modalities: Sequence[str], config: FusionConfig) -> None:
        super().__init__(modalities, config)
        width = config.width
        count = len(self.modalities)
        self.frame = ModalityProjection(modalities, width)
        self.gate = nn.Linear(count * width + count, count * width)
        self.branches = ModalityMLPs(count, width, config.dropout)
        self.mask = nn.Linear(count, width)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch."""
        z_BMD, present_BM = self.frame(tokens)
        mask_BM = present_BM.to(z_BMD.dtype)
        seen: Tensor = torch.cat([z_BMD.flatten(1), mask_BM], dim=1)
        gates_BMD = 2 * self.gate(seen).sigmoid().view_as(z_BMD)
        terms_BMD = torch.where(present_BM[..., None], gates_BMD * self.branches(z_BMD), 0.0)
        return Fused(
            terms_BMD.sum(1) + self.mask(mask_BM),
            normalize_over_present(terms_BMD.norm(dim=-1), present_BM),
        )
