"""What others made of which a model is made: pretrained weights and embeddings, by whom and under
which terms.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mmdiag.config import RANDOM
from mmdiag.prepare.preparation import Preparation


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
