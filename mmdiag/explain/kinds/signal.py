"""Which windows of time of a signal moved the answer, by occlusion."""

from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

from mmdiag.explain.occlusion import window_edges, window_weights
from mmdiag.explain.probe import Explanation, OcclusionProbe
from mmdiag.storage.store import Store


def explain_signal(probe: OcclusionProbe, store: Store, name: str, row: int) -> Explanation:
    """The weight of each window; its seconds, too, where the rate is known."""
    samples, preparation = store.parts(name, row), probe.bundle.preparations[name]
    weights = window_weights(
        samples,
        lambda variants: probe.log_odds(name, [preparation.apply(one) for one in variants]),
    )
    windows = windows_of(samples, weights, store.rate_hz(name))
    return Explanation(windows, weights.astype(np.float16))


def windows_of(
    samples: Shaped[ndarray, "time channel"],
    weights: Float[ndarray, "window"],
    rate_hz: float | None,
) -> list[dict[str, Any]]:
    """`start_s`, `end_s` and `value` of each window; none where the rate is not known, as of a
    cohort that was ingested before it was recorded.
    """
    if rate_hz is None:
        return []
    edges = window_edges(len(samples), len(weights)) / rate_hz
    return [
        {"start_s": round(float(a), 4), "end_s": round(float(b), 4), "value": round(float(w), 5)}
        for a, b, w in zip(edges[:-1], edges[1:], weights, strict=True)
    ]
