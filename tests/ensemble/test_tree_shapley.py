"""Shapley values of trees: those of the definition, over every subset of the columns."""

from itertools import combinations
from math import comb

import numpy as np

from mmdiag.ensemble.target import Target
from mmdiag.ensemble.tree_shapley import tree_shapley
from mmdiag.ensemble.trees import fit_trees


def by_definition(trees, row, reference):
    """Of few columns: the mean over all orders, from every subset."""
    count = len(row)

    def answer(subset):
        mixed = reference.copy()
        mixed[list(subset)] = row[list(subset)]
        return trees(mixed[None])[0]

    found = np.zeros((count, len(trees.start)))
    for column in range(count):
        rest = [c for c in range(count) if c != column]
        for size in range(count):
            for subset in combinations(rest, size):
                gain = answer((*subset, column)) - answer(subset)
                found[column] += gain / (count * comb(count - 1, size))
    return found


def grown(kind="binary", answers=1, columns=5):
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(120, columns)).astype(np.float32)
    score = rows[:, 0] * rows[:, 1] + rows[:, 2]
    values = (score > 0).astype(float)[:, None]
    if kind == "multiclass":
        values = np.digitize(score, (-0.7, 0.7)).astype(float)[:, None]
    return rows, fit_trees(rows, Target(kind, values, answers), seed=0)


def test_they_are_those_of_the_definition():
    rows, trees = grown()
    reference = np.zeros(5, np.float32)
    for row in rows[:3]:
        found = tree_shapley(trees, row, reference)
        np.testing.assert_allclose(found, by_definition(trees, row, reference), atol=1e-6)


def test_they_add_up_for_each_answer():
    rows, trees = grown("multiclass", 3)
    found = tree_shapley(trees, rows[0], rows[1])
    np.testing.assert_allclose(found.sum(0), trees(rows[:1])[0] - trees(rows[1:2])[0], atol=1e-6)


def test_what_is_alike_in_both_rows_adds_nothing():
    rows, trees = grown()
    mixed = rows[0].copy()
    mixed[3] = rows[1][3]
    found = tree_shapley(trees, mixed, rows[1])
    assert found[3] == 0
    assert np.abs(found[:3]).sum() > 0


def test_they_are_those_of_another_implementation():
    import shap

    rows, trees = grown(columns=12)
    own = np.arange(trees.left.shape[2])
    for reference, row in ((rows[0], rows[1]), (np.zeros(12, np.float32), rows[2])):
        told = [
            {
                "children_left": np.where(left == own, -1, left),
                "children_right": np.where(left == own, -1, right),
                "children_default": np.where(left == own, -1, left),
                "features": column,
                "thresholds": threshold.astype(float),
                "values": value.astype(float)[:, None],
                "node_sample_weight": np.ones(len(own)),
            }
            for left, right, column, threshold, value in zip(
                *(getattr(trees, name)[0] for name in ("left", "right", "column")),
                *(getattr(trees, name)[0] for name in ("threshold", "value")),
                strict=True,
            )
        ]
        oracle = shap.TreeExplainer(
            {"trees": told}, data=reference[None], feature_perturbation="interventional"
        )
        expected = oracle.shap_values(row[None])[0]
        found = tree_shapley(trees, row, reference)[:, 0]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert np.abs(expected).max() > 0.05
