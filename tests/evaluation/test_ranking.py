"""ROC curves of several folds: the area below is the AUROC of pairs within a fold."""

import numpy as np
import pytest

from mmdiag.evaluation.ranking import auroc, roc_points


def test_the_mean_curve_of_folds_encloses_the_area_of_pairs_within_a_fold():
    rng = np.random.default_rng(4)
    fold = rng.integers(0, 4, 120)
    label = (rng.random(120) < 0.2 + 0.15 * fold).astype(float)
    score = np.round(label + rng.normal(size=120) - fold, 1)  # with ties, each fold on a level
    x, y = roc_points(label, score, fold)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert (np.diff(x) >= 0).all() and (np.diff(y) >= -1e-12).all()
    within = auroc(label, score, fold)(np.ones((1, 120)))[0]
    assert np.trapezoid(y, x) == pytest.approx(within)
    assert within > auroc(label, score)(np.ones((1, 120)))[0] + 0.05


def test_a_model_that_answers_each_fold_alike_is_on_the_diagonal():
    label, fold = np.asarray([0.0, 1, 1, 0, 1, 0]), np.asarray([0, 0, 0, 1, 1, 2])
    x, y = roc_points(label, 0.1 * fold, fold)
    assert y == pytest.approx(x)
    assert roc_points(np.zeros(3), np.arange(3.0), np.arange(3))[0].tolist() == [0, 1]
