"""Cohorts whose tables are workbooks: the store holds what it would hold of a CSV, and what the
sheets show besides is said.
"""

import numpy as np
import pandas as pd
import pytest
from table_builders import ingest, write_cohort
from workbook_builders import KEYS, labs, ods, ods_table, xlsx

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.cases import find_cases
from mmdiag.cohort.presence import meet
from mmdiag.cohort.scaffold import describe_folder
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError

CASES = [f"{number:04d}" for number in range(1, 25)]


def test_a_cohort_is_the_same_as_csv_workbooks_and_parquet(tmp_path):
    rows = labs(("a", "b", "c"), CASES)
    rows[2][1], rows[3][3] = None, -1.25
    frame = pd.DataFrame(rows[1:], columns=rows[0])
    frame.to_csv(tmp_path / "csv.csv", index=False)
    frame.to_parquet(tmp_path / "parquet.parquet")

    def hide(book):
        book.active.row_dimensions[9].hidden = True

    xlsx(tmp_path / "xlsx.xlsx", rows, hide)
    ods(tmp_path / "ods.ods", ods_table(rows))
    case_rows = [["case_id", "label"], *[[key, int(key) % 2] for key in CASES], ["Total", 12]]
    xlsx(tmp_path / "cases.xlsx", case_rows, lambda b: b.create_sheet("about").append(["x"]))
    forms = {"csv": "csv.csv", "parquet": "parquet.parquet", "xlsx": "xlsx.xlsx", "ods": "ods.ods"}
    (tmp_path / "cohort.toml").write_text(
        '[cohort]\nname = "forms"\n[cases]\ntable = "cases.xlsx"\nsheet = "labs"\n'
        'case_id = "case_id"\n[task]\nkind = "binary"\nlabel = "label"\npositive = "1"\n'
        + "".join(
            f'[modalities.{name}]\nkind = "table"\npath = "{path}"\nkey = "case_id"\n'
            for name, path in forms.items()
        )
    )
    answer, view = ingest(tmp_path / "cohort.toml", tmp_path / "w")
    assert answer["cases"]["accepted"] == answer["cases"]["labelled"] == 24
    tables = {name: view.table(name) for name in forms}
    for table in tables.values():
        pd.testing.assert_frame_equal(table, tables["csv"])
    assert np.isnan(tables["xlsx"].loc["0002", "a"]) and tables["xlsx"].loc["0003", "c"] == -1.25
    said = " ".join(answer["cohort"]["said"])
    assert "line 26 of the sheet: no row of a case" in said and "not read: 'about'" in said
    assert answer["modalities"]["xlsx"]["said"] == ["rows that are hidden, and read: 1"]


def met(description):
    cases = read_cases(description)
    return meet(description, cases, find_cases(description, cases))


def with_labs(folder, rows, keys, name="labs.xlsx", section=""):
    write_cohort(folder, "", section, name=name, keys=keys)
    xlsx(folder / name, rows)
    return read_description(folder / "cohort.toml")


def test_keys_that_lost_their_zeros_are_refused_though_some_cases_are_met(tmp_path):
    keys = ["0007", "0008", "1000", "1001"]
    rows = [["case_id", "a"], *[[int(key), 1.5] for key in keys]]
    with pytest.raises(DescriptionError, match=r"of labs.xlsx are numbers and have lost them: 2"):
        met(with_labs(tmp_path / "a", rows, keys))
    as_text = [["case_id", "a"], *[[key.lstrip("0"), 1.5] for key in keys]]
    assert met(with_labs(tmp_path / "b", as_text, keys))["labs"].apart == 2
    assert met(with_labs(tmp_path / "c", rows, ["7", "8", "1000", "1001"]))["labs"].present == 4


def test_a_case_table_that_lost_its_zeros_is_refused_too(tmp_path):
    write_cohort(tmp_path, "case_id,a\n0007,1\n1000,2\n", keys=["7", "1000"])
    xlsx(tmp_path / "cases.xlsx", [["case_id"], [7], [1000]])
    toml = tmp_path / "cohort.toml"
    toml.write_text(toml.read_text().replace("cases.csv", "cases.xlsx"))
    with pytest.raises(DescriptionError, match=r"of cases.xlsx are numbers and have lost them: 1"):
        met(read_description(toml))


def test_a_sheet_is_named_of_workbooks_alone(tmp_path):
    toml = write_cohort(tmp_path, "case_id,a\nx,1\n", 'sheet = "labs"')
    with pytest.raises(DescriptionError, match="names a sheet of a workbook"):
        read_description(toml)


def test_what_is_wrong_with_a_sheet_is_wrong_use_with_its_cure(tmp_path):
    description = with_labs(tmp_path, labs(), KEYS, section='sheet = "blood"')
    cure = r"labs.xlsx has no sheet 'blood', it has 'labs': write sheet"
    with pytest.raises(DescriptionError, match=cure):
        met(description)


def test_init_describes_the_sheets_of_a_book_and_word_notes_so_that_they_are_met(tmp_path):
    folder = tmp_path / "data"
    (folder / "notes").mkdir(parents=True)

    def more(book):
        book.create_sheet("patients")
        for row in [["patient_id", "label"], *[[key, int(key) % 2] for key in CASES]]:
            book["patients"].append(row)

    rows = labs(("hb", "wbc"), CASES)
    rows[0][0] = "patient_id"
    xlsx(folder / "study.xlsx", [["Laboratory", None, None], *rows], more)
    ods(
        folder / "kidney.ods",
        ods_table([["patient_id", "egfr"], *[[k, int(k) * 2.5] for k in CASES]]),
    )
    for key in CASES:
        (folder / "notes" / f"{key}.docx").write_bytes(b"PK")
    toml = tmp_path / "cohort.toml"
    toml.write_text(describe_folder(folder, "data"))
    description = read_description(toml)
    assert (description.table.name, description.sheet) == ("study.xlsx", "patients")
    assert description.task.label == "label"
    found = {
        name: (m.kind, m.path, m.options.get("sheet")) for name, m in description.modalities.items()
    }
    assert found == {
        "notes": ("text", "notes/{patient_id}.docx", None),
        "kidney": ("table", "kidney.ods", None),
        "labs": ("table", "study.xlsx", "labs"),
    }
    assert {one.present for one in met(description).values()} == {24}
