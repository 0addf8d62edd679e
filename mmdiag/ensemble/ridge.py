"""Linear members: logistic, multinomial or Cox's regression with a ridge on all features, in the
coordinates of the cases, its penalty chosen in inner folds.

Features are brought to the n x n products of the cases once; then a fit takes milliseconds,
however wide they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.optimize import minimize

from mmdiag.ensemble import Fold
from mmdiag.ensemble.target import Target

# weight of the data against the ridge (C of scikit-learn), for rows of length about 1
PENALTIES = (0.03, 0.13, 0.6, 2.6, 11.0, 50.0, 220.0, 1000.0)
TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Rotation:
    """Cases in coordinates of which there are no more than cases.

    Args:
        rows: Their coordinates; products of two rows are those of their features.
        back: What brings coefficients of these coordinates to weights of the cases: coefficients of
            the features are `features.T @ back @ coefficients`.
    """

    rows: Float[ndarray, "case direction"]
    back: Float[ndarray, "case direction"]


@dataclass(frozen=True, slots=True)
class CrossFitted:
    """A member as its inner folds and all cases have it.

    Args:
        out_of_fold: Scores of each case by the fold model that had not seen it.
        judged: The same with the penalty that the other folds chose: the case has no voice in it,
            and a member that knows nothing does not seem to know something.
        level: Of each case the mean of the scores that the model behind `judged` gives to the cases
            that it learned from: where more of these are ill, the fewer of the others are.
        coefficients: Of the rotated features, fitted on all cases.
        intercept: Of each answer.
        penalty: The one that was chosen.
    """

    out_of_fold: Float[ndarray, "case answer"]
    judged: Float[ndarray, "case answer"]
    level: Float[ndarray, "case answer"]
    coefficients: Float[ndarray, "direction answer"]
    intercept: Float[ndarray, "answer"]
    penalty: float


def rotate(products: Float[ndarray, "case case"]) -> Rotation:
    """The coordinates of cases whose products are these."""
    values, vectors = np.linalg.eigh(products)
    kept = values > TINY * max(float(values[-1]), 1e-12)
    root = np.sqrt(values[kept])
    return Rotation(vectors[:, kept] * root, vectors[:, kept] / root)


def cross_fit(
    rows: Float[ndarray, "case direction"], target: Target, folds: Sequence[Fold]
) -> CrossFitted:
    """Choose the penalty by the loss of inner folds, and fit on all cases with it.

    Args:
        folds: What can be learned from and judged; none = the middle penalty, and scores of cases
            that were seen.
    """
    scores = np.zeros((len(PENALTIES), len(target), target.answers))
    levels = np.zeros_like(scores)
    losses = np.zeros((len(folds), len(PENALTIES)))
    for fold, (train, test) in enumerate(folds):
        given = target.take(train)
        start = None
        for number, weight in enumerate(PENALTIES):
            start = fit(rows[train], given, weight, start)
            found = start[1] + rows @ start[0]
            scores[number, test] = found[test]
            levels[number, test] = found[train].mean(axis=0)
            losses[fold, number] = target.held_out_loss(found, test, train)
    best = int(np.argmin(losses.sum(0))) if len(folds) else len(PENALTIES) // 2
    coefficients, intercept = fit(rows, target, PENALTIES[best], None)
    if not len(folds):
        seen = intercept + rows @ coefficients
        level = np.broadcast_to(seen.mean(axis=0), seen.shape)
        return CrossFitted(seen, seen, level, coefficients, intercept, PENALTIES[best])
    judged, level = scores[best].copy(), levels[best].copy()
    for (_, test), chosen in zip(folds, chosen_by_others(losses), strict=True):
        judged[test], level[test] = scores[chosen, test], levels[chosen, test]
    return CrossFitted(scores[best], judged, level, coefficients, intercept, PENALTIES[best])


def cross_fit_blocks(
    blocks: Mapping[str, tuple[Any, float]], target: Target, folds: Sequence[Fold]
) -> tuple[CrossFitted, dict[str, Float[ndarray, "feature answer"]]]:
    """Fit on blocks of features together, each with an equal voice.

    Args:
        blocks: The cases of each as rows, dense or sparse, and the factor that brings these to a
            length of about 1.

    Returns:
        What was fitted, and the coefficients of the features of each block.
    """
    factor = {name: scale / len(blocks) ** 0.5 for name, (_, scale) in blocks.items()}
    products = sum(factor[name] ** 2 * _dense(m @ m.T) for name, (m, _) in blocks.items())
    rotation = rotate(np.asarray(products))
    found = cross_fit(rotation.rows, target, folds)
    weights = rotation.back @ found.coefficients
    return found, {
        name: factor[name] ** 2 * np.asarray(rows.T @ weights) for name, (rows, _) in blocks.items()
    }


def chosen_by_others(losses: Float[ndarray, "fold choice"]) -> Int[ndarray, "fold"]:
    """For each fold the choice by which the other folds together lose least; of a single fold, its
    own. What is not finite is never chosen where there is another.
    """
    known = np.where(np.isfinite(losses), losses, np.inf)
    others = np.stack([np.delete(known, n, axis=0).sum(0) for n in range(len(known))])
    found: ndarray = (others if len(known) > 1 else known).argmin(axis=1)
    return found


def fit(
    rows: Float[ndarray, "case direction"],
    target: Target,
    weight: float,
    start: tuple[ndarray, ndarray] | None,
) -> tuple[Float[ndarray, "direction answer"], Float[ndarray, "answer"]]:
    """Coefficients and intercepts that lose least under a ridge.

    Args:
        weight: Of the data against the ridge.
        start: Those of a neighbouring weight; None = zeros and the prior.
    """
    width, answers = rows.shape[1], target.answers
    free = 0 if target.survival else answers  # a hazard has no intercept
    first = (np.zeros((width, answers)), target.prior()) if start is None else start

    def objective(flat: ndarray) -> tuple[float, ndarray]:
        coefficients, intercept = _parts(flat, width, answers, free)
        loss, gradient = target.loss(intercept + rows @ coefficients)
        value = weight * loss + 0.5 * float((coefficients**2).sum())
        slopes = weight * (rows.T @ gradient) + coefficients
        return value, np.concatenate([slopes.ravel(), weight * gradient.sum(0)[:free]])

    flat = np.concatenate([first[0].ravel(), first[1][:free]])
    options = {"maxiter": 300, "ftol": 1e-8, "gtol": 1e-4 * max(weight, 1.0)}
    found = minimize(objective, flat, jac=True, method="L-BFGS-B", options=options)
    coefficients, intercept = _parts(found.x, width, answers, free)
    if target.survival:  # a hazard is known but for a factor: the mean of the cases is 0
        intercept = -(rows @ coefficients).mean(axis=0)
    return coefficients.copy(), intercept.copy()


def _parts(flat: ndarray, width: int, answers: int, free: int) -> tuple[ndarray, ndarray]:
    intercept = flat[width * answers :] if free else np.zeros(answers)
    return flat[: width * answers].reshape(width, answers), intercept


def _dense(products: Any) -> Float[ndarray, "case case"]:
    return np.asarray(products.toarray() if hasattr(products, "toarray") else products)
