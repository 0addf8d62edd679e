"""What a model leans on over many cases: which modality, by the mean size of what each contributed,
and how far their interplay. One case's contributions: `mmdiag.inference.shapley`.
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


def intershap(
    interactions: Float[ndarray, "case modality modality"],
    *,
    subject: Shaped[ndarray, "case"] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any] | None:
    """How much of what a model says is how modalities act together: 0 = it adds them up, 1 = none
    of them says anything alone.

    Args:
        interactions: Shapley interactions of each case, on the diagonal what each modality adds by
            itself, 0 of those that it lacks.
        subject: Whose case each row is; the 95 % percentile interval draws subjects.

    Returns:
        `value, low, high, n` over the cases with two modalities or more; None where there is none,
        or the model says the same of all of them.

    Reference:
        Wenderoth 2024, Measuring cross-modal interactions in multimodal models (InterSHAP).
    """
    size = np.abs(interactions)
    several = (size.sum(axis=2) > 0).sum(axis=1) > 1
    size = size[several]
    whole = size.sum(axis=(1, 2))
    if not whole.sum():
        return None
    between = whole - np.trace(size, axis1=1, axis2=2)
    subjects = subject[several] if subject is not None else np.arange(len(size))
    value = float(between.sum() / whole.sum())
    drawn = [w @ between / (w @ whole) for w in bootstrap_weights(subjects, resamples, seed)]
    low, high = interval(np.concatenate([np.zeros(0), *drawn]), value)
    return {"value": value, "low": low, "high": high, "n": int(several.sum())}
