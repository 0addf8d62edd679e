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
