"""Chains of families: exchange tokens, pool them, blend the answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from torch import nn

from mmdiag.config import FUSION_FAMILIES, FusionRole, check_fusion
from mmdiag.fusion.base import Fusion, FusionConfig
from mmdiag.fusion.families import FUSIONS
from mmdiag.tokens import Fused, Tokens


def chain(*names: str) -> Callable[[Sequence[str], FusionConfig], Fusion]:
    """What builds a chain of families, called like a family; a chain of one is the family itself.

    Args:
        names: First families that exchange tokens, then at most one that pools them, then at most
            one that stacks, which blends the fused answer with each modality's own.

    Raises:
        UnknownNameError: No family has this name.
        UsageError: The order makes no sense.
    """
    check_fusion("+".join(names))
    if len(names) == 1:
        return FUSIONS[names[0]]

    def build(modalities: Sequence[str], config: FusionConfig) -> Fusion:
        *first, last = names
        if FUSION_FAMILIES[last] is FusionRole.STACKS:
            inner = chain(*first)(modalities, config)
            return FUSIONS[last](modalities, config, inner=inner)  # type: ignore[call-arg]
        only_exchange = replace(config, pools=False)
        exchanging = [FUSIONS[name](modalities, only_exchange) for name in first]
        return Chain(exchanging, FUSIONS[last](modalities, config), config)

    return build


class Chain(Fusion):
    """Exchanges one after the other, and a family that pools what comes out."""

    def __init__(self, exchanging: Sequence[Fusion], last: Fusion, config: FusionConfig) -> None:
        super().__init__(last.modalities, config)
        self.exchanging = nn.ModuleList(exchanging)
        self.last = last

    def exchange(self, tokens: Mapping[str, Tokens]) -> Mapping[str, Tokens]:
        """The tokens after every exchange before the last family."""
        for stage in self.exchanging:
            tokens = stage.exchange(tokens)  # type: ignore[operator]
        return tokens

    def forward(self, tokens: Mapping[str, Tokens]) -> Fused:
        """Fuse a batch."""
        matrix = None
        for stage in self.exchanging:
            tokens, found = stage.exchange_and_look(tokens)  # type: ignore[operator]
            matrix = matrix if found is None else found
        fused: Fused = self.last(tokens)
        return fused if fused.attention is not None else replace(fused, attention=matrix)
