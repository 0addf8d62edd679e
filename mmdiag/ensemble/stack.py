"""How members are combined: weights of at least 0 and offsets, the most probable ones under priors
that say that all count alike.

`logit = prior + b + c_S + exp(u_S) * sum_m w_m z_m`: z_m is what a member adds to the prior, 0
where it has nothing to say; b is shared, c_S and u_S belong to an availability set S of at least
`LEAST_SET` cases. Nothing is imputed.

Reference:
    Wolpert 1992, Stacked generalization; Breiman 1996, Stacked regressions (weights of at least 0);
    Platt 1999 (slopes).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.optimize import minimize

from mmdiag.ensemble.target import Target

SLOPE = 0.5  # prior deviation of a member's slope from 1,
WEIGHT = 0.3  # of a weight from an equal share,
OFFSET = 0.5  # of the shared offset,
SET = 0.2  # and of a set's own scale and offset
BEYOND_CHANCE = 1.88  # standard errors: luck alone goes further with the outcome 3 times in 100
LEAST_RARER = 50  # events, or cases but those of the commonest class; fewer cannot tell luck
LEAST_SET = 8  # cases of an availability set that has its own
SETS = 64  # sets that are told apart, the commonest first


@dataclass(frozen=True, slots=True)
class Stack:
    """What was fitted.

    Args:
        weight: Of each member's evidence, >= 0.
        offset: Added to every answer.
        sets: Which modalities are in a set that has its own scale and offset.
        set_scale: Factor of all evidence in such a set.
        set_offset: Added to the answers in it.
    """

    weight: Float[ndarray, "member"]
    offset: Float[ndarray, "answer"]
    sets: Bool[ndarray, "set modality"]
    set_scale: Float[ndarray, "set"]
    set_offset: Float[ndarray, "set answer"]

    def scores(
        self,
        evidence: Float[ndarray, "case member answer"],
        present: Bool[ndarray, "case modality"],
        prior: Float[ndarray, "answer"],
    ) -> Float[ndarray, "case answer"]:
        """What the members say together."""
        row = rows_of_sets(present, self.sets)
        scale = np.append(self.set_scale, 1.0)[row]
        added = np.concatenate([self.set_offset, np.zeros((1, len(prior)))])[row]
        total = np.einsum("m,nma->na", self.weight, evidence)
        found: ndarray = prior + self.offset + added + scale[:, None] * total
        return found


def rows_of_sets(
    present: Bool[ndarray, "case modality"], sets: Bool[ndarray, "set modality"]
) -> Int[ndarray, "case"]:
    """The number of each case's availability set; that of the last + 1 where it has none."""
    if not len(sets):
        return np.zeros(len(present), int)
    same = (present[:, None, :] == sets[None]).all(-1)
    return np.where(same.any(1), same.argmax(1), len(sets))


def slopes(
    evidence: Float[ndarray, "case member answer"], prior: Float[ndarray, "answer"], target: Target
) -> Float[ndarray, "member"]:
    """How far each member's own evidence is to be trusted: of one that knows nothing, 0."""
    found = []
    for member in range(evidence.shape[1]):
        z = evidence[:, [member]]
        alone = np.ones((len(z), 1), bool)
        fitted = _fit(z, alone, prior, target, np.ones(1), SLOPE, sets=0)
        found.append(fitted.weight[0])
    return np.asarray(found)


def combine(
    evidence: Float[ndarray, "case member answer"], prior: Float[ndarray, "answer"], target: Target
) -> Float[ndarray, "member"]:
    """Weights of the members of one modality, slopes included."""
    own = slopes(evidence, prior, target)
    count = len(own)
    alone = np.ones((len(evidence), 1), bool)
    centre = np.full(count, 1 / count)
    fitted = _fit(own[None, :, None] * evidence, alone, prior, target, centre, WEIGHT, sets=0)
    weight: ndarray = own * fitted.weight
    return weight


def stack(
    evidence: Float[ndarray, "case member answer"],
    present: Bool[ndarray, "case modality"],
    prior: Float[ndarray, "answer"],
    target: Target,
) -> Stack:
    """Weights of modalities and of joint members, and what an availability set has of its own."""
    own = slopes(evidence, prior, target)
    count = len(own)
    centre = np.full(count, 1 / math.sqrt(count))
    scaled = own[None, :, None] * evidence
    fitted = _fit(scaled, present, prior, target, centre, WEIGHT, sets=SETS)
    weight = own * fitted.weight
    return Stack(weight, fitted.offset, fitted.sets, fitted.set_scale, fitted.set_offset)


def beyond_chance(
    said: Float[ndarray, "case answer"],
    prior: Float[ndarray, "answer"],
    target: Target,
    errors: float = BEYOND_CHANCE,
) -> bool:
    """Whether held-out answers go with the outcome further than luck would let them: the one-sided
    score test (Rao 1948) that what they add to the prior counts for nothing. Where there are too
    few cases to tell, they have the benefit of the doubt.

    Args:
        said: Scores of each case by models that had not seen it.
        prior: Scores of knowing nothing.
        errors: Standard errors that it must be beyond luck.
    """
    if target.rarer() < LEAST_RARER:
        return True
    added = said - prior
    _, gradient = target.loss(np.tile(prior, (len(said), 1)))
    gained = -(gradient * added).sum(1)
    return float(gained.sum()) > errors * float(np.sqrt((gained**2).sum()))


def silenced(found: Stack) -> Stack:
    """What answers the prior, whatever its members say."""
    zero = np.zeros_like
    return replace(
        found,
        weight=zero(found.weight),
        offset=zero(found.offset),
        set_scale=np.ones_like(found.set_scale),
        set_offset=zero(found.set_offset),
    )


def _fit(
    evidence: Float[ndarray, "case member answer"],
    present: Bool[ndarray, "case modality"],
    prior: Float[ndarray, "answer"],
    target: Target,
    centre: Float[ndarray, "member"],
    deviation: float,
    *,
    sets: int,
) -> Stack:
    kept = _common_sets(present, sets)
    row = rows_of_sets(present, kept)
    members, answers, number = len(centre), len(prior), len(kept)
    cuts = np.cumsum([members, answers, number])
    middle = np.concatenate([centre, np.zeros(answers + number * (1 + answers))])
    spread = np.concatenate(
        [
            np.full(members, deviation),
            np.full(answers, OFFSET),
            np.full(number * (1 + answers), SET),
        ]
    )

    def parts(flat: ndarray) -> Stack:
        weight, offset, scale, added = np.split(flat, cuts)
        return Stack(weight, offset, kept, np.exp(scale), added.reshape(number, answers))

    def objective(flat: ndarray) -> tuple[float, ndarray]:
        now = parts(flat)
        scale = np.append(now.set_scale, 1.0)[row]
        total = np.einsum("m,nma->na", now.weight, evidence)
        loss, gradient = target.loss(now.scores(evidence, present, prior))
        moved = (gradient * total).sum(1) * scale
        of_sets = _sums(gradient, row, number)
        slope = np.concatenate(
            [
                np.einsum("na,n,nma->m", gradient, scale, evidence),
                gradient.sum(0),
                _sums(moved[:, None], row, number).ravel(),
                of_sets.ravel(),
            ]
        )
        away = (flat - middle) / spread
        return loss + 0.5 * float(away @ away), slope + away / spread

    bounds = [(0, None)] * members + [(-3, 3)] * (len(middle) - members)
    found = minimize(objective, middle, jac=True, method="L-BFGS-B", bounds=bounds)
    return parts(found.x)


def _common_sets(
    present: Bool[ndarray, "case modality"], most: int
) -> Bool[ndarray, "set modality"]:
    if not most or not len(present):
        return np.zeros((0, present.shape[1]), bool)
    sets, counts = np.unique(present, axis=0, return_counts=True)
    order: Sequence[int] = np.argsort(-counts, kind="stable")[:most].tolist()
    return sets[[i for i in sorted(order) if counts[i] >= LEAST_SET]].reshape(-1, present.shape[1])


def _sums(values: Float[ndarray, "case value"], row: Int[ndarray, "case"], number: int) -> ndarray:
    total = np.zeros((number + 1, values.shape[1]))
    np.add.at(total, row, values)
    return total[:number]
