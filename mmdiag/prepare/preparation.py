"""`Preparation`: what is fitted on the training cases of one modality, and applied to every case
afterwards.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped
from numpy import ndarray

from mmdiag.config import RunConfig
from mmdiag.kinds import kind_named
from mmdiag.prepare.blocks.terms import Raw
from mmdiag.prepare.extract import feature_version
from mmdiag.prepare.pathways import PATHWAY_SCORES
from mmdiag.prepare.pca import Projection, fit_projection
from mmdiag.prepare.signal import Channels
from mmdiag.prepare.slices.volume import to_volume
from mmdiag.prepare.tfidf import Terms
from mmdiag.readers.tables.categories import known_categories, seen_categories

FITTED = {"summary": Projection, "detail": Projection, "terms": Terms, "channels": Channels}
# what is read where it is not a raw input; blocks: see `mmdiag.prepare.blocks.preparation`
FEATURES, ROW, BLOCKS = "features", "row", "blocks"
FIELDS = {"made": "feature_version"}  # keys of preparation.json that are named otherwise here
CATEGORIES = "categories"  # a key of preparation.json where a table has any
COLOUR = "colour"  # likewise, where images are read in colour
PLAIN = ("kind", "reads", "shape", "groups", "columns", "made", "source", "architecture")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """Fitted state of one modality.

    Args:
        kind: Of `mmdiag.kinds`.
        reads: What the encoder is given: fitted `features` (a summary and parts), a standardised
            `row`, or a raw input under the name of its array: the slices of an `image`, the stack
            as a `volume`, token ids of `sentences`, the samples of a `signal`.
        shape: Of one case's raw input; -1 = differs between cases.
        summary: Projection of the summary features of a case; of a `row`, its standardisation
            alone.
        detail: Projection of the features of a part (a slice, a sentence), or of a row to all its
            pathway scores.
        terms: Weighted words, where they stand for sentences.
        channels: Standardisation of a signal.
        groups: Names of the pathway tokens of a table.
        columns: Columns of a table, in order.
        categories: Column of words -> its columns of 0 and 1 that a training case has a 1 in. A
            case of another category has none: all of them count as not measured.
        feature_version: By what the features were made that it was fitted on, and its version.
        source: Which pretrained weights were used: source, revision, sha256, licence; of an
            embedding what made it: encoder, revision, licence.
        architecture: Of a transformer that is fine-tuned.
        colour: Whether images are read in colour, a grey one as three equal channels.
        start: Pretrained weights that training begins with; never stored, because a bundle holds
            the trained ones.
    """

    kind: str
    reads: str = "features"
    shape: tuple[int, ...] = ()
    summary: Projection | None = None
    detail: Projection | None = None
    terms: Terms | None = None
    channels: Channels | None = None
    groups: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)
    feature_version: str = ""
    source: Mapping[str, str] = field(default_factory=dict)
    architecture: Mapping[str, Any] = field(default_factory=dict)
    colour: bool = False
    start: Path | None = None

    @property
    def trains_on_raw_input(self) -> bool:
        """Whether the encoder is a network on raw inputs, which are too large to be held for all
        cases at once.
        """
        return self.reads not in (FEATURES, ROW)

    @property
    def vector_width(self) -> int:
        """Numbers of a part (of an embedding: of a vector); 0 where no features of parts are
        read.
        """
        return len(self.detail.center) if self.detail is not None else 0

    @property
    def has_parts(self) -> bool:
        """Whether its encoder gives tokens of parts beside the summary."""
        return self.reads != BLOCKS

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array of one case; -1 = differs between cases."""
        if self.trains_on_raw_input:
            return {self.reads: self.shape}
        assert self.summary is not None
        if self.detail is None:
            return {"row": self.summary.center.shape}
        parts = (
            (-1, self.detail.components.shape[1])
            if self._has_parts
            else (len(self.groups), PATHWAY_SCORES)
        )
        return {"summary": (self.summary.components.shape[1],), "detail": parts}

    def apply(self, raw: Raw) -> dict[str, Shaped[ndarray, "..."]]:
        """Arrays of one case from its raw features."""
        if self.trains_on_raw_input:
            call: Callable[[ndarray], ndarray] | None = (
                to_volume if self.reads == "volume" else self.channels
            )
            return {self.reads: call(raw) if call else raw}
        assert self.summary is not None
        if self.categories:
            raw = known_categories(raw, self.columns, self.categories)
        if self.detail is None:
            return {"row": self.summary.standardise(raw[None])[0]}
        if not self._has_parts:
            return {
                "summary": self.summary(raw[None])[0],
                "detail": self.detail(raw[None])[0].reshape(len(self.groups), PATHWAY_SCORES),
            }
        summary, parts = _summarise(self.kind, raw, self.terms)
        return {"summary": self.summary(summary[None])[0], "detail": self.detail(parts)}

    @property
    def _has_parts(self) -> bool:
        """Whether features are of parts (slices, sentences), not of a row's named groups."""
        return kind_named(self.kind).summarise is not None

    def config(self) -> dict[str, Any]:
        """The part that goes into preparation.json."""
        values = {name: getattr(self, FIELDS.get(name, name)) for name in PLAIN}
        if self.categories:  # the files of bundles without any are what they were
            values[CATEGORIES] = {word: list(names) for word, names in self.categories.items()}
        if self.colour:
            values[COLOUR] = True
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }

    def state(self) -> dict[str, Shaped[ndarray, "..."]]:
        """The part that goes into preparation.safetensors."""
        return {
            f"{name}.{item.name}": np.ascontiguousarray(getattr(fitted, item.name))
            for name, kind in FITTED.items()
            if (fitted := getattr(self, name)) is not None
            for item in dataclasses.fields(kind)
        }


def fit_preparation(
    kind: str,
    raws: Sequence[Shaped[ndarray, "..."]],
    config: RunConfig,
    *,
    columns: Sequence[str] = (),
    gene_sets: Mapping[str, Sequence[int]] | None = None,
    categories: Mapping[str, Sequence[str]] | None = None,
    source: Mapping[str, str] | None = None,
    colour: bool = False,
) -> Preparation:
    """Fit on the training cases that have this modality.

    Args:
        raws: Their raw features, as the extractor gives them.
        columns: Names of a table's columns.
        gene_sets: Named groups of column numbers; None = modules are found on these cases.
        categories: Column of words -> the columns of 0 and 1 that stand for it.
        source: Of what another program made, what that was.
        colour: Whether the images were read in colour.

    Raises:
        UsageError: Pretrained weights that the configuration names are not there.
    """
    fitted: Preparation = kind_named(kind).fit(raws, config, columns, gene_sets)
    seen = seen_categories(raws, columns, categories) if categories else {}
    return dataclasses.replace(
        fitted,
        feature_version=feature_version(kind, config),
        categories=seen,
        source=source or fitted.source,
        colour=colour,
    )


def fit_parts(
    kind: str,
    raws: Sequence[Shaped[ndarray, "_ ..."]],
    components: int,
    *,
    source: Mapping[str, str] | None = None,
    terms: Terms | None = None,
) -> Preparation:
    """Two projections, of what is said of a case as a whole and of its parts."""
    found = [_summarise(kind, raw, terms) for raw in raws]
    return Preparation(
        kind=kind,
        summary=fit_projection(np.stack([summary for summary, _ in found]), components),
        detail=fit_projection(np.concatenate([parts for _, parts in found]), components),
        terms=terms,
        source=source or {},
    )


def restore_preparation(
    config: Mapping[str, Any], state: Mapping[str, Shaped[ndarray, "..."]]
) -> Preparation:
    """What `config()` and `state()` gave, as a preparation again."""
    fitted = {
        name: kind(**{item.name: state[f"{name}.{item.name}"] for item in dataclasses.fields(kind)})
        for name, kind in FITTED.items()
        if any(key.startswith(f"{name}.") for key in state)
    }
    plain: dict[str, Any] = {
        FIELDS.get(name, name): tuple(value) if isinstance(value, list) else value
        for name, value in config.items()
    }
    return Preparation(**plain, **fitted)


def _summarise(
    kind: str, raw: Shaped[ndarray, "part ..."], terms: Terms | None
) -> tuple[Float32[ndarray, "summary"], Float32[ndarray, "part feature"]]:
    """Features of a whole case and of its parts: as its kind summarises them, or weighted words and
    their mean.
    """
    if terms is not None:
        words = terms(raw.tolist())
        return words.mean(axis=0), words
    summarise = kind_named(kind).summarise
    assert summarise is not None, f"{kind} has no parts"
    found: tuple[ndarray, ndarray] = summarise(raw)
    return found
