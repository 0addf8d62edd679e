"""What of an explanation is drawn, and the line that says how it adds up: the same under every
picture and in `mmdiag explain`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mmdiag.explain.headings import content_pieces, without_content
from mmdiag.explain.parts import Part, of_sentences, total
from mmdiag.kinds import kind_named
from mmdiag.readers.text.sections import find_sections
from mmdiag.readers.text.sentences import is_negated, split_sentences

LEAST = 5e-6  # log-odds: less is nothing
FAINTEST = 0.1  # of a note's largest value: a smaller one has no shade
COLUMNS, GROUPS = 10, 8  # that are drawn of a table, the largest
NAMES = {
    "image": "regions",
    "text": "words",
    "table": "columns",
    "signal": "windows",
    "embedding": "vectors",
}

Span = tuple[int, int, float]


class Fold(NamedTuple):
    """A section of a note under its heading: where the heading, the text below it and the section
    end begin (offsets into the note), and the sum of the values of its words, log-odds.
    """

    start: int
    text: int
    end: int
    value: float


@dataclass(frozen=True, slots=True)
class Placed:
    """How the parts of one modality add up to its contribution.

    Args:
        what: What the parts are, in the plural.
        parts: How many there are.
        total: Their sum, log-odds.
        contribution: Shapley value of the modality, log-odds.
    """

    what: str
    parts: int
    total: float
    contribution: float

    @property
    def unplaced(self) -> float:
        """What is attributed to no part."""
        return self.contribution - self.total

    def facts(self) -> dict[str, Any]:
        """What `mmdiag explain --json` says of it."""
        return {
            "what": self.what,
            "parts": self.parts,
            "sum": round(self.total, 6),
            "unplaced": round(self.unplaced, 6),
        }

    def sentence(self, title: str) -> str:
        """One line for people.

        Args:
            title: How people read the modality.
        """
        whole = f"the contribution of {title}, {signed(self.contribution)}"
        if not self.parts:
            return f"Nothing inside explains {whole}: it is attributed to no {self.what}."
        one = self.parts == 1
        said = (
            f"{self.parts} {self.what.removesuffix('s') if one else self.what} "
            f"{'adds' if one else 'add'} up to {signed(self.total)} of {whole}"
        )
        if abs(self.unplaced) < LEAST:
            return f"{said}."
        return f"{said}; not attributed to a place: {signed(self.unplaced)}."


def placed(kind: str, parts: Sequence[Part], contribution: float) -> Placed:
    """How the parts of a modality of a kind add up."""
    what = "sentences" if of_sentences(parts) else NAMES[kind_named(kind).drawn_as]
    return Placed(what, len(parts), total(parts), contribution)


def shaded_pieces(text: str, parts: Sequence[Part]) -> list[Span]:
    """The words of a note that have a shade: start, end and value, in the order of the text."""
    without = without_content(text)
    largest = max((abs(part["value"]) for part in parts), default=0.0)
    found = []
    for part in parts:
        if abs(part["value"]) >= max(FAINTEST * largest, LEAST):
            pieces = content_pieces(text, part["start"], part["end"], without)
            found += [(a, b, float(part["value"])) for a, b in pieces]
    return sorted(found)


def folds(text: str, parts: Sequence[Part]) -> list[Fold]:
    """The sections of a note, in its order; what precedes the first heading is in none. A note with
    one heading or none has no section.

    Args:
        parts: `start` and `value` of words; each belongs to the section in which it starts.
    """
    without = without_content(text)
    sections = [  # a diagnosis in capitals on a line of its own is no heading
        one
        for one in find_sections(text)
        if not content_pieces(text, one.heading, max(one.start, one.heading), without)
    ]
    if len(sections) < 2:
        return []
    ends = [*(one.heading for one in sections[1:]), len(text)]
    found = []
    for one, end in zip(sections, ends, strict=True):
        value = sum(part["value"] for part in parts if one.heading <= part["start"] < end)
        found.append(Fold(one.heading, min(one.start, end), end, float(value)))
    return found


def in_negated(text: str, pieces: Sequence[Span]) -> list[bool]:
    """Whether each piece stands in a sentence that a rule finds negated: it is shaded for what the
    model makes of it, not for a finding.
    """
    negated = [(a, b) for a, b in split_sentences(text) if is_negated(text[a:b])]
    return [any(a <= start < b for a, b in negated) for start, _, _ in pieces]


def influential(rows: Sequence[Mapping[str, Any]], most: int) -> list[Mapping[str, Any]]:
    """The first rows that have an influence."""
    return [row for row in rows if abs(float(row["value"])) >= LEAST][:most]


def signed(value: float) -> str:
    """Log-odds with their sign; small ones with one digit instead of `+0.00`."""
    if value == 0:
        return "0"
    return f"{value:+.2f}" if abs(value) >= 0.005 else f"{value:+.0e}"
