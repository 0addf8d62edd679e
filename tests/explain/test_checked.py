"""What people read of whether explanations hold."""

from mmdiag.explain.report.checked import checked_sentence

NONE = {"value": None, "low": None, "high": None, "n": 0}
SOME = {"value": 0.3, "low": 0.2, "high": 0.4, "n": 12}
FOUND = {
    "cases": 12,
    "completeness": 1e-6,
    "same_sign": 1.0,
    "deletion": {"null": SOME, "mean": SOME},
    "randomised": 0.1,
    "stability": None,
    "outside_tissue": 0.0,
    "reliable": True,
    "reasons": [],
}


def test_explanations_that_were_asked_about_hold():
    assert checked_sentence(FOUND) == "The explanations of this model hold on 12 cases."


def test_what_could_not_be_asked_is_no_success():
    """As of a table of three columns."""
    few = FOUND | {"deletion": {"null": NONE, "mean": NONE}, "randomised": None}
    said = checked_sentence(few)
    assert "not asked: deletion, filled with nothing; deletion, filled with what is usual" in said
    assert said.endswith("agreement with shuffled weights.")
    failed = few | {"reliable": False, "reasons": ["they do not add up"]}
    assert "not asked" not in checked_sentence(failed)
