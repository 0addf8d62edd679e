"""The one list of fusion families, by the names that users type, and of what a chain makes of each.

Free of torch, so that a command line and the dashboard know the names. The family `low_rank` is the
class `LowRank` of `mmdiag/fusion/low_rank.py`.
"""

from collections.abc import Mapping
from enum import Enum

from mmdiag.errors import UnknownNameError, UsageError


class FusionRole(Enum):
    """Where a family stands in a chain, in this order."""

    EXCHANGES = 0  # its tokens know of each other, and another family can take them over
    POOLS = 1
    STACKS = 2  # blends the answers of branches after training; with it a chain ends


FUSION_FAMILIES: Mapping[str, FusionRole] = {
    "concat": FusionRole.POOLS,
    "gated": FusionRole.POOLS,
    "low_rank": FusionRole.POOLS,
    "modality_attention": FusionRole.POOLS,
    "additive": FusionRole.POOLS,
    "cross_modal": FusionRole.EXCHANGES,
    "deep": FusionRole.EXCHANGES,
    "late": FusionRole.STACKS,
}
# no family: it stacks models of every kind, among them networks of one family
ENSEMBLE = "ensemble"
FUSION_NAMES = (ENSEMBLE, *FUSION_FAMILIES)


def fusions_that(role: FusionRole) -> list[str]:
    """Names of the families of a role."""
    return [name for name, own in FUSION_FAMILIES.items() if own is role]


def check_fusion(fusion: str) -> None:
    """Check the name of a fusion, or of a chain of them written
    `cross_modal+modality_attention+late`.

    Raises:
        UnknownNameError: No family has one of these names.
        UsageError: The families do not follow each other in an order that makes sense.
    """
    if fusion == ENSEMBLE:
        return
    names = fusion.split("+")
    for name in names:
        if name not in FUSION_FAMILIES:
            raise UnknownNameError("A fusion", name, FUSION_NAMES)
    roles = [FUSION_FAMILIES[name] for name in names]
    ordered = roles == sorted(roles, key=lambda role: role.value)
    ends = [role for role in roles if role is not FusionRole.EXCHANGES]
    if len(set(names)) < len(names) or len(set(ends)) < len(ends) or not ordered:
        raise UsageError(
            f"A chain of fusions is first any of {', '.join(fusions_that(FusionRole.EXCHANGES))}, "
            "then at most one family that pools, then "
            f"{' or '.join(fusions_that(FusionRole.STACKS))}, each once, found {fusion!r}: "
            "write it like cross_modal+modality_attention+late."
        )
