"""What is said of columns that are no plain numbers, of units that differ within a column, and of a
table that lies on its side: what is named is what is there, and the cure can be followed.
"""

import pytest
from table_builders import KEYS, ingest, rows, write_cohort

from mmdiag.errors import DescriptionError

VALUES = [f"{4 + number / 8}" for number in range(len(KEYS))]
HOLDS = {
    "thousands": (['"1,234"', '"231,456"'], "numbers with a comma before three digits"),
    "below a thousand": (['"1,234"', "980"], "numbers with a comma before three digits"),
    "fractions": (['"0,234"', '"1,456"'], "numbers with a decimal comma"),
    "short fractions": (['"1,5"', '"1,456"'], "numbers with a decimal comma"),
    "european thousands": (['"1.234,5"', '"12.345,0"'], "numbers with separators of thousands"),
    "above a limit": ([">1000", "> 5"], "numbers above a limit"),
    "blood pressure": (["120/80", "95/60"], "two numbers a cell"),
    "titre": (["1:80", "1:320"], "two numbers a cell"),
    "power of ten": (["1.2 x 10^3", "3 \u00d7 10\u00b3"], "numbers with their power of ten"),
    "numbers of days": (["45292", "45293"], "days as a spreadsheet numbers them"),
}


@pytest.mark.parametrize("what", HOLDS)
def test_a_column_that_is_left_out_is_called_what_it_is(tmp_path, what):
    cells, why = HOLDS[what]
    name = "scan_date" if what == "numbers of days" else "b"
    table = rows({"a": VALUES, name: cells * 6})
    answer, cohort = ingest(write_cohort(tmp_path, table), tmp_path / "w")
    assert list(cohort.table("labs").columns) == ["a"]
    assert answer["modalities"]["labs"]["left_out"][name].startswith(why)


@pytest.mark.parametrize(("name", "cells"), [("leukocytes", "45292"), ("scan_date", "12")])
def test_numbers_that_are_no_days_are_inputs(tmp_path, name, cells):
    table = rows({"a": VALUES, name: [cells] * 12})
    _, cohort = ingest(write_cohort(tmp_path, table), tmp_path / "w")
    assert list(cohort.table("labs").columns) == ["a", name]


@pytest.mark.parametrize("unit", ["glucose_unit", "Glucose UOM", "unit of glucose"])
@pytest.mark.parametrize("section", ["", 'columns = ["glucose"]'])
def test_a_column_in_several_units_is_said(tmp_path, unit, section):
    table = rows({"glucose": VALUES, unit: ["mmol/l", "mg/dl", "MG/DL"] * 4})
    answer, _ = ingest(write_cohort(tmp_path, table, section), tmp_path / "w")
    assert answer["modalities"]["labs"]["remarks"] == [
        f"glucose is in 2 units, as {unit} says, and read as one: bring its numbers to one unit"
    ]


def test_a_column_in_one_unit_is_not_said(tmp_path):
    table = rows({"glucose": VALUES, "glucose_unit": ["mg/dl", "mg/dL", "", "NA"] * 3})
    answer, _ = ingest(write_cohort(tmp_path, table), tmp_path / "w")
    assert "remarks" not in answer["modalities"]["labs"]


@pytest.mark.parametrize("key", ["gene", "case_id"])
def test_a_table_whose_columns_are_cases_is_said_to_lie_on_its_side(tmp_path, key):
    genes = "".join(f"G{g},{','.join(VALUES)}\n" for g in range(5))
    path = write_cohort(tmp_path, f"gene,{','.join(KEYS)}\n{genes}")
    path.write_text(path.read_text().replace('key = "case_id"', f'key = "{key}"'))
    with pytest.raises(DescriptionError, match=r"columns are called as cases are: transpose it"):
        ingest(path, tmp_path / "w")
