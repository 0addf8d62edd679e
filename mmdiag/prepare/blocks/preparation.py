"""`BlockPreparation`: what an ensemble is given of one modality: all features in named blocks, for
linear members and trees, and a summary of them for its network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32, Shaped
from numpy import ndarray

from mmdiag.config import RunConfig
from mmdiag.kinds import kind_named
from mmdiag.prepare.blocks.terms import CHARACTERS, WORDS, Raw, TermWeights, fit_term_weights
from mmdiag.prepare.extract import feature_version
from mmdiag.prepare.pca import Projection, fit_projection
from mmdiag.prepare.preparation import BLOCKS, COLOUR, PLAIN, Preparation
from mmdiag.readers.tables.categories import (
    category_numbers,
    known_categories,
    seen_categories,
)

BUCKETS = {"words": WORDS, "characters": CHARACTERS}
# names of arrays beside the blocks
SUMMARY, MISSING, COLUMNS, CATEGORY = "summary", "missing", "columns", "category"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPreparation(Preparation):
    """Fitted state of one modality of an ensemble. Nothing in it has seen a label, but for the
    directions that `mmdiag.prepare.blocks.taught` puts before the others.

    Args:
        dense: Block of features of a case -> its standardisation, and its directions for the
            network. Of a table `columns`.
        terms: Block of hashed terms of a note -> their weights.
        holes: Numbers of the columns that some training case lacks.
    """

    reads: str = BLOCKS
    dense: Mapping[str, Projection] = field(default_factory=dict)
    terms_of: Mapping[str, TermWeights] = field(default_factory=dict)
    holes: Int32[ndarray, "hole"] = field(default_factory=lambda: np.zeros(0, np.int32))

    @property
    def trains_on_raw_input(self) -> bool:
        """Never: blocks are features that are stored."""
        return False

    @property
    def vector_width(self) -> int:
        """Numbers of a vector of an embedding, of which mean and deviation are kept."""
        vectors = self.dense.get("vectors")
        return len(vectors.center) // 2 if vectors is not None else 0

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array of one case; -1 = differs between cases."""
        found: dict[str, tuple[int, ...]] = {SUMMARY: (self.width,)}
        found |= {name: block.center.shape for name, block in self.dense.items()}
        if COLUMNS in self.dense:
            found[MISSING] = (len(self.holes),)
        if self.categories:
            found[CATEGORY] = (len(self.categories),)
        return found | dict.fromkeys(self.terms_of, (-1, 3))

    @property
    def width(self) -> int:
        """Scores of the summary."""
        dense = sum(int(block.components.shape[1]) for block in self.dense.values())
        return dense + sum(int(block.directions.shape[1]) for block in self.terms_of.values())

    def apply(self, raw: Raw) -> dict[str, Shaped[ndarray, "..."]]:
        """Arrays of one case from its raw features: deviations of each dense block; bucket, weight
        and count of each term; numbers of categories; and the summary.
        """
        found: dict[str, ndarray] = {}
        if self.categories:
            found[CATEGORY] = category_numbers(raw, self.columns, self.categories)
            raw = known_categories(raw, self.columns, self.categories)
        blocks = blocks_of(self.kind, raw, self.shape)
        for name, projection in self.dense.items():
            found[name] = projection.standardise(blocks[name][None])[0]
        if COLUMNS in self.dense:
            found[MISSING] = np.isnan(blocks[COLUMNS][self.holes]).astype(np.float32)
        for name, weights in self.terms_of.items():
            found[name] = weights.weighted(blocks[name])
        summary = [*self.along_directions(found).values()]
        return {SUMMARY: np.concatenate(summary).astype(np.float32), **found}

    def along_directions(
        self, arrays: Mapping[str, Shaped[ndarray, "..."]]
    ) -> dict[str, Float32[ndarray, "score"]]:
        """Of each block of a case its scores along the directions; one after the other they are
        the summary.
        """
        found = {name: arrays[name] @ block.components for name, block in self.dense.items()}
        return found | {name: own.scores(arrays[name]) for name, own in self.terms_of.items()}

    def config(self) -> dict[str, Any]:
        """The part that goes into preparation.json."""
        return {**Preparation.config(self), BLOCKS: [*self.dense, *self.terms_of]}

    def state(self) -> dict[str, Shaped[ndarray, "..."]]:
        """The part that goes into preparation.safetensors."""
        found: dict[str, ndarray] = {"holes": self.holes}
        for name, block in self.dense.items():
            found |= {f"{name}.center": block.center, f"{name}.scale": block.scale}
            found[f"{name}.components"] = block.components
        for name, weights in self.terms_of.items():
            found |= {f"{name}.idf": weights.idf, f"{name}.directions": weights.directions}
        return {name: np.ascontiguousarray(array) for name, array in found.items()}


def blocks_of(kind: str, raw: Any, widths: Sequence[int]) -> Mapping[str, Float32[ndarray, "..."]]:
    """The blocks of one case: a vector of features, or bucket and count of each term.

    Args:
        widths: Of the parts that a row of raw features is made of.
    """
    blocks = kind_named(kind).blocks
    found: Mapping[str, ndarray] = blocks(raw, tuple(widths))
    return found


def fit_blocks(
    kind: str,
    raws: Sequence[Any],
    config: RunConfig,
    *,
    columns: Sequence[str] = (),
    categories: Mapping[str, Sequence[str]] | None = None,
    source: Mapping[str, str] | None = None,
    colour: bool = False,
) -> BlockPreparation:
    """Fit on the training cases that have this modality.

    Args:
        raws: Their raw features, as the extractor gives them.
        columns: Names of a table's columns.
        categories: Column of words -> the columns of 0 and 1 that stand for it.
        source: By whom the raw features were made, where the cohort says so.
        colour: Whether the images were read in colour.
    """
    widths = _widths(kind, raws[0], config)
    found = [blocks_of(kind, raw, widths) for raw in raws]
    dense, terms, most = {}, {}, config.ensemble
    for name, first in found[0].items():
        rows = [blocks[name] for blocks in found]
        if first.ndim == 1:
            dense[name] = fit_projection(np.stack(rows), most.components)
        else:
            terms[name] = fit_term_weights(
                rows, BUCKETS[name], most.terms if name == "words" else 0
            )
    holes = np.zeros(0, np.int32)
    if COLUMNS in dense:
        lacking = np.isnan(np.stack([blocks[COLUMNS] for blocks in found]))
        holes = np.flatnonzero(lacking.any(0) & ~lacking.all(0)).astype(np.int32)
    weights = kind_named(kind).weights
    record = weights(config) if weights else None
    return BlockPreparation(
        kind=kind,
        shape=widths,
        dense=dense,
        terms_of=terms,
        holes=holes,
        columns=tuple(columns),
        summary=dense.get(COLUMNS),
        categories=seen_categories(raws, columns, categories) if categories else {},
        feature_version=feature_version(kind, config),
        source=source or (record.record() if record else {}),
        colour=colour,
    )


def _widths(kind: str, raw: Any, config: RunConfig) -> tuple[int, ...]:
    parts = kind_named(kind).parts_of_features
    return tuple(parts(raw, config)) if parts else ()


def restore_blocks(
    settings: Mapping[str, Any], state: Mapping[str, Shaped[ndarray, "..."]]
) -> BlockPreparation:
    """What `config()` and `state()` gave, as a preparation again."""
    dense = {
        name: Projection(*(state[f"{name}.{part}"] for part in ("center", "scale", "components")))
        for name in settings[BLOCKS]
        if f"{name}.center" in state
    }
    terms = {
        name: TermWeights(state[f"{name}.idf"], state[f"{name}.directions"])
        for name in settings[BLOCKS]
        if f"{name}.idf" in state
    }
    return BlockPreparation(
        kind=settings["kind"],
        shape=tuple(settings["shape"]),
        columns=tuple(settings["columns"]),
        categories=settings.get("categories", {}),
        feature_version=settings["made"],
        source=settings["source"],
        dense=dense,
        terms_of=terms,
        holes=state["holes"],
        colour=settings.get(COLOUR, False),
        summary=dense.get(COLUMNS),
    )


def checked_blocks(
    settings: Mapping[str, Any], arrays: Mapping[str, Shaped[ndarray, "..."]]
) -> BlockPreparation:
    """`restore_blocks` of what was read from a file.

    Raises:
        ValueError: What is wrong with it, in words that may be shown.
    """
    names = settings.get(BLOCKS)
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise ValueError("blocks are no list of names")
    if set(PLAIN) - set(settings):
        raise ValueError("a modality lacks settings")
    expected = {"holes"}
    for name in names:
        parts = ("idf", "directions") if name in BUCKETS else ("center", "scale", "components")
        expected |= {f"{name}.{part}" for part in parts}
    if set(arrays) != expected:
        raise ValueError("a modality has other arrays than its blocks")
    for name, array in arrays.items():
        _check_array(name, array)
    found = restore_blocks(settings, arrays)
    _check_shapes(found)
    return found


def _check_array(name: str, array: Shaped[ndarray, "..."]) -> None:
    if name == "holes":
        if array.dtype != np.int32 or array.ndim != 1:
            raise ValueError("holes are no numbers of columns")
        return
    if array.dtype != np.float32:
        raise ValueError(f"{name} is not of 32-bit numbers")
    sound = (array > 0).all() if name.endswith(".scale") else np.isfinite(array).all()
    if not bool(sound):  # a scale is infinite where a column does not vary
        raise ValueError(f"{name} holds what is no number")


def _check_shapes(found: BlockPreparation) -> None:
    for name, block in found.dense.items():
        width = len(block.center) if block.center.ndim == 1 else -1
        alike = block.scale.shape == (width,) and block.components.ndim == 2
        if not alike or len(block.components) != width:
            raise ValueError(f"the arrays of {name} differ in length")
    for name, weights in found.terms_of.items():
        folded = weights.directions.ndim == 2 and weights.directions.shape[0] == 4096
        if weights.idf.shape != (BUCKETS[name],) or not folded:
            raise ValueError(f"{name} have another number of buckets")
    table = found.dense.get(COLUMNS)
    if table is not None:
        if len(table.center) != len(found.columns):
            raise ValueError("a table's projection is not as wide as its columns")
        if len(found.holes) and not 0 <= found.holes.min() <= found.holes.max() < len(table.center):
            raise ValueError("holes are no numbers of columns")
