"""Shapley values of many parts, sampled by orders in which they are made known one after another:
whatever the sample, they add up exactly.

References:
    Castro 2009, Polynomial calculation of the Shapley value based on sampling; Mitchell 2022,
    Sampling permutations for Shapley value estimation (each order beside its reverse).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

Answers = Callable[[Bool[ndarray, "variant player"], int], Float[ndarray, "variant"]]


def sampled_shapley(
    players: int, answers: Answers, *, orders: int, seed: int = 0
) -> Float[ndarray, "player"]:
    """What each player adds, in the mean of some orders.

    Args:
        answers: (which players are known in each variant, number of the order) -> values. The
            first variant knows nobody, each next one player more.
        orders: So many, of which every second is the one before it reversed.

    Returns:
        Values that add up to the mean over the orders of `answers(all) - answers(none)`.
    """
    generator = np.random.default_rng(seed)
    found, order = np.zeros(players), np.arange(players)
    if not players:
        return found
    for number in range(orders):
        order = order[::-1] if number % 2 else generator.permutation(players)
        known = np.zeros((players + 1, players), dtype=bool)
        for step, player in enumerate(order, start=1):
            known[step:, player] = True
        found[order] += np.diff(answers(known, number)) / orders
    return found
