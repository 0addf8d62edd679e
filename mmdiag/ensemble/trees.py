"""Small gradient-boosted trees, by scikit-learn, kept as arrays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int32
from numpy import ndarray

from mmdiag.ensemble import Fold
from mmdiag.ensemble.cox import martingale_residuals
from mmdiag.ensemble.target import Target

TREES, LEAVES = 80, 8
NODES = 2 * LEAVES - 1
MOST_COLUMNS = 500  # that a fit looks at, by how they go with the answer among its own cases
RATE = 0.06
LEAST_CASES, LEAST_RARER = 30, 5  # fewer, or fewer of the rarer class, grow no tree
LEAST_LEAF = 5


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees of each answer: at a node a case goes left where its column is at most the threshold;
    what the leaves say is added up.

    Args:
        column, left, right: A leaf is its own left and right.
        value: Of a leaf; 0 elsewhere.
        start: What the trees add to.
    """

    column: Int32[ndarray, "answer tree node"]
    threshold: Float32[ndarray, "answer tree node"]
    left: Int32[ndarray, "answer tree node"]
    right: Int32[ndarray, "answer tree node"]
    value: Float32[ndarray, "answer tree node"]
    start: Float32[ndarray, "answer"]

    @staticmethod
    def constant(start: Float[ndarray, "answer"]) -> "Trees":
        """No tree at all."""
        shape = (len(start), TREES, NODES)
        own = np.broadcast_to(np.arange(NODES, dtype=np.int32), shape).copy()
        return Trees(
            np.zeros(shape, np.int32),
            np.zeros(shape, np.float32),
            own,
            own.copy(),
            np.zeros(shape, np.float32),
            np.asarray(start, np.float32),
        )

    def __call__(self, rows: Float32[ndarray, "case column"]) -> Float[ndarray, "case answer"]:
        """Scores of some cases."""
        count, tree, found = np.arange(len(rows))[:, None], np.arange(TREES)[None], []
        for a in range(len(self.start)):
            at = np.zeros((len(rows), TREES), dtype=np.int64)
            for _ in range(LEAVES - 1):  # no tree is deeper
                goes_left = rows[count, self.column[a][tree, at]] <= self.threshold[a][tree, at]
                at = np.where(goes_left, self.left[a][tree, at], self.right[a][tree, at])
            found.append(self.value[a][tree, at].sum(1) + self.start[a])
        return np.stack(found, axis=1).astype(float)


def cross_fit_trees(
    rows: Float32[ndarray, "case column"], target: Target, folds: Sequence[Fold], seed: int
) -> tuple[Float[ndarray, "case answer"], Trees]:
    """Scores of each case by trees that had not seen it, and the trees of all cases."""
    scores = np.tile(target.prior(), (len(target), 1))
    for train, test in folds:
        scores[test] = fit_trees(rows[train], target.take(train), seed)(rows[test])
    return scores, fit_trees(rows, target, seed)


def fit_trees(rows: Float32[ndarray, "case column"], target: Target, seed: int) -> Trees:
    """Grow trees on some cases, a set for each answer."""
    found = Trees.constant(target.prior())
    for answer in range(target.answers):
        if target.survival:
            known, values = np.ones(len(target), bool), martingale_residuals(target.values)
        else:
            known, values = target.column(answer)
        rarer = len(values) if target.survival else min(np.bincount(values, minlength=2)[:2])
        if len(values) < LEAST_CASES or rarer < LEAST_RARER:
            continue
        columns = _columns(rows[known], values)
        model = _model(target.survival, seed).fit(rows[known][:, columns], values)
        _copy(model, columns, found, answer)
    return found


def _model(survival: bool, seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    kind = GradientBoostingRegressor if survival else GradientBoostingClassifier
    return kind(
        n_estimators=TREES,
        max_leaf_nodes=LEAVES,
        max_depth=None,
        learning_rate=RATE,
        min_samples_leaf=LEAST_LEAF,
        subsample=0.7,
        max_features=0.3,
        random_state=seed,
    )


def _columns(rows: Float32[ndarray, "case column"], values: ndarray) -> ndarray:
    """The columns that go with the answer most, where there are many."""
    if rows.shape[1] <= MOST_COLUMNS:
        return np.arange(rows.shape[1])
    centred = rows - rows.mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=0)) + 1e-6
    strength = np.abs((values - values.mean()) @ centred) / spread
    return np.sort(np.argsort(-strength, kind="stable")[:MOST_COLUMNS])


def _copy(model: Any, columns: ndarray, found: Trees, answer: int) -> None:
    """scikit-learn's nodes as arrays, without its own start; a test holds their answers against
    its own.
    """
    for number, estimator in enumerate(model.estimators_[:, 0]):
        tree = estimator.tree_
        own = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        part = (answer, number, slice(0, tree.node_count))
        found.column[part] = columns[np.where(leaf, 0, tree.feature)]
        found.threshold[part] = _below(np.where(leaf, 0.0, tree.threshold))
        found.left[part] = np.where(leaf, own, tree.children_left)
        found.right[part] = np.where(leaf, own, tree.children_right)
        found.value[part] = np.where(leaf, RATE * tree.value[:, 0, 0], 0.0)


def _below(threshold: Float[ndarray, "node"]) -> Float32[ndarray, "node"]:
    """Thresholds in 32 bits that part 32-bit numbers as the 64-bit ones do."""
    near = threshold.astype(np.float32)
    lower = np.nextafter(near, np.float32(-math.inf))
    parted: ndarray = np.where(near.astype(float) > threshold, lower, near)
    return parted
