"""What is no stack of slices is refused by what it is, with what tells its parts apart; copies and
what lies beside a series cost nothing.
"""

import numpy as np
import pytest
from dicom_builders import make_enhanced, make_slice
from pydicom.uid import (
    BasicTextSRStorage,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    MRSpectroscopyStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    generate_uid,
)

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.series import check_file, read_series
from mmdiag.reasons import REASONS
from mmdiag.sandbox.requests import image

MOSAIC = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]


def save(folder, **datasets):
    folder.mkdir(exist_ok=True)
    for name, dataset in datasets.items():
        dataset.save_as(folder / f"{name}.dcm", enforce_file_format=True)
    return sorted(folder.iterdir())


def slices(count=4, start=0, **facts):
    return {
        f"s{n}": make_slice(
            n, SOPInstanceUID=generate_uid(entropy_srcs=[f"{n}", str(facts)]), **facts
        )
        for n in range(start, start + count)
    }


def with_tiles(number, **facts):
    dataset = make_slice(0, ImageType=MOSAIC, **facts)
    if number is not None:
        block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0A, "US", number)
    return dataset


@pytest.mark.parametrize(
    "dataset",
    [
        with_tiles(9),
        with_tiles(None),
        with_tiles(None, AcquisitionMatrix=[4, 0, 0, 4]),
    ],
)
def test_a_mosaic_is_no_slice(tmp_path, dataset):
    files = save(tmp_path / "s", a=dataset)
    with pytest.raises(ReadError, match="mosaic"):
        read_series(files, {})


@pytest.mark.parametrize(
    "dataset",
    [with_tiles(1), with_tiles(None, AcquisitionMatrix=[0, 10, 8, 0])],
)
def test_a_slice_that_is_only_called_a_mosaic_is_read(tmp_path, dataset):
    assert read_series(save(tmp_path / "s", a=dataset), {}).files == 1
    enhanced = make_enhanced([0, 3])
    enhanced.ImageType = MOSAIC
    assert read_series(save(tmp_path / "e", a=enhanced), {}).slices == 2


def test_a_segmentation_beside_its_series_is_left_out_and_alone_is_refused(tmp_path):
    seg = make_slice(
        9, SOPClassUID=SegmentationStorage, Modality="SEG", SeriesInstanceUID=generate_uid()
    )
    series = read_series(save(tmp_path / "s", seg=seg, **slices()), {})
    assert series.files == 4 and series.localizers == 1
    files = save(tmp_path / "only", seg=seg)
    with pytest.raises(ReadError, match="segmentation"):
        read_series(files, {})
    check_file(files[0])  # as a file it is sound
    overlapping = make_enhanced([0, 0])
    overlapping.SOPClassUID, overlapping.Modality = SegmentationStorage, "SEG"
    with pytest.raises(ReadError, match="segmentation"):
        check_file(save(tmp_path / "two", seg=overlapping)[0])


def test_a_contact_sheet_and_the_tiles_of_a_slide_are_no_slices(tmp_path):
    sheet = make_slice(0, ImageType=["DERIVED", "SECONDARY", "CONTACT SHEET"])
    with pytest.raises(ReadError, match="contact_sheet"):
        read_series(save(tmp_path / "s", a=sheet), {})
    slide = make_slice(0, SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6", Modality="SM")
    with pytest.raises(ReadError, match="tiled_slide"):
        read_series(save(tmp_path / "t", a=slide), {})


@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_a_picture_of_a_screen_is_refused_as_that_and_not_for_its_slope(tmp_path, modality):
    pixels = np.arange(80, dtype=np.uint16).tobytes()
    facts = {"SOPClassUID": SecondaryCaptureImageStorage, "Modality": modality}
    files = [str(f) for f in save(tmp_path / "s", a=make_slice(0, PixelData=pixels, **facts))]
    with pytest.raises(ReadError, match="burned_in"):
        image(files, {}, 10, 1, "auto", "refuse")
    if modality == "CT":
        stack = image(files, {}, 10, 1, "auto", "accept")[1]["stack"]
        assert np.ptp(stack) == 255, "its grey levels are no Hounsfield units"


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"EchoTime": "20"}, {"EchoTime": "80"}, "EchoTime"),
        ({}, {"EchoTime": "80"}, "EchoTime"),
        ({"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}, "TemporalPos"),
        ({"DiffusionBValue": 0.0}, {"DiffusionBValue": 1000.0}, "DiffusionBValue"),
        (
            {"ImageType": ["ORIGINAL", "PRIMARY", "M"]},
            {"ImageType": ["ORIGINAL", "PRIMARY", "P"]},
            "ImageType",
        ),
    ],
)
def test_volumes_one_after_another_are_told_apart_by_a_keyword_that_selects(
    tmp_path, first, second, said
):
    one = slices(**first)
    other = {f"t{name}": dataset for name, dataset in slices(value=7, **second).items()}
    files = save(tmp_path / "s", **one, **other)
    with pytest.raises(ReadError, match=f"several_volumes: 4 of 8 .*differ in {said}") as refused:
        read_series(files, {})
    assert "select" in REASONS[refused.value.code].cure
    keyword, value = next(iter(second.items()))
    text = "\\".join(map(str, value)) if isinstance(value, list) else f"{float(value):g}"
    select = {keyword: text if keyword == "ImageType" else f"{text}*"}
    assert read_series(files, select).slices == 4, "the cure can be followed"


def test_frames_at_one_position_are_volumes_of_one_file(tmp_path):
    with pytest.raises(ReadError, match="several_volumes: 4 frames of one file"):
        read_series(save(tmp_path / "s", a=make_enhanced([0, 3, 0, 3])), {})


def test_an_exact_copy_of_a_file_is_no_second_slice(tmp_path):
    files = save(tmp_path / "s", **slices())
    for file in files:
        file.with_name(f"copy of {file.name}").write_bytes(file.read_bytes())
    found = read_series(sorted((tmp_path / "s").iterdir()), {})
    assert found.slices == found.files == 4
    other = slices(1, value=999)["s0"]
    with pytest.raises(ReadError, match="duplicate_slice"):
        read_series(save(tmp_path / "s", other=other), {})


@pytest.mark.parametrize("voi", [False, True])
def test_an_instance_that_was_sent_again_with_another_header_is_no_second_slice(tmp_path, voi):
    window = {"WindowCenter": "15", "WindowWidth": "40"}
    for n in range(4):
        again = make_slice(n, InstitutionName="General", **window)
        again.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        files = save(tmp_path / "s", **{f"s{n}": make_slice(n, **window), f"t{n}": again})
    found = read_series(files, {}, voi=voi)
    assert len(files) == 8 and found.slices == found.files == 4
    moved = make_slice(1, ImagePositionPatient=[0, 0, 6])  # the place of another slice
    with pytest.raises(ReadError, match="duplicate_slice"):
        read_series(save(tmp_path / "s", moved=moved), {}, voi=voi)


def test_one_film_that_was_sent_again_is_one_view(tmp_path):
    films = {}
    for name in ("Clinic", "General"):
        film = films[name] = make_slice(0, Modality="DX", ViewPosition="PA", InstitutionName=name)
        del film.ImagePositionPatient, film.ImageOrientationPatient
    assert read_series(save(tmp_path / "s", **films), {}).files == 1


def test_a_projection_of_a_series_beside_its_slices_is_left_out(tmp_path):
    made = make_slice(20, ImageType=["DERIVED", "SECONDARY", "PROJECTION IMAGE", "MIP"])
    found = read_series(save(tmp_path / "s", made=made, **slices()), {})
    assert found.slices == 4 and found.localizers == 1 and found.missing_slices == 0
    alone = read_series(save(tmp_path / "s"), {"ImageType": "*MIP"})
    assert alone.slices == 1, "it can be asked for"


def test_views_of_a_projection_are_no_slices(tmp_path):
    views = {}
    for number, view in enumerate(("PA", "LL")):
        dataset = make_slice(number, Modality="DX", ViewPosition=view)
        del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
        views[view] = dataset
    files = save(tmp_path / "s", **views)
    with pytest.raises(ReadError, match="several_views: 2 images; they differ in ViewPosition"):
        read_series(files, {})
    assert read_series(files, {"ViewPosition": "PA"}).files == 1


def test_several_series_are_told_apart(tmp_path):
    other = slices(2, 8, SeriesInstanceUID=generate_uid(), SeriesDescription="T1", SeriesNumber=3)
    files = save(tmp_path / "s", **slices(), **other)
    with pytest.raises(ReadError, match="2 series match; they differ in SeriesDescription, Series"):
        read_series(files, {})


def clutter(folder):
    files = {
        "Thumbs.db": b"\xd0\xcf\x11\xe0" + bytes(300),
        "desktop.ini": b"[.ShellClassInfo]",
        "AUTORUN.INF": b"[autorun]\r\nopen=viewer.exe",
        "viewer.exe": b"MZ" + bytes(300),
        "README.TXT": b"Images of your examination.",
        "README": b"Open the viewer.",
        "LICENSE": b"MIT",
        "index.html": b"<html></html>",
        "logo.png": b"\x89PNG\r\n\x1a\n",
        "report.pdf": b"%PDF-1.4",
        "DICOMDIR": b"no directory that could be read",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return set(files)


def test_what_a_cd_holds_beside_a_series_is_left_out_and_named(tmp_path):
    save(tmp_path / "s", **slices())
    for number, file in enumerate(sorted((tmp_path / "s").iterdir())):
        file.rename(file.with_name(f"IM{number:04d}"))
    names = clutter(tmp_path / "s")
    folder = make_slice(0, SOPClassUID=MediaStorageDirectoryStorage)
    del folder.PixelData
    folder.save_as(tmp_path / "s" / "index", enforce_file_format=True)
    report = make_slice(0, SOPClassUID=BasicTextSRStorage, Modality="SR")
    del report.Rows, report.PixelData
    report.save_as(tmp_path / "s" / "SR1", enforce_file_format=True)
    spectrum = make_slice(0, SOPClassUID=MRSpectroscopyStorage)
    del spectrum.PixelData
    spectrum.save_as(tmp_path / "s" / "SPEC", enforce_file_format=True)
    found = read_series(sorted((tmp_path / "s").iterdir()), {})
    assert found.files == 4 and set(found.left_out) == names


def test_an_image_whose_name_is_that_of_a_read_me_is_an_image(tmp_path):
    files = save(tmp_path / "s", **slices())
    files[0].rename(files[0].with_name("README.TXT"))
    assert read_series(sorted((tmp_path / "s").iterdir()), {}).files == 4


@pytest.mark.parametrize("name", ["IM0003", "1.2.840.113619.4", "x.dcm", "s3.dcm.part", "x.tmp"])
@pytest.mark.parametrize("content", [b"", b"<html>504 Gateway Time-out</html>"])
def test_what_may_be_a_lost_slice_is_not_left_out(tmp_path, name, content):
    save(tmp_path / "s", **slices())
    (tmp_path / "s" / name).write_bytes(content)
    with pytest.raises(ReadError, match=f"not_dicom: {name}"):
        read_series(sorted((tmp_path / "s").iterdir()), {})


def test_a_folder_of_clutter_alone_is_refused(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "images.zip").write_bytes(b"PK\3\4" + bytes(200))
    with pytest.raises(ReadError, match=r"not_dicom: images\.zip"):
        read_series(sorted((tmp_path / "s").iterdir()), {})
