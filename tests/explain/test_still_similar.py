"""Which of the cases that were found to be alike may still be shown."""

import pandas as pd

from mmdiag.explain.kept import heading_of, still_similar

LIKE = {"similarity": 0.5}


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
    names = ("kept", "mine", "open", "later", "gone", "undated")
    found = [{"case_id": name, "similarity": 0.5} for name in names]
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
    shown = still_similar(cases, 0, [LIKE | {"case_id": n} for n in ("later", "open")])
    assert shown == [{"case_id": "later", "later": True, "similarity": 0.5}]
    assert heading_of(shown) == "Similar cases of later days (none is earlier)"


def test_the_nearest_of_few_cases_is_not_shown_where_it_is_unlike():
    cases = pd.DataFrame({"case_id": ["own", "a", "b", "c"], "subject_id": ["s", "t", "u", "v"]})
    cases = cases.assign(label=1.0, as_of=pd.Timestamp("2021-05-01"))
    found = [
        {"case_id": name, "similarity": s} for name, s in (("a", 0.4), ("b", 0.0), ("c", -0.3))
    ]
    assert [one["case_id"] for one in still_similar(cases, 0, found)] == ["a"]
