"""Readers: physical order, rescale and inversion are right, and what is wrong gets its reason
code.
"""

import shutil

import numpy as np
import pandas as pd
import pydicom
import pytest

from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.imaging.raster_nifti import read_picture
from mmdiag.readers.imaging.resample import CT_WINDOW_HU, to_stored
from mmdiag.readers.tables.cohort_tables import read_numbers
from mmdiag.readers.tables.form import TableForm


def test_pictures_of_every_mode_become_grey(tmp_path):
    from PIL import Image

    rgb = np.zeros((20, 30, 3), np.uint8)
    rgb[..., 1] = 100
    for mode, expected in (("RGB", 58.7), ("L", 58.7), ("RGBA", 58.7), ("P", 58.7)):
        Image.fromarray(rgb).convert(mode).save(tmp_path / f"{mode}.png")
        assert abs(read_picture(tmp_path / f"{mode}.png").volume.mean() - expected) < 2, mode
    Image.fromarray(np.full((20, 30), 40_000, np.uint16)).save(tmp_path / "deep.png")
    assert read_picture(tmp_path / "deep.png").volume.max() == 40_000
    (tmp_path / "torn.png").write_bytes((tmp_path / "RGB.png").read_bytes()[:40])
    with pytest.raises(ReadError, match="unreadable"):
        read_picture(tmp_path / "torn.png")


def test_what_is_stored_keeps_the_aspect_the_order_and_the_window():
    volume = np.arange(10, dtype=np.float32)[:, None, None] * np.ones((10, 40, 80), np.float32)
    stored = to_stored(volume, 32, 5)
    assert stored.stack.shape == (5, 32, 32) and (stored.stack[-1][:7] == 0).all(), (
        "padded above and below"
    )
    assert (np.diff(stored.stack[:, 16, 16].astype(int)) > 0).all()
    hounsfield = to_stored(np.full((1, 8, 8), 0, np.float32), 8, 1, window=CT_WINDOW_HU)
    assert hounsfield.stack[0, 0, 0] == 128 and (hounsfield.low, hounsfield.high) == (-1000, 1000)


def write_table(path, text):
    path.write_text(text)
    return path


def test_numbers_are_read_by_key_and_what_is_missing_stays_missing(tmp_path):
    table = read_numbers(
        [write_table(tmp_path / "t.csv", "id,A_x,B_x,name\n001,1.5,NA,q\n002,,2e3,r\n")],
        "id",
        ["*_x"],
        [],
        "refuse",
    )
    assert list(table.values.columns) == ["A_x", "B_x"] and table.values.index.tolist() == [
        "001",
        "002",
    ]
    assert (
        table.values.loc["001", "A_x"] == 1.5
        and np.isnan(table.values.loc["001", "B_x"])
        and not table.refused
    )


def test_without_named_columns_every_numeric_one_is_taken(tmp_path):
    table = read_numbers(
        [write_table(tmp_path / "t.csv", "id,A,B,name\n1,1,2,q\n2,3,4,r\n")],
        "id",
        [],
        ["B"],
        "refuse",
    )
    assert list(table.values.columns) == ["A"]


@pytest.mark.parametrize("cell", ["error", "inf", "1,5"])
def test_a_cell_that_is_no_number_refuses_its_row_alone(tmp_path, cell):
    table = read_numbers(
        [write_table(tmp_path / "t.csv", f'id,A,B\n1,"{cell}",2\n2,3,4\n')],
        "id",
        ["A", "B"],
        [],
        "refuse",
    )
    assert {case: code for case, (code, _) in table.refused.items()} == {
        "1": "table_value"
    } and cell not in str(table.refused)


@pytest.mark.parametrize(("rows", "value"), [("first", 1.0), ("mean", 2.0)])
def test_several_rows_of_a_case_follow_the_rule_that_was_stated(tmp_path, rows, value):
    file = write_table(tmp_path / "t.csv", "id,A\n1,1\n1,3\n2,5\n")
    assert read_numbers([file], "id", ["A"], [], rows).values.loc["1", "A"] == value
    assert read_numbers([file], "id", ["A"], [], "refuse").refused["1"][0] == "duplicate_row"


def test_tables_of_several_files_are_united(tmp_path):
    files = [
        write_table(tmp_path / "a.csv", "id,A\n1,1\n"),
        write_table(tmp_path / "b.csv", "id,A,B\n2,2,3\n"),
    ]
    values = read_numbers(files, "id", ["A", "B"], [], "refuse").values
    assert values.loc["2", "B"] == 3 and np.isnan(values.loc["1", "B"])


@pytest.mark.parametrize("rows", ["first", "mean"])
def test_tables_with_different_columns_are_joined_by_key(tmp_path, rows):
    files = [
        write_table(tmp_path / "a.csv", "id,A,w\n1,1,x\n2,2,y\n"),
        write_table(tmp_path / "b.csv", "id,B\n1,3\n2,4\n3,5\n"),
        write_table(tmp_path / "c.csv", "id,C,v\n2,\n2,7\n1,6\n".replace(",v", "")),
    ]
    form = TableForm(categories=("w",))
    values = read_numbers(files, "id", ["A", "B", "C"], [], rows, form=form).values
    assert values.loc["1"].tolist() == [1, 3, 6, 1, 0]
    assert values.loc["2", ["A", "B", "w=x", "w=y"]].tolist() == [2, 4, 0, 1]
    assert np.isnan(values.loc["2", "C"]) if rows == "first" else values.loc["2", "C"] == 7
    assert values.loc["3", "B"] == 5 and values.loc["3"].isna().sum() == 4


def test_of_columns_that_several_tables_have_the_first_row_counts(tmp_path):
    files = [
        write_table(tmp_path / "a.csv", "id,A,B\n1,1,\n"),
        write_table(tmp_path / "b.csv", "id,C,B\n1,3,4\n2,5,6\n"),
    ]
    values = read_numbers(files, "id", ["A", "B", "C"], [], "first").values
    assert np.isnan(values.loc["1", "B"]) and values.loc["1", "C"] == 3
    assert values.loc["2", ["B", "C"]].tolist() == [6, 5]


def test_a_ragged_table_and_a_missing_key_are_refused(tmp_path):
    with pytest.raises(DescriptionError, match=r"as long as its header"):
        read_numbers(
            [write_table(tmp_path / "t.csv", "id,A\n1,2\n1,2,3,4\n")], "id", [], [], "refuse"
        )
    with pytest.raises(DescriptionError, match=r"'key' is in none of t.csv"):
        read_numbers([write_table(tmp_path / "t.csv", "id,A\n1,2\n")], "key", [], [], "refuse")


def test_the_phantoms_faults_are_found_by_inspection(tmp_path):
    from mmdiag.ingest.inspect import inspect
    from mmdiag.phantom import write_phantom

    write_phantom(tmp_path, cases=20, seed=1, broken=8)
    faults = pd.read_parquet(tmp_path / "truth" / "cases.parquet").set_index("case_id")["fault"]
    shutil.rmtree(tmp_path / "truth")
    found = {
        (path := verdict["path"]): verdict
        for verdict in inspect([tmp_path / "dicom", tmp_path / "notes"])
    }
    refused = {verdict["code"] for verdict in found.values() if verdict["code"]}
    assert {"truncated", "undecodable_pixels", "not_dicom", "not_text"} <= refused and path
    sound = [case for case, fault in faults.items() if not fault]
    assert not [
        path
        for path, verdict in found.items()
        if verdict["code"] and any(case in path for case in sound)
    ]


def test_headers_of_the_phantom_are_valid_and_name_nobody(tmp_path):
    from mmdiag.phantom import write_phantom

    write_phantom(tmp_path, cases=10, seed=2)
    for file in (tmp_path / "dicom").rglob("*.dcm"):
        dataset = pydicom.dcmread(file)
        assert (
            dataset.pixel_array.shape == (64, 64)
            and str(dataset.PatientName) == dataset.PatientID
            and dataset.SOPInstanceUID.is_valid
        )
