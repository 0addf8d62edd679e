"""Exact Shapley values of small trees, by enumeration of the paths to their leaves: what each
column adds to the score of a case beside that of a reference row.

Reference:
    Lundberg 2020, From local explanations to global understanding with explainable AI for trees
    (interventional values; one leaf's share has a closed form).
"""

from functools import cache
from math import factorial
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray

from mmdiag.ensemble.trees import Trees


def tree_shapley(
    trees: Trees,
    row: Float32[ndarray, "column"],
    reference: Float32[ndarray, "column"],
) -> Float[ndarray, "column answer"]:
    """What each column of a row adds to the scores of the reference.

    Returns:
        Values that add up to `trees(row) - trees(reference)`; of columns that no tree asks, and of
        those in which both rows are alike, 0.
    """
    found = np.zeros((len(row), len(trees.start)))
    own_left = row[trees.column] <= trees.threshold
    their_left = reference[trees.column] <= trees.threshold
    for answer in range(len(trees.start)):
        arrays = [
            one[answer].tolist()
            for one in (trees.column, trees.left, trees.right, trees.value, own_left, their_left)
        ]
        for tree in zip(*arrays, strict=True):
            for column, value in _of_tree(*tree).items():
                found[column, answer] += value
    return found


def _of_tree(
    column: Any, left: Any, right: Any, value: Any, own_left: Any, their_left: Any
) -> dict[int, float]:
    """A leaf is reached by a mixture of both rows where each column that only the row sends there
    is the row's, and each that only the reference sends there the reference's.
    """
    found: dict[int, float] = {}
    stack: list[tuple[int, frozenset[int], frozenset[int]]] = [(0, frozenset(), frozenset())]
    while stack:
        node, own, theirs = stack.pop()
        if left[node] == node:
            for one in own:
                found[one] = found.get(one, 0.0) + value[node] * _share(len(own) - 1, len(theirs))
            for one in theirs:
                found[one] = found.get(one, 0.0) - value[node] * _share(len(own), len(theirs) - 1)
            continue
        asked = column[node]
        for child, to_left in ((left[node], True), (right[node], False)):
            by_row, by_reference = own_left[node] == to_left, their_left[node] == to_left
            if by_row and by_reference:  # whoever has the column, the way is open
                stack.append((child, own, theirs))
            elif by_row and asked not in theirs:
                stack.append((child, own | {asked}, theirs))
            elif by_reference and asked not in own:
                stack.append((child, own, theirs | {asked}))
    return found


@cache
def _share(before: int, behind: int) -> float:
    """Share of the orders in which `before` columns come first and `behind` come last."""
    return factorial(before) * factorial(behind) / factorial(before + behind + 1)
