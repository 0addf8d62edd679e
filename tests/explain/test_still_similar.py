"""Which of the cases that were found to be alike may still be shown."""

import pandas as pd

from mmdiag.explain.kept import heading_of, still_similar


def test_the_own_subject_a_case_without_an_outcome_and_a_later_one_are_not_shown():
    cases = pd.DataFrame(
        {
            "case_id": ["own", "kept", "mine", "open", "later", "undated"],
            "subject_id": ["s", "a", "s", "b", "c", "d"],
            "label": [None, 1.0, 1.0, None, 0.0, 0.0],
            "as_of": pd.to_datetime(
                ["2021-05-01", "2021-04-30", "2020-01-01", "2020-01-01", "2021-05-02", None]
            ),
        }
    )
    found = [{"case_id": name} for name in ("kept", "mine", "open", "later", "gone", "undated")]
    shown = still_similar(cases, 0, found)
    assert [one["case_id"] for one in shown] == ["kept", "undated"]
    assert heading_of(shown) == "Similar earlier cases"


def test_the_first_of_a_cohort_is_shown_later_ones_and_it_is_said():
    cases = pd.DataFrame(
        {
            "case_id": ["own", "later", "open"],
            "subject_id": ["s", "a", "b"],
            "label": [None, 1.0, None],
            "as_of": pd.to_datetime(["2021-05-01", "2021-05-02", "2021-05-03"]),
        }
    )
    shown = still_similar(cases, 0, [{"case_id": name} for name in ("later", "open")])
    assert shown == [{"case_id": "later", "later": True}]
    assert heading_of(shown) == "Similar cases of later days (none is earlier)"
