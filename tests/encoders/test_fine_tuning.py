"""A pretrained network is held still at first, then learns the slower the deeper a layer lies; and
a killed fine-tuning ends as if it had not been killed.
"""

import dataclasses

import numpy as np
import pytest
import torch
from encoder_builders import (
    WORDS,
    make_stack,
    tiny_architecture,
    write_image_weights,
    write_tiny_text_model,
)
from training_builders import Told, weights

from mmdiag.errors import UsageError
from mmdiag.task import Task

TASK = Task(kind="binary", classes=("no", "yes"), label="label")
RATES = {
    "learning_rate": 0.01,
    "warmup_epochs": 0,
    "max_epochs": 5,
    "probe_epochs": 2,
    "pretrained_rate": 0.5,
    "layer_decay": 0.8,
}


class Killed(Exception):
    """Stands for a SIGKILL between two epochs."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_text_model(tmp_path_factory.mktemp("model") / "tiny")


def make_config(folder, kind="text", **training):
    from mmdiag.recipes import default

    config = default(fusion="concat", seed=3).as_one_network()
    if kind == "text":
        config = dataclasses.replace(
            config,
            text=dataclasses.replace(config.text, encoder=str(folder), training="fine_tuned"),
        )
    else:
        config = dataclasses.replace(
            config,
            image=dataclasses.replace(
                config.image, encoder="resnet10", training="fine_tuned", weights=str(folder)
            ),
        )
    return dataclasses.replace(
        config, training=dataclasses.replace(config.training, **{**RATES, **training})
    )


def notes(cases):
    rng = np.random.default_rng(0)
    return [". ".join(" ".join(rng.choice(WORDS, 4)) for _ in range(3)) + "." for _ in range(cases)]


def fit(config, folder, *, kind="text", cases=24, seen=None, progress=None):
    """Train on the first two thirds; `seen(epoch, model)` looks at the network after each epoch."""
    from mmdiag.prepare import extractor, fit_preparation
    from mmdiag.prepare.batches import batch_of, prepare_samples
    from mmdiag.samples import Batches
    from mmdiag.training import loop

    originals = (
        notes(cases)
        if kind == "text"
        else [make_stack(np.random.default_rng(i), slices=1) for i in range(cases)]
    )
    raws = {"only": extractor(kind, config)(originals)}
    label = (np.arange(cases) % 2).astype(float)
    prepared = {"only": fit_preparation(kind, raws["only"], config)}

    def batches(rows, shuffle):
        whole = batch_of(prepared, prepare_samples(prepared, raws, rows), label[rows][:, None])
        return Batches(whole.rows, len(rows), batch_size=8, shuffle=shuffle, seed=config.seed)

    third = cases // 3
    folder.mkdir(parents=True, exist_ok=True)
    return loop.train(
        batches(list(range(2 * third)), True),
        batches(list(range(2 * third, cases)), False),
        prepared,
        TASK,
        config,
        score=lambda *_: 0.5,
        folder=folder,
        progress=progress,
    )


@pytest.fixture
def watched(monkeypatch):
    """After each epoch: the pretrained weights, and whether the network was in training during its
    steps.
    """
    from mmdiag.training import loop

    seen = []
    end = loop._Training._end

    def look(self, engine):
        network = self.model.encoders["only_"].network
        seen.append(
            (
                {name: value.clone() for name, value in network.state_dict().items()},
                network.training,
                self.optimizer.param_groups,
            )
        )
        end(self, engine)

    monkeypatch.setattr(loop._Training, "_end", look)
    return seen


def moved(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_pretrained_network_stays_as_it_was_in_the_probe_and_learns_afterwards(
    tmp_path, folder, watched, kind
):
    from mmdiag.encoders.backbone import make_network
    from mmdiag.encoders.sentence_network import SentenceNetwork

    where = folder if kind == "text" else write_image_weights(tmp_path / "weights")
    network = (
        SentenceNetwork(4, {}, start=folder).network if kind == "text" else make_network("resnet10")
    )
    if kind == "image":
        from mmdiag.encoders.backbone import load_pretrained

        load_pretrained(network, where / "model.safetensors")
    trained = fit(
        make_config(where, kind), tmp_path / "fit", kind=kind, cases=24 if kind == "text" else 12
    )
    states, training, _ = zip(*watched, strict=True)
    assert not moved(network.state_dict(), states[0]) and not moved(states[0], states[1]), (
        "two epochs of the probe"
    )
    assert moved(states[1], states[2]) and moved(states[2], states[3])
    assert training[:2] == (False, False) and all(training[2:]), "in evaluation while it is held"
    assert all(parameter.requires_grad for parameter in trained.model.parameters())
    if kind == "image":
        assert not [name for name in moved(states[0], states[-1]) if "running" in name], (
            "batch normalisation keeps its means"
        )


def test_what_is_new_learns_during_the_probe(tmp_path, folder):
    first, second = fit(make_config(folder, max_epochs=2), tmp_path).curve
    assert second.valid_loss != first.valid_loss, "the head moved, the network could not"
    assert first.gradient_norm["only"] > 0, "of the projection that lies on the network"


def test_rates_fall_from_what_is_new_through_the_layers_down_to_the_input(
    tmp_path, folder, watched
):
    fit(make_config(folder, max_epochs=1), tmp_path)
    groups = watched[0][2]
    rates = [group["initial_lr"] for group in groups if group["params"]]
    assert rates == sorted(rates, reverse=True)
    assert sorted(set(rates), reverse=True) == pytest.approx(
        [0.01, 0.005, 0.005 * 0.8, 0.005 * 0.8**2]
    ), "new, two blocks, embeddings"
    embeddings = [
        p.shape
        for group in groups
        if group["initial_lr"] == pytest.approx(0.005 * 0.64)
        for p in group["params"]
    ]
    assert torch.Size([tiny_architecture()["vocab_size"], 16]) in embeddings


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet10", 5),
        ("resnet18", 9),
        ("densenet121", 8),
        ("vit", 7),
        ("swin", 5),
        ("efficientnet_lite0", 9),
        ("resnet10_3d", 5),
        ("densenet121_3d", 8),
    ],
)
def test_every_image_network_has_its_layers_and_every_parameter_is_in_one(name, layers):
    from mmdiag.encoders.backbone import make_network
    from mmdiag.encoders.layers import layers_from_the_top

    network = make_network(name)
    found = layers_from_the_top(network)
    assert len(found) == layers
    assert sorted(id(p) for layer in found for p in layer) == sorted(
        id(p) for p in network.parameters()
    )
    assert next(iter(network.parameters())) is found[-1][0], "the input lies deepest"


def test_what_begins_at_random_has_one_rate_and_no_probe(tmp_path):
    from training_builders import fit as fit_plain
    from training_builders import make_config as plain_config

    with_probe = fit_plain(plain_config(max_epochs=2), tmp_path / "a")
    without = fit_plain(plain_config(max_epochs=2, probe_epochs=0, layer_decay=0.1), tmp_path / "b")
    assert all(
        np.array_equal(value, weights(without)[name]) for name, value in weights(with_probe).items()
    )


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_fine_tuning_that_is_killed_before_or_after_it_unfreezes_ends_bit_for_bit_the_same(
    tmp_path, folder, epoch
):
    config = make_config(folder)
    whole = fit(config, tmp_path / "calm")

    def kill(done, *_):
        if done == epoch:
            raise Killed

    with pytest.raises(Killed):
        fit(config, tmp_path / "killed", progress=kill)
    told = Told()
    again = fit(config, tmp_path / "killed", progress=told)
    assert told[0] == epoch + 1
    ours, theirs = weights(again), weights(whole)
    assert again.curve == whole.curve and all(
        np.array_equal(ours[name], theirs[name]) for name in theirs
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("probe_epochs", -1), ("layer_decay", 0.0), ("layer_decay", 1.5), ("pretrained_rate", 0.0)],
)
def test_values_that_make_no_sense_are_refused(name, value):
    from mmdiag.config import TrainingConfig

    with pytest.raises(UsageError, match=f"{name} must be"):
        TrainingConfig(**{name: value})
