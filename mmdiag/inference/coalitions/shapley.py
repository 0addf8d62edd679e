"""Exact Shapley values over modalities: what each one added to the log-odds of one case.

Reference:
    Shapley 1953; with M modalities present, 2^M coalitions are asked, never a sample of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray

Value = Callable[[Integer[ndarray, "n"], Bool[ndarray, "n modality"]], Float[ndarray, "n"]]


@dataclass(frozen=True, slots=True)
class Shares:
    """How an answer is shared out among modalities; what a case lacks has exactly 0.

    Args:
        contributions: What each modality adds; they add up to value(all that is present) less
            `base`.
        base: The value of knowing nothing.
        interactions: How modalities act together: off the diagonal half of each pair's Shapley
            interaction index, on it what a modality adds by itself; each row adds up to its
            contribution.
    """

    contributions: Float[ndarray, "case modality"]
    base: Float[ndarray, "case"]
    interactions: Float[ndarray, "case modality modality"]


def shapley(value: Value, present: Bool[ndarray, "case modality"]) -> Shares:
    """Contribution of each modality, how they act together, and the value of knowing nothing.

    Args:
        value: (rows, coalition) -> the log-odds of case rows[i] when only coalition[i] is known.
            Called once.
        present: Which case has which modality; absent ones are in no coalition.

    Reference:
        Grabisch 1999, An axiomatic approach to the concept of interaction among players; Lundberg
        2020 (half of it to each of the two).
    """
    patterns, pattern_of = np.unique(present, axis=0, return_inverse=True)
    asked = [
        (np.flatnonzero(pattern_of.ravel() == k), _coalitions(pattern))
        for k, pattern in enumerate(patterns)
    ]
    rows = np.concatenate([np.repeat(cases, len(coalitions)) for cases, coalitions in asked])
    answers = np.asarray(
        value(rows, np.concatenate([np.tile(c, (len(cases), 1)) for cases, c in asked])),
        dtype=np.float64,
    )
    contributions, base, start = np.zeros(present.shape), np.zeros(len(present)), 0
    together = np.zeros((*present.shape, present.shape[1]))
    for (cases, coalitions), pattern in zip(asked, patterns, strict=True):
        of_case = answers[start : (start := start + len(cases) * len(coalitions))].reshape(
            len(cases), len(coalitions)
        )
        members = np.flatnonzero(pattern)
        own = of_case @ _weights(coalitions[:, pattern])
        pairs = np.einsum("nc,cij->nij", of_case, _pair_weights(coalitions[:, pattern]))
        pairs[:, range(len(members)), range(len(members))] = own - pairs.sum(axis=2)
        contributions[np.ix_(cases, members)] = own
        together[np.ix_(cases, members, members)] = pairs
        base[cases] = of_case[:, 0]
    return Shares(contributions, base, together)


def _coalitions(pattern: Bool[ndarray, "modality"]) -> Bool[ndarray, "coalition modality"]:
    """Every coalition of the modalities present, the empty one first."""
    members = np.flatnonzero(pattern)
    coalitions = np.zeros((2 ** len(members), len(pattern)), dtype=bool)
    coalitions[:, members] = (np.arange(len(coalitions))[:, None] >> np.arange(len(members))) & 1
    return coalitions


def _weights(coalitions: Bool[ndarray, "coalition member"]) -> Float[ndarray, "coalition member"]:
    """What each coalition's value counts for each member: for it where the member is in, against it
    where it is not.
    """
    total = coalitions.shape[1]
    size = coalitions.sum(axis=1, keepdims=True) - coalitions  # of the coalition without the member
    share = np.asarray(
        [factorial(s) * factorial(total - s - 1) / factorial(total) for s in range(total)]
    )
    weights: ndarray = np.where(coalitions, 1.0, -1.0) * share[size]
    return weights


def _pair_weights(
    coalitions: Bool[ndarray, "coalition member"],
) -> Float[ndarray, "coalition member member"]:
    """What each coalition's value counts for each pair of members: half for it where both are in or
    neither is; 0 of a member with itself.
    """
    own, count = coalitions.astype(int), coalitions.shape[1]
    both = own[:, :, None] + own[:, None, :]
    size = own.sum(axis=1)[:, None, None] - both  # of the coalition without the pair
    share = np.asarray(
        [factorial(s) * factorial(max(count - s - 2, 0)) for s in range(max(count - 1, 1))]
    ) / factorial(max(count - 1, 1))
    weights = np.where(both == 1, -0.5, 0.5) * share[size.clip(0, len(share) - 1)]
    found: ndarray = weights * (1 - np.eye(count))
    return found
