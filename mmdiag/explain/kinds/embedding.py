"""Which vectors of an embedding moved the answer, by occlusion."""

from itertools import pairwise

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

from mmdiag.explain.occlusion import window_edges
from mmdiag.explain.probe import Explanation, OcclusionProbe
from mmdiag.storage.store import Store

MOST = 32  # parts of a bag that are taken away in turn; of more vectors neighbours are one


def explain_embedding(probe: OcclusionProbe, store: Store, name: str, row: int) -> Explanation:
    """The weight of each vector, or of neighbours: `start` and `end` (behind the last) are rows of
    the stored array. What a vector means, its encoder knows; nothing is drawn of it.
    """
    vectors, preparation = store.parts(name, row), probe.bundle.preparations[name]
    parts = list(pairwise(window_edges(len(vectors), MOST).tolist()))
    rest = [_without(vectors, start, stop) for start, stop in parts]
    variants = [preparation.apply(one) if len(one) else None for one in (vectors, *rest)]
    answers: Float[ndarray, "variant"] = probe.log_odds(name, variants)
    weights = answers[0] - answers[1:]
    return Explanation(
        [
            {"start": start, "end": stop, "value": round(float(weight), 5)}
            for (start, stop), weight in zip(parts, weights, strict=True)
        ]
    )


def _without(
    vectors: Shaped[ndarray, "vector number"], start: int, stop: int
) -> Shaped[ndarray, "rest number"]:
    """A bag without some of its vectors; without its only one it counts as absent."""
    return np.concatenate([vectors[:start], vectors[stop:]])
