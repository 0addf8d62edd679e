"""Linear members and trees: the answers of scikit-learn's own models, kept as arrays, and scores of
cases by models that had not seen them.
"""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mmdiag.ensemble.cox import baseline_hazard, martingale_residuals, partial_likelihood
from mmdiag.ensemble.ridge import chosen_by_others, cross_fit, fit, rotate
from mmdiag.ensemble.target import Target
from mmdiag.ensemble.trees import _model, cross_fit_trees, fit_trees

CASES, COLUMNS = 90, 200


def make_rows(seed=0):
    rows = np.random.default_rng(seed).normal(size=(CASES, COLUMNS))
    return rows / np.sqrt(COLUMNS)


def make_target(kind, rows, seed=1):
    rng = np.random.default_rng(seed)
    score = 4 * rows @ rng.normal(size=COLUMNS)
    if kind == "survival":
        time = rng.exponential(np.exp(-score)) + 0.01
        return Target(kind, np.stack([time, (rng.random(CASES) < 0.7) * 1.0], axis=1), 1)
    if kind == "multiclass":
        return Target(kind, np.digitize(score, [-2, 2])[:, None].astype(float), 3)
    labels = np.stack([score > 0, score + rng.normal(size=CASES) > 1], axis=1).astype(float)
    if kind == "binary":
        return Target(kind, labels[:, :1], 1)
    labels[rng.random(labels.shape) < 0.2] = np.nan
    return Target(kind, labels, 2)


def make_folds():
    fold = np.arange(CASES) % 5
    return [(np.flatnonzero(fold != n), np.flatnonzero(fold == n)) for n in range(5)]


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "survival"])
def test_the_gradient_of_a_loss_is_that_of_its_value(kind):
    target, rng = make_target(kind, make_rows()), np.random.default_rng(2)
    scores, direction = rng.normal(size=(2, CASES, target.answers))
    step = 1e-5 * direction
    slope = (target.loss(scores + step)[0] - target.loss(scores - step)[0]) / 2e-5
    assert slope == pytest.approx(float((target.loss(scores)[1] * direction).sum()), rel=1e-4)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_a_ridge_is_that_of_scikit_learn(kind):
    rows = make_rows()
    target, rotation = make_target(kind, rows), rotate(rows @ rows.T)
    coefficients, intercept = fit(rotation.rows, target, 2.6, None)
    theirs = LogisticRegression(C=2.6, tol=1e-8, max_iter=2000)
    theirs.fit(rows, target.values[:, 0].astype(int))
    ours = intercept + rows @ (rows.T @ rotation.back @ coefficients)
    found = theirs.decision_function(rows).reshape(CASES, -1)
    centred = ours - ours.mean(axis=1, keepdims=True) if kind == "multiclass" else ours
    assert centred == pytest.approx(found, abs=0.01)


def test_each_label_of_several_is_a_ridge_of_its_own_on_the_cases_that_know_it():
    rows = make_rows()
    both, rotation = make_target("multilabel", rows), rotate(rows @ rows.T)
    coefficients, intercept = fit(rotation.rows, both, 2.6, None)
    known = ~np.isnan(both.values[:, 1])
    theirs = LogisticRegression(C=2.6, tol=1e-8, max_iter=2000)
    theirs.fit(rows[known], both.values[known, 1])
    ours = intercept[1] + rows @ (rows.T @ rotation.back @ coefficients[:, 1])
    assert ours == pytest.approx(theirs.decision_function(rows), abs=0.01)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "survival"])
def test_a_case_is_scored_by_models_that_had_not_seen_it(kind):
    rows = make_rows()
    target, rotated = make_target(kind, rows), rotate(rows @ rows.T).rows
    before = cross_fit(rotated, target, make_folds()).out_of_fold
    turned = target.values.copy()  # what is told of the first fold must not reach its own scores
    own = np.arange(0, CASES, 5)
    turned[own] = turned[own][::-1]
    after = cross_fit(rotated, Target(kind, turned, target.answers), make_folds())
    same = np.abs(after.out_of_fold - before).max(axis=1)
    folds = [same[np.arange(CASES) % 5 == n].max() for n in range(5)]
    if after.penalty == cross_fit(rotated, target, make_folds()).penalty:
        assert folds[0] < 1e-6
    assert max(folds[1:]) > 1e-4


def test_a_fold_has_no_voice_in_what_is_chosen_for_it():
    losses = np.asarray([[9.0, 0.0, 2.0], [0.0, 5.0, 2.0], [1.0, 5.0, np.nan]])
    assert chosen_by_others(losses).tolist() == [0, 1, 2]
    assert chosen_by_others(losses[:1]).tolist() == [1]


def gained(scores, target):
    """By how many standard errors scores go with the outcome."""
    share = scores[:, 0] - target.prior()[0]
    each = share * (target.values[:, 0] - target.values[:, 0].mean())
    return each.sum() / np.sqrt((each**2).sum())


def test_a_member_that_knows_nothing_does_not_seem_to_know_something_where_it_is_judged():
    seen, judged = [], []
    for seed in range(25):
        rows = make_rows(seed)
        values = np.random.default_rng(seed + 100).permutation(CASES)[:, None] % 2 * 1.0
        target = Target("binary", values, 1)
        found = cross_fit(rotate(rows @ rows.T).rows, target, make_folds())
        seen.append(gained(found.out_of_fold, target))
        judged.append(gained(found.judged, target))
    assert np.mean(seen) > np.mean(judged) + 0.3
    assert np.mean(judged) < 0.3


def test_trees_are_those_of_scikit_learn():
    rows = make_rows()[:, :30].astype(np.float32)
    rows[::7, 3] = 0
    target = Target("binary", (rows[:, [0]] * rows[:, [1]] > 0).astype(float), 1)
    ours = fit_trees(rows, target, seed=3)
    theirs = _model(False, 3).fit(rows, target.values[:, 0].astype(int))
    start = theirs._raw_predict_init(rows)[:, 0]
    new = make_rows(5)[:, :30].astype(np.float32)
    for table in (rows, new):
        found = theirs.decision_function(table) - start[0]
        assert ours(table)[:, 0] - ours.start[0] == pytest.approx(found, abs=1e-5)


def test_trees_find_a_product_that_no_linear_member_finds():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 4)).astype(np.float32)
    target = Target("binary", (rows[:, [0]] * rows[:, [1]] > 0).astype(float), 1)
    fold = np.arange(400) % 5
    folds = [(np.flatnonzero(fold != n), np.flatnonzero(fold == n)) for n in range(5)]
    scores, _ = cross_fit_trees(rows, target, folds, seed=0)
    right = (scores[:, 0] > 0) == (target.values[:, 0] > 0)
    assert right.mean() > 0.8


def test_trees_need_cases_of_both_kinds():
    rows = make_rows()[:, :5].astype(np.float32)
    values = np.zeros((CASES, 1))
    values[:3] = 1
    grown = fit_trees(rows, Target("binary", values, 1), seed=0)
    assert np.ptp(grown(rows)) == 0


def test_a_survival_without_risks_has_the_hazard_of_nelson_and_aalen():
    values = np.asarray([[1.0, 1], [2.0, 0], [3.0, 1], [4.0, 1]])
    assert baseline_hazard(np.zeros(4), values, 3.0) == pytest.approx(1 / 4 + 1 / 2)
    residuals = martingale_residuals(values)
    assert residuals.sum() == pytest.approx(0)
    assert residuals[1] == pytest.approx(-1 / 4)
    likelihood, _ = partial_likelihood(np.zeros(4), values)
    assert likelihood == pytest.approx(-np.log(4) - np.log(2) - np.log(1))
