"""How far answers are an interplay of modalities, in figures and in words."""

import numpy as np
import pytest

from mmdiag.evaluation.interplay import interplay_sentences, intershap


@pytest.mark.parametrize(
    ("matrix", "share"),
    [
        ([[2.0, 0.0], [0.0, -1.0]], 0.0),  # a sum
        ([[0.0, 0.5], [0.5, 0.0]], 1.0),  # an XOR
        ([[2.0, -0.5], [-0.5, 2.0]], 0.2),
    ],
)
def test_the_share_of_acting_together_is_that_of_the_matrix(matrix, share):
    alone = [[3.0, 0.0], [0.0, 0.0]]  # of a case with one modality nothing can act together
    found = intershap(np.asarray([matrix, np.negative(matrix), alone]), resamples=50)
    assert found == {"value": share, "low": share, "high": share, "n": 2}


def test_of_single_modalities_no_acting_together_is_told():
    assert intershap(np.asarray([[[3.0, 0.0], [0.0, 0.0]]])) is None


LESS = {"value": 0.02, "low": -0.01, "high": 0.05, "whole": 0.82, "part": 0.8, "n": 90}
SHARE = {"value": 0.12, "low": 0.08, "high": 0.16, "n": 90}


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.01, 0.05, "is not shown to do better"),
        (0.01, 0.05, "does better"),
        (-0.05, -0.01, "worse"),
    ],
)
def test_the_words_are_those_of_the_interval(low, high, words):
    found = {"shown": True, "intershap": SHARE, "additive": {**LESS, "low": low, "high": high}}
    said = interplay_sentences(found, "AUROC")
    assert "12% (8% to 16%, n = 90)" in said[0] and words in said[1]
    assert "AUROC 0.82 against 0.80" in said[1]


def test_of_a_model_at_chance_nothing_is_told_and_of_one_modality_there_is_nothing():
    found = {"shown": False, "at_chance": "AUROC 0.55", "intershap": SHARE, "additive": LESS}
    said = interplay_sentences(found, "AUROC")
    assert "not shown to be above chance (AUROC 0.55)." in said[0]
    assert len(said) == 1 and "12" not in said[0] and "chance" in said[0]
    assert interplay_sentences({"shown": True, "intershap": None, "additive": None}, "AUROC") == []
