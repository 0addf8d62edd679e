"""Embedding fusion: the summaries side by side."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmdiag.fusion.base import Fusion, FusionConfig, ModalityProjection, normalize_over_present
from mmdiag.tokens import Fused, Tokens


class Concat(Fusion):
    """`y = sum_k A_k z_k + B m + g([z_1 .. z_K, m])`: a linear part, and a non-linear one that
    starts at zero.

    Its weights are norm shares: how large each linear term is beside the others, which describes
    the fused vector and decides nothing in it.
    """

    def __init__(self, modalities: Sequence[str], config: FusionConfig) -> None:
        super().__init__(modalities, config)
        width = config.width
        self.frame = ModalityProjection(modalities, width)
        count = len(self.modalities)
        self.linear = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in modalities)
        self.mask = nn.Linear(count, width)
        self.deep = nn.Sequential(
            nn.Linear(count * width + count, width),
            nn.GELU(),
            nn.Dropout(config.dropout),
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
        norm_shares_BM = normalize_over_present(terms_BMD.norm(dim=-1), present_BM)
        return Fused(terms_BMD.sum(1) + self.mask(mask_BM) + self.deep(flat), norm_shares_BM)
