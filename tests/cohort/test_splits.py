"""Subjects never lie on both sides, strata are kept, and nobody who was placed is moved."""

import json

import numpy as np
import pandas as pd
import pytest

from mmdiag.cohort.splits import read_or_make_split, validation_subjects
from mmdiag.config import EvaluationConfig
from mmdiag.errors import UsageError


def make_cases(subjects: int, *, cases_each: int = 1, unlabelled: int = 0):
    rows = [
        {"subject_id": f"s{i}", "stratum": float(i % 4 == 0)}
        for i in range(subjects)
        for _ in range(cases_each)
    ]
    return pd.DataFrame(
        rows + [{"subject_id": f"u{i}", "stratum": np.nan} for i in range(unlabelled)]
    )


def test_few_subjects_are_cross_validated_with_every_fold_stratified(tmp_path):
    cases = make_cases(80, cases_each=2)
    split = read_or_make_split(tmp_path / "split.json", cases, EvaluationConfig())
    assert split.summary() == {"folds": 5}
    table = pd.DataFrame(
        {
            "part": split.of(cases["subject_id"]),
            "stratum": cases["stratum"],
            "subject": cases["subject_id"],
        }
    ).drop_duplicates("subject")
    assert (
        table.groupby("part")["stratum"].agg(["size", "sum"]).to_numpy().tolist() == [[16, 4]] * 5
    )


def test_many_subjects_are_held_out_in_the_shares_that_were_asked_for(tmp_path):
    split = read_or_make_split(tmp_path / "split.json", make_cases(400), EvaluationConfig())
    assert split.summary() == {"train": 240, "valid": 60, "test": 100}


def test_subjects_without_a_label_are_in_no_part(tmp_path):
    cases = make_cases(40, unlabelled=3)
    split = read_or_make_split(tmp_path / "split.json", cases, EvaluationConfig())
    assert split.of(cases["subject_id"]).isna().sum() == 3


def test_a_split_is_written_once_and_only_extended(tmp_path):
    path = tmp_path / "split.json"
    first = read_or_make_split(path, make_cases(60), EvaluationConfig())
    second = read_or_make_split(path, make_cases(75), EvaluationConfig())
    assert {s: second.part[s] for s in first.part} == dict(first.part) and len(second.part) == 75
    assert json.loads(path.read_text())["part"] == dict(second.part)
    assert read_or_make_split(path, make_cases(75), EvaluationConfig()) == second


def test_a_class_with_one_subject_is_too_few_to_judge(tmp_path):
    cases = pd.DataFrame({"subject_id": ["a", "b", "c"], "stratum": [1.0, 0.0, 0.0]})
    path, settings = tmp_path / "split.json", EvaluationConfig()
    rule = "at least 2 labelled subjects of each class, found"
    with pytest.raises(UsageError, match=f"{rule} 2 of class 0, 1 of class 1: "):
        read_or_make_split(path, cases, settings)
    with pytest.raises(UsageError, match=f"{rule} 2 of stable, 1 of progresses: "):
        read_or_make_split(path, cases, settings, ("stable", "progresses"))
    cases = pd.DataFrame({"subject_id": list("abcde"), "stratum": [0.0, 0.0, 1.0, 1.0, 2.0]})
    with pytest.raises(UsageError, match=r"1 of class 2: .* list the rare ones under unknown"):
        read_or_make_split(path, cases, settings)


def test_a_subject_counts_to_the_rarest_class_of_its_cases(tmp_path):
    """Two visits a subject: at the first one nobody has anything yet."""
    subjects = [f"s{i:02d}" for i in range(40) for _ in range(2)]
    second = [float(i % 4 == 0) for i in range(40)]
    stratum = [value for found in second for value in (0.0, found)]
    cases = pd.DataFrame({"subject_id": subjects, "stratum": stratum})
    split = read_or_make_split(tmp_path / "split.json", cases, EvaluationConfig())
    held = cases.assign(part=split.of(cases["subject_id"]))
    assert held[held["stratum"] == 1].groupby("part").size().tolist() == [2] * 5
    alone = cases.assign(stratum=[*stratum[:-1], 2.0])
    with pytest.raises(UsageError, match="found 40 of class 0, 10 of class 1, 1 of class 2: add"):
        read_or_make_split(tmp_path / "alone.json", alone, EvaluationConfig())


def test_subjects_who_have_a_case_of_each_class_are_enough(tmp_path):
    """A side with the finding and one without, in every patient."""
    cases = make_cases(20, cases_each=2).assign(stratum=[0.0, 1.0] * 20)
    split = read_or_make_split(tmp_path / "split.json", cases, EvaluationConfig())
    assert sorted(split.of(cases["subject_id"]).value_counts()) == [8] * 5


@pytest.mark.parametrize("censored", [0, 1, 2])
def test_a_survival_needs_events_and_nobody_who_is_censored(tmp_path, censored):
    cases = make_cases(40).assign(stratum=[0.0] * censored + [1.0] * (40 - censored))
    settings = EvaluationConfig()
    split = read_or_make_split(tmp_path / "split.json", cases, settings, survival=True)
    assert split.folds == 5
    assert sorted(split.of(cases["subject_id"]).value_counts()) == [8] * 5
    few = cases.assign(stratum=[1.0] + [0.0] * 39)
    with pytest.raises(UsageError, match="2 labelled subjects with the event, found 1 among 40"):
        read_or_make_split(tmp_path / "few.json", few, settings, survival=True)


def test_validation_subjects_are_a_stratified_share():
    cases = make_cases(80, cases_each=2)
    held = validation_subjects(cases, 0.15, "fold-0")
    strata = cases.drop_duplicates("subject_id").set_index("subject_id")["stratum"]
    assert len(held) == 12 and strata[list(held)].sum() == 3
