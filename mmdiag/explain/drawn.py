"""What of an explanation is drawn, and how much of a modality's contribution that adds up to: the
same figures under every picture and in `mmdiag explain`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from mmdiag.explain.headings import content_pieces, without_content
from mmdiag.explain.tissue import cells_with_tissue
from mmdiag.kinds import kind_named
from mmdiag.storage.store import Store

LEAST = 5e-6  # weights are published with five digits
FAINTEST = 0.1  # of a note's largest weight: a smaller one has no shade
COLUMNS, GROUPS = 10, 8  # that are drawn of a table, the largest
REGIONS, WORDS, GENES = "regions", "sentences and words", "genes"
TABLE_COLUMNS, PATHWAYS, WINDOWS, VECTORS = "columns", "pathways", "windows", "vectors"

Span = tuple[int, int, float]
Spans = Sequence[Sequence[float | int]]  # start, end and weight of each
Weighted = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the drawn parts of one modality add up to.

    Args:
        what: What the parts are, in the plural.
        parts: How many are drawn.
        total: Their sum, log-odds.
        contribution: Shapley value of the modality, log-odds.
    """

    what: str
    parts: int
    total: float
    contribution: float

    @property
    def share(self) -> float | None:
        """Of the contribution; negative where the signs differ; None of a contribution of 0."""
        return self.total / self.contribution if abs(self.contribution) >= LEAST else None

    @property
    def same_sign(self) -> bool | None:
        """Whether the sum has the sign of the contribution; None where either is 0."""
        if min(abs(self.total), abs(self.contribution)) < LEAST:
            return None
        return self.total * self.contribution > 0

    def facts(self) -> dict[str, Any]:
        """What `mmdiag explain --json` says of it."""
        share = self.share
        return {
            "parts": self.parts,
            "sum": round(self.total, 5),
            "contribution": round(self.contribution, 5),
            "share": None if share is None else round(share, 4),
            "same_sign": self.same_sign,
        }

    def sentence(self, title: str, *, percent: bool = True) -> str:
        """One line for people.

        Args:
            title: How people read the modality.
            percent: Whether the share is said as well.
        """
        whole = f"the contribution of {title}"
        if not self.parts:
            return f"No {self.what} are drawn: nothing here explains {whole}, {self._whole}."
        total = f"The {self.what} drawn add up to {signed(self.total)}"
        if self.same_sign is None:
            return f"{total}, {whole} is {self._whole}: there is no sign to compare."
        if not self.same_sign:
            said = f"{total}, {whole} is {self._whole}: the sign does not agree, "
            return f"{said}and the {self.what} do not explain it.{self._caution}"
        if percent and self.share is not None:
            return (
                f"{total}, {_portion(self.share)} {whole} ({self._whole}); the sign agrees."
                f"{self._caution}"
            )
        return f"{total}, {whole} is {self._whole}; the sign agrees.{self._caution}"

    @property
    def _whole(self) -> str:
        return signed(self.contribution)

    @property
    def _caution(self) -> str:
        shared = " A gene of several pathways is counted in each."
        return shared if self.what == PATHWAYS else ""


def drawn_parts(
    store: Store,
    row: int,
    name: str,
    explained: Any,
    heat: Float[ndarray, "..."] | None,
    contribution: float,
) -> list[Drawn]:
    """What is drawn of one modality of a case; nothing where it is not explained.

    Args:
        row: The case's row in `store.cases`.
        explained: `spans` of a note, `genes` and `groups` of a table, windows of a signal, vectors
            of an embedding.
        heat: The map of an image.
        contribution: The modality's Shapley value.
    """
    drawn_as = kind_named(store.modalities[name]).drawn_as
    if drawn_as == "image":
        return [] if heat is None else [of_image(heat, store.images(name, row), contribution)]
    if explained is None:
        return []
    if drawn_as == "text":
        return [of_note(store.text(name, row), explained["spans"], contribution)]
    if drawn_as == "table":
        return of_table(explained, contribution)
    return [of_rows(explained, VECTORS if drawn_as == "embedding" else WINDOWS, contribution)]


def of_image(
    heat: Float[ndarray, "cut cell_row cell_column"],
    stack: UInt8[ndarray, "slice row column *colour"],
    contribution: float,
) -> Drawn:
    """The cells of a heat map that lie on the body."""
    inside = heat_on_tissue(heat, stack)
    return Drawn(REGIONS, int(np.count_nonzero(inside)), float(inside.sum()), contribution)


def of_note(text: str, spans: Spans, contribution: float) -> Drawn:
    """The spans of a note that have a shade."""
    weights = [weight for _, weight in _shaded(text, spans)]
    return Drawn(WORDS, len(weights), float(sum(weights)), contribution)


def of_rows(rows: Sequence[Weighted], what: str, contribution: float) -> Drawn:
    """The genes, columns or pathways that have a bar, the windows of a signal, or the vectors of an
    embedding.
    """
    key = "value" if what in (WINDOWS, VECTORS) else "weight"
    most = {PATHWAYS: GROUPS, WINDOWS: len(rows), VECTORS: len(rows)}.get(what, COLUMNS)
    weights = [float(row[key]) for row in influential(rows, most, key)]
    return Drawn(what, len(weights), sum(weights), contribution)


def of_table(values: Mapping[str, Sequence[Weighted]], contribution: float) -> list[Drawn]:
    """The two lists of a table: its pathways, where it has any, and its genes or columns."""
    groups = [of_rows(values["groups"], PATHWAYS, contribution)] if values["groups"] else []
    what = GENES if values["groups"] else TABLE_COLUMNS
    return [*groups, of_rows(values["genes"], what, contribution)]


def heat_on_tissue(
    heat: Float[ndarray, "cut cell_row cell_column"],
    stack: UInt8[ndarray, "slice row column *colour"],
) -> Float[ndarray, "cut cell_row cell_column"]:
    """A heat map without the cells that lie outside of the body."""
    cut, rows, columns = heat.shape
    touched = cells_with_tissue(stack, (cut, rows, columns))
    inside: ndarray = np.where(touched, heat.astype(np.float64), 0.0)
    return inside


def content_spans(text: str, spans: Spans) -> list[Span]:
    """Spans without headings, separators and list marks at their ends; those that are nothing else
    are left out.
    """
    return [(pieces[0][0], pieces[-1][1], weight) for pieces, weight in _with_content(text, spans)]


def shaded_pieces(text: str, spans: Spans) -> list[Span]:
    """What has a shade, each piece with the weight of its whole span, in the order of the text."""
    return sorted((a, b, weight) for pieces, weight in _shaded(text, spans) for a, b in pieces)


def influential(rows: Sequence[Weighted], most: int, key: str = "weight") -> list[Weighted]:
    """The first rows that have an influence."""
    return [row for row in rows if abs(float(row[key])) >= LEAST][:most]


def _shaded(text: str, spans: Spans) -> list[tuple[list[tuple[int, int]], float]]:
    found = _with_content(text, spans)
    largest = max((abs(weight) for _, weight in found), default=0.0)
    return [one for one in found if abs(one[1]) >= max(FAINTEST * largest, LEAST)]


def _with_content(text: str, spans: Spans) -> list[tuple[list[tuple[int, int]], float]]:
    without = without_content(text)
    found = [
        (content_pieces(text, int(start), int(end), without), float(weight))
        for start, end, weight in spans
    ]
    return [(pieces, weight) for pieces, weight in found if pieces]


def _portion(share: float) -> str:
    if share > 10:
        return "more than ten times"
    return f"{100 * share:.0f} % of" if share >= 0.005 else "less than 1 % of"


def signed(value: float) -> str:
    """Log-odds with their sign; small ones with one digit instead of `+0.00`."""
    if value == 0:
        return "0"
    return f"{value:+.2f}" if abs(value) >= 0.005 else f"{value:+.0e}"
