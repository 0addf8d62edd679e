"""A cohort can be looked at by key, without knowing a file; what is asked wrongly is said."""

import numpy as np
import pytest

from mmdiag.errors import UnknownNameError, UsageError


@pytest.fixture(scope="module")
def cohort(small_run):
    import mmdiag

    return mmdiag.Cohort.open(small_run.cohort / "cohort.toml", workspace=small_run.workspace.path)


def first(cohort, *modalities, without=()):
    """Key of the first case that has some modalities and lacks others."""
    rows = cohort.cases
    for name in modalities:
        rows = rows[rows[name]]
    for name in without:
        rows = rows[~rows[name]]
    return rows["case_id"].iloc[0]


def test_the_cases_say_who_has_what_and_the_label_as_a_number(cohort, small_run):
    cases = cohort.cases
    assert len(cases) == small_run.answer["cases"]["accepted"]
    assert list(cases)[:5] == ["case_id", "subject_id", "label", "site", "as_of"]
    assert set(cases["label"].dropna()) == {0.0, 1.0}
    for name, facts in small_run.answer["modalities"].items():
        assert cases[name].dtype == bool and int(cases[name].sum()) == facts["present"]
    assert dict(cohort.modalities) == {"flair": "image", "report": "text", "expression": "table"}


def test_an_image_a_note_and_a_table_come_by_key_as_a_network_sees_them(cohort):
    case = first(cohort, "flair", "report", "expression")
    image = cohort.image("flair", case)
    assert image.dtype == np.uint8 and image.shape[1:] == (64, 64) and image.max() > 0
    assert "FINDINGS" in cohort.note("report", case)
    table = cohort.table("expression")
    assert table.index.name == "case_id" and len(table) == cohort.cases["expression"].sum()
    assert table.loc[case].notna().any() and all(isinstance(name, str) for name in table)


def test_what_is_looked_at_cannot_be_changed_in_the_store(cohort):
    case = first(cohort, "flair")
    before = cohort.image("flair", case).copy()
    cohort.image("flair", case)[:] = 0
    cases = cohort.cases
    cases["label"] = -1.0
    assert np.array_equal(cohort.image("flair", case), before)
    assert -1 not in set(cohort.cases["label"])


def test_the_quarantine_says_what_was_refused_and_why(cohort):
    refused = cohort.quarantine
    assert len(refused) and {"case_id", "modality", "code", "rule", "cure"} <= set(refused)
    assert refused["cure"].str.len().min() > 10


def test_what_is_not_there_is_said_with_what_is(cohort):
    with pytest.raises(UnknownNameError, match="'flair'"):
        cohort.image("fliar", "x")
    with pytest.raises(UsageError, match="kind text"):
        cohort.image("report", "x")
    with pytest.raises(UsageError, match="accepted cases"):
        cohort.note("report", "nobody")
    absent = first(cohort, without=["flair"])
    with pytest.raises(UsageError, match=r"not acquired|in quarantine"):
        cohort.image("flair", absent)


def test_a_cohort_that_was_not_ingested_says_which_command_does(small_run, tmp_path):
    import mmdiag

    cohort = mmdiag.Cohort.open(small_run.cohort / "cohort.toml", workspace=tmp_path / "w")
    with pytest.raises(UsageError, match="mmdiag ingest"):
        _ = cohort.cases
    assert not (tmp_path / "w").exists(), "looking writes nothing"
