"""The phantom is what it says: the same bytes for the same options, a truth that adds up, and a
signal where it was asked for.
"""

import hashlib
import itertools
import json

import numpy as np
import pandas as pd
import pydicom
import pytest

from mmdiag.errors import UsageError
from mmdiag.phantom import latent, write_phantom
from mmdiag.phantom.images import TISSUE, head
from mmdiag.phantom.notes import CHATTER, INCIDENTAL, write_note


def fingerprint(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_the_same_options_give_the_same_bytes_and_another_seed_others(tmp_path):
    options = {"cases": 12, "missing": 0.2, "broken": 3, "identifiers": True}
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_phantom(tmp_path / name, seed=seed, **options)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b") != fingerprint(tmp_path / "c")


def test_a_phantom_written_over_another_leaves_nothing_of_it(tmp_path):
    write_phantom(tmp_path / "a", cases=20, seed=1)
    write_phantom(tmp_path / "a", cases=12, seed=1)
    write_phantom(tmp_path / "b", cases=12, seed=1)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")


@pytest.mark.parametrize("signal", latent.SIGNALS)
def test_contributions_add_up_to_the_logit_and_labels_follow_it(tmp_path, signal):
    write_phantom(tmp_path, cases=60, seed=2, signal=signal)
    truth = pd.read_parquet(tmp_path / "truth" / "cases.parquet")
    assert np.allclose(truth.filter(like="contribution_").sum(axis=1), truth["logit"])
    assert np.allclose(truth["probability"], 1 / (1 + np.exp(-truth["logit"])))


def test_latents_are_standardised_and_the_texts_is_what_the_note_says():
    drawn = latent.draw(50_000, "additive", np.random.default_rng(0))
    assert np.allclose(drawn.u.mean(axis=0), 0, atol=0.03) and np.allclose(
        drawn.u.std(axis=0), 1, atol=0.03
    )
    assert np.allclose(drawn.u[:, 1], drawn.findings.sum(axis=1) / latent.TEXT_DEVIATION)


PATTERNS = np.asarray(list(itertools.product([True, False], repeat=3)))[:-1]


def test_fusion_is_worth_it_where_the_signal_is_additive_and_no_modality_tells_anything_where_it_is_an_interaction():
    _, additive = latent.best_auroc("additive", PATTERNS, np.random.default_rng(0))
    assert additive["flair+report+expression"] > 0.88 and all(
        0.65 < additive[name] < 0.8 for name in latent.MODALITIES
    )
    _, interaction = latent.best_auroc("interaction", PATTERNS, np.random.default_rng(0))
    assert interaction["flair+report+expression"] > 0.85 and all(
        interaction[name] < 0.56 for name in latent.MODALITIES
    )
    _, one = latent.best_auroc("one-modality", PATTERNS, np.random.default_rng(0))
    assert one["report+expression"] == 0.5 and one["flair"] == one["flair+report+expression"] > 0.88


def test_no_score_beats_the_best_possible_one():
    rng = np.random.default_rng(1)
    drawn = latent.draw(20_000, "additive", rng)
    label = rng.random(20_000) < latent.probability(drawn.u, "additive")
    best, _ = latent.best_auroc("additive", PATTERNS[:1], rng)
    assert abs(latent.auroc(label, drawn.u.sum(axis=1)) - best) < 0.01
    assert latent.auroc(label, drawn.u[:, 0] + drawn.u[:, 1]) < best - 0.03


def test_every_fault_is_planted_in_a_case_of_its_own_that_has_the_modality(tmp_path):
    write_phantom(tmp_path, cases=30, seed=3, missing=0.3, broken=8)
    faults = pd.read_parquet(tmp_path / "truth" / "cases.parquet").set_index("case_id")["fault"]
    assert sorted(code for code in faults if code) == sorted(
        [
            "no_modality",
            "truncated",
            "not_text",
            "patient_mismatch",
            "table_value",
            "undecodable_pixels",
            "duplicate_slice",
            "not_dicom",
        ]
    )


def test_identifiers_are_listed_and_really_planted(tmp_path):
    write_phantom(tmp_path, cases=15, seed=4, identifiers=True)
    listed = json.loads((tmp_path / "truth" / "truth.json").read_text())["identifiers"]
    content = b"".join(
        p.read_bytes()
        for p in [*(tmp_path / "dicom").rglob("*.dcm"), *(tmp_path / "notes").glob("*")]
    )
    assert len(listed) >= 100 and all(text.encode() in content for text in listed)
    assert not any(
        text in (tmp_path / name).read_text()
        for text in listed
        for name in ("cases.csv", "genomics.csv")
    )


def test_series_are_mixed_unordered_and_partly_compressed(tmp_path):
    write_phantom(tmp_path, cases=12, seed=5)
    syntaxes, descriptions, orders = set(), set(), []
    for folder in sorted((tmp_path / "dicom").iterdir()):
        headers = [
            pydicom.dcmread(file, stop_before_pixels=True) for file in sorted(folder.iterdir())
        ]
        syntaxes |= {header.file_meta.TransferSyntaxUID.is_compressed for header in headers}
        descriptions |= {header.SeriesDescription for header in headers}
        orders.append(
            [header.InstanceNumber for header in headers if header.SeriesDescription == "FLAIR"]
        )
    assert syntaxes == {True, False} and descriptions == {"FLAIR", "T1 POST GD", "LOCALIZER"}
    assert any(order != sorted(order) for order in orders)


def test_an_unknown_signal_is_refused(tmp_path):
    with pytest.raises(UsageError, match="additive, interaction"):
        write_phantom(tmp_path, cases=10, seed=0, signal="loud")


def test_distractors_are_written_beside_the_truth_and_only_where_they_are_asked_for(tmp_path):
    write_phantom(tmp_path / "plain", cases=12, seed=6)
    told = write_phantom(tmp_path / "told", cases=12, seed=6, distractors=True)
    assert not (tmp_path / "plain" / "truth" / "distractors.parquet").exists()
    lesions = pd.read_parquet(tmp_path / "told" / "truth" / told["voxel_boxes"])
    others = pd.read_parquet(tmp_path / "told" / "truth" / told["distractor_boxes"])
    assert list(others) == list(lesions) and len(lesions) == 12
    assert set(others["case_id"]) <= set(lesions["case_id"])
    assert others.groupby("case_id").size().between(1, 3).all()
    plain, distracted = (
        pd.read_parquet(tmp_path / name / "truth" / "cases.parquet") for name in ("plain", "told")
    )
    same = [name for name in plain if name != "case_id"]
    assert plain[same].equals(distracted[same]), "the outcome does not know of them"


def test_the_same_options_give_the_same_distractors(tmp_path):
    for name in ("a", "b"):
        write_phantom(tmp_path / name, cases=8, seed=6, distractors=True)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")


def test_distractors_differ_as_much_as_the_lesion_does_and_touch_none_of_it():
    contrasts, sizes = [], []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        made = head(float(generator.normal()), generator, distractors=True)
        assert not any(touch(box, made.lesion) for box in made.distractors)
        boxes = (made.lesion, *made.distractors[:1])
        if len(boxes) == 2:
            contrasts.append([contrast(made.flair, box) for box in boxes])
            sizes.append([volume(box) for box in boxes])
    assert len(contrasts) > 30
    lesion, distractor = np.asarray(contrasts).T
    assert (lesion < -150).all() and (distractor > 350).all()
    assert 0.7 < np.mean(distractor) / -np.mean(lesion) < 1.4
    of_lesion, of_distractor = np.mean(sizes, axis=0)
    assert 0.7 < of_distractor / of_lesion < 1


def touch(one, other):
    (rows, columns), (theirs, those) = ((box.rows, box.columns) for box in (one, other))
    apart = np.hypot(sum(rows) / 2 - sum(theirs) / 2, sum(columns) / 2 - sum(those) / 2)
    radii = (rows[1] - rows[0]) / 2 + (theirs[1] - theirs[0]) / 2 - 2
    shared = one.slices[0] < other.slices[1] and other.slices[0] < one.slices[1]
    return shared and apart <= radii


def contrast(flair, box):
    middle = [sum(ends) // 2 for ends in (box.rows, box.columns)]
    row, column = (slice(at - 1, at + 2) for at in middle)
    planes = flair[slice(*box.slices), row, column].mean(axis=(1, 2)) - TISSUE
    return planes[np.abs(planes).argmax()]


def volume(box):
    return np.prod([ends[1] - ends[0] for ends in (box.slices, box.rows, box.columns)])


def test_half_of_a_distracted_notes_words_say_nothing_of_the_outcome():
    incidental = [sentence for pair in INCIDENTAL for sentence in pair]
    drawn = latent.draw(200, "additive", np.random.default_rng(0))
    generator = np.random.default_rng(1)
    notes = [write_note(one, generator, distractors=True) for one in drawn.findings]
    empty = [
        sum(note.count(one) * len(one.split()) for one in (*incidental, *CHATTER)) for note in notes
    ]
    shares = np.divide(empty, [len(note.split()) for note in notes])
    assert 0.4 < shares.mean() < 0.65
    said = np.asarray([[one in note for one in incidental] for note in notes])
    related = [np.corrcoef(one, drawn.u[:, 1])[0, 1] for one in said.T]
    assert np.abs(related).max() < 0.25 and said.mean(axis=0).min() > 0.3
