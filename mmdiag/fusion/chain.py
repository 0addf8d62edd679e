"""Families by the names that users type, and chains of them: exchange tokens, pool them, blend the
answers.
"""

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from mmdiag.config import check_fusion
from mmdiag.fusion.additive import Additive
from mmdiag.fusion.base import Fusion
from mmdiag.fusion.concat import Concat
from mmdiag.fusion.cross_modal import CrossModal
from mmdiag.fusion.deep import Deep
from mmdiag.fusion.gated import Gated
from mmdiag.fusion.late import Late
from mmdiag.fusion.low_rank import LowRank
from mmdiag.fusion.modality_attention import ModalityAttention
from mmdiag.tokens import Fused, Tokens

FUSIONS: dict[str, Callable[..., Fusion]] = {
    "concat": Concat,
    "gated": Gated,
    "low_rank": LowRank,
    "modality_attention": ModalityAttention,
    "additive": Additive,
    "cross_modal": CrossModal,
    "deep": Deep,
    "late": Late,
}


def chain(*names: str) -> Callable[..., Fusion]:
    """What builds a chain of families, called like a family; a chain of one is the family itself.

    Args:
        names: First families that exchange tokens, then at most one that pools them, then `late`,
            which blends the fused answer with each modality's own.

    Raises:
        UnknownNameError: No family has this name.
        UsageError: The order makes no sense.
    """
    check_fusion("+".join(names))
    if len(names) == 1:
        return FUSIONS[names[0]]

    def build(
        modalities: Sequence[str], width: int, *, heads: int = 4, dropout: float = 0.0
    ) -> Fusion:
        *first, last = names
        if last == "late":
            inner = chain(*first)(modalities, width, heads=heads, dropout=dropout)
            return Late(modalities, width, heads=heads, dropout=dropout, inner=inner)
        exchanging = [
            FUSIONS[name](modalities, width, heads=heads, dropout=dropout, pools=False)
            for name in first
        ]
        return Chain(exchanging, FUSIONS[last](modalities, width, heads=heads, dropout=dropout))

    return build


class Chain(Fusion):
    """Exchanges one after the other, and a family that pools what comes out."""

    def __init__(self, exchanging: Sequence[Fusion], last: Fusion) -> None:
        super().__init__(last.modalities, last.width)
        self.exchanging = nn.ModuleList(exchanging)
        self.last = last

    def exchange(self, tokens: Mapping[str, Tokens]) -> Mapping[str, Tokens]:
        """The tokens after every exchange before the last family."""
        for stage in self.exchanging:
            tokens = stage.exchange(tokens)  # type: ignore[operator]
        return tokens

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch."""
        fused: Fused = self.last(self.exchange(tokens))
        return fused
