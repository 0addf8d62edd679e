"""Which windows of time of a signal moved the answer."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray

from mmdiag.explain.kinds.embedding import edges_of
from mmdiag.explain.within.probe import Explanation, Probe
from mmdiag.explain.within.sampled import sampled_shapley
from mmdiag.prepare.blocks.preparation import BlockPreparation
from mmdiag.prepare.kinds.signal import signal_blocks
from mmdiag.storage.store import Store

WINDOWS = 20
ORDERS = 4
STATISTICS = "statistics"


def explain_signal(probe: Probe, store: Store, name: str, row: int) -> Explanation:
    """The value of each window: what its samples add to those at their channel's mean. `start_s`
    and `end_s` are seconds where the rate is known, else `start` and `end` are samples.
    """
    samples, preparation = store.parts(name, row), probe.bundle.preparations[name]
    found = probe.attribution(name)
    contribution, gap = (found.contribution, found.gap) if found else (0.0, 0.0)
    if found is not None and isinstance(preparation, BlockPreparation):
        slopes, fitted = found.slopes[STATISTICS], preparation.dense[STATISTICS]

        def ask(signals: Sequence[ndarray]) -> Float[ndarray, "variant"]:
            rows = np.stack([signal_blocks(one, ())[STATISTICS] for one in signals])
            value: ndarray = fitted.standardise(rows).astype(float) @ slopes
            return value

        whole = float(ask([samples])[0]) + found.presence
    else:

        def ask(signals: Sequence[ndarray]) -> Float[ndarray, "variant"]:
            return probe.contribution(name, [preparation.apply(one) for one in signals])

        whole = contribution = float(ask([samples])[0])
    edges = edges_of(len(samples), WINDOWS)
    values = _of_windows(samples, edges.tolist(), ask)
    values += (whole - values.sum()) / max(len(values), 1)  # of a signal that stays at its means
    return Explanation(
        _windows(edges, values, store.rate_hz(name)), contribution=contribution, gap=gap
    )


def _of_windows(
    samples: Shaped[ndarray, "time channel"],
    edges: Sequence[int],
    ask: Callable[[Sequence[ndarray]], Float[ndarray, "variant"]],
) -> Float[ndarray, "window"]:
    still = np.broadcast_to(samples.mean(axis=0), samples.shape)
    if np.issubdtype(samples.dtype, np.integer):
        still = np.rint(still)
    still = still.astype(samples.dtype)
    spans = list(pairwise(edges))

    def answers(known: Bool[ndarray, "variant window"], _order: int) -> Float[ndarray, "variant"]:
        lengths = [stop - start for start, stop in spans]
        mixed = [np.where(np.repeat(one, lengths)[:, None], samples, still) for one in known]
        return ask(mixed)

    return sampled_shapley(len(spans), answers, orders=ORDERS)


def _windows(
    edges: Shaped[ndarray, "edge"], values: Float[ndarray, "window"], rate_hz: float | None
) -> list[dict[str, Any]]:
    rows = zip(pairwise(edges.tolist()), values, strict=True)
    if rate_hz is None:  # of a cohort that was ingested before it was recorded
        return [{"start": a, "end": b, "value": float(value)} for (a, b), value in rows]
    return [
        {
            "start_s": round(a / rate_hz, 4),
            "end_s": round(b / rate_hz, 4),
            "value": float(value),
        }
        for (a, b), value in rows
    ]
