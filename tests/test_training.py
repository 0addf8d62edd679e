"""Training learns, stops, and goes on after a kill as if nothing had happened."""

import dataclasses

import numpy as np
import pytest
from model_builders import BINARY, make_batches, make_preparations, make_raws


def auroc(target, probability):
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(target[:, 0], probability[:, 0]))


def make_config(**training):
    from mmdiag.recipes import default

    config = default(fusion="concat", seed=3)
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **training))


def fit(config, folder, *, cases=120, progress=None):
    from mmdiag.training import train

    raws, label = make_raws(cases, missing=0.2)
    prepared = make_preparations({name: raws[name][:80] for name in raws}, config)
    rows, held = np.arange(80), np.arange(80, cases)
    folder.mkdir(parents=True, exist_ok=True)
    return train(
        make_batches(raws, label, prepared, rows, shuffle=True, seed=config.seed), make_batches(raws, label, prepared, held),
        prepared, BINARY, config, score=auroc, folder=folder, progress=progress,
    )  # fmt: skip


def weights(trained):
    return {name: value.numpy() for name, value in trained.model.state_dict().items()}


def test_a_linear_signal_is_learned_with_modalities_missing(tmp_path):
    trained = fit(make_config(max_epochs=30), tmp_path)
    best = min(trained.curve, key=lambda row: row.valid_loss)
    assert best.valid_metric > 0.85
    assert trained.curve[0].train_loss > best.train_loss


def test_training_stops_when_the_validation_loss_stays(tmp_path):
    trained = fit(make_config(max_epochs=60, patience=3, learning_rate=0.05), tmp_path)
    best = int(np.argmin([row.valid_loss for row in trained.curve]))
    assert len(trained.curve) == best + 1 + 3


def test_the_same_seed_gives_the_same_weights(tmp_path):
    first, second = (weights(fit(make_config(max_epochs=4), tmp_path / name)) for name in ("a", "b"))
    assert all(np.array_equal(first[name], second[name]) for name in first)


class Killed(Exception):
    """Stands for a SIGKILL between two epochs."""


def test_a_killed_training_ends_with_the_same_weights(tmp_path):
    config = make_config(max_epochs=12)
    calm = fit(config, tmp_path / "calm")

    def kill(done, total, text):
        if done == 8:
            raise Killed

    with pytest.raises(Killed):
        fit(config, tmp_path / "killed", progress=kill)
    assert list((tmp_path / "killed").glob("checkpoint*.pt")), "there is a checkpoint to go on from"
    again = fit(config, tmp_path / "killed")
    assert again.curve == calm.curve
    first, second = weights(calm), weights(again)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not list((tmp_path / "killed").glob("checkpoint*.pt"))


def test_randomness_outside_is_left_alone(tmp_path):
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(make_config(max_epochs=2), tmp_path)
    assert torch.equal(torch.rand(3), expected)
