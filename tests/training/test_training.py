"""Training learns, stops on what it is told to watch, gives the steps that were asked for, and says
where a branch collapses.
"""

import json
import math
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from training_builders import Told, fit, make_config, weights

from mmdiag.errors import UnknownNameError, UsageError


def test_a_linear_signal_is_learned_with_modalities_missing(tmp_path):
    trained = fit(make_config(max_epochs=30), tmp_path)
    best = min(trained.curve, key=lambda row: row.valid_loss)
    assert best.valid_metric > 0.85
    assert trained.curve[0].train_loss > best.train_loss


def test_training_stops_when_the_validation_loss_stays(tmp_path):
    trained = fit(make_config(max_epochs=60, patience=3, learning_rate=0.05), tmp_path)
    best = int(np.argmin([row.valid_loss for row in trained.curve]))
    assert len(trained.curve) == best + 1 + 3


@pytest.mark.parametrize("chained", ["late", "concat+late"])
def test_what_is_stacked_stops_by_what_its_branches_say_alone(chained, tmp_path):
    import torch
    from model_builders import make_batches, make_preparations, make_raws

    from mmdiag.model.network import loss_of

    config = make_config(chained, max_epochs=6)
    trained = fit(config, tmp_path)
    raws, label = make_raws(120, missing=0.2)
    held = make_batches(
        raws,
        label,
        make_preparations({name: raws[name][:80] for name in raws}, config),
        np.arange(80, 120),
    ).take(np.arange(40))
    with torch.no_grad():
        alone = float(loss_of(trained.model.head, trained.model(held), held.target, 0.3))
    assert min(row.valid_loss for row in trained.curve) == pytest.approx(alone, abs=1e-5)


def test_training_stops_when_the_watched_metric_stays_and_keeps_its_best_epoch(tmp_path):
    config = make_config(max_epochs=60, patience=4, learning_rate=0.02, early_stopping="auroc")
    trained = fit(config, tmp_path)
    metrics = [row.valid_metric for row in trained.curve]
    assert len(metrics) == int(np.argmax(metrics)) + 1 + 4
    shorter = fit(make_config(max_epochs=60, patience=4, learning_rate=0.02), tmp_path)
    assert max(metrics) >= max(row.valid_metric for row in shorter.curve[: len(metrics)])


def test_where_the_cases_do_not_allow_the_metric_the_loss_is_watched():
    import torch

    from mmdiag.training.early_stopping import EarlyStopping, Epoch

    model = torch.nn.Linear(1, 1)
    best = EarlyStopping(model, "auroc", patience=2)
    for epoch, loss in enumerate([3.0, 2.0, 2.5, 2.5], 1):
        best.update(model, Epoch(epoch, 0.0, loss, math.nan))
    assert best.watched == "loss" and best.epoch == 2 and best.should_stop


def test_the_same_seed_gives_the_same_weights(tmp_path):
    first, second = (
        weights(fit(make_config(max_epochs=4), tmp_path / name)) for name in ("a", "b")
    )
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_an_epoch_draws_the_same_whatever_was_drawn_before_it(tmp_path):
    """As after a resume: randomness of an epoch comes from seed and number alone."""
    import torch

    def draw(*_):
        torch.rand(17)

    disturbed, calm = (
        fit(make_config(max_epochs=3), tmp_path, progress=draw),
        fit(make_config(max_epochs=3), tmp_path),
    )
    assert disturbed.curve == calm.curve


def test_randomness_outside_is_left_alone(tmp_path):
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(make_config(max_epochs=2), tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_two_accumulated_batches_are_one_of_twice_the_size(tmp_path):
    """70 of the 80 cases a step: the last group is a short one, and counts by its cases."""
    large = fit(
        make_config(plain=True, max_epochs=4, batch_size=30, auxiliary_weight=0.0), tmp_path
    )
    small = fit(
        make_config(plain=True, max_epochs=4, batch_size=15, auxiliary_weight=0.0, accumulate=2),
        tmp_path,
    )
    np.testing.assert_allclose(
        [row.valid_loss for row in small.curve], [row.valid_loss for row in large.curve], rtol=1e-4
    )
    alone = fit(
        make_config(plain=True, max_epochs=4, batch_size=15, auxiliary_weight=0.0), tmp_path
    )
    assert abs(alone.curve[-1].valid_loss - large.curve[-1].valid_loss) > 1e-3, (
        "single batches learn otherwise"
    )


def test_gradients_are_shortened_to_the_length_that_is_asked_for(monkeypatch, tmp_path):
    import torch

    lengths = []
    step = torch.optim.AdamW.step

    def seen(optimizer, *args, **kwargs):
        lengths.append(
            torch.nn.utils.get_total_norm(
                [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
            ).item()
        )
        return step(optimizer, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", seen)
    trained = fit(make_config(max_epochs=2, clip_norm=0.01), tmp_path)
    assert max(lengths) == pytest.approx(0.01, rel=1e-3)
    assert max(trained.curve[0].gradient_norm.values()) > 0.01, "the curve tells the length before"


def test_bfloat16_is_used_where_it_is_asked_for_and_learns_as_well(tmp_path):
    import torch

    from mmdiag.config import TrainingConfig
    from mmdiag.training.engines import precision_of

    cpu = torch.device("cpu")
    assert [precision_of(TrainingConfig(amp=amp), cpu) for amp in (True, False, "bf16")] == [
        None,
        None,
        torch.bfloat16,
    ]
    half, full = (
        fit(make_config(max_epochs=12, amp="bf16"), tmp_path),
        fit(make_config(max_epochs=12), tmp_path),
    )
    losses = [min(row.valid_loss for row in trained.curve) for trained in (half, full)]
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], abs=0.05)
    assert all(
        value.dtype == np.float32 for name, value in weights(half).items() if "weight" in name
    )


def test_the_curve_tells_rate_gradients_and_probes_by_modality(tmp_path):
    curve = fit(make_config(max_epochs=6), tmp_path).curve
    assert [round(row.learning_rate, 6) for row in curve[:4]] == [0.00025, 0.0005, 0.00075, 0.001]
    assert all(
        set(row.gradient_norm) == {"flair", "report", "expression"}
        and min(row.gradient_norm.values()) > 0
        for row in curve
    )
    assert [row.epoch for row in curve if row.probe] == [1, 5]
    for facts in curve[4].probe.values():
        assert 0.5 < facts["score"] <= 1 and 0 <= facts["rank"] < 1 and facts["spread"] > 0.1, (
            "every modality holds a third of the signal"
        )


def test_a_probe_finds_a_known_signal_and_none_where_there_is_none():
    import torch

    from mmdiag.training.collapse import probe

    rng = np.random.default_rng(0)
    target = torch.from_numpy(np.arange(200) % 2.0)[:, None]
    noise = torch.from_numpy(rng.normal(size=(200, 8))).float()
    signal = noise + 2 * target.float() * torch.eye(8)[0]
    scores = {
        name: probe("binary", tokens, target)["score"]
        for name, tokens in (("noise", noise), ("signal", signal))
    }
    # d' = 2: AUROC 0.921
    assert abs(scores["noise"] - 0.5) < 0.1 and scores["signal"] == pytest.approx(0.92, abs=0.04)
    three = torch.from_numpy(np.arange(200) % 3.0)[:, None]
    assert (
        probe("multiclass", torch.eye(3)[three[:, 0].long()] + 0.1 * noise[:, :3], three)["score"]
        > 0.99
    )
    survival = torch.stack([torch.arange(200.0) // 25, torch.ones(200)], dim=1)
    assert probe("survival", survival[:, :1] + 0.1 * noise[:, :1], survival)["score"] > 0.9
    assert math.isnan(probe("binary", noise[:3], target[:3])["score"])


def test_a_branch_that_holds_nothing_is_said_to_have_collapsed(tmp_path):
    from mmdiag.training.collapse import collapsed
    from mmdiag.training.early_stopping import Epoch

    assert fit(make_config(max_epochs=6), tmp_path).warnings == ()

    def spoil(raws):
        raws["report"] = [None if raw is None else np.ones_like(raw) for raw in raws["report"]]

    told = Told()
    trained = fit(make_config(max_epochs=6), tmp_path, change=spoil, progress=told)
    assert (
        any("those of report are alike" in sentence for sentence in trained.warnings)
        and "Modality collapse" in told.text
    )
    starved = [Epoch(e, 0.5, 0.5, 0.5, 0.001, {"flair": 1.0, "report": 0.005}) for e in range(1, 6)]
    assert "gradient of report" in collapsed(starved)[0] and not collapsed(starved[:4]), (
        "one weak epoch is none"
    )


@pytest.mark.parametrize("ahead", [False, True])
def test_waiting_for_cases_is_measured(ahead, monkeypatch):
    """By a clock that only the taking of a block moves on, by a second."""
    from mmdiag import samples

    taken = threading.Condition()
    clock = SimpleNamespace(seconds=0, perf_counter=lambda: clock.seconds)

    def take(rows):
        with taken:
            clock.seconds += 1
            taken.notify_all()
        return rows

    monkeypatch.setattr(samples, "time", clock)
    batches = samples.Batches(take, 40, batch_size=10, ahead=ahead, block=1)
    for used, _ in enumerate(batches._blocks([[np.arange(10)]] * 4), start=1):
        with taken:  # this one is in use until the next one has been taken
            expected = min(used + ahead, 4)
            assert taken.wait_for(lambda: clock.seconds >= expected, timeout=300)  # noqa: B023
            assert clock.seconds == expected
    assert batches.waited <= 1 if ahead else batches.waited == 4


def test_a_training_says_which_share_of_it_was_waiting(tmp_path):
    assert 0 < fit(make_config(max_epochs=2), tmp_path).waiting < 1


@pytest.mark.parametrize("block", [1, 3, 100])
@pytest.mark.parametrize("ahead", [False, True])
def test_blocks_and_threads_change_no_batch(block, ahead):
    import torch

    from mmdiag.samples import Batch, Batches

    whole = Batch(
        {"m": {"a": torch.arange(23.0)[:, None]}},
        {"m": torch.ones(23, dtype=torch.bool)},
        torch.arange(23.0)[:, None],
    )
    made = [
        Batches(whole.rows, 23, batch_size=5, shuffle=True, seed=4, block=b, ahead=a)
        for b, a in ((1, False), (block, ahead))
    ]
    for rows in made:
        rows.set_epoch(2)
    plain, other = ([batch.values["m"]["a"][:, 0].tolist() for batch in rows] for rows in made)
    assert (
        plain == other
        and [len(part) for part in plain] == [5, 5, 5, 5, 3]
        and sorted(number for part in plain for number in part) == list(range(23))
    )
    assert not list(Batches(whole.rows, 0, batch_size=5))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"early_stopping": "aurok"}, UnknownNameError, "did you mean 'auroc'"),
        ({"class_weights": "balance"}, UnknownNameError, "did you mean 'balanced'"),
        ({"amp": "fp8"}, UsageError, "amp must be True, False or 'bf16'"),
        ({"accumulate": 0}, UsageError, "accumulate must be at least 1, found 0"),
        ({"clip_norm": 0.0}, UsageError, "clip_norm must be above 0 or None"),
        ({"label_smoothing": 1.0}, UsageError, "label_smoothing must be from 0 to below 1"),
        ({"focal_gamma": -1.0}, UsageError, "focal_gamma must be at least 0"),
        ({"patience": 0}, UsageError, "patience must be at least 1"),
    ],
)
def test_values_that_make_no_sense_are_refused(change, error, words):
    with pytest.raises(error, match=words):
        make_config(**change)


def test_a_configuration_survives_json():
    from mmdiag.config import from_json, to_json

    config = make_config(
        clip_norm=1.0, amp="bf16", early_stopping="auroc", class_weights="balanced", focal_gamma=2.0
    )
    assert from_json(to_json(config)) == config
    older = json.loads(to_json(config))
    for name in (
        "accumulate",
        "clip_norm",
        "focal_gamma",
        "label_smoothing",
        "class_weights",
        "early_stopping",
    ):
        del older["training"][name]
    assert from_json(json.dumps(older)).training.accumulate == 1
