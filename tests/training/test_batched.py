"""Several fits as one network: each is the fit that it would be alone."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from model_builders import BINARY
from network_builders import make_model

from mmdiag.config import TrainingConfig
from mmdiag.model.losses import objective_of
from mmdiag.model.network import loss_of
from mmdiag.training.batched import Fold, _Together, train_together


def make_folds(cases, folds=3):
    fold = np.arange(cases) % folds
    return [Fold(np.flatnonzero(fold != n), np.flatnonzero(fold == n)) for n in range(folds)]


@pytest.fixture
def parts():
    """A network without dropout, whose slices share no randomness, its cases and its settings."""
    model, cases = make_model("concat", cases=60, missing=0.2)
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    model.modality_dropout = 0.0
    return model, cases, TrainingConfig(max_epochs=6, batch_size=8, learning_rate=0.01)


def fitted(parts, folds):
    model, cases, settings = parts
    return train_together(lambda: copy.deepcopy(model), cases, folds, BINARY, settings, seed=5)


def weights_of(network):
    return torch.cat([p.detach().reshape(-1) for p in network.parameters()])


def test_a_slice_is_the_fit_that_it_would_be_alone(parts):
    folds = make_folds(60)
    together = fitted(parts, folds)
    again = fitted(parts, folds)
    for one, two in zip(together.networks, again.networks, strict=True):
        assert torch.equal(weights_of(one), weights_of(two))
    # the first slice does not depend on what the others learn from
    others = [folds[0], Fold(folds[2].train, folds[2].valid), Fold(folds[1].train, folds[1].valid)]
    mixed = fitted(parts, others)
    difference = (weights_of(together.networks[0]) - weights_of(mixed.networks[0])).abs().max()
    assert float(difference) < 1e-5
    assert not torch.allclose(weights_of(together.networks[1]), weights_of(together.networks[0]))


def test_the_best_epoch_of_each_fit_is_kept(parts):
    _, cases, _ = parts
    folds = make_folds(60)
    found = fitted(parts, folds)
    assert len(found.curve) == 6
    for network, fold in zip(found.networks, folds, strict=True):
        valid = cases.rows(fold.valid)
        with torch.no_grad():
            loss = float(network.head.loss(network(valid).logits, valid.target))
        assert not network.training and loss < 0.8


def test_held_out_cases_are_answered_after_the_epoch_that_other_folds_choose(parts):
    _, cases, settings = parts
    folds = make_folds(60)
    training = _Together(
        [copy.deepcopy(parts[0]) for _ in folds], cases, folds, settings, seed=5, progress=None
    )
    for network in training.networks:
        network.head.objective = objective_of(BINARY, settings, cases.target.numpy())
    logits = torch.arange(2 * 3 * 20, dtype=torch.float32).view(2, 3, 20, 1)
    # the first fold would have had its own second epoch, the others choose the first for it
    training.told = [
        (np.asarray([9.0, 1.0, 1.0]), logits[0]),
        (np.asarray([0.0, 2.0, 3.0]), logits[1]),
    ]
    held_out = training.held_out()
    for number, epoch in enumerate((0, 1, 1)):
        assert torch.equal(held_out[number], logits[epoch, number])


def test_a_single_epoch_is_what_held_out_cases_are_answered_after(parts):
    model, cases, settings = parts
    settings, folds = dataclasses.replace(settings, max_epochs=1), make_folds(60)
    found = train_together(lambda: copy.deepcopy(model), cases, folds, BINARY, settings, seed=5)
    with torch.no_grad():
        for network, fold, held_out in zip(found.networks, folds, found.held_out, strict=True):
            logits = network(cases.rows(fold.valid)).logits
            assert torch.allclose(held_out, logits, atol=1e-5)


def test_what_is_stacked_stops_by_the_loss_of_its_branches_which_are_weighed_afterwards():
    model, cases = make_model("late", cases=60, missing=0.2)
    settings, folds = TrainingConfig(max_epochs=1, batch_size=16), make_folds(60)
    found = train_together(lambda: copy.deepcopy(model), cases, folds, BINARY, settings, seed=5)
    losses = []
    with torch.no_grad():
        for network, fold in zip(found.networks, folds, strict=True):
            part = cases.rows(fold.valid)
            losses.append(float(loss_of(network.head, network(part), part.target, 0.0)))
    assert found.curve[-1].valid_loss == pytest.approx(np.mean(losses), abs=1e-4)


def test_who_watches_the_trainer_is_told_the_losses_of_each_epoch(parts):
    from ignite.engine import Events

    told = []

    def attach(trainer):
        trainer.add_event_handler(
            Events.EPOCH_COMPLETED, lambda engine: told.append(dict(engine.state.metrics))
        )

    model, cases, settings = parts
    found = train_together(
        lambda: copy.deepcopy(model), cases, make_folds(60), BINARY, settings, seed=5, attach=attach
    )
    assert [row["train_loss"] for row in told] == [epoch.train_loss for epoch in found.curve]
    assert [row["valid_loss"] for row in told] == [epoch.valid_loss for epoch in found.curve]
