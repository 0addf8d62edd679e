"""Pretraining without labels: weights of a part saw none of its subjects, and a pretraining that is
killed ends the same.
"""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from pretrain_builders import Killed, learn_unit, make_config, parts_of

from mmdiag.errors import UsageError

pytestmark = pytest.mark.usefixtures("few_are_enough")


def test_each_part_has_weights_that_saw_none_of_its_subjects_and_all_others(cohort, aligned):
    from mmdiag.pretraining.weights import read_record
    from mmdiag.privacy.subject_keys import workspace_key

    parts, everyone = parts_of(cohort), set(cohort.store.cases["subject_id"])
    key = workspace_key(cohort.workspace.path)
    several = np.sum([cohort.store.present(name) for name in cohort.store.modalities], axis=0) >= 2
    complete = set(cohort.store.cases["subject_id"][several])
    for part in sorted({*parts.values(), "all"}):
        keys = read_record(aligned / part / "contrastive")
        judged = {subject for subject, own in parts.items() if own == part}
        assert {who for who in everyone if keys.holds(who, key)} == complete - judged
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
    from mmdiag.privacy.subject_keys import workspace_key
    from mmdiag.storage.store import Store

    read, real = set(), getattr(Store, method)
    monkeypatch.setattr(
        Store,
        method,
        lambda store, name, row, **options: read.add(row) or real(store, name, row, **options),
    )
    config = make_config(text=dataclasses.replace(make_config().text, encoder=str(cohort.tiny)))
    folder = run.start(cohort.description, cohort.workspace, config, [what], epochs=1)
    weights = learn_unit(folder, f"fold-0.{what}")
    subjects = cohort.store.cases["subject_id"]
    judged = {subject for subject, part in parts_of(cohort).items() if part == "fold-0"}
    assert read and not judged & set(subjects.iloc[sorted(read)])
    seen, key = read_record(weights), workspace_key(cohort.workspace.path)
    assert {subject for subject in subjects if seen.holds(subject, key)} == set(
        subjects.iloc[sorted(read)]
    )


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
