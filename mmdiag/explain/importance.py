"""Which modality a model leans on over many cases: the mean size of what each contributed. One
case's contributions: `mmdiag.inference.coalitions.shapley`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray

from mmdiag.evaluation.bootstrap import bootstrap_weights, interval


def global_importance(
    contributions: Float[ndarray, "case modality"],
    present: Bool[ndarray, "case modality"],
    names: Sequence[str],
    *,
    subject: Shaped[ndarray, "case"] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> list[dict[str, Any]]:
    """Mean absolute contribution of each modality, over the cases that have it: absence would pull
    it towards 0 and say nothing of the model.

    Args:
        contributions: Shapley values on the scale of log-odds.
        subject: Whose case each row is; the 95 % percentile interval draws subjects.

    Returns:
        `modality, value, low, high, n` in the order of the names; one that no case has is not in
        it.
    """
    size = np.abs(contributions)
    subjects = subject if subject is not None else np.arange(len(size))
    sums = [np.zeros((0, len(names)))]
    counts = [np.zeros((0, len(names)))]
    for weights in bootstrap_weights(subjects, resamples, seed):
        sums.append(weights @ np.where(present, size, 0.0))
        counts.append(weights @ present.astype(float))
    with np.errstate(invalid="ignore"):
        drawn = np.concatenate(sums) / np.concatenate(counts)
    found = []
    for k in (k for k in range(len(names)) if present[:, k].any()):
        value = float(size[present[:, k], k].mean())
        low, high = interval(drawn[:, k], value)
        found.append(
            {
                "modality": names[k],
                "value": value,
                "low": low,
                "high": high,
                "n": int(present[:, k].sum()),
            }
        )
    return found
