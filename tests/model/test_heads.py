"""Heads: one contract for all of them, known losses, known probabilities."""

import numpy as np
import pytest
import torch

from mmdiag.errors import UnknownNameError, UsageError
from mmdiag.task import Task

TASKS = {
    "binary": Task(kind="binary", classes=("no", "yes")),
    "multiclass": Task(kind="multiclass", classes=("a", "b", "c")),
    "multilabel": Task(kind="multilabel", labels=("effusion", "oedema", "nodule")),
    "survival": Task(kind="survival", cuts=(1.0, 2.0, 3.0)),
}


def make_targets(kind, cases=12):
    rng = np.random.default_rng(1)
    values = {
        "binary": lambda: rng.integers(0, 2, (cases, 1)),
        "multiclass": lambda: rng.integers(0, 3, (cases, 1)),
        "multilabel": lambda: rng.integers(0, 2, (cases, 3)),
        "survival": lambda: np.stack([rng.integers(0, 4, cases), rng.integers(0, 2, cases)], 1),
    }
    return torch.from_numpy(values[kind]().astype(np.float32))


def settings(**changes):
    from mmdiag.config import TrainingConfig

    return TrainingConfig(**changes)


def head_of(kind, **changes):
    from mmdiag.model.heads import make_head
    from mmdiag.model.losses import objective_of

    head = make_head(TASKS[kind], 4)
    head.objective = objective_of(TASKS[kind], settings(**changes), make_targets(kind).numpy())
    return head


def test_every_kind_of_task_has_a_head():
    from mmdiag.description import TASKS as KINDS
    from mmdiag.model.heads import HEADS, make_head

    assert set(HEADS) == set(KINDS) == set(TASKS)
    with pytest.raises(UnknownNameError, match="'binary'"):
        make_head(Task(kind="binari"), 4)


ASKED = {
    "plain": {},
    "weighted": {"class_weights": "balanced"},
    "focal": {"focal_gamma": 2.0},
    "smooth": {"label_smoothing": 0.1},
}
CONTRACT = [
    (kind, name) for kind in TASKS for name in ASKED if kind != "survival" or name == "plain"
]


@pytest.mark.parametrize(("kind", "asked"), CONTRACT)
def test_contract_of_heads(kind, asked):
    head, target = head_of(kind, **ASKED[asked]), make_targets(kind)
    logits = torch.randn(
        12, head.outputs, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()
    loss = head.loss(logits, target)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss > 0 and torch.isfinite(loss) and gradient.abs().sum(1).gt(0).all(), (
        "every known case reaches the logits"
    )
    nothing = head.loss(logits, torch.full_like(target, torch.nan))
    (gradient,) = torch.autograd.grad(nothing, logits)
    assert nothing == 0 and (gradient == 0).all(), (
        "where nothing is known nothing is learned, and nothing breaks"
    )
    some = target.clone()
    some[6:] = torch.nan
    torch.testing.assert_close(head.loss(logits, some), head.loss(logits[:6], target[:6]))
    assert (
        torch.isfinite(head.loss(logits.detach().bfloat16(), target))
        and head.loss(logits.double(), target).dtype == torch.float64
    )
    probability = head.probability(logits)
    assert probability.min() >= 0 and probability.max() <= 1
    for number in range(probability.shape[1]):
        odds = head.log_odds(logits, torch.full((12,), number))
        torch.testing.assert_close(odds.sigmoid(), probability[:, number])


def test_binary_log_odds_are_the_logit():
    head = head_of("binary")
    logits = torch.tensor([[-2.0], [0.0], [3.0]])
    assert torch.equal(head.log_odds(logits, torch.zeros(3, dtype=torch.long)), logits[:, 0])
    assert head.probability(logits)[1, 0] == 0.5


def test_a_head_begins_at_the_prevalence_of_each_label():
    for kind in ("binary", "multilabel"):
        head, target = head_of(kind), make_targets(kind)
        target[0] = torch.nan
        head.init_bias_from_prior(target)
        torch.testing.assert_close(head.map.bias.sigmoid(), torch.nanmean(target, dim=0))
        balanced = head_of(kind, class_weights="balanced")
        balanced.init_bias_from_prior(make_targets(kind))
        torch.testing.assert_close(
            balanced.map.bias, torch.zeros(balanced.outputs), atol=1e-5, rtol=0
        )


def test_the_classes_and_the_hazards_begin_where_all_cases_together_are():
    head, target = head_of("multiclass"), make_targets("multiclass")
    target[0] = torch.nan
    head.init_bias_from_prior(target)
    counts = torch.bincount(target[1:, 0].long(), minlength=3).float()
    torch.testing.assert_close(head.map.bias.softmax(0), counts / counts.sum())
    balanced = head_of("multiclass", class_weights="balanced")
    balanced.init_bias_from_prior(make_targets("multiclass"))
    torch.testing.assert_close(balanced.map.bias.softmax(0), torch.full((3,), 1 / 3))
    survival = head_of("survival")
    known = torch.tensor([[0.0, 1.0], [0.0, 0.0], [1.0, 1.0], [2.0, 0.0], [3.0, 1.0], [3.0, 0.0]])
    survival.init_bias_from_prior(torch.cat([known, torch.full((1, 2), torch.nan)]))
    torch.testing.assert_close(
        survival.map.bias.sigmoid(), torch.tensor([1 / 6, 1 / 4, 0.002, 1 / 2])
    )
    nothing = survival.map.bias.expand(6, 4).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(survival.loss(nothing, known), nothing)
    assert gradient.sum(0)[[0, 1, 3]].abs().max() < 1e-6, (
        "no other answer to all cases alike is more likely"
    )


def test_multiclass_probabilities_add_up_and_log_odds_follow_them():
    head = head_of("multiclass")
    logits = torch.tensor([[1.0, 0.0, -1.0]])
    p = head.probability(logits)
    torch.testing.assert_close(p.sum(1), torch.ones(1))
    torch.testing.assert_close(
        head.log_odds(logits, torch.tensor([0])), torch.log(p[:, 0] / (1 - p[:, 0]))
    )


def test_the_plain_losses_are_those_of_torch():
    logits, target = (
        torch.randn(12, 3, generator=torch.Generator().manual_seed(2)),
        make_targets("multiclass"),
    )
    torch.testing.assert_close(
        head_of("multiclass").loss(logits, target),
        torch.nn.functional.cross_entropy(logits, target[:, 0].long()),
    )
    labels = make_targets("multilabel")
    torch.testing.assert_close(
        head_of("multilabel").loss(logits, labels),
        torch.nn.functional.binary_cross_entropy_with_logits(logits, labels),
    )
    smooth = torch.nn.functional.cross_entropy(logits, target[:, 0].long(), label_smoothing=0.2)
    torch.testing.assert_close(
        head_of("multiclass", label_smoothing=0.2).loss(logits, target), smooth
    )


def test_balanced_weights_count_every_class_alike():
    from mmdiag.model.heads import make_head
    from mmdiag.model.losses import objective_of

    target = torch.tensor([[1.0]] + [[0.0]] * 9)
    head = make_head(TASKS["binary"], 4)
    head.objective = objective_of(
        TASKS["binary"], settings(class_weights="balanced"), target.numpy()
    )
    logits = torch.tensor([[2.0]] * 10)
    softplus = torch.nn.functional.softplus
    torch.testing.assert_close(
        head.loss(logits, target), (softplus(torch.tensor(-2.0)) + softplus(torch.tensor(2.0))) / 2
    )
    three = make_head(TASKS["multiclass"], 4)
    counted = torch.tensor([[0.0], [0.0], [0.0], [1.0], [2.0]])
    three.objective = objective_of(
        TASKS["multiclass"], settings(class_weights="balanced"), counted.numpy()
    )
    torch.testing.assert_close(three.objective.class_weights, torch.tensor([5 / 9, 5 / 3, 5 / 3]))
    scores = torch.randn(5, 3, generator=torch.Generator().manual_seed(3))
    expected = torch.nn.functional.cross_entropy(
        scores, counted[:, 0].long(), weight=three.objective.class_weights
    )
    torch.testing.assert_close(three.loss(scores, counted), expected)


def test_the_focal_loss_is_the_formula():
    logits, target = torch.tensor([[0.5], [-1.0]]), torch.tensor([[1.0], [1.0]])
    p = logits.sigmoid()
    torch.testing.assert_close(
        head_of("binary", focal_gamma=2.0).loss(logits, target), (-((1 - p) ** 2) * p.log()).mean()
    )
    torch.testing.assert_close(
        head_of("binary", focal_gamma=2.0).loss(-logits, 1 - target),
        (-((1 - p) ** 2) * p.log()).mean(),
    )


@pytest.mark.parametrize(
    ("kind", "asked", "words"),
    [
        ("survival", {"class_weights": "balanced"}, "class_weights need a label with classes"),
        (
            "survival",
            {"focal_gamma": 1.0, "label_smoothing": 0.1},
            "focal_gamma and label_smoothing need",
        ),
        ("survival", {"early_stopping": "auroc"}, "choose one of loss, c_index"),
        ("multilabel", {"early_stopping": "accuracy"}, "choose one of loss, auroc"),
    ],
)
def test_what_a_task_has_not_is_refused(kind, asked, words):
    with pytest.raises(UsageError, match=words):
        head_of(kind, **asked)


def test_the_survival_loss_is_the_likelihood_by_hand():
    from mmdiag.model.heads import SurvivalHead

    head = SurvivalHead(4, 3)
    logits = torch.tensor([[0.3, -0.2, 0.5], [0.3, -0.2, 0.5]])
    hazard = logits[0].sigmoid()
    event_in_second = -(torch.log(1 - hazard[0]) + torch.log(hazard[1]))
    censored_in_third = -(torch.log(1 - hazard)).sum()
    loss = head.loss(logits, torch.tensor([[1.0, 1.0], [2.0, 0.0]]))
    torch.testing.assert_close(loss, (event_in_second + censored_in_third) / 2)


def test_a_higher_hazard_is_a_higher_risk_within_0_and_1():
    from mmdiag.model.heads import SurvivalHead

    risk = SurvivalHead(4, 3).probability(torch.tensor([[-9.0] * 3, [0.0] * 3, [9.0] * 3]))[:, 0]
    assert 0 <= risk[0] < risk[1] < risk[2] <= 1


def test_survival_targets_are_interval_and_event():
    from mmdiag.model.heads import survival_cuts, targets

    time, event = np.arange(1.0, 41.0), np.ones(40)
    cuts = survival_cuts(time, event)
    found = targets(Task(kind="survival", cuts=tuple(cuts)), np.full(40, np.nan), time, event)
    assert len(cuts) == 7 and np.bincount(found[:, 0].astype(int)).tolist() == [5] * 8
    assert targets(Task(kind="multilabel"), np.zeros((5, 3)), time[:5], event[:5]).shape == (5, 3)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "survival"])
def test_every_task_is_trained_and_its_metric_watched(kind, tmp_path):
    from training_builders import fit, make_config

    def label(known):
        if kind == "multilabel":
            both = np.stack([known, 1 - known], axis=1)
            both[::7, 1] = np.nan
            return both
        return (
            np.stack([3 * (1 - known), np.arange(len(known)) % 5 > 0], axis=1)
            if kind == "survival"
            else known * 2
        )

    task = {"multilabel": Task(kind=kind, labels=("one", "other"))}.get(kind, TASKS[kind])
    watched = "c_index" if kind == "survival" else "auroc"
    trained = fit(
        make_config(max_epochs=12, early_stopping=watched), tmp_path, task=task, label=label
    )
    assert max(row.valid_metric for row in trained.curve) > 0.75 and trained.warnings == ()
    assert all(facts["score"] > 0.5 for facts in trained.curve[9].probe.values())


def test_a_probability_within_a_horizon_is_that_of_kaplan_and_meier():
    from mmdiag.model.heads import make_head, survival_cuts, targets
    from mmdiag.task import Task

    rng = np.random.default_rng(0)
    time, event = rng.exponential(10, 4000), np.ones(4000)
    cuts = tuple(survival_cuts(time, event))
    for horizon in (3.0, cuts[2], 12.0):
        task = Task(kind="survival", cuts=cuts, horizon=horizon)
        head = make_head(task, 4)
        known = torch.from_numpy(targets(task, np.zeros(4000), time, event))
        head.init_bias_from_prior(known)
        chance = float(head.probability(head.map.bias.detach()[None])[0, 0])
        assert chance == pytest.approx(float((time <= horizon).mean()), abs=0.02)
        assert "counted" not in head.state_dict()


def test_intervals_count_up_to_the_horizon():
    from mmdiag.model.heads import counted_intervals

    assert counted_intervals((2.0, 6.0), 4.0) == pytest.approx([1, 0.5, 0])
    assert counted_intervals((2.0, 6.0), 100.0) == pytest.approx([1, 1, 1])
    assert counted_intervals((2.0, 6.0), 1.0) == pytest.approx([0.5, 0, 0])
