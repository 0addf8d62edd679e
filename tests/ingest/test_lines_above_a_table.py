"""Delimited tables as registries and spreadsheets export them: lines above the header, and columns
that have neither a name nor a value.
"""

import pytest
from table_builders import KEYS, ingest, write_cohort

from mmdiag.cohort.case_table import read_cases
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.tables.cohort_tables import check_table
from mmdiag.readers.tables.delimited import read_header, read_table
from mmdiag.readers.tables.form import TableForm

LABS = "case_id,a\n" + "".join(f"{key},{n}.5\n" for n, key in enumerate(KEYS))
ABOVE = {
    "a title": ("Laboratory export 2024\n\n", 1),
    "a title as wide as the table": ("Laboratory export 2024,\n,\n", 1),
    "the comments of cBioPortal": ("#Patient Identifier,A\n#STRING,NUMBER\n#1,1\n", 3),
    "a title in quotes": ('"Export, of 2024"\n', 1),
}


@pytest.mark.parametrize("keys", [(), ("case_id",)], ids=["nobody told the key", "the key is told"])
@pytest.mark.parametrize("what", ABOVE)
def test_a_file_alone_has_the_verdict_that_ingestion_has(tmp_path, what, keys):
    file = tmp_path / "labs.csv"
    file.write_text(ABOVE[what][0] + LABS)
    table = check_table(file, keys)
    assert not keys or list(table["case_id"]) == list(KEYS)
    file.write_text("Laboratory export 2024\n" + LABS + "x,1,2\n")
    with pytest.raises(ReadError, match="labs"):
        check_table(file, keys)


@pytest.mark.parametrize("what", ABOVE)
def test_lines_above_the_header_are_said_and_not_read(tmp_path, what):
    above, count = ABOVE[what]
    answer, cohort = ingest(write_cohort(tmp_path, above + LABS), tmp_path / "w")
    lines = "lines" if count > 1 else "line"
    assert answer["modalities"]["labs"]["said"] == [f"{count} {lines} above the header, not read"]
    assert list(cohort.table("labs").columns) == ["a"]
    assert cohort.table("labs").loc[KEYS[1], "a"] == 1.5


def test_lines_above_the_header_of_a_case_table_are_said(tmp_path):
    path = write_cohort(tmp_path, LABS)
    cases = tmp_path / "cases.csv"
    cases.write_text("#Patient Identifier\n#STRING\n" + cases.read_text())
    answer, _ = ingest(path, tmp_path / "w")
    assert answer["cases"]["accepted"] == len(KEYS)
    assert answer["cohort"]["said"] == ["2 lines above the header, not read"]


def test_the_separator_is_that_of_the_header_below(tmp_path):
    file = tmp_path / "labs.csv"
    file.write_text("Labs, of 2024\nid;a;b\nx;1;2\n")
    form = TableForm(key=("id",))
    assert read_header(file, form) == ("id", "a", "b")
    assert read_table(file, form=form).to_pylist() == [{"id": "x", "a": "1", "b": "2"}]


def test_a_table_that_has_its_key_nowhere_begins_with_its_first_line(tmp_path):
    file = tmp_path / "labs.csv"
    file.write_text("a,b\n1,2\n")
    assert read_header(file, TableForm(key=("id",))) == ("a", "b")


def test_columns_without_a_name_and_a_value_are_none(tmp_path):
    blank = LABS.replace("\n", ",,,\n")
    path = write_cohort(tmp_path, blank)
    cases = tmp_path / "cases.csv"
    cases.write_text(cases.read_text().replace("\n", ",,\n"))
    answer, cohort = ingest(path, tmp_path / "w")
    assert list(cohort.table("labs").columns) == ["a"]
    assert "left_out" not in answer["modalities"]["labs"]
    names = [name for name in read_cases(read_description(path)) if name.startswith("column_")]
    assert names == [f"column_{name}" for name in read_header(cases)]


def test_numbers_of_rows_beside_columns_without_a_value_are_no_input(tmp_path):
    rows = "".join(f"{n},{key},{n}.5,\n" for n, key in enumerate(KEYS))
    _, cohort = ingest(write_cohort(tmp_path, ",case_id,a,\n" + rows), tmp_path / "w")
    assert list(cohort.table("labs").columns) == ["a"]


def test_several_columns_without_a_name_that_have_values_are_refused(tmp_path):
    path = write_cohort(tmp_path, LABS)
    (tmp_path / "cases.csv").write_text("case_id,,\n" + "".join(f"{key},1,2\n" for key in KEYS))
    with pytest.raises(DescriptionError, match=r"cases\.csv has 2 columns without a name"):
        ingest(path, tmp_path / "w")
