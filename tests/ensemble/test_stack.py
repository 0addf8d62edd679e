"""How members are combined: what knows nothing is silenced, what is absent adds nothing, and an
availability set may have an offset of its own.
"""

import numpy as np
import pytest

from mmdiag.ensemble.stack import (
    LEAST_RARER,
    LEAST_SET,
    beyond_chance,
    combine,
    silenced,
    stack,
)
from mmdiag.ensemble.target import Target

CASES = 400


def make(seed=0):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, CASES))
    chance = 1 / (1 + np.exp(-1.5 * first - 1.5 * second))
    target = Target("binary", (rng.random(CASES) < chance)[:, None] * 1.0, 1)
    evidence = np.stack([1.5 * first, 1.5 * second, rng.normal(size=CASES)], axis=1)[..., None]
    return evidence, target


def test_independent_evidence_adds_up_and_noise_is_silenced():
    evidence, target = make()
    found = stack(evidence, np.ones((CASES, 3), bool), target.prior(), target)
    assert found.weight.min() >= 0
    # drawn from their share of 1 to the square root of 3 towards 1
    assert found.weight[:2].min() > 0.62 and found.weight[2] < 0.15


def test_two_members_that_say_the_same_share_one_weight():
    evidence, target = make()
    twice = np.stack([evidence[:, 0], evidence[:, 0]], axis=1)
    weights = combine(twice, target.prior(), target)
    assert weights.sum() == pytest.approx(1, abs=0.3)
    assert weights[0] == pytest.approx(weights[1], abs=0.02)


def test_evidence_against_the_label_is_not_turned_around():
    evidence, target = make()
    found = stack(-evidence, np.ones((CASES, 3), bool), target.prior(), target)
    assert found.weight[:2] == pytest.approx([0, 0], abs=1e-6)


def test_a_set_of_modalities_has_its_own_offset_where_it_is_met_often_enough():
    evidence, target = make()
    present = np.ones((CASES, 3), bool)
    present[: CASES // 2, 2] = False
    values = target.values.copy()
    values[: CASES // 4] = 1  # the cases without the third are positive more often
    found = stack(evidence, present, target.prior(), Target("binary", values, 1))
    offsets = dict(zip(map(tuple, found.sets.tolist()), found.set_offset[:, 0], strict=True))
    assert offsets[(True, True, False)] > offsets[(True, True, True)] + 0.1
    rare = present.copy()
    rare[: LEAST_SET - 1, 0] = False
    few = stack(evidence, rare, target.prior(), target)
    assert not (~few.sets[:, 0]).any()


def test_what_goes_with_the_outcome_no_further_than_luck_is_silenced():
    evidence, target = make()
    rng, prior = np.random.default_rng(1), target.prior()
    assert beyond_chance(prior + evidence[:, 0], prior, target)
    assert not beyond_chance(prior - evidence[:, 0], prior, target)
    by_luck = [
        beyond_chance(prior + rng.normal(size=(CASES, 1)), prior, target) for _ in range(200)
    ]
    assert np.mean(by_luck) == pytest.approx(0.03, abs=0.03)
    found = silenced(stack(evidence, np.ones((CASES, 3), bool), prior, target))
    assert found.scores(evidence, np.ones((CASES, 3), bool), prior) == pytest.approx(prior[0])


def test_too_few_cases_have_the_benefit_of_the_doubt():
    _, target = make()
    positive = np.flatnonzero(target.values[:, 0] > 0)
    values = np.zeros((CASES, 1))
    values[positive[: LEAST_RARER - 1]] = 1
    few = Target("binary", values, 1)
    assert few.rarer() == LEAST_RARER - 1
    against = np.where(values > 0, -1.0, 1.0)
    assert beyond_chance(few.prior() + against, few.prior(), few)
    values[positive[LEAST_RARER]] = 1
    assert not beyond_chance(few.prior() - np.where(values > 0, 1.0, -1.0), few.prior(), few)


def test_the_rarer_kind_of_each_task_is_counted():
    nan = np.nan
    several = np.asarray([[1, 0], [0, nan], [0, 1], [1, nan], [nan, 1]])
    assert Target("multilabel", several, 2).rarer() == 2
    assert Target("multiclass", np.asarray([[0.0], [1], [2], [1]]), 3).rarer() == 2
    assert Target("survival", np.asarray([[1.0, 1], [2, 0], [3, 1]]), 1).rarer() == 2
    assert Target("binary", np.full((2, 1), nan), 1).rarer() == 0


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "survival"])
def test_every_kind_of_task_is_stacked(kind):
    rng = np.random.default_rng(3)
    if kind == "survival":
        truth = rng.normal(size=(CASES, 1))
        times = rng.exponential(np.exp(-truth[:, 0])) + 0.01
        target = Target(kind, np.stack([times, np.ones(CASES)], axis=1), 1)
    elif kind == "multiclass":
        truth = 2 * rng.normal(size=(CASES, 3))
        number = (truth + rng.gumbel(size=truth.shape)).argmax(axis=1)
        target = Target(kind, number[:, None].astype(float), 3)
    else:
        truth = 2 * rng.normal(size=(CASES, 2))
        target = Target(kind, (rng.random(truth.shape) < 1 / (1 + np.exp(-truth))) * 1.0, 2)
    evidence = np.stack([truth, rng.normal(size=truth.shape)], axis=1)
    found = stack(evidence, np.ones((CASES, 2), bool), target.prior(), target)
    assert found.weight[0] > 0.7 and found.weight[1] < 0.2
