"""Pretraining without labels: what each objective says of known answers, that nobody is judged by
weights that saw them, and that a killed one ends the same.
"""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from encoder_builders import write_tiny_text_model
from pretrain_builders import forget_labels

from mmdiag.errors import UsageError

CASES, UNLABELLED = 30, 8


class Killed(Exception):
    """Stands for a SIGKILL between two epochs."""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """A phantom of 30 cases, the last 8 of them without a label, ingested. Nobody may change it."""
    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.phantom import write_phantom
    from mmdiag.storage.ledger import Ledger
    from mmdiag.storage.store import Store
    from mmdiag.workspace import Workspace

    folder = tmp_path_factory.mktemp("pretrain")
    write_phantom(folder / "cohort", cases=CASES, seed=3, signal="redundant", missing=0.1)
    forget_labels(folder / "cohort", range(CASES - UNLABELLED, CASES))
    workspace, description = (
        Workspace(folder / "workspace"),
        read_description(folder / "cohort" / "cohort.toml"),
    )
    ledger = Ledger(workspace.ledger_url)
    api.ingest(description, workspace, ledger)
    tiny = write_tiny_text_model(folder / "tiny")
    return SimpleNamespace(
        description=description,
        workspace=workspace,
        ledger=ledger,
        store=Store.open(workspace, description.name),
        tiny=tiny,
        file=folder / "cohort" / "cohort.toml",
    )


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch):
    from mmdiag.pretraining import run

    monkeypatch.setattr(run, "LEAST", dict.fromkeys(run.LEAST, 5))


@pytest.fixture(scope="module")
def aligned(cohort):
    """A finished contrastive pretraining of every part."""
    from mmdiag.pretraining import run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "LEAST", dict.fromkeys(run.LEAST, 5))
        folder = run.start(
            cohort.description, cohort.workspace, make_config(), ["contrastive"], epochs=3
        )
    for unit in run.units(folder):
        run.pretrain(folder, unit)
    run.finish(folder)
    return folder


def make_config(**changes):
    from mmdiag.recipes import classical

    config = dataclasses.replace(classical(seed=1), **changes)
    return dataclasses.replace(
        config, training=dataclasses.replace(config.training, max_epochs=4, probe_epochs=2)
    )


def parts_of(cohort):
    return json.loads((cohort.store.folder / "split.json").read_text())["part"]


def learn_unit(folder, unit, progress=None):
    from mmdiag.pretraining import run

    run.pretrain(folder, unit, progress)
    return folder.joinpath(*unit.split("."))


# Nobody is judged by weights that saw them


def test_each_part_has_weights_that_saw_none_of_its_subjects_and_all_others(cohort, aligned):
    from mmdiag.pretraining.weights import read_record

    parts, everyone = parts_of(cohort), set(cohort.store.cases["subject_id"])
    several = np.sum([cohort.store.present(name) for name in cohort.store.modalities], axis=0) >= 2
    complete = set(cohort.store.cases["subject_id"][several])
    for part in sorted({*parts.values(), "all"}):
        keys = read_record(aligned / part / "contrastive")
        judged = {subject for subject, own in parts.items() if own == part}
        assert {subject for subject in everyone if subject in keys} == complete - judged
    assert complete - set(parts), "unlabelled cases are learned from"
    written = b"".join(path.read_bytes() for path in aligned.glob("*/*/*.json"))
    assert not any(subject.encode() in written for subject in everyone), "under keys"


def test_inputs_of_judged_subjects_do_not_move_their_weights_by_a_bit(
    cohort, aligned, tmp_path, monkeypatch
):
    from mmdiag.pretraining import run

    parts = parts_of(cohort)
    judged = (cohort.store.cases["subject_id"].map(parts) == "fold-1").to_numpy()
    real = run.raw_features
    spoilt = []

    def spoil(store, name, extract):
        raws = list(real(store, name, extract))
        for row in np.flatnonzero(judged):
            if raws[row] is not None:
                spoilt.append(name)
                raws[row] = np.full_like(
                    raws[row], "spoilt" if raws[row].dtype.kind == "U" else np.nan
                )
        return raws

    monkeypatch.setattr(run, "raw_features", spoil)
    again = cohort.workspace.pretrained / "p-again"
    again.mkdir()
    for path in aligned.glob("*.json"):
        shutil.copy(path, again / path.name)
    found = learn_unit(again, "fold-1.contrastive")
    assert (
        spoilt
        and (found / "model.safetensors").read_bytes()
        == (aligned / "fold-1" / "contrastive" / "model.safetensors").read_bytes()
    )
    shutil.rmtree(again)


@pytest.mark.parametrize(("what", "method"), [("image", "images"), ("text", "text")])
def test_originals_of_judged_subjects_are_not_even_read(cohort, monkeypatch, what, method):
    from mmdiag.pretraining import run
    from mmdiag.pretraining.weights import read_record
    from mmdiag.storage.store import Store

    read, real = set(), getattr(Store, method)
    monkeypatch.setattr(
        Store, method, lambda store, name, row: read.add(row) or real(store, name, row)
    )
    config = make_config(text=dataclasses.replace(make_config().text, encoder=str(cohort.tiny)))
    folder = run.start(cohort.description, cohort.workspace, config, [what], epochs=1)
    weights = learn_unit(folder, f"fold-0.{what}")
    subjects = cohort.store.cases["subject_id"]
    judged = {subject for subject, part in parts_of(cohort).items() if part == "fold-0"}
    assert read and not judged & set(subjects.iloc[sorted(read)])
    assert {subject for subject in subjects if subject in read_record(weights)} == set(
        subjects.iloc[sorted(read)]
    )


def train_config(aligned, **changes):
    return make_config(pretrained=aligned.name, **changes)


def test_training_begins_with_the_weights_of_its_part_and_its_bundle_knows_whom_they_saw(
    cohort, aligned
):
    from safetensors.torch import load_file

    from mmdiag.experiment import fit
    from mmdiag.experiment.run import Run
    from mmdiag.inference.bundle import Bundle

    config = train_config(aligned)
    held = dataclasses.replace(config, training=dataclasses.replace(config.training, max_epochs=1))
    run = fit.start(cohort.description, cohort.workspace, held)
    fit.fit(run, "fold-1.fused")
    facts = Run.open(run).fitted("fold-1.fused")
    bundle = Bundle.load(cohort.workspace.path / facts["bundle"])
    own = load_file(aligned / "fold-1" / "contrastive" / "model.safetensors")
    assert all(
        torch.equal(value, own[name]) for name, value in bundle.model.encoders.state_dict().items()
    ), "held still in its one epoch"
    parts = parts_of(cohort)
    subjects = set(cohort.store.cases["subject_id"])
    assert not any(
        bundle.learned_from(subject) for subject, part in parts.items() if part == "fold-1"
    )
    assert any(bundle.learned_from(subject) for subject in subjects - set(parts)), (
        "unlabelled, and yet learned from"
    )
    assert not bundle.learned_from("somebody else")


def test_pretrained_encoders_learn_and_end_the_same_after_a_kill(cohort, aligned, tmp_path):
    from safetensors.torch import load_file

    from mmdiag.experiment import fit
    from mmdiag.experiment.run import Run
    from mmdiag.inference.bundle import Bundle

    def weights(run, name):
        return Bundle.load(
            cohort.workspace.path / Run.open(run).fitted(name)["bundle"]
        ).model.encoders.state_dict()

    config = train_config(aligned)
    config = dataclasses.replace(
        config, training=dataclasses.replace(config.training, probe_epochs=0)
    )
    run = fit.start(cohort.description, cohort.workspace, config)
    fit.fit(run, "fold-0.expression")
    whole = weights(run, "fold-0.expression")
    own = load_file(aligned / "fold-0" / "contrastive" / "model.safetensors")
    assert set(whole) < set(own) and not all(
        torch.equal(value, own[name]) for name, value in whole.items()
    )
    shutil.rmtree(Run.open(run).fit_folder("fold-0.expression"))

    def kill(done, *_):
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        fit.fit(run, "fold-0.expression", progress=kill)
    fit.fit(run, "fold-0.expression")
    again = weights(run, "fold-0.expression")
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


def copied(cohort, aligned, name):
    """The pretraining again, under another id, to be spoilt."""
    target = cohort.workspace.pretrained / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(aligned, target)
    return target


def test_weights_that_saw_a_judged_subject_are_refused_before_anything_is_trained(cohort, aligned):
    from mmdiag.experiment import fit

    spoilt = copied(cohort, aligned, "p-spoilt")
    shutil.rmtree(spoilt / "fold-2")
    shutil.copytree(spoilt / "all", spoilt / "fold-2")
    with pytest.raises(
        UsageError,
        match=r"Nobody may be judged by weights that learned from them, \d+ of \d+ subjects of "
        r"fold-2",
    ):
        fit.start(cohort.description, cohort.workspace, train_config(spoilt))


def test_a_folder_of_pretrained_weights_that_is_named_by_hand_is_held_to_the_same(cohort):
    from mmdiag.experiment import fit
    from mmdiag.pretraining import run

    config = make_config(text=dataclasses.replace(make_config().text, encoder=str(cohort.tiny)))
    folder = run.start(cohort.description, cohort.workspace, config, ["text"], epochs=1)
    weights = learn_unit(folder, "all.text")
    by_hand = make_config(text=dataclasses.replace(config.text, encoder=str(weights)))
    with pytest.raises(UsageError, match="Nobody may be judged by weights that learned from them"):
        fit.start(cohort.description, cohort.workspace, by_hand)


def test_weights_that_were_changed_since_their_record_are_refused(cohort, aligned):
    from mmdiag.experiment import fit

    changed = copied(cohort, aligned, "p-changed")
    shutil.copy(
        changed / "all" / "contrastive" / "model.safetensors",
        changed / "fold-0" / "contrastive" / "model.safetensors",
    )
    with pytest.raises(
        UsageError,
        match=r"their record says whom they saw, model.safetensors below fold-0/contrastive was "
        r"changed",
    ):
        fit.start(cohort.description, cohort.workspace, train_config(changed))


def test_encoders_of_another_recipe_are_refused(cohort, aligned):
    from mmdiag.experiment import fit

    other = train_config(aligned, model=dataclasses.replace(make_config().model, width=16))
    with pytest.raises(UsageError, match="model of the recipe 'classical' differ from those of p-"):
        fit.start(cohort.description, cohort.workspace, other)


# Killed, too small, and what comes out is loaded


@pytest.mark.parametrize("what", ["contrastive", "text"])
def test_a_pretraining_that_is_killed_ends_with_the_same_weights(cohort, what, tmp_path):
    from mmdiag.pretraining import run

    config = make_config(
        seed=4, text=dataclasses.replace(make_config().text, encoder=str(cohort.tiny))
    )
    folder = run.start(cohort.description, cohort.workspace, config, [what], epochs=3)
    whole = learn_unit(folder, f"all.{what}")
    record, digest = (
        json.loads((whole / "pretraining.json").read_text()),
        (whole / "model.safetensors").read_bytes(),
    )
    whole.rename(tmp_path / "whole")
    told = []

    def kill(done, *_):
        told.append(done)
        if done == 2 and told.count(2) == 1:
            raise Killed

    with pytest.raises(Killed):
        learn_unit(folder, f"all.{what}", kill)
    again = learn_unit(folder, f"all.{what}", kill)
    assert told == [1, 2, 3], "no epoch is done twice"
    assert (again / "model.safetensors").read_bytes() == digest and json.loads(
        (again / "pretraining.json").read_text()
    ) == record


def test_the_same_question_is_the_same_folder_and_another_seed_another(cohort):
    from mmdiag.pretraining import run

    first, second, third = (
        run.start(cohort.description, cohort.workspace, make_config(seed=seed), ["contrastive"])
        for seed in (5, 5, 6)
    )
    assert first == second != third


def test_a_cohort_that_is_too_small_is_refused_with_the_number_it_needs(cohort, monkeypatch):
    from mmdiag.pretraining import run

    monkeypatch.setattr(run, "LEAST", {"contrastive": 100})
    with pytest.raises(
        UsageError,
        match=r"needs at least 100 cases with two modalities .* found \d+ for fold-\d: add cases "
        r"to the cohort \(they need no label\)",
    ):
        run.start(cohort.description, cohort.workspace, make_config(), ["contrastive"])


def test_words_cannot_be_pretrained_for_a_recipe_without_a_transformer(cohort):
    from mmdiag.pretraining import run

    with pytest.raises(
        UsageError, match="goes on from a transformer, the recipe 'classical' has tfidf"
    ):
        run.start(cohort.description, cohort.workspace, make_config(), ["text"])


def test_pretrained_notes_are_a_text_encoder_that_reads_like_any_other_folder(cohort):
    from mmdiag.encoders.sentence import sentence_encoder, text_weights
    from mmdiag.pretraining import run

    config = make_config(text=dataclasses.replace(make_config().text, encoder=str(cohort.tiny)))
    folder = run.start(cohort.description, cohort.workspace, config, ["text"], epochs=2)
    weights = learn_unit(folder, "all.text")
    before, after = (
        sentence_encoder(str(place)).embed(["no marked oedema", "mass effect"])
        for place in (cohort.tiny, weights)
    )
    assert after.shape == before.shape and not np.allclose(before, after)
    assert text_weights(str(weights)).record()["licence"] == "mit", (
        "what it goes on from is under this"
    )


def test_pretrained_images_are_the_features_of_each_part_and_what_judges_a_case_explains_it(cohort):
    from mmdiag.experiment import fit
    from mmdiag.experiment.run import Run, open_data
    from mmdiag.inference.bundle import Bundle
    from mmdiag.pretraining import run

    folder = run.start(cohort.description, cohort.workspace, make_config(), ["image"], epochs=1)
    for unit in run.units(folder):
        learn_unit(folder, unit)
    answer = run.finish(folder)
    assert [row["part"] for row in answer["weights"]][-1] == "all" and answer["pretrained"][
        "id"
    ] == folder.name
    place = fit.start(cohort.description, cohort.workspace, train_config(folder))
    fit.fit(place, "fold-0.flair")
    bundle = Bundle.load(cohort.workspace.path / Run.open(place).fitted("fold-0.flair")["bundle"])
    source = bundle.preparations["flair"].source
    assert (
        source["licence"] == "own"
        and source["sha256"]
        == json.loads((folder / "fold-0" / "image" / "pretraining.json").read_text())["sha256"]
    )
    own, final = open_data(place, "fold-0"), open_data(place)
    row = int(np.flatnonzero(cohort.store.present("flair"))[0])
    assert own.raws["flair"][row].shape[1] == 192 and not np.allclose(
        own.raws["flair"][row], final.raws["flair"][row]
    )
    assert own.raws["expression"][0] is final.raws["expression"][0]


# The command


def call(capsys, *arguments):
    from mmdiag.cli import boundary, cli

    code = boundary.run(cli, [str(argument) for argument in arguments])
    return code, capsys.readouterr()


def test_the_command_answers_with_one_document_and_train_takes_its_id(cohort, capsys):
    place = ("--cohort", cohort.file, "--workspace", cohort.workspace.path, "--json")
    code, said = call(capsys, "pretrain", *place, "--recipe", "classical", "--epochs", 2)
    answer = json.loads(said.out)
    assert code == 0 and answer["command"] == "pretrain" and answer["what"] == ["contrastive"]
    assert {row["part"] for row in answer["weights"]} == {*parts_of(cohort).values(), "all"}
    assert all(
        row["epochs"] == 2 and row["loss_best"] <= row["loss_first"] for row in answer["weights"]
    )
    code, said = call(capsys, "pretrain", *place, "--recipe", "classical", "--epochs", 2)
    assert code == 0 and json.loads(said.out)["weights"] == answer["weights"], (
        "a second call finds it done"
    )
    code, said = call(capsys, "train", *place, "--pretrained", "p-unknown")
    assert code == 2 and "known are " in said.err and answer["pretrained"]["id"] in said.err
    code, said = call(
        capsys, "train", *place, "--recipe", "default", "--pretrained", answer["pretrained"]["id"]
    )
    assert code == 2 and "of the recipe 'default' differ" in said.err
