"""Exact Shapley values over modalities: what each one added to the log-odds of one case.

Reference:
    Shapley 1953; with M modalities present, 2^M coalitions are asked, never a sample of them.
"""

from collections.abc import Callable
from itertools import combinations
from math import factorial

import numpy as np
from jaxtyping import Bool, Float, Integer
from numpy import ndarray

Value = Callable[[Integer[ndarray, "n"], Bool[ndarray, "n modality"]], Float[ndarray, "n"]]


def shapley(value: Value, present: Bool[ndarray, "case modality"]) -> tuple[Float[ndarray, "case modality"], Float[ndarray, "case"]]:
    """Contribution of each modality, and the value of knowing nothing.

    Args:
        value: (rows, coalition) -> the log-odds of case rows[i] when only coalition[i] is known. Called once.
        present: Which case has which modality; absent ones are in no coalition and contribute exactly 0.

    Returns:
        Contributions, which add up to value(all that is present) - value(nothing); and value(nothing).
    """
    rows, coalitions = [], []
    for row, there in enumerate(present):
        members = np.flatnonzero(there)
        for size in range(len(members) + 1):
            for chosen in combinations(members.tolist(), size):
                coalition = np.zeros(present.shape[1], dtype=bool)
                coalition[list(chosen)] = True
                rows.append(row)
                coalitions.append(coalition)
    answers = value(np.asarray(rows), np.stack(coalitions))
    known = {(row, coalition.tobytes()): float(answer) for row, coalition, answer in zip(rows, coalitions, answers, strict=True)}
    contributions = np.zeros(present.shape, dtype=np.float64)
    base = np.asarray([known[row, np.zeros(present.shape[1], dtype=bool).tobytes()] for row in range(len(present))])
    for row, coalition in zip(rows, coalitions, strict=True):
        total, size = int(present[row].sum()), int(coalition.sum())
        for member in np.flatnonzero(present[row] & ~coalition):
            joined = coalition.copy()
            joined[member] = True
            weight = factorial(size) * factorial(total - size - 1) / factorial(total)
            contributions[row, member] += weight * (known[row, joined.tobytes()] - known[row, coalition.tobytes()])
    return contributions, base
