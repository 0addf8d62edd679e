"""Metrics equal scikit-learn's, with weights and ties; intervals hold their value and cover what
they should.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from mmdiag.errors import UnknownNameError
from mmdiag.evaluation.bootstrap import bootstrap_weights
from mmdiag.evaluation.concordance import concordance
from mmdiag.evaluation.delong import delong
from mmdiag.evaluation.metrics import evaluate, paired_difference, wilson
from mmdiag.evaluation.ranking import auroc, average_precision, roc_points

SCORES = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 4)), min_size=4, max_size=40
)


def with_both_classes(rows):
    label, score, weight = (np.asarray(column, dtype=float) for column in zip(*rows, strict=True))
    return label, score / 6, weight, (label * weight).sum() > 0 and ((1 - label) * weight).sum() > 0


@settings(max_examples=200, deadline=None)
@given(SCORES)
def test_auroc_and_average_precision_are_scikit_learns_with_ties(rows):
    label, score, weight, both = with_both_classes(rows)
    ours = auroc(label, score)(weight[None])[0]
    if not both:
        assert not np.isfinite(ours) or (weight * label).sum() > 0
        return
    assert ours == pytest.approx(roc_auc_score(label, score, sample_weight=weight), abs=1e-12)
    assert average_precision(label, score)(weight[None])[0] == pytest.approx(
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
    assert all(
        row["low"] <= row["value"] <= row["high"]
        and row["n"] == 200
        and row["n_positive"] == label.sum()
        for row in rows
    )
    assert rows[0]["value"] == pytest.approx(roc_auc_score(label, probability))


def test_a_metric_that_does_not_exist_is_not_reported():
    assert "auroc" not in {
        row["metric"] for row in evaluate(np.zeros(20), np.linspace(0, 1, 20), resamples=50)
    }


def test_a_constant_score_has_an_auroc_of_one_half_without_any_width():
    label, _ = make_scores()
    row = evaluate(label, np.full(200, 0.4), resamples=200)[0]
    assert (row["low"], row["value"], row["high"]) == (0.5, 0.5, 0.5)


def test_resamples_draw_subjects_whole():
    weights = np.concatenate(
        list(bootstrap_weights(np.asarray(["a", "a", "b", "c", "c", "c"]), 50, 0))
    )
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


def test_concordance_by_hand_with_censoring_and_ties():
    time, event, risk = (
        np.asarray([1.0, 2, 3, 4]),
        np.asarray([1.0, 0, 1, 0]),
        np.asarray([0.9, 0.1, 0.5, 0.5]),
    )
    row = evaluate(np.full(4, np.nan), risk, kind="survival", time=time, event=event, resamples=20)[
        0
    ]
    # pairs (1,2) (1,3) (1,4) right, (3,4) tied
    assert row["metric"] == "c_index" and row["value"] == pytest.approx(3.5 / 4)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 4), st.integers(0, 3)),
        min_size=1,
        max_size=30,
    )
)
def test_concordance_equals_its_definition_over_all_pairs_with_weights_and_ties(rows):
    time, event, risk, weight = (
        np.asarray(column, dtype=float) for column in zip(*rows, strict=True)
    )
    right = pairs = 0.0
    for i in np.flatnonzero(event == 1):
        for j in range(len(rows)):
            if time[i] < time[j] or (time[i] == time[j] and event[j] == 0):
                pairs += weight[i] * weight[j]
                right += weight[i] * weight[j] * ((risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j]))
    found = concordance(time, event, risk)(weight[None])[0]
    assert np.isnan(found) if pairs == 0 else found == right / pairs


def test_the_auroc_of_classes_is_the_mean_over_those_that_occur():
    """Cases of another hospital, or of one site, that has none of the rarest class."""
    rng = np.random.default_rng(4)
    label = np.repeat([0.0, 1.0, 3.0], 20)
    shares = rng.dirichlet(np.ones(4), size=60)
    rows = {row["metric"]: row for row in evaluate(label, shares, kind="multiclass", resamples=50)}
    each = [roc_auc_score(label == number, shares[:, number]) for number in (0, 1, 3)]
    assert rows["auroc"]["value"] == pytest.approx(np.mean(each))
    alone = evaluate(label[:20], shares[:20], kind="multiclass", resamples=20)
    assert [row["metric"] for row in alone] == ["accuracy", "brier", "ece"]


def test_multiclass_metrics_of_a_perfect_and_a_constant_model():
    label = np.arange(30) % 3
    perfect = {
        row["metric"]: row["value"]
        for row in evaluate(label.astype(float), np.eye(3)[label], kind="multiclass", resamples=20)
    }
    assert perfect["auroc"] == 1 and perfect["accuracy"] == 1 and perfect["brier"] == 0
    constant = {
        row["metric"]: row["value"]
        for row in evaluate(
            label.astype(float), np.full((30, 3), 1 / 3), kind="multiclass", resamples=20
        )
    }
    assert constant["auroc"] == 0.5


def test_roc_points_enclose_the_area():
    label, probability = make_scores()
    x, y = roc_points(label, probability)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1) and np.trapezoid(y, x) == pytest.approx(
        roc_auc_score(label, probability)
    )


def test_wilsons_interval_by_hand():
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-3)


def test_every_resample_has_scikit_learns_auroc_of_the_rows_drawn():
    label, probability = make_scores(80)
    tied = probability.round(1)
    weights = np.concatenate(list(bootstrap_weights(np.arange(80), 60, 4)))
    expected = [
        roc_auc_score(np.repeat(label, times), np.repeat(tied, times))
        for times in weights.astype(int)
    ]
    assert auroc(label, tied)(weights) == pytest.approx(expected, abs=1e-12)


def test_resamples_with_one_class_are_left_out():
    label, probability = np.asarray([1.0, 0, 0, 0]), np.asarray([0.9, 0.1, 0.2, 0.3])
    drawn = np.concatenate(
        [auroc(label, probability)(weights) for weights in bootstrap_weights(np.arange(4), 200, 0)]
    )
    assert 0.2 < np.isnan(drawn).mean() < 0.45  # no positive in (3/4)^4 = .32 of them
    row = evaluate(label, probability, resamples=200)[0]
    assert (row["low"], row["value"], row["high"]) == (1.0, 1.0, 1.0)


def test_no_case_has_no_metric():
    assert evaluate(np.zeros(0), np.zeros(0)) == []


@pytest.mark.parametrize("kind", ["binary", "survival"])
def test_the_size_of_a_block_changes_nothing(kind, monkeypatch):
    label, probability = make_scores(120)
    time, event = np.random.default_rng(0).exponential(size=120).round(1), label
    subject = np.arange(120) // 2

    def rows():
        return evaluate(
            label,
            probability.round(1),
            kind=kind,
            subject=subject,
            time=time,
            event=event,
            resamples=50,
        )

    whole = rows()
    monkeypatch.setattr("mmdiag.evaluation.bootstrap.BLOCK", 1000)
    for one, other in zip(whole, rows(), strict=True):
        assert other == pytest.approx(one, abs=1e-12)


def brute_force_delong(label, first, second):
    """Variances of the structural components, pair by pair (DeLong 1988, equations 4 to 6)."""
    pairs = [
        np.sign(score[label > 0][:, None] - score[label <= 0][None, :]) / 2 + 0.5
        for score in (first, second)
    ]
    gain = pairs[0] - pairs[1]
    return gain.mean(), gain.mean(axis=1).var(ddof=1) / gain.shape[0] + gain.mean(axis=0).var(
        ddof=1
    ) / gain.shape[1]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 5)), min_size=6, max_size=30
    )
)
def test_delong_equals_its_definition_over_all_pairs_with_ties(rows):
    label, first, second = (np.asarray(column, dtype=float) for column in zip(*rows, strict=True))
    found = delong(label, first, second)
    if min(label.sum(), (1 - label).sum()) < 2:
        assert np.isnan(found["p"])
        return
    value, variance = brute_force_delong(label, first, second)
    assert (found["value"], found["variance"]) == pytest.approx((value, variance), abs=1e-12)


def test_delong_of_two_models_by_chance_refuses_about_one_in_twenty_and_agrees_with_the_bootstrap():
    refused = 0
    for seed in range(300):
        label, first = make_scores(120, seed=seed, shift=0.0)
        second = make_scores(120, seed=seed + 1000, shift=0.0)[1]
        refused += delong(label, first, second)["p"] < 0.05
    assert 0.02 <= refused / 300 <= 0.09
    label, good = make_scores(400)
    worse = np.clip(good - 0.2 * label * (np.random.default_rng(3).random(400) < 0.5), 0, 1)
    found, drawn = delong(label, good, worse), paired_difference(label, good, worse, resamples=2000)
    assert found["value"] == pytest.approx(drawn["value"])
    assert 2 * 1.96 * found["variance"] ** 0.5 == pytest.approx(
        drawn["high"] - drawn["low"], rel=0.1
    )


def test_delong_of_a_model_with_itself_finds_nothing():
    label, probability = make_scores()
    assert delong(label, probability, probability) == {"value": 0.0, "variance": 0.0, "p": 1.0}


def test_a_paired_log_loss_is_scikit_learns():
    label, good = make_scores()
    flat = np.full(200, 0.4)
    found = paired_difference(label, good, flat, metric="log_loss", resamples=50)
    assert found["value"] == pytest.approx(log_loss(label, good) - log_loss(label, flat))


def test_a_paired_difference_of_survival_is_that_of_the_two_c_indices():
    rng = np.random.default_rng(3)
    risk = rng.normal(size=200)
    facts = {"time": rng.exponential(np.exp(-risk)), "event": (rng.random(200) < 0.7).astype(float)}
    first, second = risk + 0.2 * rng.normal(size=200), rng.normal(size=200)
    found = paired_difference(
        np.full(200, np.nan),
        first,
        second,
        metric="c_index",
        kind="survival",
        resamples=200,
        **facts,
    )
    one, other = (
        evaluate(np.full(200, np.nan), r, kind="survival", resamples=2, **facts)[0]["value"]
        for r in (first, second)
    )
    assert (
        found["value"] == pytest.approx(one - other)
        and found["low"] > 0.05
        and found["n_positive"] == facts["event"].sum()
    )


def test_a_paired_difference_of_several_classes_is_that_of_the_mean_areas():
    rng = np.random.default_rng(4)
    label = rng.integers(0, 3, 150).astype(float)
    good, flat = np.eye(3)[label.astype(int)] + rng.normal(size=(150, 3)), np.full((150, 3), 1 / 3)
    found = paired_difference(label, good, flat, kind="multiclass", resamples=100)
    assert found["low"] > 0.1 and found["n_positive"] == 0


def test_a_paired_difference_of_an_unknown_metric_names_the_nearest():
    label, good = make_scores()
    with pytest.raises(UnknownNameError, match="did you mean 'auroc'"):
        paired_difference(label, good, good, metric="auruc")


def test_pairs_of_survival_are_compared_within_the_fold_whose_model_judged_them():
    rng = np.random.default_rng(0)
    fold = np.repeat(["fold-0", "fold-1", "fold-2"], 80)
    time, event = rng.exponential(size=240), np.ones(240)
    shift = np.repeat([0.0, 50.0, -20.0], 80)  # each model has a scale of its own
    shared = {"kind": "survival", "time": time, "event": event, "fold": fold, "resamples": 50}
    row = evaluate(np.full(240, np.nan), shift - time, **shared)[0]
    assert row["metric"] == "c_index" and row["value"] == 1.0 and row["n"] == 240
    # what a model that knows nothing says of its fold
    learned = np.concatenate([np.full(80, time[fold != name].mean()) for name in np.unique(fold)])
    assert evaluate(np.full(240, np.nan), learned, **shared)[0]["value"] == 0.5, (
        "and not less than nothing"
    )
    group = np.tile(["a", "b"], 120)
    within = next(
        r
        for r in evaluate(np.full(240, np.nan), shift - time, **shared, stratum=group)
        if r["metric"] == "c_index_within"
    )
    assert within["value"] == 1.0
    found = paired_difference(
        np.full(240, np.nan), shift - time, learned, metric="c_index", **shared
    )
    assert found["value"] == 0.5


def test_a_model_that_knows_nothing_is_at_chance_whatever_its_folds_prevalences() -> None:
    """Each fold's answers are the share of positives among the others: over all pairs that is far
    below a half, because the fold with more positives gets the lower answer.
    """
    rng = np.random.default_rng(3)
    label, fold = (rng.random(300) < 0.4).astype(float), rng.integers(0, 5, 300)
    told = np.asarray([label[fold != one].mean() for one in fold])
    weights = rng.integers(0, 3, (4, 300)).astype(float)
    assert (auroc(label, told)(weights) < 0.48).all()
    assert np.allclose(auroc(label, told, fold)(weights), 0.5)
    rows = evaluate(label, told, fold=fold, resamples=50)
    assert next(row for row in rows if row["metric"] == "auroc")["value"] == 0.5


def test_the_auroc_within_folds_is_that_of_their_pairs() -> None:
    rng = np.random.default_rng(4)
    label, score, fold = (
        rng.integers(0, 2, 60).astype(float),
        rng.random(60),
        rng.integers(0, 4, 60),
    )
    right = pairs = 0.0
    for one in range(60):
        for other in range(60):
            if fold[one] == fold[other] and label[one] > label[other]:
                right, pairs = right + (score[one] > score[other]), pairs + 1
    assert auroc(label, score, fold)(np.ones((1, 60)))[0] == pytest.approx(right / pairs)
    alone = np.arange(60)
    assert np.isnan(auroc(label, score, alone)(np.ones((1, 60)))[0])
