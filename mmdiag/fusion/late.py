"""Late fusion: a model of each modality alone, whose calibrated answers are blended by a weight for
each set of available modalities.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdiag.fusion.base import Fusion, FusionConfig, normalize_over_present
from mmdiag.fusion.concat import Concat
from mmdiag.fusion.stacking import fit_stacking
from mmdiag.tokens import Fused, Tokens, present_in

# the commonest ones on validation cases get weights of their own; others take the shared ones
SETS = 64


class Late(Fusion):
    """`y = sum_e s_e(S) (v_e + d_e) + c(S)` over branches e: each modality's own model, and in a
    chain the fused vector of the families before.

    Every branch learns from its own answer alone, so that none ever sees another modality. The
    scales s of each availability set S and the offsets d, c are fitted afterwards, on the logits of
    validation cases (`fit_stacking`). Through the linear task head, `y` blends the branches'
    log-odds over the prior.

    Args:
        inner: The families before `late` in a chain.

    Reference:
        Wolpert 1992, Stacked generalization; Platt 1999.
    """

    def __init__(
        self, modalities: Sequence[str], config: FusionConfig, inner: Fusion | None = None
    ) -> None:
        super().__init__(modalities, config)
        count = len(self.modalities)
        self.alone = nn.ModuleList(Concat([name], config) for name in modalities)
        self.inner = inner
        # until `fit_stacking`: evidence of independent modalities adds up, and what is fused
        # already stands for itself
        self.start = torch.ones(count) if inner is None else torch.eye(count + 1)[-1]
        self.scale: Tensor
        self.shift: Tensor
        self.offset: Tensor
        self.sets: Tensor
        self.register_buffer("scale", torch.empty(SETS + 1, len(self.start)).copy_(self.start))
        self.register_buffer("shift", torch.zeros(len(self.start), self.width))
        self.register_buffer("offset", torch.zeros(SETS + 1, self.width))
        self.register_buffer("sets", torch.full((SETS, count), -1, dtype=torch.int8))

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch."""
        branches = [
            model({name: tokens[name]}).values
            for name, model in zip(self.modalities, self.alone, strict=True)
        ]
        present_BM = present_in(tokens, self.modalities)
        there_BE, inner = present_BM, None
        if self.inner is not None:
            inner = self.inner(tokens)
            branches.append(inner.values)
            there_BE = torch.cat([present_BM, present_BM.any(1, keepdim=True)], dim=1)
        vectors_BED = torch.stack(branches, dim=1)
        row_B = self._row(present_BM)
        scale_BE = torch.where(there_BE, self.scale[row_B], 0.0)
        values_BD = (scale_BE[..., None] * (vectors_BED + self.shift)).sum(1) + self.offset[row_B]
        amounts_BM = scale_BE[:, : present_BM.shape[1]]
        if inner is not None:
            amounts_BM = amounts_BM + scale_BE[:, -1:] * inner.weights
        return Fused(
            values_BD,
            normalize_over_present(amounts_BM, present_BM),
            inner.attention if inner else None,
            vectors_BED,
        )

    def fit_stacking(
        self,
        branches: Float[Tensor, "case branch width"],
        present: Bool[Tensor, "case modality"],
        target: Float[Tensor, "case target"],
        head: nn.Linear,
        loss: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        """Fit scales and offsets on validation cases."""
        there = (
            torch.cat([present, present.any(1, keepdim=True)], dim=1)
            if self.inner is not None
            else present
        )
        weight, prior = head.weight.detach().cpu().double(), head.bias.detach().cpu().double()
        fitted = fit_stacking(
            branches.double() @ weight.T,
            there,
            present,
            target.double(),
            prior,
            loss,
            start=self.start.cpu().double(),
            most=SETS,
        )
        back = torch.linalg.pinv(weight).T  # logits -> the vector that the head maps to them
        rows = torch.zeros(SETS + 1, dtype=torch.long)
        rows[: len(fitted.sets) + 1] = torch.arange(len(fitted.sets) + 1)
        self.sets[: len(fitted.sets)] = fitted.sets.to(self.sets)
        self.scale.copy_(fitted.scale[rows])
        self.shift.copy_(fitted.shift @ back)
        self.offset.copy_((fitted.offset @ back)[rows])

    def _row(self, present_BM: Bool[Tensor, "batch modality"]) -> Tensor:
        """The row of the tables that a case's availability set has; row 0 is the shared one."""
        same_BS = (present_BM[:, None, :] == self.sets).all(-1)
        return torch.where(same_BS.any(1), same_BS.int().argmax(1) + 1, 0)
