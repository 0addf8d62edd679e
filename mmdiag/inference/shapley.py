"""Exact Shapley values over modalities: what each one added to the log-odds of one case.

Reference:
    Shapley 1953; with M modalities present, 2^M coalitions are asked, never a sample of them.
"""

from collections.abc import Callable
from math import factorial

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray

Value = Callable[[Integer[ndarray, "n"], Bool[ndarray, "n modality"]], Float[ndarray, "n"]]


def shapley(
    value: Value, present: Bool[ndarray, "case modality"]
) -> tuple[Float[ndarray, "case modality"], Float[ndarray, "case"]]:
    """Contribution of each modality, and the value of knowing nothing.

    Args:
        value: (rows, coalition) -> the log-odds of case rows[i] when only coalition[i] is known.
            Called once.
        present: Which case has which modality; absent ones are in no coalition and contribute
            exactly 0.

    Returns:
        Contributions, which add up to value(all that is present) - value(nothing); and
        value(nothing).
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
    for (cases, coalitions), pattern in zip(asked, patterns, strict=True):
        of_case = answers[start : (start := start + len(cases) * len(coalitions))].reshape(
            len(cases), len(coalitions)
        )
        contributions[np.ix_(cases, np.flatnonzero(pattern))] = of_case @ _weights(
            coalitions[:, pattern]
        )
        base[cases] = of_case[:, 0]
    return contributions, base


def interactions(
    value: Value, present: Bool[ndarray, "modality"]
) -> Float[ndarray, "modality modality"]:
    """How modalities act together in one case: off the diagonal half of each pair's Shapley
    interaction index, on it what a modality adds by itself; each row adds up to its contribution.

    Args:
        value: As of `shapley`, of row 0.
        present: What the case has; rows and columns of others are 0.

    Reference:
        Grabisch 1999, An axiomatic approach to the concept of interaction among players; Lundberg
        2020 (half of it to each of the two).
    """
    coalitions = _coalitions(present)
    answers = value(np.zeros(len(coalitions), dtype=int), coalitions)
    own = coalitions[:, present].astype(int)
    count = own.shape[1]
    both = own[:, :, None] + own[:, None, :]
    size = own.sum(axis=1)[:, None, None] - both  # of the coalition without the pair
    share = np.asarray(
        [factorial(s) * factorial(max(count - s - 2, 0)) for s in range(max(count - 1, 1))]
    ) / factorial(max(count - 1, 1))
    sign = np.where(both == 1, -1.0, 1.0)
    index = np.einsum("c,cij->ij", answers, sign * share[size.clip(0, len(share) - 1)])
    pairs = index / 2 * (1 - np.eye(count))
    alone = answers @ _weights(coalitions[:, present]) - pairs.sum(axis=1)
    found = np.zeros((len(present), len(present)))
    found[np.ix_(present, present)] = pairs + np.diag(alone)
    return found


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
