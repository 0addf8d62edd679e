"""Which modality a model leans on, over the cases that have it."""

import numpy as np
import pytest

from mmdiag.explain.importance import global_importance

PRESENT = np.asarray([[True, True, False], [True, False, False], [True, True, False]])
CONTRIBUTIONS = np.asarray([[2.0, -1.0, 0.0], [-4.0, 0.0, 0.0], [3.0, 0.5, 0.0]])


def test_the_mean_is_over_the_cases_that_have_the_modality_whatever_its_sign():
    rows = global_importance(
        CONTRIBUTIONS, PRESENT, ("flair", "report", "expression"), resamples=100
    )
    assert [(row["modality"], row["value"], row["n"]) for row in rows] == [
        ("flair", 3.0, 3),
        ("report", 0.75, 2),
    ]
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)


def test_what_lies_behind_absence_is_never_read():
    dirty = np.where(PRESENT, CONTRIBUTIONS, np.nan)
    assert global_importance(dirty, PRESENT, "abc", resamples=50) == global_importance(
        CONTRIBUTIONS, PRESENT, "abc", resamples=50
    )


def test_a_subject_with_many_cases_widens_the_interval():
    rng = np.random.default_rng(0)
    size = np.repeat(rng.exponential(size=(30, 1)), 6, axis=0)
    by_subject, by_case = (
        global_importance(
            size, np.ones_like(size, dtype=bool), ["flair"], subject=subject, resamples=400
        )[0]
        for subject in (np.repeat(np.arange(30), 6), None)
    )
    assert by_subject["high"] - by_subject["low"] > 1.8 * (by_case["high"] - by_case["low"])


def test_the_interval_of_a_known_spread_is_the_normal_one():
    size = np.abs(np.random.default_rng(1).normal(5, 1, size=(400, 1)))
    row = global_importance(size, np.ones_like(size, dtype=bool), ["flair"], resamples=2000)[0]
    half = 1.96 * size.std() / 20
    assert (row["value"] - row["low"], row["high"] - row["value"]) == pytest.approx(
        (half, half), rel=0.12
    )
