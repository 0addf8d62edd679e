"""Whether a batch is like the training: the test of the least typical tenth and of the more typical
half, and new sites.
"""

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from scipy.special import betainc

from mmdiag.ensemble.typicality import calibrate
from mmdiag.evaluation.verdict import unlike_training
from mmdiag.inference.shift import HALF, TAIL, new_sites, shift_of, usual_halves

EVERY = np.arange(90)

COUNTS = [
    (1, 1),
    (0, 3),
    (3, 3),
    (7, 40),
    (40, 300),
    (30, 300),
    (100_000, 100_000),
    (9_870, 99_000),
]


@pytest.mark.parametrize(("low", "cases"), COUNTS)
def test_the_p_value_is_that_of_the_binomial_distribution(low: int, cases: int) -> None:
    values = [TAIL / 2] * low + [0.5] * (cases - low)
    found = shift_of(pd.DataFrame({"atypical_scan": values}))["scan"]
    expected = 2 * betainc(low, cases - low + 1, TAIL) if low else 1.0  # one of two ways
    assert found["p"] == pytest.approx(min(1.0, float(expected)), rel=1e-8)
    assert found["cases"] == cases


def test_a_batch_that_lies_closer_together_than_the_training_is_unlike_it() -> None:
    alike = np.linspace(0.005, 0.995, 200)
    assert not shift_of(pd.DataFrame({"atypical_scan": alike}))["scan"]["unlike"]
    closer = np.linspace(0.3, 1.0, 200)  # 143 of 200 are more typical than half
    found = shift_of(pd.DataFrame({"atypical_scan": closer}))["scan"]
    assert found["share"] == 0 and found["unlike"]
    typical = int((closer > HALF).sum())
    expected = 2 * betainc(typical, 200 - typical + 1, HALF)
    assert found["p"] == pytest.approx(float(expected), rel=1e-8)


def test_a_batch_of_what_the_training_had_many_alike_of_is_not_unlike_it(tmp_path) -> None:
    """Notes from one template have one p-value, 1: it is above one half in every case."""
    alike = {"note": [0.0, 0.0], "labs": None, "one-third": [0.0, 0.0, 0.7]}
    arrays = {}
    for name, values in alike.items():
        rng = np.random.default_rng(0)
        own = rng.choice(values, 90) if values else rng.random(90)
        measured = calibrate(lambda _, test, own=own: own[test][:, None], 90, [(EVERY, EVERY)])[0]
        arrays[f"typicality.{name}_.quantiles"] = measured.quantiles.astype(np.float32)
        arrays[f"typicality.{name}_.cases"] = np.asarray(90, np.int32)
    save_file(arrays, tmp_path / "model.safetensors")
    usual = usual_halves(tmp_path)
    assert usual["note"] == 1.0 and usual["labs"] == pytest.approx(0.5, abs=0.02)
    assert usual["one-third"] == pytest.approx(2 / 3, abs=0.1)
    batch = pd.DataFrame({"atypical_note": [1.0] * 40, "atypical_labs": [0.9] * 40})
    found = shift_of(batch, usual)
    assert not found["note"]["unlike"] and found["note"]["p"] == 1.0
    assert found["labs"]["unlike"], "where cases differ, one that lies closer together still is"
    assert shift_of(batch)["note"]["unlike"], "of a model that does not tell, as before"
    assert usual_halves(None) == {} == usual_halves(tmp_path / "none")


def test_cases_of_the_training_are_no_part_of_the_batch() -> None:
    """A model knows them better than any other: of them alone every batch would be unlike."""
    own = pd.DataFrame({"atypical_scan": [1.0] * 60, "role": "train"})
    assert shift_of(own) == {}
    both = pd.concat([own, pd.DataFrame({"atypical_scan": [0.05] * 20, "role": "new"})])
    found = shift_of(both)["scan"]
    assert (found["cases"], found["share"], found["unlike"]) == (20, 1.0, True)


def test_cases_of_sites_without_a_training_case_are_counted_and_said(tmp_path) -> None:
    sites = pd.Series(["HT", "XX", "XX", "YY", None])
    assert new_sites(sites, None) is None and new_sites(sites, tmp_path) is None
    for learned in ({}, {"sites": []}, ["HT"], None):
        (tmp_path / "card.json").write_text(json.dumps({"learned_from": learned}))
        assert new_sites(sites, tmp_path) is None, learned
    (tmp_path / "card.json").write_text(json.dumps({"learned_from": {"sites": ["DU", "HT"]}}))
    found = new_sites(sites, tmp_path)
    assert found == {"cases": 3, "sites": 2}
    said = unlike_training({"new_sites": found}, {})
    assert said == [
        "Cases of sites that the model has learned from no case of: 3, of 2 sites; how good it is "
        "there was not measured."
    ]
    judged = {"new_sites": {"cases": 3, "sites": 1}, "by_subgroup": []}
    assert unlike_training(judged, {}) == [
        "Cases of sites that the model has learned from no case of: 3, of 1 site."
    ], "a validation has measured it"
    assert not unlike_training({"new_sites": new_sites(sites[:1], tmp_path)}, {})


def test_the_sentence_says_on_which_side_a_batch_is_unlike_the_training() -> None:
    far = {"cases": 40, "share": 0.5, "p": 0.0, "unlike": True}
    near = far | {"share": 0.0}
    (one,) = unlike_training({"shift": {"labs": far}}, {"labs": "Blood"})
    (two,) = unlike_training({"shift": {"labs": near}}, {"labs": "Blood"})
    assert "Blood of this batch is unlike the training: 50% of 40 cases" in one
    assert "nearer to the middle of the training" in two and "0% of 40 cases" in two
