"""What an ensemble is made of."""

from dataclasses import dataclass

from mmdiag.config.encoders import PACKAGED_NETWORKS
from mmdiag.config.fusion import ENSEMBLE, FusionRole, check_fusion, fusions_that
from mmdiag.errors import UnknownNameError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleConfig:
    """What an ensemble is made of: linear models and trees of each modality, and networks over all
    of them. A family that is the mean of its inner fits has all of this but the network's name.

    Args:
        network: Family of its networks, or a chain of them, none that stacks by itself.
        folds: Inner folds in which penalties are chosen, and in each of which a network is trained.
        components: Principal components of each block of features that networks are given.
        terms: Principal directions of the words of a note that networks are given.
        beside: Image network that a package carries, whose features are given beside statistics
            of slices; empty = none.
        taught: Whether the networks of a family are given, beside directions that know of no label,
            what a ridge on each block of features says of the outcome.
    """

    network: str = "cross_modal+low_rank"
    folds: int = 5
    components: int = 24
    terms: int = 48
    beside: str = PACKAGED_NETWORKS[0]
    taught: bool = True

    def __post_init__(self) -> None:
        check_fusion(self.network)
        stacks = {ENSEMBLE, *fusions_that(FusionRole.STACKS)}
        if stacks & set(self.network.split("+")):
            raise UsageError(
                "The network of an ensemble is one that does not stack by itself, found "
                f"{self.network!r}: name another family, or a chain like cross_modal+low_rank."
            )
        if self.beside not in ("", *PACKAGED_NETWORKS):
            raise UnknownNameError("An image network of a package", self.beside, PACKAGED_NETWORKS)
        for name, least, most in (("folds", 2, 20), ("components", 1, 512), ("terms", 0, 512)):
            if not least <= getattr(self, name) <= most:
                raise UsageError(
                    f"{name} of an ensemble must be from {least} to {most}, found "
                    f"{getattr(self, name)}: change it in the recipe."
                )
