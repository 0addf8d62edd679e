"""A table with a row a measurement is refused: the mean of different tests is none of anything."""

import pandas as pd
import pytest

from mmdiag.description import ModalityDescription
from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.tables.cohort_tables import read_numbers
from mmdiag.readers.tables.modality import read_case_table


def write(folder, kind="test", value="value", tests=("CRP", "WBC"), cases=("a", "b")):
    rows = [(case, test, place + 1.5) for case in cases for place, test in enumerate(tests)]
    pd.DataFrame(rows, columns=["id", kind, value]).to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


@pytest.mark.parametrize("rows", ["refuse", "mean", "first"])
@pytest.mark.parametrize(
    ("kind", "value", "tests"),
    [
        ("test", "value", ("CRP", "WBC")),
        ("Lab_Item", "Result", ("CRP", "WBC")),
        ("itemid", "valuenum", (50_912, 50_971)),
        ("unit", "value", ("mg/l", "mmol/l")),
        ("Parameter", "Messwert", ("CRP", "Leukozyten")),
    ],
)
def test_rows_of_different_measurements_are_not_brought_to_one(tmp_path, rows, kind, value, tests):
    file = write(tmp_path, kind, value, tests)
    with pytest.raises(DescriptionError, match=rf"'{kind}' says what '{value}' is.*pivot_table"):
        read_numbers([file], "id", (), (), rows)
    with pytest.raises(DescriptionError, match="pivot_table"):
        read_numbers([file], "id", (value,), (), rows)


@pytest.mark.parametrize(
    ("kind", "value", "tests"),
    [
        ("visit", "crp", ("first", "second")),
        ("visit", "value", ("first", "second")),
        ("test", "value", ("CRP", "CRP")),
        ("code", "crp", ("x", "y")),
    ],
)
def test_visits_and_repeats_of_one_measurement_have_a_mean(tmp_path, kind, value, tests):
    read = read_numbers([write(tmp_path, kind, value, tests)], "id", (value,), (), "mean").values
    assert read[value].tolist() == [2.0, 2.0]


def test_a_case_with_one_row_is_read_whatever_its_columns_are_called(tmp_path):
    file = write(tmp_path, tests=("CRP",), cases=("a", "b"))
    assert read_numbers([file], "id", (), (), "refuse").values["value"].tolist() == [1.5, 1.5]


@pytest.mark.parametrize("rows", ["mean", "first"])
def test_the_table_of_one_case_is_held_to_the_same(tmp_path, rows):
    modality = ModalityDescription(name="t", kind="table", path="{id}.csv", rows=rows)
    with pytest.raises(ReadError, match=r"duplicate_row.*'test'"):
        read_case_table(write(tmp_path, cases=("a",)), modality)
