"""How far the answers of a model are an interplay of modalities, and whether that helps."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

from mmdiag.evaluation.bootstrap import bootstrap_weights, interval


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


def interplay_sentences(found: Mapping[str, Any], metric: str) -> list[str]:
    """What people read of `interplay.json`.

    Args:
        found: `shown`: whether the model is shown to be above chance, `at_chance`: by which figure
            it is not; `intershap`, and `additive`:
            the model less its additive part, in the metric by which models are compared. Either may
            be null.
        metric: As people read it.
    """
    share, less = found.get("intershap"), found.get("additive")
    if not share and not less:
        return []
    if not found["shown"]:
        why = f" ({found['at_chance']})" if found.get("at_chance") else ""
        return [
            f"How modalities act together is not told: the model is not shown to be above "
            f"chance{why}."
        ]
    said = []
    if share:
        said.append(
            f"Of what the modalities add, {share['value']:.0%} ({share['low']:.0%} to "
            f"{share['high']:.0%}, n = {share['n']}) is their acting together (InterSHAP)."
        )
    if less:
        does = "does better than" if less["low"] > 0 else "is not shown to do better than"
        does = "does worse than" if less["high"] < 0 else does
        said.append(
            f"The model {does} its additive part, in which no modality changes what another says "
            f"({metric} {less['whole']:.2f} against {less['part']:.2f}, difference "
            f"{less['value']:+.3f}, {less['low']:+.3f} to {less['high']:+.3f}, EMAP)."
        )
    return said
