"""Whether a batch is like the training: the test of the least typical tenth and of the more typical
half, and new sites.
"""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import betainc

from mmdiag.evaluation.verdict import unlike_training
from mmdiag.inference.shift import HALF, TAIL, new_sites, shift_of

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
