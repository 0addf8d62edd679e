"""Deep fusion: branches of their own that exchange at several depths, each scaled and shifted by
what the others' messages say.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdiag.fusion.base import Fusion, FusionConfig, ModalityProjection, normalize_over_present
from mmdiag.tokens import Fused, Tokens


class Deep(Fusion):
    """K branches with an exchange at each of 2 depths; the task's own loss also asks each branch
    alone (`Fused.branches`).

    Its weights are the shares of the norms of what the branches add. In a chain the summaries
    exchange; the parts of a modality stay as they are.

    Reference:
        Perez 2018, FiLM; Joze 2020, MMTM; Alayrac 2022, Flamingo, for adapters that start as
        nothing.
    """

    DEPTHS = 2

    def __init__(self, modalities: Sequence[str], config: FusionConfig) -> None:
        super().__init__(modalities, config)
        width, dropout = config.width, config.dropout
        count = len(self.modalities)
        self.frame = ModalityProjection(modalities, width)
        self.depths = nn.ModuleList(FiLMBlock(count, width, dropout) for _ in range(self.DEPTHS))
        self.out = (
            nn.ModuleList(nn.Linear(width, width, bias=False) for _ in modalities)
            if config.pools
            else None
        )
        self.mask = nn.Linear(count, width) if config.pools else None

    def exchange(self, tokens: Mapping[str, Tokens]) -> Mapping[str, Tokens]:
        """Tokens whose summaries know of each other."""
        state_BMD, present_BM = self._depths(tokens)
        exchanged = {}
        for k, name in enumerate(self.modalities):
            mask = tokens[name].mask & present_BM[:, k : k + 1]
            exchanged[name] = Tokens(
                torch.cat([state_BMD[:, k : k + 1], tokens[name].values[:, 1:]], dim=1), mask
            )
        return exchanged

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch."""
        # a chain builds it without them only to exchange
        assert self.out is not None and self.mask is not None
        state_BMD, present_BM = self._depths(tokens)
        terms_BMD = torch.stack([layer(state_BMD[:, k]) for k, layer in enumerate(self.out)], dim=1)
        terms_BMD = torch.where(present_BM[..., None], terms_BMD, 0.0)
        values_BD = terms_BMD.sum(1) + self.mask(present_BM.to(terms_BMD.dtype))
        return Fused(
            values_BD,
            normalize_over_present(terms_BMD.norm(dim=-1), present_BM),
            branches=state_BMD,
        )

    def _depths(
        self, tokens: Mapping[str, Tokens]
    ) -> tuple[Float[Tensor, "batch modality width"], Bool[Tensor, "batch modality"]]:
        state_BMD, present_BM = self.frame(tokens)
        for depth in self.depths:
            state_BMD = depth(state_BMD, present_BM)
        return state_BMD, present_BM


class FiLMBlock(nn.Module):
    """`s_k <- s_k + g_k * s_k + b_k`, where (g_k, b_k) is a linear map of the sum of the other
    modalities' messages; then a step of each branch alone.
    """

    def __init__(self, count: int, width: int, dropout: float) -> None:
        super().__init__()
        # `say` maps a state to its message, `hear` messages to scale and shift; saved weights have
        # these names
        self.say = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(count))
        self.hear = nn.ModuleList(nn.Linear(width, 2 * width, bias=False) for _ in range(count))
        self.step = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, width),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Linear(width, width),
            )
            for _ in range(count)
        )
        for k in range(count):  # exchange and step start as nothing
            nn.init.zeros_(self.hear[k].weight)  # type: ignore[arg-type]
            nn.init.zeros_(self.step[k][-1].weight)  # type: ignore[index]
            nn.init.zeros_(self.step[k][-1].bias)  # type: ignore[index]

    def forward(
        self,
        state_BMD: Float[Tensor, "batch modality width"],
        present_BM: Bool[Tensor, "batch modality"],
    ) -> Float[Tensor, "batch modality width"]:
        """The branches' next state."""
        message_BMD = torch.stack(
            [message(state_BMD[:, k]) for k, message in enumerate(self.say)], dim=1
        )
        message_BMD = torch.where(present_BM[..., None], message_BMD, 0.0)
        fresh = []
        for k in range(state_BMD.shape[1]):
            others_BD = message_BMD[:, [i for i in range(state_BMD.shape[1]) if i != k]].sum(1)
            film = self.hear[k]
            scale_BD, shift_BD = film(others_BD).chunk(2, dim=-1)
            shifted_BD = state_BMD[:, k] + scale_BD * state_BMD[:, k] + shift_BD
            fresh.append(shifted_BD + self.step[k](shifted_BD))
        return torch.stack(fresh, dim=1)
