"""Low-rank tensor fusion: all products of features between modalities, through factors of low
rank.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from mmdiag.fusion.base import Fusion, FusionConfig, normalize_over_present, summaries
from mmdiag.tokens import Fused, Tokens


class LowRank(Fusion):
    """`y = sum_r w_r * prod_k (1 + A_kr h_k) + B m`: the appended 1 keeps products of fewer
    modalities, an absent one is the factor 1.

    The products are taken of the bare summaries: a norm would tell their direction and hide how far
    they go, which is what a product needs.
    Its weights are the shares of what a modality's factors differ from 1.

    Reference:
        Liu 2018, Efficient low-rank multimodal fusion with modality-specific factors; Zadeh 2017
        for the appended 1.
    """

    RANK = 4

    def __init__(self, modalities: Sequence[str], config: FusionConfig) -> None:
        super().__init__(modalities, config)
        width = config.width
        self.factors = nn.ModuleList(
            nn.Linear(width, self.RANK * width, bias=False) for _ in modalities
        )
        self.rank = nn.Parameter(torch.randn(self.RANK, width) / self.RANK**0.5)
        self.mask = nn.Linear(len(self.modalities), width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch."""
        h_BMD, present_BM = summaries(tokens, self.modalities, self.width)
        steps_BMRD = torch.stack(
            [
                layer(h_BMD[:, k]).view(-1, self.RANK, self.width)
                for k, layer in enumerate(self.factors)
            ],
            dim=1,
        )
        product_BRD = (1 + steps_BMRD).prod(dim=1)
        fused_BD = (self.rank * product_BRD).sum(1) + self.mask(present_BM.to(h_BMD.dtype))
        return Fused(
            self.dropout(fused_BD),
            normalize_over_present(steps_BMRD.flatten(2).norm(dim=-1), present_BM),
        )
