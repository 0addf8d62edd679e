"""Which vectors of an embedding moved the answer."""

from itertools import pairwise

import numpy as np
from jaxtyping import Float, Integer
from numpy import ndarray

from mmdiag.explain.within.probe import Explanation, Probe
from mmdiag.prepare.blocks.preparation import BlockPreparation
from mmdiag.prepare.kinds.embedding import MOST_PARTS
from mmdiag.storage.store import Store

MOST = 32  # parts of a bag; of more vectors neighbours are one


def explain_embedding(probe: Probe, store: Store, name: str, row: int) -> Explanation:
    """The value of each vector, or of neighbours: `start` and `end` (behind the last) are rows of
    the stored array. What a vector means, its encoder knows; nothing is drawn of it.
    """
    preparation, found = probe.bundle.preparations[name], probe.attribution(name)
    assert found is not None
    vectors = store.parts(name, row).astype(float)
    if isinstance(preparation, BlockPreparation):
        fitted, slopes = preparation.dense["vectors"], found.slopes["vectors"]
    else:
        assert preparation.summary is not None
        fitted, slopes = preparation.summary, found.slopes["summary"]
    value = _of_mean_and_deviation(vectors, slopes, fitted.center, fitted.scale)
    if found.parts is not None:
        value = value + _of_neighbours(found.parts, len(vectors))
    value = value + found.presence / len(vectors)
    edges = edges_of(len(vectors), MOST).tolist()
    parts = [
        {"start": start, "end": stop, "value": float(value[start:stop].sum())}
        for start, stop in pairwise(edges)
    ]
    return Explanation(parts, contribution=found.contribution, gap=found.gap)


def edges_of(count: int, parts: int) -> Integer[ndarray, "edge"]:
    """Where parts of equal length begin and end; of fewer things each is a part."""
    return np.linspace(0, count, min(parts, count) + 1).round().astype(int)


def _of_mean_and_deviation(
    vectors: Float[ndarray, "vector number"],
    slopes: Float[ndarray, "summary"],
    center: Float[ndarray, "summary"],
    scale: Float[ndarray, "summary"],
) -> Float[ndarray, "vector"]:
    """A mean is each vector's alike; a deviation is shared by the squares that it is made of."""
    width, count = vectors.shape[1], len(vectors)
    slope = slopes / scale
    value = (vectors - center[:width]) @ slope[:width] / count
    if count > 1:
        squares = (vectors - vectors.mean(axis=0)) ** 2
        share = squares / np.maximum(squares.sum(axis=0), 1e-12)
        value = value + share @ (slope[width:] * (vectors.std(axis=0) - center[width:]))
    found: ndarray = value
    return found


def _of_neighbours(parts: Float[ndarray, "part"], count: int) -> Float[ndarray, "vector"]:
    """What parts of a bag add, shared by their vectors."""
    if count <= MOST_PARTS:
        return parts[:count]
    sizes = [len(some) for some in np.array_split(np.arange(count), MOST_PARTS)]
    return np.repeat(parts[:MOST_PARTS] / sizes, sizes)
