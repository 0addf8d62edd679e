"""Cases are found by their templates; a place that is misspelt is an error and never reads as 'not
acquired'.
"""

import gzip
import os
from dataclasses import replace

import pytest

from mmdiag.cohort import case_table
from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.cases import find_cases
from mmdiag.cohort.presence import meet
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError

COHORT = """
[cohort]
name = "small"
[cases]
table = "cases.csv"
case_id = "id"
[modalities.scan]
kind = "image"
path = "dicom/{id}"
[modalities.note]
kind = "text"
path = "{note}"
[modalities.genes]
kind = "table"
path = "genes_*.csv*"
key = "id"
"""


def make_cohort(
    folder,
    *,
    toml: str = COHORT,
    cases: str = "id,note\n001,notes/a.txt\n002,notes/none.txt\n003,\n",
):
    (folder / "cohort.toml").write_text(toml)
    (folder / "cases.csv").write_text(cases)
    (folder / "dicom" / "001" / "deep").mkdir(parents=True)
    for name in ("2.dcm", "1.dcm", "deep/3.dcm"):
        (folder / "dicom" / "001" / name).write_bytes(b"")
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_text("No oedema.")
    (folder / "genes_a.csv").write_text("id,G1\n001,1.5\n")
    (folder / "genes_b.csv.gz").write_bytes(gzip.compress(b"id,G2\n003,2.5\n"))
    (folder / "genes_c.csv").write_text("other,G3\n002,2.5\n")
    return read_description(folder / "cohort.toml")


def found_in(description):
    return find_cases(description, read_cases(description))


def test_each_case_has_the_sources_that_are_there(tmp_path):
    cases = found_in(make_cohort(tmp_path))
    assert [sorted(case.sources) for case in cases] == [["genes", "note", "scan"], [], ["genes"]]
    assert [file.name for file in cases[0].sources["scan"].files] == ["1.dcm", "2.dcm", "3.dcm"]
    assert cases[0].sources["note"].key is None and cases[2].sources["genes"].key == "003"
    assert [file.name for file in cases[2].sources["genes"].files] == [
        "genes_a.csv",
        "genes_b.csv.gz",
        "genes_c.csv",
    ]


def test_a_key_that_looks_like_a_glob_names_its_own_files_only(tmp_path):
    toml = COHORT.replace("{note}", "notes/{note}.txt")
    cases = found_in(make_cohort(tmp_path, toml=toml, cases="id,note\n001,*\n002,a\n003,[a]\n"))
    assert ["note" in case.sources for case in cases] == [False, True, False]


def test_a_table_that_changes_is_read_again(tmp_path):
    description = make_cohort(tmp_path)
    assert "genes" not in found_in(description)[1].sources
    (tmp_path / "genes_a.csv").write_text("id,G1\n001,1.5\n002,1\n")
    os.utime(tmp_path / "genes_a.csv", ns=(1, 1))
    assert "genes" in found_in(description)[1].sources


MISSPELT = {
    "a folder": (
        "dicom/{id}",
        "dicmo/{id}",
        r"modalities\.scan\] of cohort\.toml must be there, 'dicmo/\{id\}'",
    ),
    "a shared table": (
        "genes_*.csv*",
        "gens_*.csv*",
        r"modalities\.genes\] of cohort\.toml must be there, 'gens_",
    ),
    "a key": ('key = "id"', 'key = "idd"', r"'idd' is none of genes_\*\.csv\*: did you mean 'id'"),
}


@pytest.mark.parametrize("name", MISSPELT)
def test_what_is_misspelt_is_an_error_and_not_an_absence(tmp_path, name):
    old, new, message = MISSPELT[name]
    with pytest.raises(DescriptionError, match=message):
        found_in(make_cohort(tmp_path, toml=COHORT.replace(old, new, 1)))


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "../outside.txt", "notes/../../outside.txt", "."]
)
def test_a_cell_does_not_lead_out_of_the_root(tmp_path, path):
    with pytest.raises(DescriptionError, match=r"note of case '002' does not") as said:
        found_in(make_cohort(tmp_path, cases=f"id,note\n001,notes/a.txt\n002,{path}\n"))
    assert path == "." or path not in str(said.value), (
        "a cell of the case table is a patient's value"
    )


def test_a_link_that_leads_out_of_the_root_is_said_and_not_skipped(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "cohort").mkdir()
    description = make_cohort(tmp_path / "cohort")
    (tmp_path / "cohort" / "dicom" / "003").symlink_to(tmp_path / "outside")
    cases = found_in(description)
    assert [case.faults for case in cases[:2]] == [{}, {}]
    assert cases[2].faults == {"scan": ("outside_root", "003 is a link that leads out of it")}
    assert "scan" not in cases[2].sources


def test_a_shared_table_whose_rows_are_wider_than_its_header_is_refused(tmp_path):
    description = make_cohort(tmp_path, toml=COHORT.replace("genes_*.csv*", "genes_a.csv"))
    (tmp_path / "genes_a.csv").write_text("id,G1\nx,001,1.5\nx,002,2\n")
    with pytest.raises(
        DescriptionError, match=r"as long as its header, genes_a\.csv breaks this in line 2, 3"
    ):
        found_in(description)


def test_the_case_table_is_parsed_once_until_it_or_its_description_changes(tmp_path, monkeypatch):
    description = make_cohort(tmp_path)
    parsed, parse = [], case_table._parse
    monkeypatch.setattr(case_table, "_parse", lambda d: parsed.append(d) or parse(d))
    first = read_cases(description)
    first["case_id"] = "changed by a caller"
    assert read_cases(description)["case_id"].tolist() == ["001", "002", "003"]
    assert len(parsed) == 1
    description.table.write_text("id,note\n001,notes/a.txt\n004,\n")
    assert read_cases(description)["case_id"].tolist() == ["001", "004"]
    assert len(parsed) == 2
    assert read_cases(replace(description, site="note"))["site"].notna().any()
    assert len(parsed) == 3


ONE_NOTE = """[cohort]
name = "c"
[cases]
table = "cases.csv"
case_id = "id"
subject_id = "id"
[modalities.note]
kind = "KIND"
path = "PATH"
"""


@pytest.mark.parametrize("path", ["notes/{id}", "notes/{id}/*.txt", "{id}_visit*.csv"])
def test_of_several_files_of_one_note_or_row_none_is_chosen(tmp_path, path):
    kind = "table" if path.endswith(".csv") else "text"
    toml = ONE_NOTE.replace("KIND", kind).replace("PATH", path)
    cohort = make_cohort(tmp_path, toml=toml, cases="id\n001\n002\n")
    for case in ("001", "002"):
        for number in range(1 + (case == "001")):
            file = tmp_path / path.replace("{id}", case).replace("*", str(number))
            file = file if file.suffix else file / f"{number}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("hb\n1\n")
            file.with_name(f"{file.name}.md5").write_text("x")
    cases = found_in(cohort)
    assert [case.faults for case in cases] == [{"note": ("several_files", "2 files")}, {}]
    assert ["note" in case.sources for case in cases] == [False, True]


def test_a_file_whose_key_goes_on_is_that_of_another(tmp_path):
    toml = ONE_NOTE.replace("KIND", "text").replace("PATH", "notes/{id}*")
    cohort = make_cohort(tmp_path, toml=toml, cases="id\n1\n2\n3\n")
    for name in ("10.txt", "2_ct.txt", "3a.txt"):  # of a case that is not listed, and of two
        (tmp_path / "notes" / name).write_text("x")
    cases = found_in(cohort)
    assert [sorted(case.faults) for case in cases] == [["note"], [], []]
    assert cases[0].faults["note"][0] == "key_goes_on"
    assert ["note" in case.sources for case in cases] == [False, True, True]


def test_files_under_another_spelling_of_a_key_are_told(tmp_path):
    toml = ONE_NOTE.replace("KIND", "text").replace("PATH", "notes/{id}.txt")
    cohort = make_cohort(tmp_path, toml=toml, cases="id\nP1\nP2\nM\u00fcller\nP4\n")
    for name in ("P1.txt", "p2.TXT", "Mu\u0308ller.txt"):
        (tmp_path / "notes" / name).write_text("x")
    table = read_cases(cohort)
    met = meet(cohort, table, find_cases(cohort, table))["note"]
    assert (met.present, met.apart) == (1, 2) and met.cause
