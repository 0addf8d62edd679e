"""How a changed case is made: a column of words has one category, and a note is as ingestion would
have stored it.
"""

import numpy as np
import pandas as pd
import pytest

from mmdiag.errors import UsageError
from mmdiag.explain.what_if import Change, ChangedStore, _as_stored, _changed
from mmdiag.task import Task

COLUMNS = ["age", "sex=F", "sex=M", "stage=I", "stage=II"]
ROWS = [[50, 1, 0, 0, 1], [60, 1, 0, 1, 0], [70, 0, 1, np.nan, np.nan]]


@pytest.fixture
def store(tmp_path):
    table = np.asarray(ROWS, np.float32)
    cases = pd.DataFrame({"case_id": ["a", "b", "c"], "has_lab": True, "has_rep": True})
    return ChangedStore(
        tmp_path,
        cases,
        Task(kind="binary"),
        {"lab": "table", "rep": "text"},
        "",
        named_columns={"lab": COLUMNS},
        of_words={"lab": {"sex": COLUMNS[1:3], "stage": COLUMNS[3:]}},
        tables={"lab": table},
    )


def changed(store, row, **values):
    named = {name.replace("_", "="): value for name, value in values.items()}
    change = Change(values=named)
    return _changed(store, row, change, store.modalities).table("lab")[row].tolist()


def test_another_category_takes_the_place_of_the_one_that_is_there(store):
    assert changed(store, 0, sex_M="1") == [50, 0, 1, 0, 1]
    assert changed(store, 2, stage_II="1")[3:] == [0, 1], "of a cell that is missing, too"
    assert changed(store, 0, sex_M="0", stage_II="1") == ROWS[0], "what is so already"
    assert changed(store, 0, sex_F="0", sex_M="1") == [50, 0, 1, 0, 1], "in whatever order"


def test_the_median_of_a_category_is_the_one_that_most_cases_have(store):
    for column in ("sex=F", "sex=M"):
        assert changed(store, 2, **{column.replace("=", "_"): "median"})[1:3] == [1, 0]
    assert changed(store, 0, age="median")[0] == 60


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sex_F": "0"}, "setting another one to 1"),
        ({"sex_F": "0.5"}, "setting another one to 1"),
        ({"sex_F": "1", "sex_M": "1"}, "several are set"),
    ],
)
def test_a_case_of_no_category_or_of_two_is_refused(store, values, words):
    with pytest.raises(UsageError, match=words):
        changed(store, 0, **values)


def test_a_table_that_is_taken_away_has_no_column_to_set(store):
    change = Change(without=["lab"], values={"age": "1"})
    with pytest.raises(UsageError, match="in no table of the case"):
        _changed(store, 0, change, store.modalities)


def test_a_note_is_cleaned_and_masked_as_ingestion_does_it():
    raw = "\ufeffPatient: Jane Doe, seen 12.03.2024.\r\nNo oedema.\r\n"
    stored = _as_stored(raw, "report")
    assert "Jane" not in stored and "2024" not in stored and "\r" not in stored
    assert stored.startswith("Patient: [NAME]") and "No oedema.\n" in stored
    assert _as_stored(stored, "report") == stored


@pytest.mark.parametrize(
    ("text", "words"), [(" \n", "is blank"), ("No \x00 oedema", "not_text|control_characters")]
)
def test_a_note_that_ingestion_would_not_take_is_refused(text, words):
    with pytest.raises(UsageError, match=words):
        _as_stored(text, "report")


def test_a_note_is_not_both_another_one_and_none(store):
    with pytest.raises(UsageError, match="both --without and --note"):
        _changed(store, 0, Change(without=["rep"], notes={"rep": "x"}), store.modalities)
