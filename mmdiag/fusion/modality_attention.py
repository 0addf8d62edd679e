"""Attention fusion with the K x K matrix of modality weights."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from mmdiag.fusion.base import (
    Fusion,
    FusionConfig,
    ModalityMLPs,
    ModalityProjection,
    normalize_over_present,
    softmax_over,
)
from mmdiag.tokens import Fused, Tokens


class ModalityAttention(Fusion):
    """`a[k, k'] = softmax_k'(V_k . Q_k' / sqrt(D) + b_k')` over the modalities present, `y = sum_k
    a[k, k] f_k(z_k)`.

    V_k and Q_k are linear maps of z_k, f_k a small network of modality k. The bias belongs to the
    modality looked at: one of the modality that looks
    would cancel in the softmax. Row k of the matrix says where modality k looks; its diagonal
    weighs the modality itself.
    """

    def __init__(self, modalities: Sequence[str], config: FusionConfig) -> None:
        super().__init__(modalities, config)
        width = config.width
        count = len(self.modalities)
        self.frame = ModalityProjection(modalities, width)
        self.value = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in modalities)
        self.query = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in modalities)
        self.bias = nn.Parameter(torch.zeros(count))
        self.branches = ModalityMLPs(count, width, config.dropout)
        self.mask = nn.Linear(count, width)

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch."""
        z_BMD, present_BM = self.frame(tokens)
        v_BMD = torch.stack([layer(z_BMD[:, k]) for k, layer in enumerate(self.value)], dim=1)
        q_BMD = torch.stack([layer(z_BMD[:, k]) for k, layer in enumerate(self.query)], dim=1)
        scores_BMM = v_BMD @ q_BMD.transpose(1, 2) / self.width**0.5 + self.bias
        attention_BMM = softmax_over(scores_BMM, present_BM[:, :, None] & present_BM[:, None, :])
        own_BM = attention_BMM.diagonal(dim1=1, dim2=2)
        fused_BD = (own_BM[..., None] * self.branches(z_BMD)).sum(1) * len(
            self.modalities
        ) ** 0.5 + self.mask(present_BM.to(z_BMD.dtype))
        return Fused(fused_BD, normalize_over_present(own_BM, present_BM), attention_BMM)
