"""Metrics equal scikit-learn's, with weights and ties; intervals hold their value and cover what they should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from mmdiag.evaluation import (
    bootstrap_weights,
    calibration_error,
    evaluate,
    paired_difference,
    roc_points,
    weighted_auprc,
    weighted_auroc,
    wilson,
)

SCORES = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 4)), min_size=4, max_size=40)


def with_both_classes(rows):
    label, score, weight = (np.asarray(column, dtype=float) for column in zip(*rows, strict=True))
    return label, score / 6, weight, (label * weight).sum() > 0 and ((1 - label) * weight).sum() > 0


@settings(max_examples=200, deadline=None)
@given(SCORES)
def test_weighted_auroc_and_average_precision_are_scikit_learns_with_ties(rows):
    label, score, weight, both = with_both_classes(rows)
    ours = weighted_auroc(label, score, weight[None])[0]
    if not both:
        assert not np.isfinite(ours) or (weight * label).sum() > 0
        return
    assert ours == pytest.approx(roc_auc_score(label, score, sample_weight=weight), abs=1e-12)
    assert weighted_auprc(label, score, weight[None])[0] == pytest.approx(
        average_precision_score(label, score, sample_weight=weight), abs=1e-12
    )


def make_scores(n=200, *, seed=0, shift=1.0):
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.4).astype(float)
    return label, 1 / (1 + np.exp(-(shift * (2 * label - 1) + rng.normal(size=n))))


def test_every_metric_comes_with_its_interval_and_n():
    label, probability = make_scores()
    rows = evaluate(label, probability, resamples=300)
    assert [row["metric"] for row in rows] == ["auroc", "auprc", "brier", "ece"]
    assert all(row["low"] <= row["value"] <= row["high"] and row["n"] == 200 and row["n_positive"] == label.sum() for row in rows)
    assert rows[0]["value"] == pytest.approx(roc_auc_score(label, probability))


def test_a_metric_that_does_not_exist_is_not_reported():
    assert "auroc" not in {row["metric"] for row in evaluate(np.zeros(20), np.linspace(0, 1, 20), resamples=50)}


def test_a_constant_score_has_an_auroc_of_one_half_without_any_width():
    label, _ = make_scores()
    row = evaluate(label, np.full(200, 0.4), resamples=200)[0]
    assert (row["low"], row["value"], row["high"]) == (0.5, 0.5, 0.5)


def test_resamples_draw_subjects_whole():
    weights = bootstrap_weights(np.asarray(["a", "a", "b", "c", "c", "c"]), 50, 0)
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_intervals_over_subjects_are_wider_than_over_their_copied_cases():
    label, probability = make_scores(60)
    copies = np.repeat(np.arange(60), 5)
    by_subject = evaluate(label[copies], probability[copies], subject=copies, resamples=500)[0]
    by_row = evaluate(label[copies], probability[copies], resamples=500)[0]
    assert by_subject["high"] - by_subject["low"] > 1.8 * (by_row["high"] - by_row["low"])


def test_the_interval_covers_the_population_value_about_as_often_as_it_says():
    population = make_scores(200_000, seed=99)
    truth = roc_auc_score(*population)
    hits = 0
    for seed in range(120):
        row = evaluate(*make_scores(150, seed=seed), resamples=300)[0]
        hits += row["low"] <= truth <= row["high"]
    assert 0.88 <= hits / 120 <= 0.995


def test_a_paired_difference_is_narrower_than_two_intervals_and_knows_equality():
    label, good = make_scores(300, shift=1.0)
    better = np.clip(good + 0.15 * (2 * label - 1), 0, 1)
    found = paired_difference(label, better, good, resamples=500)
    assert found["low"] > 0 and found["p"] < 0.05
    same = paired_difference(label, good, good, resamples=200)
    assert (same["value"], same["low"], same["high"], same["p"]) == (0.0, 0.0, 0.0, 1.0)


def test_calibration_error_is_zero_where_shares_agree_and_the_gap_where_not():
    probability = np.repeat([0.2, 0.8], 50)
    label = np.concatenate([np.repeat([1, 0], [10, 40]), np.repeat([1, 0], [40, 10])]).astype(float)
    ones = np.ones((1, 100))
    assert calibration_error(label, probability, ones)[0] == pytest.approx(0, abs=1e-12)
    assert calibration_error(label, probability + 0.1, ones)[0] == pytest.approx(0.1)


def test_concordance_by_hand_with_censoring_and_ties():
    time, event, risk = np.asarray([1.0, 2, 3, 4]), np.asarray([1.0, 0, 1, 0]), np.asarray([0.9, 0.1, 0.5, 0.5])
    row = evaluate(np.full(4, np.nan), risk, kind="survival", time=time, event=event, resamples=20)[0]
    assert row["metric"] == "c_index" and row["value"] == pytest.approx(3.5 / 4)  # pairs (1,2) (1,3) (1,4) right, (3,4) tied


def test_multiclass_metrics_of_a_perfect_and_a_constant_model():
    label = np.arange(30) % 3
    perfect = {row["metric"]: row["value"] for row in evaluate(label.astype(float), np.eye(3)[label], kind="multiclass", resamples=20)}
    assert perfect["auroc"] == 1 and perfect["accuracy"] == 1 and perfect["brier"] == 0
    constant = {
        row["metric"]: row["value"] for row in evaluate(label.astype(float), np.full((30, 3), 1 / 3), kind="multiclass", resamples=20)
    }
    assert constant["auroc"] == 0.5


def test_roc_points_enclose_the_area():
    label, probability = make_scores()
    x, y = roc_points(label, probability)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1) and np.trapezoid(y, x) == pytest.approx(roc_auc_score(label, probability))


def test_wilsons_interval_by_hand():
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-3)
