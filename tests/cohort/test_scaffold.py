"""`init` describes a folder well enough that what it writes can be ingested."""

import gzip

import pytest

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.cases import find_cases
from mmdiag.cohort.scaffold import describe_folder
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError
from mmdiag.phantom import write_phantom


def test_what_init_writes_of_a_phantom_describes_it(tmp_path):
    write_phantom(tmp_path / "data", cases=12, seed=1)
    (tmp_path / "mine.toml").write_text(describe_folder(tmp_path / "data", "data"))
    description = read_description(tmp_path / "mine.toml")
    assert {
        (m.kind, m.select.get("SeriesDescription")) for m in description.modalities.values()
    } == {
        ("image", "FLAIR"),
        ("image", "T1 POST GD"),
        ("image", "LOCALIZER"),
        ("text", None),
        ("table", None),
    }
    assert (description.case_id, description.subject_id, description.as_of, description.site) == (
        "case_id",
        "subject_id",
        "study_date",
        "site",
    )
    assert description.task.label == "label"
    assert all(len(case.sources) == 5 for case in find_cases(description, read_cases(description)))


def test_a_folder_without_a_table_is_said(tmp_path):
    with pytest.raises(DescriptionError, match="table with a row a case"):
        describe_folder(tmp_path)


def described(folder):
    """What init writes of a folder, read as a description."""
    (folder.parent / "written.toml").write_text(describe_folder(folder, folder.name))
    return read_description(folder.parent / "written.toml")


def make_folder(tmp_path, tables):
    folder = tmp_path / "data"
    folder.mkdir()
    for name, text in tables.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return folder


def test_where_no_column_is_unique_two_make_the_key_and_columns_of_paths_are_found(tmp_path):
    rows = "patient,file,image_path,label\np1,a,scans/1.png,x\np1,b,scans/2.png,y\np2,a,scans/1.png,x\np2,b,scans/2.png,y\n"
    folder = make_folder(tmp_path, {"cases.csv": rows, "scans/1.png": "", "scans/2.png": ""})
    description = described(folder)
    assert description.case_id == "{patient}-{file}" and description.subject_id == "patient"
    assert {name: (m.kind, m.path) for name, m in description.modalities.items()} == {
        "image_path": ("image", "{image_path}")
    }
    assert len(find_cases(description, read_cases(description))) == 4


def test_tables_of_notes_and_of_numbers_are_told_apart_and_several_rows_are_said(tmp_path):
    long = "No oedema. " * 40
    folder = make_folder(
        tmp_path,
        {
            "cases.csv": "patient_id,outcome\np1,0\np2,1\np3,1\n",
            "reports.csv.gz": f"patient_id,text\np1,{long}\np2,{long}\n",
            "genes.csv": "pid,G1\np1,1.5\np1,2.5\np2,3.5\n",
            "broken.csv": "a,b\n1,2\n1,2,3\n",
        },
    )
    found = described(folder).modalities
    assert (found["reports"].kind, found["reports"].key, found["reports"].column) == (
        "text",
        "patient_id",
        "text",
    )
    assert (found["genes"].kind, found["genes"].key, found["genes"].rows) == (
        "table",
        "pid",
        "first",
    ) and len(found) == 2


def test_two_folders_of_one_name_are_two_modalities(tmp_path):
    folder = make_folder(tmp_path, {"cases.csv": "id,y\np1,0\np2,1\n"})
    for place in ("a/notes", "b/notes"):
        (folder / place).mkdir(parents=True)
        (folder / place / "p1.txt").write_text("x")
    assert {name: m.path for name, m in described(folder).modalities.items()} == {
        "notes": "a/notes/{id}.txt",
        "notes_2": "b/notes/{id}.txt",
    }


def test_a_long_text_in_the_case_table_is_neither_a_path_nor_in_an_error(tmp_path):
    folder = make_folder(
        tmp_path,
        {"cases.csv": f"id,story\np1,{'long ' * 200}see a.txt\np2,{'text ' * 200}see b.txt\n"},
    )
    assert "long long" not in describe_folder(folder)


def test_a_folder_of_recordings_is_a_signal(tmp_path):
    folder = make_folder(
        tmp_path, {"cases.csv": "id,label\np1,x\np2,y\n", "heart/p1.wav": "", "heart/p2.wav": ""}
    )
    assert {name: (m.kind, m.path) for name, m in described(folder).modalities.items()} == {
        "heart": ("signal", "heart/{id}.wav")
    }
