"""Dates of headers in every form that they are written in, and which of an image's dates count."""

from datetime import date

import pytest
from dicom_builders import make_enhanced, make_slice
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from mmdiag.readers.dicom.series import read_series
from mmdiag.readers.recorded import last_day

DAYS = st.dates(date(1900, 1, 1), date(2199, 12, 31))
CLOCKS = st.times()
ZONES = st.sampled_from(["", "Z", "+0200", "-0930", "&ZZXX"])


@given(DAYS, CLOCKS, ZONES)
def test_a_day_is_read_in_every_form_of_a_header(day, clock, zone):
    for form in (
        f"{day:%Y%m%d}",
        f"{day:%Y.%m.%d}",  # ACR-NEMA
        f" {day:%Y%m%d} ",
        f"{day:%Y%m%d}{clock:%H%M%S}.{clock:%f}{zone}",
        f"{day:%Y%m%d}{clock:%H}",
        f"{day}T{clock:%H:%M:%S}{zone}",
        f"{day:%Y:%m:%d} {clock:%H:%M:%S}",  # EXIF
        f"{day:%Y/%m/%d}",
        f"{day:%d.%m.%Y}",
    ):
        assert last_day(form) == day, form


@given(DAYS)
def test_what_is_not_precise_means_its_last_day(day):
    month_end = last_day(f"{day:%Y%m}")
    assert month_end == last_day(f"{day:%Y-%m}") == last_day(f"{day:%Y%m}99")
    assert month_end.month == day.month and (month_end >= day)
    assert last_day(f"{day:%Y}") == date(day.year, 12, 31)
    assert last_day(f"{day:%m/%d/%Y}") >= day <= last_day(f"{day:%d/%m/%Y}")


@pytest.mark.parametrize("text", ["", "00000000", "UNKNOWN", "0001-01-01", "12", "1", "20240"])
def test_a_placeholder_is_no_date(text):
    assert last_day(text) is None


def recorded(tmp_path, *datasets):
    folder = tmp_path / "s"
    folder.mkdir()
    for number, dataset in enumerate(datasets):
        dataset.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return read_series(sorted(folder.iterdir()), {}).recorded


@pytest.mark.parametrize(
    "dates",
    [
        {"StudyDate": "20240601"},
        {"SeriesDate": "20240601"},
        {"AcquisitionDate": "20240601"},
        {"ContentDate": "20240601"},
        {"AcquisitionDateTime": "20240601101500.000000+0200"},
        {"AcquisitionDateTime": "20240601"},
        {"StudyDate": "20240215", "AcquisitionDate": "20240601"},
        {"StudyDate": "20240601", "ContentDate": "20240215"},
        {"StudyDate": "20240601", "InstanceCreationDate": "20250101"},
        {"InstanceCreationDate": "20240601"},
        {"DateOfSecondaryCapture": "20240601"},
    ],
)
@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_the_latest_date_of_an_image_counts(tmp_path, dates, syntax):
    slices = [make_slice(0, **({"syntax": syntax} if syntax else {}), **dates)]
    assert recorded(tmp_path, *slices) == "2024-06-01"


def test_the_latest_date_of_all_files_counts(tmp_path):
    assert (
        recorded(
            tmp_path,
            make_slice(0, StudyDate="20240215"),
            make_slice(1, StudyDate="20240215", AcquisitionDate="20240601"),
            make_slice(2, StudyDate="20240215"),
        )
        == "2024-06-01"
    )


def test_a_study_date_in_the_form_of_acr_nema_is_read(tmp_path):
    dataset = make_slice(0, StudyDate="20240601")
    path = tmp_path / "a.dcm"
    dataset.StudyDate = None
    dataset.add_new("StudyDate", "LO", "2024.06.01")
    dataset["StudyDate"].VR = "LO"
    dataset.save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes().replace(b"\x08\x00\x20\x00LO", b"\x08\x00\x20\x00DA"))
    assert read_series([path], {}).recorded == "2024-06-01"


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_the_frames_of_an_enhanced_image_say_when_they_were_taken(tmp_path, syntax):
    dataset = make_enhanced([0.0, 3.0], slopes=[1.0, 1.0])
    if syntax:
        dataset.file_meta.TransferSyntaxUID = syntax
    dataset.StudyDate = "20240215"
    content = Dataset()
    content.FrameAcquisitionDateTime = "20240601101500.25"
    dataset.PerFrameFunctionalGroupsSequence[1].FrameContentSequence = Sequence([content])
    assert recorded(tmp_path, dataset) == "2024-06-01"


def test_an_image_without_dates_has_none(tmp_path):
    assert recorded(tmp_path, make_slice(0, StudyDate="")) == ""
