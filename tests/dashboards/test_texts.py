"""Sentences of the pages: numbers with their n, and what each end of an axis does."""

import pytest

from dashboards import texts
from mmdiag.explain.drawn import influential


def test_where_a_probability_stands_is_a_share_with_its_counts():
    others = [0.1 * k for k in range(10)]
    assert texts.rank(0.45, others) == "Higher than 50 % of the cases outside training (5 of 10)"


def test_received_cases_add_up_in_one_sentence():
    counts = {"in": 1040, "accepted": 1039, "quarantined": 1}
    expected = "1\u2009040 cases received: 1\u2009039 accepted, 1 quarantined"
    assert texts.received(counts) == expected


def test_one_of_a_thing_is_in_the_singular():
    assert texts.received({"in": 1, "accepted": 1, "quarantined": 0}).startswith("1 case received")
    assert texts.rules(1, 0).startswith("1 rule checked") and texts.cases(2, "new") == "2 new cases"
    assert texts.masked([{"masked": 1, "modality": "R"}]) == " 1 identifier was masked in R."
    assert texts.masked([{"masked": 2, "modality": "R"}]) == " 2 identifiers were masked in R."


def test_an_axis_names_what_both_of_its_ends_do():
    assert texts.both_ends("Death") == ["← lowers Death (log-odds) · raises Death →"]
    assert texts.both_ends("Death", "log hazard")[0].startswith("← lowers Death (log hazard)")
    long = texts.both_ends("Progression or death of any cause within 24 months")
    assert len(long) == 2 and all("…" in line and len(line) < 70 for line in long)


def test_two_modalities_that_read_alike_are_told_apart():
    title = {"t1": "MRI", "t2": "MRI", "note": "Report"}.get
    found = texts.display_names(["t1", "t2", "note"], title)
    assert found == {"t1": "MRI (t1)", "t2": "MRI (t2)", "note": "Report"}


def test_weights_that_name_another_modality_than_the_contributions_are_pointed_out():
    assert texts.disagreement({"FLAIR": 0.7, "Report": 0.3}, {"FLAIR": 0.9, "Report": 0.1}) == ""
    nothing = {"FLAIR": 0.0, "Report": 0.0}  # of a model that answers every case alike
    assert texts.disagreement({"FLAIR": 0.3, "Report": 0.7}, nothing) == ""
    said = texts.disagreement({"FLAIR": 0.7, "Report": 0.3}, {"FLAIR": 0.1, "Report": -0.9})
    assert "attention weight of FLAIR is the largest, yet Report contributes most" in said
    of_members = texts.disagreement({"A": 0.7, "B": 0.3}, {"A": 0.1, "B": -0.9}, 0.12)
    assert of_members.startswith("The weight of A is the largest"), (
        "of several members, no attention"
    )


def test_attention_of_a_small_part_of_a_model_says_how_small_it_is():
    assert texts.attention(None) == texts.attention(1.0) == texts.ATTENTION
    assert texts.attention(0.03).endswith("of networks that are 3 % of the model by weight")


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1st"), (12, "12th"), (93.2, "93rd"), (97, "97th")]
)
def test_a_percentile_is_an_ordinal(number, text):
    assert texts.ordinal(number) == text


ROWS = (("A", 0.2), ("B", 1e-9))


def test_what_has_no_influence_is_not_listed():
    rows = [{"name": name, "value": value, "percentile": 93.0} for name, value in ROWS]
    listed = texts.listed(influential(rows, 8))
    assert listed["text"].tolist() == ["A · 93rd percentile"]
    assert texts.listed([{"name": "A", "value": 0.2}])["text"].tolist() == ["A"]
