"""Calibration: a model that says the truth is found to, and one that exaggerates is told by how
much.
"""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mmdiag.evaluation.calibration import calibration
from mmdiag.evaluation.calibration_error import calibration_error
from mmdiag.evaluation.metrics import evaluate


def draw(n, *, sharpness=1.0, seed=0):
    """Labels of a logit, and what a model says that takes the logit times `1 / sharpness`."""
    generator = np.random.default_rng(seed)
    logit = generator.normal(size=n) * 1.5
    label = (generator.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    return label, 1 / (1 + np.exp(-logit / sharpness))


def measured(label, probability, **options):
    return calibration(label, probability, subject=np.arange(len(label)), **options)


def test_answers_that_are_alike_have_no_slope():
    label, _ = draw(400)
    fold = np.empty(400, int)
    fold[np.argsort(label)] = np.arange(400) % 5
    prevalence = np.asarray([label[fold != n].mean() for n in range(5)])[fold]
    found = measured(label, prevalence, resamples=20)
    assert found["slope"] is None and found["intercept"] is None


def test_slope_and_intercept_are_those_of_a_logistic_regression_on_the_logit():
    label, probability = draw(400, sharpness=0.5)
    found = measured(label, probability, resamples=20)
    logit = np.log(probability / (1 - probability))
    model = LogisticRegression(C=1e9, tol=1e-8).fit(logit[:, None], label)
    assert found["slope"] == pytest.approx(model.coef_[0, 0], abs=1e-4)
    assert found["intercept"] == pytest.approx(model.intercept_[0], abs=1e-4)
    assert found["slope"] == pytest.approx(0.5, abs=0.12), "it exaggerates twofold"
    share = label.mean()
    assert found["brier"] == pytest.approx(np.mean((label - probability) ** 2))
    assert found["brier_prevalence"] == pytest.approx(np.mean((label - share) ** 2))


def test_the_calibration_error_of_a_right_model_reaches_down_to_none():
    """A percentile interval never did: resamples err more than the sample."""
    held = [measured(*draw(200, seed=seed), resamples=200) for seed in range(20)]
    assert sum(found["ece_low"] == 0 for found in held) >= 18
    assert np.mean([found["ece"] for found in held]) < 0.06
    wrong = measured(*draw(1000, sharpness=0.3), resamples=200)
    assert 0 < wrong["ece_low"] <= wrong["ece"] <= wrong["ece_high"]


@pytest.mark.parametrize("seed", range(3))
def test_the_calibration_error_is_the_same_wherever_it_is_said(seed):
    """In the metrics as in the card: less its bias, down to none where a right model has as much."""
    label, probability = draw(120, seed=seed)
    row = next(r for r in evaluate(label, probability, resamples=200) if r["metric"] == "ece")
    found = measured(label, probability, resamples=200)
    assert (row["value"], row["low"], row["high"]) == (
        found["ece"],
        found["ece_low"],
        found["ece_high"],
    )
    one = next(r for r in evaluate(label, probability, resamples=1) if r["metric"] == "ece")
    raw = calibration_error(label, probability)(np.ones((1, 120)))[0]
    assert one["value"] == pytest.approx(raw) and row["value"] < raw


def test_calibration_error_is_zero_where_shares_agree_and_the_gap_where_not():
    probability = np.repeat([0.2, 0.8], 50)
    label = np.concatenate([np.repeat([1, 0], [10, 40]), np.repeat([1, 0], [40, 10])]).astype(float)
    ones = np.ones((1, 100))
    assert calibration_error(label, probability)(ones)[0] == pytest.approx(0, abs=1e-12)
    assert calibration_error(label, probability + 0.1)(ones)[0] == pytest.approx(0.1)


def test_classes_that_are_parted_or_alone_have_no_slope():
    label = np.repeat([0.0, 1.0], 10)
    assert measured(label, np.linspace(0.1, 0.9, 20), resamples=20)["slope"] is None
    found = measured(np.ones(20), np.linspace(0.1, 0.9, 20), resamples=20)
    assert found["slope"] is None and found["intercept"] is None
    assert measured(label, np.full(20, 0.5), resamples=20)["slope"] is None
