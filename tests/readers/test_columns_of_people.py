"""Numbers that tell who somebody is, or when or in which row, are no inputs unless they are named."""

import numpy as np
import pandas as pd
import pytest

from mmdiag.description import ModalityDescription
from mmdiag.readers.tables.cohort_tables import read_numbers
from mmdiag.readers.tables.modality import read_case_table
from mmdiag.readers.tables.of_people import DAYS, OF_A_PERSON, ROWS

N = 12
RNG = np.random.default_rng(0)
IDS = RNG.integers(100_000, 999_999, N)
BIRTH = 19_400_101 + 10_000 * RNG.integers(0, 60, N)
LEFT_OUT = {
    **dict.fromkeys(
        ["MRN", "PatientNo", "patient_id", "Fallnummer", "zip", "PLZ", "phone_number", "SSN"], IDS
    ),
    **dict.fromkeys(["birth_date", "DOB", "Geburtsdatum", "fecha_nacimiento"], BIRTH),
    **dict.fromkeys(["scan_day", "Befunddatum"], BIRTH),
    **dict.fromkeys(["Unnamed: 0", "index", "row"], np.arange(N)),
}
KEPT = {
    "crp": RNG.normal(5, 1, N).round(2),
    "age": RNG.integers(30, 90, N),
    "visit_number": RNG.integers(1, 9, N),
    "leukocytes": RNG.integers(3_000, 12_000, N),
    "row": RNG.integers(0, 9, N),
    "index": RNG.normal(1, 0.1, N).round(3),
    "tel": RNG.normal(5, 1, N).round(2),  # a gene
    "birth_weight": RNG.integers(2_000, 4_000, N),
    "volume": RNG.integers(19_000_000, 21_000_000, N),
}


def read(folder, column, values, columns=(), wanted=()):
    table = pd.DataFrame({"id": [f"c{n:02}" for n in range(N)], "ok": RNG.normal(size=N)})
    table.insert(1, column, values)
    table.to_csv(folder / "t.csv", index=False)
    return read_numbers([folder / "t.csv"], "id", columns, (), "refuse", wanted=wanted)


@pytest.mark.parametrize("column", LEFT_OUT)
def test_what_tells_a_person_a_day_or_a_row_is_left_out_and_said(tmp_path, column):
    found = read(tmp_path, column, LEFT_OUT[column])
    assert list(found.values.columns) == ["ok"]
    assert found.said.left_out[column] in (OF_A_PERSON, DAYS, ROWS)


@pytest.mark.parametrize("column", KEPT)
def test_what_measures_something_is_kept(tmp_path, column):
    found = read(tmp_path, column, KEPT[column])
    assert list(found.values.columns) == [column, "ok"] and not found.said.left_out


def test_a_column_that_is_named_or_that_a_bundle_has_is_an_input(tmp_path):
    assert "MRN" in read(tmp_path, "MRN", IDS, columns=("MRN", "ok")).values
    assert "MRN" in read(tmp_path, "MRN", IDS, wanted=("MRN",)).values


def test_what_one_file_leaves_out_is_no_input_of_another(tmp_path):
    for name, days in (("a", BIRTH), ("b", np.full(N, 7))):
        keys = [f"{name}{n:02}" for n in range(N)]
        table = pd.DataFrame({"id": keys, "seen": days, "ok": range(N, 0, -1)})
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    found = read_numbers(files, "id", (), (), "refuse")
    assert list(found.values.columns) == ["ok"] and found.said.left_out == {"seen": DAYS}


def test_the_table_of_one_case_leaves_them_out_too(tmp_path):
    (tmp_path / "c.csv").write_text("mrn,birth_date,crp\n123456,19510203,4.5\n")
    modality = ModalityDescription(name="t", kind="table", path="{id}.csv")
    row = read_case_table(tmp_path / "c.csv", modality)
    assert row.numbers.to_dict() == {"crp": 4.5} and set(row.why) == {"mrn", "birth_date"}


def test_a_wide_table_holds_genes_whatever_they_are_called(tmp_path):
    table = pd.DataFrame(RNG.integers(0, 9_999, (N, 600)), columns=[f"G{n}" for n in range(600)])
    table = table.rename(columns={"G0": "PID", "G1": "TEL"}).assign(id=[f"c{n}" for n in range(N)])
    table.to_csv(tmp_path / "t.csv", index=False)
    assert {"PID", "TEL"} <= set(
        read_numbers([tmp_path / "t.csv"], "id", (), (), "refuse").values.columns
    )
