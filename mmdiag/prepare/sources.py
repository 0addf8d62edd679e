"""What others made of which a model is made: pretrained weights and embeddings, by whom and under
which terms; and whether a cohort allows these terms.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mmdiag.config import RANDOM, RunConfig
from mmdiag.description import Description
from mmdiag.errors import UsageError
from mmdiag.kinds import kind_named
from mmdiag.prepare.preparation import Preparation

OWN = "own"  # the licence of what `mmdiag pretrain` made from nothing, as its card has it


@dataclass(frozen=True, slots=True)
class Made:
    """What a modality's features are made by.

    Args:
        maker: An encoder or weights, and their revision.
        licence: As it is stated.
    """

    maker: str
    licence: str


def sources_of(preparations: Mapping[str, Preparation]) -> dict[str, Made]:
    """Modality -> what others made of it; none of what was learned from nothing."""
    found = {name: made_by(one.source) for name, one in preparations.items()}
    return {name: made for name, made in found.items() if made is not None}


def made_by(source: Mapping[str, str]) -> Made | None:
    """What a preparation's `source` says."""
    maker = source.get("encoder") or source.get("source", "")
    if maker in ("", RANDOM):
        return None
    revision = f" {source['revision']}" if source.get("revision") else ""
    return Made(f"{maker}{revision}", source.get("licence", "not stated"))


def require_licences(description: Description, config: RunConfig, kinds: Iterable[str]) -> None:
    """See whether a cohort allows the weights that a configuration names; embeddings were looked at
    with the description.

    Args:
        kinds: Of the cohort's modalities.

    Raises:
        UsageError: One has another licence.
    """
    if not description.weights_licence:
        return
    for kind in sorted(set(kinds)):
        weights = kind_named(kind).weights
        found = weights(config) if weights else None
        made = made_by(found.record()) if found else None
        if made is not None:
            _require(description, f"the {kind} encoder", made)


def require_bundle_licences(
    description: Description, preparations: Mapping[str, Preparation]
) -> None:
    """See whether a cohort allows what a bundle was made of.

    Raises:
        UsageError: Something of it has another licence.
    """
    if description.weights_licence:
        for name, made in sources_of(preparations).items():
            _require(description, name, made)


def _require(description: Description, what: str, made: Made) -> None:
    if made.licence == OWN or description.allows(made.licence):
        return
    allowed = ", ".join(description.weights_licence)
    raise UsageError(
        f"Pretrained weights have one of the licences of weights_licence ({allowed}), {what} uses "
        f"{made.maker}, whose licence is {made.licence}: choose others, or add that licence under "
        f"[cohort] of {description.file.name} where its terms allow this use."
    )
