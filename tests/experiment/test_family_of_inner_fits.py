"""A family that is named: the mean of the networks of its inner folds, on all stored features."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from phantom_runs import run_phantom

from mmdiag import recipes
from mmdiag.config import SCRATCH, ImageConfig, TextConfig
from mmdiag.experiment.run import Run, open_data
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.predict import diagnose
from mmdiag.model.ensemble import EnsembleModel
from mmdiag.prepare.batches import batch_of, prepare_samples

CHAIN = "cross_modal+modality_attention+late"
FEW = {
    "training.averaged": True,
    "training.max_epochs": 3,
    "ensemble.folds": 3,
    "evaluation.folds": 2,
    "evaluation.resamples": 20,
}


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A chain that attends and stacks, and the cases of its phantom, of which many lack
    something.
    """
    folder = tmp_path_factory.mktemp("chain")
    run = run_phantom(folder, cases=40, seed=4, missing=0.25, fusion=CHAIN, settings=FEW)
    bundle = Bundle.load(run.workspace.path / "bundles" / run.answer["bundle"]["id"])
    data = open_data(Run.open(run.folder))
    return bundle, prepare_samples(bundle.preparations, data.raws, range(len(data.cases)))


@torch.no_grad()
def test_it_answers_what_its_inner_fits_say_on_average(chain):
    bundle, samples = chain
    model, batch = bundle.model, batch_of(bundle.preparations, samples)
    assert isinstance(model, EnsembleModel) and not len(model.encoders)
    assert model.trained.tolist() == [1, 1, 1]
    each = torch.stack([network(batch).logits for network in model.networks])
    assert each.std(0).min() > 0
    present = torch.stack(list(batch.present.values()), dim=1)
    expected = model._stacked((each.mean(0) - model.network_prior)[:, None], present)
    assert model.weight.tolist() > [0] and len(model.weight) == 1
    assert model(batch).logits.numpy() == pytest.approx(expected.numpy(), abs=1e-5)


def test_its_networks_read_all_stored_features(chain):
    bundle, samples = chain
    assert list(bundle.preparations["flair"].dense) == ["features", "pretrained"]
    assert {"words", "characters"} <= set(bundle.preparations["report"].terms_of)
    for name, preparation in bundle.preparations.items():
        assert bundle.model.networks[0].encoders[f"{name}_"] is not None
        case = next(sample[name] for sample in samples if name in sample)
        assert case["summary"].shape == (preparation.width,)


def test_its_contributions_add_up_and_its_matrix_is_shown_as_its_own(chain):
    bundle, samples = chain
    names, table = list(bundle.kinds), diagnose(bundle, samples)
    parts = table[[f"contribution_{name}" for name in names]].to_numpy()
    total = table["base"].to_numpy() + parts.sum(axis=1)
    assert total == pytest.approx(table["log_odds"].to_numpy(), abs=2e-5)
    present = np.asarray([[name in sample for name in names] for sample in samples])
    assert (parts[~present] == 0).all() and not present.all()
    weights = table[[f"weight_{name}" for name in names]].to_numpy()
    assert weights.sum(axis=1) == pytest.approx(1, abs=1e-5) and (weights[~present] == 0).all()
    matrices = np.asarray([json.loads(text) for text in table["attention"]])
    assert matrices[present.all(1)].sum(axis=2) == pytest.approx(1, abs=1e-3)
    assert set(table["attention_member"]) == {CHAIN} and set(table["attention_weight"]) == {1.0}


@torch.no_grad()
def test_what_each_inner_fit_stacks_is_fitted_on_its_own_validation_cases(chain):
    scales = [network.fusion.scale for network in chain[0].model.networks]
    start = chain[0].model.networks[0].fusion.start
    assert all(not torch.equal(scale[0], start) for scale in scales)
    assert not torch.equal(scales[0], scales[1])


def test_a_bundle_of_it_that_was_saved_answers_as_before(chain, tmp_path):
    bundle, samples = chain
    again = Bundle.load(bundle.save(tmp_path)[1])
    pd.testing.assert_frame_equal(diagnose(again, samples), diagnose(bundle, samples))


def test_where_something_is_trained_or_stops_in_its_own_way_it_is_one_network():
    family = recipes.default(fusion="gated")
    assert family.averages and recipes.classical(fusion="gated").averages
    assert not recipes.default().averages and recipes.default().reads_blocks
    others = (
        recipes.end_to_end(fusion="gated"),
        dataclasses.replace(family, image=ImageConfig(encoder="resnet10", training=SCRATCH)),
        dataclasses.replace(family, text=TextConfig(training="fine_tuned")),
        dataclasses.replace(family, pretrained="p-0123456789ab"),
        recipes.named("default", fusion="gated", settings={"table.encoder": "snn"}),
        recipes.named("default", fusion="gated", settings={"training.early_stopping": "auroc"}),
        recipes.named("default", fusion="gated", settings={"training.averaged": False}),
        family.as_one_network(),
    )
    assert not any(config.averages or config.reads_blocks for config in others)
