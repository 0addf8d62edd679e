"""A bundle reads images as those that it learned from: in colour, of which grey ones are three equal
channels, or grey, of which colours are luminance.
"""

import dataclasses

import numpy as np
import pytest
import torch
from colour_builders import write_hues

import mmdiag
from mmdiag.config import ImageConfig
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.predict import diagnose
from mmdiag.model.network import DiagnosisModel
from mmdiag.prepare import extractor, fit_preparation
from mmdiag.prepare.batches import prepare_samples
from mmdiag.prepare.feature_cache import raw_features
from mmdiag.privacy.subject_keys import SubjectKeys
from mmdiag.recipes import default
from mmdiag.storage.store import Store
from mmdiag.task import Task
from mmdiag.workspace import Workspace

CASES = 8
TASK = Task(kind="binary", classes=("no", "yes"), label="label")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Name -> the cohort.toml of an ingested cohort; the workspace beside it."""
    found = {}
    for name, options in (
        ("coloured", {}),
        ("asked_grey", {"colour": "grey"}),
        ("equal", {"grey": range(CASES)}),
    ):
        folder = tmp_path_factory.mktemp(name)
        found[name] = write_hues(folder / "c", CASES, **options)
        mmdiag.Cohort.open(found[name], workspace=folder / "w").ingest()
    return found


def workspace_of(toml):
    return Workspace(toml.parent.parent / "w")


def store_of(toml):
    return Store.open(workspace_of(toml), "hues")


def make_bundle(toml, folder, **image):
    """The folder of a bundle: an untrained model on the pictures of a cohort."""
    config, store = (
        dataclasses.replace(default(fusion="concat").as_one_network(), image=ImageConfig(**image)),
        store_of(toml),
    )
    raws = raw_features(store, "skin", extractor("image", config))
    fitted = fit_preparation("image", raws, config, colour=store.in_colour("skin"))
    torch.manual_seed(0)
    model = DiagnosisModel(config, {"skin": fitted}, TASK).eval()
    with torch.no_grad():  # gates that begin at zero would hide what is not asked
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    bundle = Bundle(
        config=config,
        model=model,
        preparations={"skin": fitted},
        task=TASK,
        kinds={"skin": "image"},
        cohort={"name": "hues", "hash": "h"},
        trained_on=SubjectKeys("", frozenset()),
    )
    return bundle.save(folder)[1]


def chances(folder, toml):
    """The probability of each case, in their order."""
    cohort = mmdiag.Cohort.open(toml, workspace=workspace_of(toml).path)
    found = mmdiag.Bundle.load(folder).score(cohort).set_index("case_id")
    return found["probability"].sort_index().to_numpy()


def by_hand(folder, toml, *, colour):
    """The same from the stacks themselves."""
    bundle, store = Bundle.load(folder), store_of(toml)
    stacks = [store.images("skin", row, colour=colour) for row in range(CASES)]
    raws = {"skin": extractor("image", bundle.config)(stacks)}
    samples = prepare_samples(bundle.preparations, raws, range(CASES))
    return diagnose(bundle, samples)["probability"].to_numpy()


@pytest.mark.parametrize("training", ["frozen", "scratch"])
def test_a_bundle_in_colour_reads_a_grey_cohort_as_three_equal_channels(places, tmp_path, training):
    encoder = {"encoder": "statistics"}
    if training == "scratch":
        encoder = {"encoder": "resnet10", "training": "scratch"}
    folder = make_bundle(places["coloured"], tmp_path, **encoder)
    assert Bundle.load(folder).preparations["skin"].colour
    for name in ("coloured", "equal", "asked_grey"):
        found = chances(folder, places[name])
        assert np.ptp(found) > 1e-4
        assert np.allclose(found, by_hand(folder, places[name], colour=True), atol=1e-5), name


def test_a_grey_bundle_reads_a_cohort_in_colour_as_it_would_read_it_grey(places, tmp_path):
    folder = make_bundle(places["asked_grey"], tmp_path, encoder="statistics")
    assert not Bundle.load(folder).preparations["skin"].colour
    coloured, grey = (chances(folder, places[name]) for name in ("coloured", "asked_grey"))
    assert np.array_equal(coloured, grey) and np.ptp(grey) > 1e-4


def test_an_image_in_colour_is_explained_by_regions_as_its_bundle_reads_it(places, tmp_path):
    from mmdiag.explain.kinds.image import explain_image
    from mmdiag.explain.within.probe import Probe

    for name, colour in (("coloured", True), ("equal", True), ("coloured", False)):
        where = places["asked_grey" if not colour else "coloured"]
        folder = make_bundle(where, tmp_path / f"{name}{colour}", encoder="statistics")
        bundle, store = Bundle.load(folder), store_of(places[name])
        raws = raw_features(store, "skin", extractor("image", bundle.config), colour=colour)
        sample = prepare_samples(bundle.preparations, {"skin": raws}, [1])[0]
        found = explain_image(Probe(bundle, sample), store, "skin", 1)
        assert {part["slice"] for part in found.parts} == {0}
        assert any(part["value"] for part in found.parts)


def test_a_run_reads_images_as_they_were_read_when_it_began(places, tmp_path):
    from mmdiag.experiment.manifest import RunManifest

    facts = {"run_id": "r", "cohort": "hues", "cohort_hash": "h", "config": {}, "fits": []}
    old = RunManifest.from_facts(facts)
    assert tuple(old.in_colour) == () and "in_colour" not in old.facts()
    new = dataclasses.replace(old, in_colour=("skin",))
    assert RunManifest.from_facts(new.facts()).in_colour == ("skin",)
