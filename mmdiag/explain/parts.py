"""What is told of one case inside its modalities: parts with a place, and what has none. Parts and
the rest of a modality add up to its contribution.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Part = Mapping[str, Any]  # where it is, and its `value` in log-odds
DIGITS = 7
SENTENCE = "sentence"  # `unit` of a part of a note that is no word


@dataclass(frozen=True, slots=True)
class CaseParts:
    """What is kept of one case.

    Args:
        parts: Modality -> its parts: of an image rectangles of slices, of a note spans of
            characters, of a table its columns, of a signal its windows, of an embedding its
            vectors.
        groups: Table -> its named groups of columns.
        interaction: `modalities`, and the `matrix` of how they act together.
        gap: Modality -> how far the parts and what they were asked to share are apart before the
            rest is said to have no place: the error of an integral.
        contributions: Modality -> its Shapley value, as the parts were asked for.
    """

    parts: dict[str, list[Part]] = field(default_factory=dict)
    groups: dict[str, list[Part]] = field(default_factory=dict)
    interaction: dict[str, Any] = field(default_factory=dict)
    gap: dict[str, float] = field(default_factory=dict)
    contributions: dict[str, float] = field(default_factory=dict)


def rounded(part: Part) -> Part:
    """A part with as many digits as are kept."""
    return {**part, "value": round(float(part["value"]), DIGITS)}


def of_sentences(parts: Sequence[Part]) -> bool:
    """Whether the parts of a note are whole sentences."""
    return any(part.get("unit") == SENTENCE for part in parts)


def total(parts: Sequence[Part]) -> float:
    """What some parts add up to."""
    return float(sum(part["value"] for part in parts))


def unplaced(parts: Sequence[Part], contribution: float) -> float:
    """What of a modality's contribution is given to no part."""
    return contribution - total(parts)
