"""The probability of an event by a time is judged as if everybody had been followed up to it."""

import numpy as np
import pytest

from mmdiag.evaluation.horizon import brier_by, chance_by
from mmdiag.evaluation.metrics import evaluate


def everybody(horizon, time, event, probability):
    return float(brier_by(horizon, time, event, probability)(np.ones((1, len(time))))[0])


def test_without_censoring_it_is_the_plain_brier_score():
    random = np.random.default_rng(1)
    time, probability = random.exponential(5, 200), random.random(200)
    plain = np.mean(((time <= 4) - probability) ** 2)
    assert everybody(4.0, time, np.ones(200), probability) == pytest.approx(plain)


def test_who_was_lost_before_the_horizon_is_counted_by_the_others():
    # at 1 an event, at 2 one of the three others is lost, at 3 an event, at 9 one lives
    time, event = np.array([1.0, 2.0, 3.0, 9.0]), np.array([1.0, 0.0, 1.0, 0.0])
    probability = np.array([0.9, 0.1, 0.6, 0.2])
    free = 2 / 3  # of those at risk at 2, two of three were not lost
    expected = (0.1**2 + 0.4**2 / free + 0.2**2 / free) / 4
    assert everybody(5.0, time, event, probability) == pytest.approx(expected)


def test_censoring_that_tells_nothing_moves_the_score_little():
    random = np.random.default_rng(2)
    n, hazard = 20_000, np.exp(random.normal(size=20_000) * 0.7) / 8
    time, lost = random.exponential(1 / hazard), random.exponential(8, n)
    chance = 1 - np.exp(-hazard * 4)
    whole = everybody(4.0, time, np.ones(n), chance)
    seen = everybody(4.0, np.minimum(time, lost), (time <= lost).astype(float), chance)
    assert seen == pytest.approx(whole, rel=0.02)


def test_who_was_followed_up_to_the_horizon_without_the_event_had_none_by_then():
    """Follow-up of a study that ends at the horizon: half of its subjects reach it."""
    time, event = np.asarray([3.0, 7.0, 11.0, 24.0, 24.0, 24.0]), np.asarray([1, 1, 1, 0, 0, 0])
    chance = np.asarray([0.9, 0.6, 0.5, 0.4, 0.2, 0.1])
    later = np.where(time == 24, 25.0, time)
    assert everybody(24.0, time, event, chance) == pytest.approx(np.mean((event - chance) ** 2))
    assert everybody(24.0, time, event, chance) == everybody(24.0, later, event, chance)


def test_of_a_horizon_that_nobody_was_followed_to_there_is_no_score():
    time, event = np.asarray([3.0, 7.0, 20.0, 24.0]), np.asarray([1, 0, 1, 0])
    chance = np.full(4, 0.7)
    assert np.isnan(everybody(60.0, time, event, chance))
    rows = evaluate(
        np.zeros(4), chance, kind="survival", time=time, event=event, horizon=60.0, resamples=20
    )
    assert [row["metric"] for row in rows] == ["c_index"]
    assert everybody(60.0, time, np.ones(4), chance) == pytest.approx(0.09)  # all had it


def test_the_chance_of_a_constant_is_that_of_kaplan_and_meier():
    time, event = np.array([1.0, 2.0, 3.0, 9.0]), np.array([1.0, 0.0, 1.0, 0.0])
    assert chance_by(5.0, time, event) == pytest.approx(1 - 3 / 4 * 1 / 2)
    assert chance_by(0.5, time, event) == 0.0


def test_a_survival_with_a_horizon_has_a_brier_score_and_one_without_has_none():
    random = np.random.default_rng(3)
    time, event, risk = random.exponential(5, 60), np.ones(60), random.random(60)

    def metrics(horizon):
        asked = {"kind": "survival", "time": time, "event": event, "resamples": 20}
        rows = evaluate(event, risk, horizon=horizon, **asked)
        return {row["metric"]: row for row in rows}

    assert "brier" not in metrics(0.0)
    found = metrics(4.0)["brier"]
    assert found["low"] <= found["value"] <= found["high"] and found["n"] == 60
