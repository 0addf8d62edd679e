"""Parts of the cases are measured by what can be compared with all of them, and by no more."""

import numpy as np
import pytest

from mmdiag.evaluation.judged import Judged
from mmdiag.task import Task

CASES = 60
FIRST = np.arange(CASES) < 30
NAMES = np.arange(CASES).astype(str)
NOTHING = np.full(CASES, np.nan)


def make_labels(**counts):
    """Several labels at once: name -> of the first and of the second half how many have it."""
    label = np.zeros((CASES, len(counts)))
    for number, (first, second) in enumerate(counts.values()):
        label[:first, number] = label[30 : 30 + second, number] = 1
    probability = np.random.default_rng(0).random(label.shape)
    task = Task(kind="multilabel", labels=tuple(counts))
    return Judged(task, label, probability, NAMES, NOTHING, NOTHING)


def rows_of(judged, which):
    return {row["metric"]: row for row in judged.measure_part(which, 20)}


def test_a_mean_over_labels_is_of_the_same_labels_in_every_part():
    judged = make_labels(edema=(12, 10), nodule=(9, 11), rare=(6, 0))
    first, second = rows_of(judged, FIRST), rows_of(judged, ~FIRST)
    assert first["auroc"]["value"] is not None
    assert second["auroc"]["value"] is None, "of two labels it would look like that of three"
    assert second["auroc_edema"]["value"] is not None
    assert second["auroc_rare"] == {
        "metric": "auroc_rare",
        "value": None,
        "low": None,
        "high": None,
        "n": 30,
        "n_positive": 0,
    }


def test_a_label_that_few_cases_of_a_part_have_has_no_figure_there():
    judged = make_labels(edema=(12, 10), rare=(6, 2))
    first, second = rows_of(judged, FIRST), rows_of(judged, ~FIRST)
    assert first["auroc_rare"]["value"] is not None
    assert second["auroc_rare"]["value"] is None
    assert (second["auroc_rare"]["n"], second["auroc_rare"]["n_positive"]) == (30, 2)
    few = rows_of(judged, np.arange(CASES) < 8)
    assert {row["value"] for row in few.values()} == {None}
    assert (few["auroc_edema"]["n"], few["auroc_edema"]["n_positive"]) == (8, 8)


@pytest.mark.parametrize(("rare", "told"), [(20, False), (40, True)])
def test_a_mean_over_classes_is_of_the_same_classes_in_every_part(rare, told):
    label = np.arange(CASES) % 2.0
    label[[1, rare]] = 2
    probability = np.random.default_rng(0).dirichlet(np.ones(3), CASES)
    task = Task(kind="multiclass", classes=("a", "b", "c"))
    judged = Judged(task, label, probability, NAMES, NOTHING, NOTHING)
    second = rows_of(judged, ~FIRST)
    assert (second["auroc"]["value"] is not None) is told
    assert second["brier"]["value"] is not None and second["accuracy"]["n"] == 30


def test_pairs_within_a_site_are_no_question_of_one_site():
    time, event = np.arange(1.0, CASES + 1), np.ones(CASES)
    site = np.where(FIRST, "north", "south")
    risk = np.random.default_rng(0).random(CASES)
    judged = Judged(Task(kind="survival"), NOTHING, risk, NAMES, time, event, stratum=site)
    assert list(rows_of(judged, FIRST)) == ["c_index"]
