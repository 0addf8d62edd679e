"""The contract of every fusion, and the parts that families share.

What most begin with: encoder k gives h_k; z_k = LayerNorm(W_k h_k + b_k) + e_k; a learned null
vector stands in for an absent modality; the mask itself is handed on.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdiag.errors import UsageError
from mmdiag.tokens import Fused, Tokens, present_in


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionConfig:
    """What a family is built from; each reads what it has a use for.

    Args:
        width: Of the tokens, and of the fused vector.
        heads: Of attention; they share the width.
        dropout: From 0 to below 1.
        pools: False in a chain that hands the tokens to another family: a family that exchanges
            leaves out the parts that would only bring them to one vector.
        parts: False where every modality is its summary token alone: a family leaves out what would
            condense parts.
    """

    width: int
    heads: int = 4
    dropout: float = 0.0
    pools: bool = True
    parts: bool = True


class Fusion(nn.Module, ABC):
    """Brings K encoded modalities to one vector. The whole contract of a family:

    - `forward` in every family;
    - `exchange` in one that exchanges tokens between modalities, so that a chain can hand them to
      the next family;
    - `fit_stacking` in one whose branches learn from their own answers alone and are blended after
      training; it gives them as `Fused.branches`, and its `__init__` takes `inner`, the fusion of
      the families before it in a chain, or None.

    `mmdiag.config.FUSION_FAMILIES` says by the family's name which of the three it is.

    Args:
        modalities: Their names; the order of `Fused.weights`.
        config: Sizes that are the same for every family.
    """

    def __init__(self, modalities: Sequence[str], config: FusionConfig) -> None:
        super().__init__()
        self.modalities, self.width = tuple(modalities), config.width

    @property
    def stacks(self) -> bool:
        """Whether branches learn from their own answers alone, and `fit_stacking` blends them."""
        return type(self).fit_stacking is not Fusion.fit_stacking

    def exchange(self, tokens: Mapping[str, Tokens]) -> Mapping[str, Tokens]:
        """Tokens that know of each other; their shapes and masks are those that came in."""
        return tokens

    def exchange_and_look(
        self, tokens: Mapping[str, Tokens]
    ) -> tuple[Mapping[str, Tokens], Float[Tensor, "batch modality modality"] | None]:
        """What `exchange` gives, and where each modality looked, where the family knows that."""
        return self.exchange(tokens), None

    @abstractmethod
    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch; the order of the mapping's keys does not matter."""

    def fit_stacking(
        self,
        branches: Float[Tensor, "case branch width"],
        present: Bool[Tensor, "case modality"],
        target: Float[Tensor, "case target"],
        head: nn.Linear,
        loss: Callable[[Tensor, Tensor], Tensor],
    ) -> None:
        """Fit on validation cases how the branches are blended.

        Args:
            branches: `Fused.branches` of the cases.
            present: Which modalities each case has.
            target: What `head` is trained on; NaN = unknown.
            head: The task head's linear map.
            loss: (logits, target) -> mean loss of the task.
        """
        raise NotImplementedError(f"{type(self).__name__} does not stack: ask `stacks` first.")


class ModalityProjection(nn.Module):
    """z_k = LayerNorm(W_k h_k + b_k) + e_k of the summary tokens, with a learned null vector where
    a modality is absent.

    The offset b_k begins as large as a standardised signal: the norm of a bare linear map would
    keep the direction of h_k and lose how far it goes.
    """

    def __init__(self, modalities: Sequence[str], width: int) -> None:
        super().__init__()
        self.modalities, self.width = tuple(modalities), width
        self.maps = nn.ModuleList(nn.Linear(width, width) for _ in modalities)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in modalities)
        self.offset = nn.Parameter(torch.randn(len(modalities), width))
        self.identity = nn.Parameter(0.02 * torch.randn(len(modalities), width))
        self.null = nn.Parameter(0.02 * torch.randn(len(modalities), width))

    def forward(
        self, tokens: Mapping[str, Tokens]
    ) -> tuple[Float[Tensor, "batch modality width"], Bool[Tensor, "batch modality"]]:
        """The summary of each modality, and which are present."""
        h_BMD, present_BM = summaries(tokens, self.modalities, self.width)
        z_BMD = torch.stack(
            [
                self.norms[k](self.maps[k](h_BMD[:, k]) + self.offset[k])
                for k in range(len(self.modalities))
            ],
            dim=1,
        )
        return torch.where(present_BM[..., None], z_BMD + self.identity, self.null), present_BM


def summaries(
    tokens: Mapping[str, Tokens], modalities: Sequence[str], width: int
) -> tuple[Float[Tensor, "batch modality width"], Bool[Tensor, "batch modality"]]:
    """The summary token of each modality, 0 where it is absent, and which are present.

    Raises:
        UsageError: An encoder's width is not the fusion's.
    """
    rows = []
    for name in modalities:
        check_width(name, tokens[name], width)
        rows.append(torch.where(tokens[name].present()[:, None], tokens[name].values[:, 0], 0.0))
    return torch.stack(rows, dim=1), present_in(tokens, modalities)


def check_width(name: str, tokens: Tokens, width: int) -> None:
    """Raise where an encoder's width is not the fusion's.

    Raises:
        UsageError: The widths differ.
    """
    if tokens.values.shape[-1] != width:
        raise UsageError(
            f"Every encoder must give tokens of the fusion's width {width}, {name} gives "
            f"{tokens.values.shape[-1]}: set both from ModelConfig.width."
        )


def normalize_over_present(
    amounts_BM: Float[Tensor, "batch modality"], present_BM: Bool[Tensor, "batch modality"]
) -> Float[Tensor, "batch modality"]:
    """Amounts (>= 0) as a distribution over what is present; even where all are 0, and 0 everywhere
    where nothing is present.
    """
    kept = torch.where(present_BM, amounts_BM + 1e-9, 0.0)
    return kept / kept.sum(dim=1, keepdim=True).clamp_min(1e-12)


def softmax_over(
    scores: Float[Tensor, "*batch modality"], present: Bool[Tensor, "*batch modality"]
) -> Float[Tensor, "*batch modality"]:
    """Softmax over the last axis of what is present; 0 elsewhere, and everywhere where nothing is
    present.
    """
    return torch.where(present, scores.masked_fill(~present, -1e9).softmax(dim=-1), 0.0)


class ModalityMLPs(nn.Module):
    """f_k(x_k) = A_k x_k + g_k(x_k), a network for each modality: linear at the start, g_k is
    learned.
    """

    def __init__(self, count: int, width: int, dropout: float) -> None:
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(count))
        self.deep = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width)
            )
            for _ in range(count)
        )
        for deep in self.deep:
            nn.init.zeros_(deep[-1].weight)  # type: ignore[index]

    def forward(
        self, x_BMD: Float[Tensor, "batch modality width"]
    ) -> Float[Tensor, "batch modality width"]:
        """The vector of each modality's network."""
        return torch.stack(
            [
                self.linear[k](x_BMD[:, k]) + self.deep[k](x_BMD[:, k])
                for k in range(x_BMD.shape[1])
            ],
            dim=1,
        )
