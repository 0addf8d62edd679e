"""Which cases are explained in full in advance."""

import pandas as pd
import pytest

from mmdiag.errors import UsageError
from mmdiag.explain.choice import require_choice
from mmdiag.explain.doubtful import to_explain


def test_a_case_without_an_answer_comes_before_the_most_uncertain():
    table = pd.DataFrame(
        {
            "case_id": ["sure", "even", "leans", "abstained"],
            "probability": [0.02, 0.5, 0.6, 0.99],
            "abstained": [False, False, False, True],
        }
    )
    assert to_explain(table, "full", 3) == ["abstained", "even", "leans"]
    assert to_explain(table, "full") == ["abstained", "even", "leans", "sure"]
    assert to_explain(table, "modalities") == to_explain(table, "none") == []


def test_of_classes_the_case_whose_largest_share_is_smallest_is_uncertain():
    table = pd.DataFrame(
        {
            "case_id": ["a", "b", "c"],
            "probability_x": [0.5, 0.3, 0.9],
            "probability_y": [0.5, 0.3, 0.05],
            "probability_z": [0.0, 0.4, 0.05],
        }
    )
    assert to_explain(table, "full", 2) == ["b", "a"]


def test_of_several_labels_the_one_nearest_to_a_turn_counts():
    table = pd.DataFrame(
        {
            "case_id": ["a", "b"],
            "probability_x": [0.9, 0.52],
            "probability_y": [0.8, 0.02],
        }
    )
    assert to_explain(table, "full", 1) == ["b"]


def test_a_number_of_cases_without_full_is_refused():
    require_choice("full", 3)
    require_choice("modalities", None)
    with pytest.raises(UsageError, match="goes with `--explain full`"):
        require_choice("modalities", 3)
    with pytest.raises(UsageError, match="none, modalities, full"):
        require_choice("everything", None)


def test_the_case_nearest_to_the_threshold_comes_first():
    table = pd.DataFrame({"case_id": ["a", "b", "c"], "probability": [0.5, 0.25, 0.9]})
    assert to_explain(table, "full", 1) == ["a"]
    assert to_explain(table, "full", 1, 0.2) == ["b"]
