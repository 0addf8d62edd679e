"""Attention fusion with the K x K matrix of modality weights."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from mmdiag.fusion.base import Frame, Fusion, shares
from mmdiag.tokens import Fused, Tokens


class ModalityAttention(Fusion):
    """`a[k, k'] = softmax_k'(V_k . Q_k' / sqrt(D) + b_k')` over the modalities present, `y = sum_k a[k, k] f_k(z_k)`.

    V_k and Q_k are linear maps of z_k, f_k a small network of modality k. The bias belongs to the modality looked at: one of the modality that looks
    would cancel in the softmax. Row k of the matrix says where modality k looks; its diagonal weighs the modality itself.
    """

    def __init__(self, modalities: Sequence[str], width: int, *, heads: int = 4, dropout: float = 0.0) -> None:
        super().__init__(modalities, width)
        del heads
        count = len(self.modalities)
        self.frame = Frame(modalities, width)
        self.value = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in modalities)
        self.query = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in modalities)
        self.bias = nn.Parameter(torch.zeros(count))
        self.branch = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width)) for _ in modalities
        )
        self.direct = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in modalities)
        self.mask = nn.Linear(count, width)
        for branch in self.branch:  # f_k starts linear
            nn.init.zeros_(branch[-1].weight)  # type: ignore[index]

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch."""
        z_BMD, present_BM = self.frame(tokens)
        v_BMD = torch.stack([layer(z_BMD[:, k]) for k, layer in enumerate(self.value)], dim=1)
        q_BMD = torch.stack([layer(z_BMD[:, k]) for k, layer in enumerate(self.query)], dim=1)
        f_BMD = torch.stack([self.branch[k](z_BMD[:, k]) + self.direct[k](z_BMD[:, k]) for k in range(len(self.modalities))], dim=1)
        scores_BMM = v_BMD @ q_BMD.transpose(1, 2) / self.width**0.5 + self.bias
        both_BMM = present_BM[:, :, None] & present_BM[:, None, :]
        attention_BMM = scores_BMM.masked_fill(~both_BMM, -1e9).softmax(dim=-1) * both_BMM
        own_BM = attention_BMM.diagonal(dim1=1, dim2=2)
        fused_BD = (own_BM[..., None] * f_BMD).sum(1) * len(self.modalities) ** 0.5 + self.mask(present_BM.to(z_BMD.dtype))
        return Fused(fused_BD, shares(own_BM, present_BM), attention_BMM)
