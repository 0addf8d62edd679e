"""A wrong description says rule, fact and cure; a right one becomes cases."""

import pandas as pd
import pytest

from mmdiag.case_table import class_names, read_cases
from mmdiag.cases import find_cases
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError

RIGHT = """
[cohort]
name = "small"
root = "."
[cases]
table = "cases.csv"
case_id = "id"
subject_id = "person"
as_of = "date"
[task]
kind = "binary"
label = "outcome"
positive = "1"
[modalities.note]
kind = "text"
path = "notes/{id}.txt"
[modalities.genes]
kind = "table"
path = "genes.csv"
key = "id"
"""
CASES = "id,person,date,outcome\n001,a,2024-01-02,1.0\n002,a,2024-02-02,0.0\n003,b,2024-03-02,\n"


def make_folder(tmp_path, *, toml: str = RIGHT, cases: str = CASES):
    (tmp_path / "cohort.toml").write_text(toml)
    (tmp_path / "cases.csv").write_text(cases)
    (tmp_path / "genes.csv").write_text("id,G1\n001,1.5\n003,2.5\n")
    (tmp_path / "notes").mkdir(exist_ok=True)
    (tmp_path / "notes" / "001.txt").write_text("No oedema.")
    return tmp_path / "cohort.toml"


def test_ids_stay_text_and_numbers_that_went_through_a_spreadsheet_are_labels(tmp_path):
    description = read_description(make_folder(tmp_path))
    cases = read_cases(description)
    assert cases["case_id"].tolist() == ["001", "002", "003"] and cases["subject_id"].tolist() == ["a", "a", "b"]
    assert cases["label"].tolist()[:2] == [1.0, 0.0] and pd.isna(cases["label"].iloc[2])
    assert class_names(description, cases) == ("not 1", "1")


def test_what_was_not_acquired_has_no_key(tmp_path):
    description = read_description(make_folder(tmp_path))
    found = find_cases(description, read_cases(description))
    assert [sorted(case.sources) for case in found] == [["genes", "note"], [], ["genes"]]
    assert found[0].sources["genes"].key == "001"


WRONG = {
    "an unknown key": ('label = "outcome"', 'labl = "outcome"', r"did you mean 'label'"),
    "an unknown kind": ('kind = "text"', 'kind = "txt"', r"did you mean 'text'"),
    "an unknown task": ('kind = "binary"', 'kind = "binray"', r"did you mean 'binary'"),
    "an unknown section": ("[task]", "[tasks]", r"did you mean 'task'"),
    "a missing column": ('case_id = "id"', 'case_id = "ids"', r"did you mean 'id'"),
    "a missing template column": ("notes/{id}.txt", "notes/{idd}.txt", r"path of note .* 'idd' is not: did you mean 'id'"),
    "a missing table": ('table = "cases.csv"', 'table = "case.csv"', r"'case.csv' in cohort.toml is not there"),
    "a missing root": ('root = "."', 'root = "elsewhere"', r"'elsewhere' in cohort.toml is not"),
    "no positive": ('positive = "1"', "", r"must say which label is positive"),
    "a positive that nobody has": ('positive = "1"', 'positive = "7"', r"no case of cases.csv has '7'"),
    "no modality": (RIGHT[RIGHT.index("[modalities.note]") :], "", r"has none: add a section"),
    "a path that leads out": ("notes/{id}.txt", "../{id}.txt", r"must lie below the root"),
    "a table without key": ('key = "id"\n', "", r"needs its key"),
    "not TOML": ("[cases]", "[cases", r"cohort.toml must be TOML"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_named_with_its_cure(tmp_path, name):
    old, new, message = WRONG[name]
    assert old in RIGHT
    with pytest.raises(DescriptionError, match=message):
        read_cases(read_description(make_folder(tmp_path, toml=RIGHT.replace(old, new, 1))))


TABLES = {
    "a case twice": ("002,a,2024-02-02,0.0", "001,a,2024-02-02,0.0", r"repeats \['001'\]"),
    "a key that is a path": ("002,a", "../002,a", r"plain key .* line 3"),
    "a case without key": ("002,a", ",a", r"Every case needs its id, .* line 3"),
    "one class": ("002,a,2024-02-02,0.0", "002,a,2024-02-02,1", r"every case of cases.csv is '1'"),
    "no label at all": (CASES, "id,person,date,outcome\n1,a,,\n2,b,,\n", r"must be there for some cases"),
    "a date that is none": ("2024-02-02", "2 Feb", r"as_of must be ISO dates .* line 3"),
    "no rows": (CASES, "id,person,date,outcome\n", r"must have a row a case"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_mistake_in_the_case_table_names_its_line(tmp_path, name):
    old, new, message = TABLES[name]
    assert old in CASES
    with pytest.raises(DescriptionError, match=message):
        read_cases(read_description(make_folder(tmp_path, cases=CASES.replace(old, new, 1))))


def test_a_key_can_be_made_of_several_columns(tmp_path):
    toml = RIGHT.replace('case_id = "id"', 'case_id = "{person}-{id}"')
    assert read_cases(read_description(make_folder(tmp_path, toml=toml)))["case_id"].tolist() == ["a-001", "a-002", "b-003"]


def test_survival_reads_time_and_event(tmp_path):
    toml = RIGHT.replace('kind = "binary"\nlabel = "outcome"\npositive = "1"', 'kind = "survival"\ntime = "months"\nevent = "died"')
    cases = read_cases(
        read_description(make_folder(tmp_path, toml=toml, cases="id,person,date,months,died\n1,a,,3.5,1\n2,b,,9,0\n3,c,,,\n"))
    )
    assert cases["time"].tolist()[:2] == [3.5, 9.0] and cases["event"].tolist()[:2] == [1, 0]


@pytest.mark.parametrize("rows", ["1,a,,x,1\n", "1,a,,3,2\n", "1,a,,3,0\n"])
def test_survival_refuses_what_is_no_time_or_event(tmp_path, rows):
    toml = RIGHT.replace('kind = "binary"\nlabel = "outcome"\npositive = "1"', 'kind = "survival"\ntime = "months"\nevent = "died"')
    with pytest.raises(DescriptionError, match=r"time must be a number|event must be 0|needs events"):
        read_cases(read_description(make_folder(tmp_path, toml=toml, cases="id,person,date,months,died\n" + rows)))


def test_the_descriptions_of_the_real_cohorts_are_right_where_the_data_is(request):
    folder = request.config.rootpath / "tests" / "cohorts"
    for path in sorted(folder.glob("*.toml")):
        root = (folder / "../../../shared/data").resolve()
        if not root.is_dir():
            pytest.skip("the real cohorts are not on this machine")
        assert len(read_cases(read_description(path))) > 50, path.name
