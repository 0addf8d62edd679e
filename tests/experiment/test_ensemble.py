"""The ensemble from a cohort's files to predictions, its bundle and its explanations."""

import copy
import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from phantom_runs import run_phantom
from safetensors.torch import load_file, save_file

from mmdiag import recipes
from mmdiag.description import read_description
from mmdiag.errors import BundleError, UsageError
from mmdiag.experiment.fit import learn_ensemble, rows_of
from mmdiag.experiment.fit_id import FitId
from mmdiag.experiment.run import Run, open_data
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.predict import diagnose
from mmdiag.inference.shapley import shapley
from mmdiag.prepare.batches import batch_of, prepare_samples
from mmdiag.workspace import file_sha256

FEW = {
    "training.max_epochs": 8,
    "ensemble.folds": 3,
    "evaluation.folds": 2,
    "evaluation.resamples": 50,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A phantom of 60 cases, of which many lack something."""
    return run_phantom(
        tmp_path_factory.mktemp("ensemble"),
        cases=60,
        seed=4,
        missing=0.25,
        fusion="ensemble",
        settings=FEW,
        explained=2,
    )


def open_description(run):
    return read_description(run.cohort / "cohort.toml")


@pytest.fixture(scope="module")
def bundle(run):
    return Bundle.load(run.workspace.path / "bundles" / run.answer["bundle"]["id"])


@pytest.fixture(scope="module")
def samples(run, bundle):
    data = open_data(Run.open(run.folder))
    return prepare_samples(bundle.preparations, data.raws, range(len(data.cases)))


def test_contributions_and_base_add_up_and_what_is_absent_adds_nothing(bundle, samples):
    table = diagnose(bundle, samples)
    names = list(bundle.kinds)
    parts = table[[f"contribution_{name}" for name in names]].to_numpy()
    total = table["base"].to_numpy() + parts.sum(axis=1)
    assert total == pytest.approx(table["log_odds"].to_numpy(), abs=2e-5)
    present = np.asarray([[name in sample for name in names] for sample in samples])
    assert (parts[~present] == 0).all() and not present.all()
    odds = np.exp(table["log_odds"].to_numpy())
    assert table["probability"].to_numpy() == pytest.approx(odds / (1 + odds), abs=1e-6)


def test_without_joint_members_a_contribution_is_the_modality_s_own_evidence(bundle, samples):
    model = bundle.model
    evidence = np.asarray([[2.0, -1.0, 0.5]])
    found, base = shapley(lambda _, known: known @ evidence[0], np.ones((1, 3), bool))
    assert found == pytest.approx(evidence) and base == pytest.approx(0)
    assert model.weight.min() >= 0 and len(model.weight) == len(bundle.kinds) + 1


def test_a_case_is_answered_alike_alone_and_in_company(bundle, samples):
    together = diagnose(bundle, samples[:12])["log_odds"]
    alone = [diagnose(bundle, [sample])["log_odds"].iloc[0] for sample in samples[:12]]
    assert alone == pytest.approx(together, abs=1e-5)


@torch.no_grad()
def test_what_speaks_in_a_case_agrees_or_cancels_out(bundle, samples):
    shares = diagnose(bundle, samples)["agreement"]
    assert shares.between(0, 1).all() and shares.std() > 0
    model = copy.deepcopy(bundle.model)
    first, second = model.modalities[:2]
    for name in (first, second):  # one member each is left
        kept = model.encoders[f"{name}_"].weight
        kept.copy_(torch.eye(len(kept))[0])
    model.weight.zero_()
    model.weight[:2] = 1
    both = [sample for sample in samples if {first, second} <= set(sample)]
    batch = batch_of(bundle.preparations, both)
    tokens = model.encode(batch, batch.present)
    one, other = (tokens[name].values[:, 0, 0].double().numpy() for name in (first, second))
    found = model.agreement(batch, tokens, torch.zeros(len(both), dtype=torch.long))
    assert found == pytest.approx(np.abs(one + other) / (np.abs(one) + np.abs(other)), abs=1e-5)
    assert found.min() < 1 - 1e-6 and found.max() == pytest.approx(1)


def test_the_matrix_of_the_networks_has_rows_that_add_up_to_one(bundle, samples):
    whole = [sample for sample in samples if len(sample) == len(bundle.kinds)]
    for text in diagnose(bundle, whole)["attention"]:
        assert np.asarray(json.loads(text)).sum(axis=1) == pytest.approx(1, abs=1e-3)


def test_the_bundle_learned_from_every_labelled_case(run, bundle):
    cases = open_data(Run.open(run.folder)).cases
    assert len(bundle.trained_on.keys) == cases.loc[cases["label"].notna(), "subject_id"].nunique()
    assert set(run.predictions["role"]) == {"out-of-fold"}


def test_the_labels_of_held_out_cases_are_not_looked_at(run):
    opened = Run.open(run.folder)
    name, data = FitId.parse("fold-0.fused"), open_data(opened)
    rows = rows_of(opened, data, name)
    cases = data.cases.copy()
    turned = cases["label"].to_numpy().copy()
    turned[rows.held_out] = 1 - turned[rows.held_out]
    config = opened.config_of(name)
    answers = []
    for labels in (cases["label"].to_numpy(), turned):
        part = dataclasses.replace(data, cases=cases.assign(label=labels))
        found = learn_ensemble(part, config, data.modalities_of(name), rows.seen)
        state = found.trained.model.state_dict()
        answers.append(torch.cat([value.double().reshape(-1) for value in state.values()]))
    assert torch.equal(*answers)


def test_a_case_is_explained_within_its_modalities(run):
    files = sorted((run.workspace.path / "explanations").glob("*/*.json"))
    assert len(files) == 2
    for file in files:
        found = json.loads(file.read_text())
        weights = [
            abs(gene["weight"]) for genes in found["table"].values() for gene in genes["genes"]
        ]
        spans = [span for note in found["text"].values() for span in note["spans"]]
        assert not found["table"] or max(weights) > 0
        assert not found["text"] or spans


@pytest.mark.parametrize("part", ["value", "of_words", "set_scale"])
def test_numbers_that_are_none_are_refused(bundle, tmp_path, part):
    _, folder = bundle.save(tmp_path)
    weights = load_file(folder / "model.safetensors")
    name = next(key for key in weights if key.split(".")[-1] == part)
    weights[name].view(-1)[0] = torch.nan
    save_file(weights, folder / "model.safetensors")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["model.safetensors"] = file_sha256(folder / "model.safetensors")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError):
        Bundle.load(folder)


def test_a_bundle_that_was_saved_answers_as_before(bundle, samples, tmp_path):
    _, folder = bundle.save(tmp_path)
    again = diagnose(Bundle.load(folder), samples)
    pd.testing.assert_frame_equal(again, diagnose(bundle, samples))


def test_what_an_ensemble_cannot_do_is_said_with_its_cure(run):
    from mmdiag.experiment.plan import _require_ensemble
    from mmdiag.tuning import trials

    trained = recipes.end_to_end(fusion="ensemble")
    with pytest.raises(UsageError, match=r"image encoder.*--fusion cross_modal"):
        _require_ensemble(trained, run.workspace)
    with pytest.raises(UsageError, match="name a family"):
        trials.require(open_description(run), recipes.default(), 3)
    with pytest.raises(UsageError, match="does not stack by itself"):
        recipes.named("default", settings={"ensemble.network": "late"})
