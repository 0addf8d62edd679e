"""Is a preparation that was read from a file one that could have been fitted? Numbers that are none
give finite, other answers: they are refused, and so are shapes that do not belong together.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from mmdiag.kinds import KINDS, kind_named
from mmdiag.kinds.kind import ROW as TABLE_ROW
from mmdiag.prepare.blocks.preparation import checked_blocks
from mmdiag.prepare.pathways import PATHWAY_SCORES
from mmdiag.prepare.pca import Projection
from mmdiag.prepare.preparation import (
    BLOCKS,
    CATEGORIES,
    COLOUR,
    FEATURES,
    FITTED,
    PLAIN,
    ROW,
    Preparation,
    restore_preparation,
)
from mmdiag.prepare.tfidf import BUCKETS

RAW_INPUTS = ("image", "volume", "sentences", "signal")
LARGEST_SIZE = 1_000_000  # of a transformer's sizes
MOST_LAYERS = 512


def checked_preparation(settings: Any, arrays: Mapping[str, ndarray]) -> Preparation:
    """What `Preparation.config()` and `.state()` gave, as a preparation again.

    Raises:
        ValueError: What is wrong with it, in words that may be shown.
    """
    if isinstance(settings, dict) and settings.get("reads") == BLOCKS:
        _check_settings({key: value for key, value in settings.items() if key != BLOCKS})
        return checked_blocks(settings, arrays)
    _check_settings(settings)
    _check_arrays(arrays)
    found = restore_preparation(settings, arrays)
    _check_parts(found)
    return found


def _check_settings(settings: Any) -> None:
    _require(isinstance(settings, dict), "the settings of a modality are no object")
    unknown = set(settings) - {*PLAIN, CATEGORIES, COLOUR}
    _require(not unknown and "kind" in settings, "a modality has settings that are not known")
    _require(settings["kind"] in KINDS, "a modality's kind is not known")
    reads = settings.get("reads", FEATURES)
    _require(reads in (FEATURES, ROW, BLOCKS, *RAW_INPUTS), "what an encoder reads is not known")
    for name in ("groups", "columns"):
        _require(_all(settings.get(name, []), list, str), f"{name} are no list of names")
    columns = set(settings.get("columns", []))
    _require(isinstance(settings.get(COLOUR, False), bool), "colour is neither true nor false")
    categories = settings.get(CATEGORIES, {})
    _require(isinstance(categories, dict), "categories are no object")
    members = list(categories.values())
    own = all(_all(names, list, str) and set(names) <= columns for names in members)
    _require(own, "the columns of a category are none of the table")
    _require(_all(settings.get("shape", []), list, int), "a shape is no list of whole numbers")
    _require(_small(settings.get("shape", [])), "a shape is too large")
    _require(isinstance(settings.get("made", ""), str), "a feature version is no text")
    source = settings.get("source", {})
    _require(isinstance(source, dict) and _all([*source.values()], list, str), "a source is none")
    architecture = settings.get("architecture", {})
    _require(isinstance(architecture, dict), "an architecture is no object")
    numbers = [n for n in architecture.values() if isinstance(n, int) and not isinstance(n, bool)]
    _require(_small(numbers), "an architecture is too large")
    layers = architecture.get("num_hidden_layers", 0)
    _require(isinstance(layers, int) and layers <= MOST_LAYERS, "an architecture is too deep")


def _check_arrays(arrays: Mapping[str, ndarray]) -> None:
    known = {
        f"{part}.{item.name}": part
        for part, kind in FITTED.items()
        for item in dataclasses.fields(kind)
    }
    _require(set(arrays) <= set(known), "a modality has arrays that are not known")
    for part in {known[name] for name in arrays}:
        whole = all(name in arrays for name, owner in known.items() if owner == part)
        _require(whole, f"{part} lacks an array")
    for name, array in arrays.items():
        _require(array.dtype == np.float32, f"{name} is not of 32-bit numbers")
        if name.endswith(".scale"):  # infinity: a column that does not vary
            _require(bool((array > 0).all()), f"{name} is not positive")
        else:
            _require(bool(np.isfinite(array).all()), f"{name} holds what is no number")


def _check_parts(found: Preparation) -> None:
    for name in ("summary", "detail"):
        _check_projection(getattr(found, name), name)
    if found.reads == FEATURES:
        _require(found.summary is not None and found.detail is not None, "a projection is missing")
        _check_features(found)
    elif found.reads == ROW:
        _require(found.summary is not None and found.detail is None, "a row has no projection")
    if kind_named(found.kind).layout == TABLE_ROW:
        assert found.summary is not None
        wide = len(found.summary.center) == len(found.columns)
        _require(wide, "a table's projection is not as wide as its columns")
    if found.channels is not None or found.reads == "signal":
        channels = found.channels
        _require(channels is not None and bool(found.shape), "a signal has no channels")
        assert channels is not None
        alike = channels.center.shape == channels.scale.shape == (found.shape[-1],)
        _require(alike, "a signal's channels differ in number")
    if found.terms is not None:
        terms = found.terms
        of_words = terms.idf.shape == (BUCKETS,) and terms.directions.ndim == 2
        _require(of_words and len(terms.directions) == BUCKETS, "words have another number")


def _check_projection(found: Projection | None, name: str) -> None:
    if found is None:
        return
    width = len(found.center) if found.center.ndim == 1 else -1
    alike = found.scale.shape == (width,) and found.components.ndim == 2
    _require(alike and len(found.components) == width, f"the arrays of {name} differ in length")


def _check_features(found: Preparation) -> None:
    assert found.summary is not None
    assert found.detail is not None
    whole, parts = len(found.summary.center), len(found.detail.center)
    kind = kind_named(found.kind)
    if kind.summarise is None:
        scores = found.detail.components.shape[1]
        alike = whole == parts and scores == len(found.groups) * PATHWAY_SCORES
        _require(alike, "a table's groups are not those of its projection")
    elif found.terms is not None:
        scores = found.terms.directions.shape[1] if found.terms.directions.ndim == 2 else -1
        _require(whole == parts == scores, "words and their projection differ in length")
    else:
        # features whose parts are as wide as these, or a half and the sign of negation
        widths = (parts, parts // 2 + 1)
        shapes = [kind.summarise(np.zeros((1, width), np.float32)) for width in widths]
        fits = any((len(one), many.shape[1]) == (whole, parts) for one, many in shapes)
        _require(fits, "a case and its parts differ in length")


def _all(values: Any, kind: type, of: type) -> bool:
    return isinstance(values, kind) and all(
        isinstance(value, of) and not isinstance(value, bool)
        for value in values  # type: ignore[attr-defined]
    )


def _small(numbers: list[int]) -> bool:
    return all(abs(number) <= LARGEST_SIZE for number in numbers)


def _require(holds: bool, fact: str) -> None:
    if not holds:
        raise ValueError(fact)
