"""A bundle is all that scoring needs: it comes back as it was, is refused when it was changed, and
scores no case twice.
"""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from phantom_runs import SMALL

from mmdiag.errors import BundleError, UsageError


@pytest.fixture
def bundle(small_run, tmp_path):
    return shutil.copytree(small_run.answer["bundle"]["path"], tmp_path / "bundle")


@pytest.fixture(scope="module")
def new_cases(tmp_path_factory):
    from mmdiag.phantom import write_phantom

    folder = tmp_path_factory.mktemp("new")
    write_phantom(folder, cases=12, seed=77, missing=0.2)
    return folder / "cohort.toml"


def test_a_bundle_holds_no_pickle_and_every_hash(small_run):
    folder = small_run.workspace.bundles / small_run.answer["bundle"]["id"]
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors",
        "config.json",
        "preparation.json",
        "preparation.safetensors",
        "card.md",
        "card.json",
        "manifest.json",
    }
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (
        set(manifest["files"]) == {path.name for path in folder.iterdir()} - {"manifest.json"}
        and manifest["id"] == folder.name
    )


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "preparation.safetensors", "card.md"]
)
def test_one_changed_byte_is_noticed(bundle, name):
    from mmdiag.inference.bundle import Bundle

    content = bytearray((bundle / name).read_bytes())
    content[-1] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=name):
        Bundle.load(bundle)


def test_a_missing_file_and_a_folder_that_is_no_bundle_are_said(bundle, tmp_path):
    from mmdiag.inference.manifest import read_manifest

    (bundle / "config.json").unlink()
    with pytest.raises(BundleError, match=r"config.json"):
        read_manifest(bundle)
    with pytest.raises(BundleError, match=r"folder with manifest.json"):
        read_manifest(tmp_path)


def test_saving_what_was_loaded_gives_the_same_bundle(bundle, tmp_path):
    from mmdiag.inference.bundle import Bundle

    loaded = Bundle.load(bundle)
    again, _ = loaded.save(tmp_path / "again")
    assert again == loaded.id


def test_subjects_of_the_training_are_known_and_not_named(small_run, bundle):
    from mmdiag.inference.bundle import Bundle
    from mmdiag.privacy.subject_keys import workspace_key

    loaded, key = Bundle.load(bundle), workspace_key(small_run.workspace.path)
    subjects = pd.read_csv(small_run.cohort / "cases.csv", dtype=str)["subject_id"]
    assert loaded.learned_from(subjects[5], key) is True
    assert loaded.learned_from("somebody else", key) is False
    text = (bundle / "config.json").read_text()
    assert not any(subject in text for subject in subjects)


def test_without_the_key_nobody_can_guess_who_was_in_the_training(small_run, bundle):
    from hashlib import sha256

    from mmdiag.inference.bundle import Bundle

    loaded = Bundle.load(bundle)
    subjects = pd.read_csv(small_run.cohort / "cases.csv", dtype=str)["subject_id"]
    salt = loaded.cohort["hash"]
    guesses = {sha256(f"{salt}\x1f{subject}".encode()).hexdigest()[:24] for subject in subjects}
    assert not guesses & loaded.trained_on.keys
    assert {loaded.learned_from(subject, None) for subject in subjects} == {None}
    assert {loaded.learned_from(subject, b"x" * 32) for subject in subjects} == {None}


def score(bundle, cohort, tmp_path, out="p.parquet"):
    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    workspace = Workspace(tmp_path / "w")
    return api.score(
        bundle, read_description(cohort), workspace, Ledger(workspace.ledger_url), tmp_path / out
    )


def test_new_cases_are_scored_once_and_a_case_alone_scores_as_in_company(
    bundle, new_cases, tmp_path
):
    first = score(bundle, new_cases, tmp_path)
    assert first["scored"] == first["cases"]["accepted"] == 12 and first["already_scored"] == 0
    second = score(bundle, new_cases, tmp_path, "q.parquet")
    assert second["scored"] == 0 and second["already_scored"] == 12
    one, other = pd.read_parquet(tmp_path / "p.parquet"), pd.read_parquet(tmp_path / "q.parquet")
    pd.testing.assert_frame_equal(one, other)
    assert set(one["role"]) == {"new"} and one["probability"].between(0, 1).all()
    for row in one.to_dict("records"):
        absent = {"flair", "report", "expression"} - set(row["modalities"])
        assert all(row[f"contribution_{name}"] == 0 for name in absent) and all(
            row[f"contribution_{name}"] != 0 for name in row["modalities"]
        )


def test_a_case_without_notes_scores_like_its_two_modalities(small_run, bundle):
    from mmdiag.experiment.run import Run, open_data
    from mmdiag.inference.bundle import Bundle
    from mmdiag.inference.predict import diagnose
    from mmdiag.prepare.batches import prepare_samples

    loaded, data = Bundle.load(bundle), open_data(Run.open(small_run.folder))
    rows = np.flatnonzero(np.all([data.store.present(m) for m in data.store.modalities], axis=0))[
        :3
    ]
    samples = prepare_samples(loaded.preparations, data.raws, rows.tolist())
    without = [{m: arrays for m, arrays in sample.items() if m != "report"} for sample in samples]
    whole, less = diagnose(loaded, samples), diagnose(loaded, without)
    alone = pd.concat([diagnose(loaded, [sample]) for sample in samples], ignore_index=True)
    assert np.allclose(whole["log_odds"], alone["log_odds"], atol=1e-5)
    assert (less["contribution_report"] == 0).all() and not np.allclose(
        whole["log_odds"], less["log_odds"]
    )
    assert np.allclose(
        less["log_odds"], less["base"] + less.filter(like="contribution_").sum(axis=1), atol=1e-5
    )


def test_a_cohort_with_other_modalities_is_refused(bundle, new_cases, tmp_path):
    folder = shutil.copytree(new_cases.parent, tmp_path / "other")
    text = (
        (folder / "cohort.toml").read_text().replace("[modalities.report]", "[modalities.letter]")
    )
    (folder / "cohort.toml").write_text(text)
    told = r"report differ or are missing: .*of one that no case has leads to an empty folder"
    with pytest.raises(UsageError, match=told):
        score(bundle, folder / "cohort.toml", tmp_path)


def test_a_run_that_is_asked_again_fits_nothing_again(small_run, monkeypatch):
    from mmdiag import recipes
    from mmdiag.description import read_description
    from mmdiag.experiment.evaluate import metrics_of
    from mmdiag.experiment.fit import fit
    from mmdiag.experiment.plan import plan_run
    from mmdiag.experiment.publish import publish

    def never(*_args, **_kwargs):
        raise AssertionError("a finished fit was fitted again")

    monkeypatch.setattr("mmdiag.experiment.fit.train", never)
    run = plan_run(
        read_description(small_run.cohort / "cohort.toml"),
        small_run.workspace,
        recipes.named("default", fusion="modality_attention", settings=SMALL),
    )
    assert run.folder == small_run.folder
    for name in run.fits:
        fit(run, name)
    again = publish(run, small_run.ledger)
    assert again["metrics"] == metrics_of(run) and again["bundle"] == small_run.answer["bundle"]
    assert small_run.ledger.predictions(cohort=small_run.answer["cohort"]["name"])[
        "case_id"
    ].is_unique


def test_every_labelled_case_is_judged_out_of_fold_by_a_model_that_never_saw_its_subject(small_run):
    from mmdiag.experiment.run import Run
    from mmdiag.inference.bundle import Bundle
    from mmdiag.privacy.subject_keys import workspace_key

    run = Run.open(small_run.folder)
    table, key = small_run.predictions, workspace_key(run.workspace.path)
    assert (
        set(table["role"]) == {"out-of-fold"}
        and len(table) == small_run.answer["cases"]["accepted"]
    )
    for name in run.fits:
        if name.fused and name.fold != "all":
            model = Bundle.load(run.bundle_folder(name))
            judged = table[table["bundle_id"] == run.fitted(name)["bundle_id"]]
            assert len(judged) and not any(
                model.learned_from(subject, key) for subject in judged["subject_id"]
            )


def test_an_image_network_is_trained_end_to_end(tmp_path):
    import dataclasses

    from mmdiag import api, recipes
    from mmdiag.description import read_description
    from mmdiag.experiment.fit import fit
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.experiment.plan import plan_run
    from mmdiag.phantom import write_phantom
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    write_phantom(tmp_path / "c", cases=24, seed=5)
    description, workspace = (
        read_description(tmp_path / "c" / "cohort.toml"),
        Workspace(tmp_path / "w"),
    )
    api.ingest(description, workspace, Ledger(workspace.ledger_url))
    config = recipes.end_to_end()
    config = dataclasses.replace(
        config, training=dataclasses.replace(config.training, max_epochs=1)
    )
    run = plan_run(description, workspace, config)
    fit(run, FitId.parse("fold-0.fused"))
    predicted = pd.read_parquet(run.folder / "fits" / "fold-0.fused" / "predictions.parquet")
    assert (
        predicted["probability"].between(0, 1).all()
        and (predicted["contribution_flair"] != 0).all()
    )
