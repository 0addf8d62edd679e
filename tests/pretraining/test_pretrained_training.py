"""Trainings that begin with pretrained encoders: each part with its own, and nobody is judged by
weights that saw them.
"""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from pretrain_builders import Killed, learn_unit, make_config, parts_of, train_config

from mmdiag.errors import UsageError

pytestmark = pytest.mark.usefixtures("few_are_enough")


def test_training_begins_with_the_weights_of_its_part_and_its_bundle_knows_whom_they_saw(
    cohort, aligned
):
    from safetensors.torch import load_file

    from mmdiag.experiment.fit import fit
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.experiment.plan import plan_run
    from mmdiag.inference.bundle import Bundle
    from mmdiag.privacy.subject_keys import workspace_key

    config = train_config(aligned)
    held = dataclasses.replace(config, training=dataclasses.replace(config.training, max_epochs=1))
    run = plan_run(cohort.description, cohort.workspace, held)
    fit(run, FitId.parse("fold-1.fused"))
    facts = run.fitted(FitId.parse("fold-1.fused"))
    bundle = Bundle.load(cohort.workspace.path / facts["bundle"])
    own = load_file(aligned / "fold-1" / "contrastive" / "model.safetensors")
    assert all(
        torch.equal(value, own[name]) for name, value in bundle.model.encoders.state_dict().items()
    ), "held still in its one epoch"
    parts, key = parts_of(cohort), workspace_key(cohort.workspace.path)
    subjects = set(cohort.store.cases["subject_id"])
    assert not any(
        bundle.learned_from(subject, key) for subject, part in parts.items() if part == "fold-1"
    )
    assert any(bundle.learned_from(subject, key) for subject in subjects - set(parts)), (
        "unlabelled, and yet learned from"
    )
    assert not bundle.learned_from("somebody else", key)


def test_pretrained_encoders_learn_and_end_the_same_after_a_kill(cohort, aligned, tmp_path):
    from safetensors.torch import load_file

    from mmdiag.experiment.fit import fit
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.experiment.plan import plan_run
    from mmdiag.inference.bundle import Bundle

    def weights(run, name):
        return Bundle.load(run.bundle_folder(FitId.parse(name))).model.encoders.state_dict()

    config = train_config(aligned)
    config = dataclasses.replace(
        config, training=dataclasses.replace(config.training, probe_epochs=0)
    )
    run = plan_run(cohort.description, cohort.workspace, config)
    fit(run, FitId.parse("fold-0.expression"))
    whole = weights(run, "fold-0.expression")
    own = load_file(aligned / "fold-0" / "contrastive" / "model.safetensors")
    assert set(whole) < set(own) and not all(
        torch.equal(value, own[name]) for name, value in whole.items()
    )
    shutil.rmtree(run.fit_folder(FitId.parse("fold-0.expression")))

    def kill(done, *_):
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        fit(run, FitId.parse("fold-0.expression"), progress=kill)
    fit(run, FitId.parse("fold-0.expression"))
    again = weights(run, "fold-0.expression")
    assert all(torch.equal(value, again[name]) for name, value in whole.items())


def copied(cohort, aligned, name):
    """The pretraining again, under another id, to be spoilt."""
    target = cohort.workspace.pretrained / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(aligned, target)
    return target


def test_weights_that_saw_a_judged_subject_are_refused_before_anything_is_trained(cohort, aligned):
    from mmdiag.experiment.plan import plan_run

    spoilt = copied(cohort, aligned, "p-spoilt")
    shutil.rmtree(spoilt / "fold-2")
    shutil.copytree(spoilt / "all", spoilt / "fold-2")
    with pytest.raises(
        UsageError,
        match=r"Nobody may be evaluated by weights that learned from them, \d+ of \d+ subjects of "
        r"fold-2",
    ):
        plan_run(cohort.description, cohort.workspace, train_config(spoilt))


def test_a_folder_of_pretrained_weights_that_is_named_by_hand_is_held_to_the_same(cohort):
    from mmdiag.experiment.plan import plan_run
    from mmdiag.pretraining import run

    config = make_config(text=dataclasses.replace(make_config().text, encoder=str(cohort.tiny)))
    folder = run.start(cohort.description, cohort.workspace, config, ["text"], epochs=1)
    weights = learn_unit(folder, "all.text")
    by_hand = make_config(text=dataclasses.replace(config.text, encoder=str(weights)))
    with pytest.raises(
        UsageError, match="Nobody may be evaluated by weights that learned from them"
    ):
        plan_run(cohort.description, cohort.workspace, by_hand)


def test_weights_that_were_changed_since_their_record_are_refused(cohort, aligned):
    from mmdiag.experiment.plan import plan_run

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
        plan_run(cohort.description, cohort.workspace, train_config(changed))


def test_encoders_of_another_recipe_are_refused(cohort, aligned):
    from mmdiag.experiment.plan import plan_run

    other = train_config(aligned, model=dataclasses.replace(make_config().model, width=16))
    with pytest.raises(UsageError, match="model of the recipe 'classical' differ from those of p-"):
        plan_run(cohort.description, cohort.workspace, other)


def test_pretrained_images_are_the_features_of_each_part_and_what_judges_a_case_explains_it(cohort):
    from mmdiag.experiment.fit import fit
    from mmdiag.experiment.fit_id import FitId
    from mmdiag.experiment.plan import plan_run
    from mmdiag.experiment.run import open_data
    from mmdiag.inference.bundle import Bundle
    from mmdiag.pretraining import run

    folder = run.start(cohort.description, cohort.workspace, make_config(), ["image"], epochs=1)
    for unit in run.units(folder):
        learn_unit(folder, unit)
    answer = run.finish(folder)
    assert [row["part"] for row in answer["weights"]][-1] == "all" and answer["pretrained"][
        "id"
    ] == folder.name
    place = plan_run(cohort.description, cohort.workspace, train_config(folder))
    fit(place, FitId.parse("fold-0.flair"))
    bundle = Bundle.load(place.bundle_folder(FitId.parse("fold-0.flair")))
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
        capsys,
        "train",
        *place,
        "--recipe",
        "default",
        "--fusion",
        "concat",
        "--pretrained",
        answer["pretrained"]["id"],
    )
    assert code == 2 and "of the recipe 'default' differ" in said.err
