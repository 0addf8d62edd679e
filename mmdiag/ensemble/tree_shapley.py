"""Exact Shapley values of small trees, by enumeration of the paths to their leaves: what each
column adds to the score of a case beside that of a reference row.

Reference:
    Lundberg 2020, From local explanations to global understanding with explainable AI for trees
    (interventional values; one leaf's share has a closed form).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import factorial

import numpy as np
from jaxtyping import Float, Float32, Int32
from numpy import ndarray

from mmdiag.ensemble.trees import Trees


@dataclass(frozen=True, slots=True)
class _Step:
    """One turn on the way to a leaf: to the left where a column is at most the threshold."""

    column: int
    threshold: float
    left: bool

    def taken(self, row: Float32[ndarray, "column"]) -> bool:
        """Whether a row turns this way."""
        return bool((row[self.column] <= self.threshold) == self.left)


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
    for answer in range(len(trees.start)):
        for tree in range(trees.column.shape[1]):
            _add_tree(trees, (answer, tree), row, reference, found[:, answer])
    return found


def _add_tree(
    trees: Trees,
    which: tuple[int, int],
    row: Float32[ndarray, "column"],
    reference: Float32[ndarray, "column"],
    total: Float[ndarray, "column"],
) -> None:
    """A leaf is reached by a mixture of both rows where each column that only the row sends there
    is the row's, and each that only the reference sends there the reference's.
    """
    arrays = [getattr(trees, n)[which] for n in ("column", "threshold", "left", "right", "value")]
    for value, steps in _leaves(arrays, 0, ()):
        own, others = set(), set()
        for column in {step.column for step in steps}:
            here = [step for step in steps if step.column == column]
            by_row = all(step.taken(row) for step in here)
            by_reference = all(step.taken(reference) for step in here)
            if not by_row and not by_reference:
                break
            if by_row and not by_reference:
                own.add(column)
            elif by_reference and not by_row:
                others.add(column)
        else:
            for column in own:
                total[column] += value * _share(len(own) - 1, len(others))
            for column in others:
                total[column] -= value * _share(len(own), len(others) - 1)


def _leaves(
    arrays: list[Int32[ndarray, "node"] | Float32[ndarray, "node"]],
    node: int,
    steps: tuple[_Step, ...],
) -> Iterator[tuple[float, tuple[_Step, ...]]]:
    """The value of each leaf, and the turns on the way to it."""
    column, threshold, left, right, value = arrays
    if left[node] == node:
        yield float(value[node]), steps
        return
    for child, to_left in ((left[node], True), (right[node], False)):
        turn = _Step(int(column[node]), float(threshold[node]), to_left)
        yield from _leaves(arrays, int(child), (*steps, turn))


@cache
def _share(before: int, behind: int) -> float:
    """Share of the orders in which `before` columns come first and `behind` come last."""
    return factorial(before) * factorial(behind) / factorial(before + behind + 1)
