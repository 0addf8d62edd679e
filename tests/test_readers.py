"""Readers: physical order, rescale and inversion are right, and what is wrong gets its reason code."""

import shutil

import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, RLELossless, generate_uid

from mmdiag.errors import DescriptionError, ReadError
from mmdiag.readers.dicom import read_series
from mmdiag.readers.notes import read_note
from mmdiag.readers.pictures import read_nifti, read_picture, to_stored
from mmdiag.readers.tables import read_numbers

SERIES = generate_uid(entropy_srcs=["series"])


def make_slice(number: int, *, value: int | None = None, **changes) -> Dataset:
    """One 8 x 10 slice at z = 3 * number, whose pixels are all `value`."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, generate_uid(entropy_srcs=[str(number)])
    dataset.SeriesInstanceUID, dataset.SeriesDescription, dataset.Modality, dataset.PatientID = SERIES, "FLAIR", "MR", "p1"
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 3 * number]
    dataset.PixelSpacing, dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = [0.5, 0.7], 8, 10, 1
    dataset.PhotometricInterpretation, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = (
        "MONOCHROME2",
        16,
        12,
        11,
        0,
    )
    dataset.PixelData = np.full((8, 10), number * 10 if value is None else value, np.uint16).tobytes()
    for keyword, change in changes.items():
        setattr(dataset, keyword, change)
    return dataset


def write(folder, slices):
    folder.mkdir(exist_ok=True)
    for number, dataset in enumerate(slices):
        dataset.save_as(folder / f"{97 * number % 11:02d}.dcm", enforce_file_format=True)
    return sorted(folder.iterdir())


def test_slices_come_in_the_order_of_their_positions_whatever_the_files_are_called(tmp_path):
    series = read_series(write(tmp_path / "s", [make_slice(n) for n in (4, 0, 2, 1, 3)]), {})
    assert series.volume[:, 0, 0].tolist() == [0, 10, 20, 30, 40]
    assert series.gap_mm == 3 and series.spacing_mm == (0.5, 0.7) and series.files == 5


def test_only_the_series_that_is_selected_is_read(tmp_path):
    other = make_slice(7, SeriesDescription="T1 POST", SeriesInstanceUID=generate_uid(entropy_srcs=["t1"]))
    files = write(tmp_path / "s", [make_slice(0), make_slice(1), other])
    assert read_series(files, {"SeriesDescription": "flair"}).files == 2
    assert read_series(files, {"SeriesDescription": "T1*"}).files == 1
    assert read_series(files, {"SeriesDescription": "DWI"}) is None
    with pytest.raises(ReadError, match="several_series"):
        read_series(files, {})


def test_rescale_is_applied_and_monochrome1_is_inverted(tmp_path):
    ct = make_slice(0, value=1000, Modality="CT", RescaleSlope="2", RescaleIntercept="-1024")
    assert read_series(write(tmp_path / "ct", [ct]), {}).volume.max() == 976
    pixels = np.zeros((8, 10), np.uint16)
    pixels[0, 0] = 100
    inverted = make_slice(0, PhotometricInterpretation="MONOCHROME1", PixelData=pixels.tobytes())
    volume = read_series(write(tmp_path / "m1", [inverted]), {}).volume
    assert volume[0, 0, 0] == 0 and volume[0, 1, 1] == 100


def test_a_compressed_series_reads_like_the_plain_one(tmp_path):
    plain, packed = [make_slice(n) for n in range(3)], [make_slice(n) for n in range(3)]
    for dataset in packed:
        dataset.compress(RLELossless, generate_instance_uid=False)
    assert np.array_equal(read_series(write(tmp_path / "a", plain), {}).volume, read_series(write(tmp_path / "b", packed), {}).volume)


def broken(name):
    slices = [make_slice(n) for n in range(3)]
    if name == "missing_rescale":
        slices[1] = make_slice(1, Modality="CT")
    elif name == "unknown_photometric":
        slices[1].PhotometricInterpretation = "ARGB"
    elif name == "missing_geometry":
        del slices[1].ImagePositionPatient
    elif name == "mixed_geometry":
        slices[1].ImageOrientationPatient = [0, 1, 0, 0, 0, 1]
    elif name == "duplicate_slice":
        slices[1].ImagePositionPatient = [0, 0, 6]
    elif name == "patient_mismatch":
        slices[1].PatientID = "p2"
    elif name == "truncated":
        slices[1].PixelData = slices[1].PixelData[:-40]
    return slices


@pytest.mark.parametrize(
    "code",
    ["missing_rescale", "unknown_photometric", "missing_geometry", "mixed_geometry", "duplicate_slice", "patient_mismatch", "truncated"],
)
def test_what_is_wrong_with_a_series_gets_its_code(tmp_path, code):
    with pytest.raises(ReadError) as refusal:
        read_series(write(tmp_path / "s", broken(code)), {})
    assert refusal.value.code == code and "p2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "code"), [(b"<html></html>", "not_dicom"), (b"", "not_dicom"), (b"\0" * 128 + b"DICM" + b"\x02\x00\x10", "truncated")]
)
def test_what_is_no_dicom_file_is_said(tmp_path, content, code):
    files = write(tmp_path / "s", [make_slice(0)])
    files[0].write_bytes(content)
    with pytest.raises(ReadError) as refusal:
        read_series(files, {})
    assert refusal.value.code in (code, "unreadable")


def test_a_compressed_file_that_was_cut_short_is_truncated(tmp_path):
    dataset = make_slice(0)
    dataset.compress(RLELossless, generate_instance_uid=False)
    file = write(tmp_path / "s", [dataset])[0]
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(ReadError, match="truncated"):
        read_series([file], {})


def test_pictures_of_every_mode_become_grey(tmp_path):
    from PIL import Image

    rgb = np.zeros((20, 30, 3), np.uint8)
    rgb[..., 1] = 100
    for mode, expected in (("RGB", 58.7), ("L", 58.7), ("RGBA", 58.7), ("P", 58.7)):
        Image.fromarray(rgb).convert(mode).save(tmp_path / f"{mode}.png")
        assert abs(read_picture(tmp_path / f"{mode}.png").mean() - expected) < 2, mode
    Image.fromarray(np.full((20, 30), 40_000, np.uint16)).save(tmp_path / "deep.png")
    assert read_picture(tmp_path / "deep.png").max() == 40_000
    (tmp_path / "torn.png").write_bytes((tmp_path / "RGB.png").read_bytes()[:40])
    with pytest.raises(ReadError, match="unreadable"):
        read_picture(tmp_path / "torn.png")


def test_nifti_slices_are_the_last_axis(tmp_path):
    import nibabel

    values = np.zeros((4, 5, 6), np.float32)
    values[1, 2, 3] = 9
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "v.nii.gz")
    volume = read_nifti(tmp_path / "v.nii.gz")
    assert volume.shape == (6, 5, 4) and volume[3].max() == 9 and volume.max(axis=(1, 2)).argmax() == 3


def test_what_is_stored_keeps_the_aspect_the_order_and_the_window():
    volume = np.arange(10, dtype=np.float32)[:, None, None] * np.ones((10, 40, 80), np.float32)
    stored = to_stored(volume, 32, 5, hounsfield=False)
    assert stored.stack.shape == (5, 32, 32) and (stored.stack[-1][:7] == 0).all(), "padded above and below"
    assert (np.diff(stored.stack[:, 16, 16].astype(int)) > 0).all()
    hounsfield = to_stored(np.full((1, 8, 8), 0, np.float32), 8, 1, hounsfield=True)
    assert hounsfield.stack[0, 0, 0] == 128 and (hounsfield.low, hounsfield.high) == (-1000, 1000)


NOTES = {
    b"Caf\xc3\xa9": "Café",
    b"Caf\xe9": "Café",
    b"\xef\xbb\xbfx": "x",
    "Café".encode("utf-16"): "Café",
    b"a\r\nb": "a\nb",
    b" \n\t ": None,
    b"": None,
}


@pytest.mark.parametrize("content", NOTES)
def test_notes_are_decoded_and_blank_ones_are_absent(tmp_path, content):
    (tmp_path / "n.txt").write_bytes(content)
    assert read_note(tmp_path / "n.txt") == NOTES[content]


@pytest.mark.parametrize("content", [b"a\x00b", b"a\x07b", b"\x81\x8d\x8f"])
def test_what_is_no_note_is_refused(tmp_path, content):
    (tmp_path / "n.txt").write_bytes(content)
    with pytest.raises(ReadError, match="not_text"):
        read_note(tmp_path / "n.txt")


def write_table(path, text):
    path.write_text(text)
    return path


def test_numbers_are_read_by_key_and_what_is_missing_stays_missing(tmp_path):
    table = read_numbers([write_table(tmp_path / "t.csv", "id,A_x,B_x,name\n001,1.5,NA,q\n002,,2e3,r\n")], "id", ["*_x"], [], "refuse")
    assert list(table.values.columns) == ["A_x", "B_x"] and table.values.index.tolist() == ["001", "002"]
    assert table.values.loc["001", "A_x"] == 1.5 and np.isnan(table.values.loc["001", "B_x"]) and not table.refused


def test_without_named_columns_every_numeric_one_is_taken(tmp_path):
    table = read_numbers([write_table(tmp_path / "t.csv", "id,A,B,name\n1,1,2,q\n2,3,4,r\n")], "id", [], ["B"], "refuse")
    assert list(table.values.columns) == ["A"]


@pytest.mark.parametrize("cell", ["error", "inf", "1,5"])
def test_a_cell_that_is_no_number_refuses_its_row_alone(tmp_path, cell):
    table = read_numbers([write_table(tmp_path / "t.csv", f'id,A,B\n1,"{cell}",2\n2,3,4\n')], "id", ["A", "B"], [], "refuse")
    assert {case: code for case, (code, _) in table.refused.items()} == {"1": "table_value"} and cell not in str(table.refused)


@pytest.mark.parametrize(("rows", "value"), [("first", 1.0), ("mean", 2.0)])
def test_several_rows_of_a_case_follow_the_rule_that_was_stated(tmp_path, rows, value):
    file = write_table(tmp_path / "t.csv", "id,A\n1,1\n1,3\n2,5\n")
    assert read_numbers([file], "id", ["A"], [], rows).values.loc["1", "A"] == value
    assert read_numbers([file], "id", ["A"], [], "refuse").refused["1"][0] == "duplicate_row"


def test_tables_of_several_files_are_united(tmp_path):
    files = [write_table(tmp_path / "a.csv", "id,A\n1,1\n"), write_table(tmp_path / "b.csv", "id,A,B\n2,2,3\n")]
    values = read_numbers(files, "id", ["A", "B"], [], "refuse").values
    assert values.loc["2", "B"] == 3 and np.isnan(values.loc["1", "B"])


def test_a_ragged_table_and_a_missing_key_are_refused(tmp_path):
    with pytest.raises(DescriptionError, match=r"regular CSV"):
        read_numbers([write_table(tmp_path / "t.csv", "id,A\n1,2\n1,2,3,4\n")], "id", [], [], "refuse")
    with pytest.raises(DescriptionError, match=r"'key' is in none of t.csv"):
        read_numbers([write_table(tmp_path / "t.csv", "id,A\n1,2\n")], "key", [], [], "refuse")


def test_the_phantoms_faults_are_found_by_inspection(tmp_path):
    from mmdiag.inspection import inspect
    from mmdiag.phantom import write_phantom

    write_phantom(tmp_path, cases=20, seed=1, broken=8)
    faults = pd.read_parquet(tmp_path / "truth" / "cases.parquet").set_index("case_id")["fault"]
    shutil.rmtree(tmp_path / "truth")
    found = {(path := verdict["path"]): verdict for verdict in inspect([tmp_path / "dicom", tmp_path / "notes"])}
    refused = {verdict["code"] for verdict in found.values() if verdict["code"]}
    assert {"truncated", "undecodable_pixels", "not_dicom", "not_text"} <= refused and path
    sound = [case for case, fault in faults.items() if not fault]
    assert not [path for path, verdict in found.items() if verdict["code"] and any(case in path for case in sound)]


def test_headers_of_the_phantom_are_valid_and_name_nobody(tmp_path):
    from mmdiag.phantom import write_phantom

    write_phantom(tmp_path, cases=10, seed=2)
    for file in (tmp_path / "dicom").rglob("*.dcm"):
        dataset = pydicom.dcmread(file)
        assert dataset.pixel_array.shape == (64, 64) and str(dataset.PatientName) == dataset.PatientID and dataset.SOPInstanceUID.is_valid
