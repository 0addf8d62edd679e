"""`init` describes a folder well enough that what it writes can be ingested."""

import gzip

import pytest

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.cases import find_cases
from mmdiag.cohort.scaffold import describe_folder
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError
from mmdiag.phantom import write_phantom
from mmdiag.readers.tables.cohort_tables import is_named


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
        path.parent.mkdir(parents=True, exist_ok=True)
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


KEYS = [f"scan{i:02d}" for i in range(40)]


def rows_of(columns):
    """A CSV of columns: name -> a function of the number of the row."""
    head = ",".join(["case_id", *columns])
    body = (",".join([key, *(str(f(i)) for f in columns.values())]) for i, key in enumerate(KEYS))
    return "\n".join([head, *body]) + "\n"


SCORES = {"score": lambda i: 20 + i * 7 % 9, "age": lambda i: 50 + i * 11 % 30}
LABELS = {
    "patient_id": lambda i: f"p{i // 2:02d}",
    "label_disease": lambda i: i % 2,
    "os_days": lambda i: 100 + 37 * i % 41,
    "sex": lambda i: "MF"[i % 2],
}


def test_the_case_table_is_the_one_with_labels_persons_and_keys_of_files(tmp_path):
    folder = make_folder(
        tmp_path,
        {
            "a_scores.csv": rows_of(SCORES),
            "listing.csv": rows_of(LABELS),
            **{f"notes/{key}.txt": "x" for key in KEYS},
        },
    )
    found = described(folder)
    assert found.table.name == "listing.csv" and found.subject_id == "patient_id"
    assert (found.task.kind, found.task.label, found.task.positive) == (
        "binary",
        "label_disease",
        "1",
    )
    assert set(found.modalities) == {"notes", "a_scores"}


def test_columns_that_tell_the_outcome_are_left_out_by_name_and_by_value(tmp_path):
    clinical = SCORES | {
        "OS.time": lambda i: i,
        "PFI": lambda i: i % 2,
        "daysToLastFollowup": lambda i: i,
        "vital_status": lambda i: i % 2,
        "coded": lambda i: 7 - i % 2,
        "scaled": lambda i: 3 * (100 + 37 * i % 41) + i % 2,
        "mostly": lambda i: i % 2 if i != 4 else 1,
        "[Unnamed: 0]": lambda i: i,
        "radiation[1]": lambda i: i,
        "eventual_score": lambda i: i * 7 % 5,
    }
    folder = make_folder(
        tmp_path, {"cases.csv": rows_of(LABELS), "clinical.csv": rows_of(clinical)}
    )
    text = describe_folder(folder)
    modality = described(folder).modalities["clinical"]
    kept = [name for name in clinical if not is_named(name, modality.exclude)]
    assert kept == ["score", "age"]
    assert "OS.time, PFI, daysToLastFollowup" in text and "named like an outcome" in text
    assert "coded, mostly: its values tell label_disease" in text
    assert "scaled: its values tell os_days" in text


def test_of_raw_and_masked_notes_the_masked_ones_are_taken(tmp_path):
    files = {f"{place}/{key}.txt": "x" for key in KEYS for place in ("notes", "notes_masked")}
    folder = make_folder(tmp_path, {"cases.csv": rows_of(LABELS), **files})
    text = describe_folder(folder)
    assert [m.path for m in described(folder).modalities.values()] == ["notes_masked/{case_id}.txt"]
    assert "# notes/{case_id}.txt is left out: these are the same notes, masked" in text


@pytest.mark.parametrize(
    ("columns", "kind", "keys"),
    [
        ({"label": lambda i: "abc"[i % 3]}, "multiclass", {"label": "label"}),
        (
            {"diagnosis": lambda i: ["benign", "malignant", "unknown"][i % 3]},
            "binary",
            {"positive": "malignant", "unknown": ("unknown",)},
        ),
        ({"label": lambda i: ["No", "Yes", "yes "][i % 3]}, "binary", {"positive": "Yes"}),
        (
            {"age": lambda i: 40 + i, "months": lambda i: i, "death": lambda i: i % 2}
            | {"survival_months": lambda i: 3 + i, "censorship": lambda i: 1 - i % 2},
            "survival",
            {"time": "survival_months", "event": "death"},
        ),
        (
            {
                "outcome": lambda i: "abc"[i % 2] if i else "c",
                "dead": lambda i: i % 2,
                "days_survived": lambda i: 9 + i,
            },
            "survival",
            {"time": "days_survived", "event": "dead"},
        ),
        ({"sex": lambda i: "MF"[i % 2], "has_note": lambda i: i % 2}, "binary", {"label": None}),
    ],
)
def test_the_task_is_what_the_columns_can_answer(tmp_path, columns, kind, keys):
    files = {f"notes/{key}.txt": "x" for key in KEYS}
    task = described(make_folder(tmp_path, {"cases.csv": rows_of(columns), **files})).task
    assert task.kind == kind and {name: getattr(task, name) for name in keys} == keys


def test_a_date_that_is_no_examination_is_not_the_moment_of_prediction(tmp_path):
    dates = {
        "birth_date": lambda i: f"1950-01-{i % 28 + 1:02d}",
        "scan_date": lambda _: "2020-01-01",
    }
    files = {f"notes/{key}.txt": "x" for key in KEYS}
    folder = make_folder(tmp_path, {"cases.csv": rows_of(LABELS | dates), **files})
    assert described(folder).as_of == "scan_date"


def test_tables_of_different_cases_and_one_form_are_one_modality(tmp_path):
    whole = rows_of(SCORES).splitlines()
    parts = {
        "labs_north.csv": whole[:12],
        "labs_south.csv": [whole[0], *whole[12:25]],
        "labs_west.csv": [whole[0], *whole[25:]],
    }
    tables = {name: "\n".join(lines) + "\n" for name, lines in parts.items()}
    folder = make_folder(tmp_path, {"cases.csv": rows_of(LABELS), **tables})
    (modality,) = described(folder).modalities.values()
    assert modality.path == "labs_*.csv" and modality.key == "case_id"


def test_row_numbers_are_no_keys_of_another_table(tmp_path):
    numbers = "pid,x\n" + "".join(f"{i},{i * 7 % 5}.5\n" for i in range(30))
    folder = make_folder(
        tmp_path,
        {
            "cohort.csv": "pid,label,y\n" + "".join(f"{i},{i % 2},{i}.5\n" for i in range(40)),
            "other.csv": numbers,
        },
    )
    text = describe_folder(folder)
    assert "# other.csv is left out: its keys are row numbers" in text
    (modality,) = described(folder).modalities.values()
    assert modality.path == "cohort.csv" and "label" in modality.exclude


def test_folders_of_cases_hold_files_of_several_kinds(tmp_path):
    files = {f"{key}/{key}_flair.nii.gz": "" for key in KEYS}
    files |= {f"{key}/report.txt": "x" for key in KEYS} | {f"{KEYS[0]}/extra.txt": "x"}
    files |= {f"{key}/.DS_Store": "" for key in KEYS}
    folder = make_folder(tmp_path, {"cases.csv": rows_of(LABELS), **files})
    assert {name: (m.kind, m.path) for name, m in described(folder).modalities.items()} == {
        "flair": ("image", "{case_id}/{case_id}_flair.nii.gz"),
        "report": ("text", "{case_id}/report.txt"),
    }


def test_a_table_that_cannot_be_read_as_described_is_left_out_with_the_reason(tmp_path):
    alike = "case_id,x\n" + "".join(f"{key},1\n{key.upper()},2\n" for key in KEYS)
    folder = make_folder(
        tmp_path,
        {"cases.csv": rows_of(LABELS), "labs.csv": alike, **{f"n/{k}.txt": "x" for k in KEYS}},
    )
    assert "# labs.csv is left out: " in describe_folder(folder)
    assert set(described(folder).modalities) == {"n"}
