"""Additive fusion: every modality adds its own part to the answer, and the parts are exact."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmdiag.fusion.base import Fusion, FusionConfig, ModalityMLPs, ModalityProjection, softmax_over
from mmdiag.tokens import Fused, Tokens


class Additive(Fusion):
    """`y = y_0 + sum_k t_k`, `t_k = n a_k f_k(z_k) + B_k` over the n modalities present: a gate a_k
    says how much modality k counts.

    The task head is linear, so that `head(t_k)` without its bias is exactly what modality k added
    to the logit.

    Reference:
        Vanguri 2022, Multimodal integration of radiology, pathology and genomics (DyAM).
    """

    def __init__(self, modalities: Sequence[str], config: FusionConfig) -> None:
        super().__init__(modalities, config)
        width = config.width
        count = len(self.modalities)
        self.frame = ModalityProjection(modalities, width)
        self.gate = nn.ModuleList(nn.Linear(width, 1) for _ in modalities)
        self.branches = ModalityMLPs(count, width, config.dropout)
        self.there = nn.Parameter(torch.zeros(count, width))
        self.nothing = nn.Parameter(torch.zeros(width))
        for gate in self.gate:  # all count alike at first
            nn.init.zeros_(gate.weight)  # type: ignore[arg-type]

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch."""
        terms_BMD, weights_BM = self.terms(tokens)
        return Fused(self.nothing + terms_BMD.sum(1), weights_BM)

    def terms(
        self, tokens: Mapping[str, Tokens]
    ) -> tuple[Float[Tensor, "batch modality width"], Float[Tensor, "batch modality"]]:
        """What each modality adds, 0 where it is absent, and the gates."""
        z_BMD, present_BM = self.frame(tokens)
        scores_BM = torch.cat([gate(z_BMD[:, k]) for k, gate in enumerate(self.gate)], dim=1)
        weights_BM = softmax_over(scores_BM, present_BM)
        gate_BM = weights_BM * present_BM.sum(1, keepdim=True)
        terms_BMD = gate_BM[..., None] * self.branches(z_BMD) + self.there
        return torch.where(present_BM[..., None], terms_BMD, 0.0), weights_BM
