"""De-identification of one image: only what is listed survives, and pseudonyms and intervals hold
together.
"""

import io
from datetime import date

import numpy as np
import pydicom
import pytest
from deidentify_builders import KEY, PERSON, as_header, clean, forms, make_image, to_bytes
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EncapsulatedPDFStorage,
    MRImageStorage,
)

from mmdiag.deidentify.dicom import rebuild
from mmdiag.deidentify.header import identifiers_of
from mmdiag.errors import ReadError
from mmdiag.privacy.dicom_attributes import ALLOWED, PATIENT_ATTRIBUTES
from mmdiag.privacy.pseudonyms import pseudonym
from mmdiag.reasons import REASONS


def test_no_planted_identifier_is_left_in_any_byte():
    _, report, content = clean(make_image())
    for secret in [
        *PERSON.values(),
        *PERSON["family"].split("-"),
        PERSON["record"][3:],
        "Kowalski",
        "20240229",
        "101530",
    ]:
        assert not [form for form in forms(secret) if form in content], secret
    assert report.dropped > 5 and report.uids == 4 and report.dates == 2 and report.words > 0
    assert str(MRImageStorage).encode() in content


def test_what_is_not_listed_is_not_in_the_new_file():
    added = {
        "PatientReligiousPreference": "x",
        "OverlayComments": "x",
        "EncapsulatedDocument": b"%PDF",
        "Occupation": "x",
    }
    old = make_image(
        **{keyword: value for keyword, value in added.items() if keyword != "OverlayComments"}
    )
    old.add_new(0x6000_4000, "LT", "x")
    old.IconImageSequence, old.ContentSequence = Sequence([Dataset()]), Sequence([Dataset()])
    new, _, _ = clean(old)
    written_by_us = {
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "AccessionNumber",
        "StudyID",
        "ReferringPhysicianName",
        "PixelData",
        "PatientIdentityRemoved",
        "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
        "LongitudinalTemporalInformationModified",
    }
    assert {element.keyword for element in new} <= set(ALLOWED) | written_by_us
    assert all(
        not new.get(keyword)
        for keyword in PATIENT_ATTRIBUTES
        if keyword not in ("PatientName", "PatientID")
    )


def test_the_image_reads_back_as_it_was_and_says_what_was_done():
    old = make_image(3)
    new, report, content = clean(old)
    assert (
        np.array_equal(new.pixel_array, old.pixel_array)
        and new.ImagePositionPatient == [0, 0, 9]
        and new.PixelSpacing == [0.5, 0.7]
    )
    assert (
        content[:128] == b"\0" * 128
        and new.file_meta.MediaStorageSOPInstanceUID == new.SOPInstanceUID == report.instance
    )
    assert (
        new.PatientIdentityRemoved == "YES"
        and new.LongitudinalTemporalInformationModified == "MODIFIED"
    )
    assert [item.CodeValue for item in new.DeidentificationMethodCodeSequence] == [
        "113100",
        "113105",
        "113107",
        "113108",
    ]
    assert (
        new.PatientAge == "090Y"
        and new.PatientSex == "F"
        and "StudyTime" in new
        and not new.StudyTime
    )


def test_a_description_keeps_the_words_of_radiology_only():
    new, _, _ = clean(make_image())
    assert new.SeriesDescription == "T1 POST GD" and new.StudyDescription == "MR brain for 5 mm"
    new, _, _ = clean(
        make_image(
            SeriesDescription="t2_tse_tra_p2 Kowalski b1000",
            PatientName="Brain^Spine",
            StudyDescription="brain MR",
        )
    )
    assert new.SeriesDescription == "t2_tse_tra_p2 b1000" and new.StudyDescription == "MR"


def test_uids_and_ids_stay_together_and_intervals_are_kept():
    first, second = (
        clean(make_image(1)),
        clean(make_image(2, StudyDate="20250301", SOPClassUID=CTImageStorage, Modality="CT")),
    )
    assert (
        first[0].SeriesInstanceUID == second[0].SeriesInstanceUID
        and first[0].SOPInstanceUID != second[0].SOPInstanceUID
    )
    assert (
        first[1].subject
        == second[1].subject
        == first[0].PatientID
        == pseudonym(KEY, "patient", f" {PERSON['record']} ")
    )
    assert all(
        len(uid) <= 64 and uid.startswith("2.25.") and uid.is_valid
        for uid in (first[0].SOPInstanceUID, first[0].StudyInstanceUID)
    )

    def days(dataset, keyword):
        return date.fromisoformat(dataset[keyword].value)

    assert (days(second[0], "StudyDate") - days(first[0], "StudyDate")).days == 366
    assert (days(first[0], "SeriesDate") - days(first[0], "StudyDate")).days == 2
    assert 30 <= (date(2024, 2, 29) - days(first[0], "StudyDate")).days <= 3650
    other = rebuild(to_bytes(make_image(1)), "x.dcm", bytes(32))[1]
    assert other.subject != first[1].subject and other.instance != first[1].instance


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"SOPClassUID": EncapsulatedPDFStorage}, "not_an_image"),
        ({"SOPClassUID": "1.2.3"}, "not_an_image"),
        ({"SOPInstanceUID": ""}, "unreadable"),
        ({"PixelData": b"\0" * 20}, "truncated"),
        ({"PhotometricInterpretation": "JOHN"}, "unreadable"),
    ],
)
def test_what_is_no_whole_image_is_refused(changes, code):
    old = make_image(**changes)
    if not old.SOPInstanceUID:
        old.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    with pytest.raises(ReadError) as refusal:
        clean(old)
    assert refusal.value.code == code and code in REASONS


def test_text_that_hides_in_a_number_a_date_or_another_vr_is_dropped():
    content = to_bytes(make_image(SliceThickness="5", AcquisitionDate="20240229"))
    content = content.replace(
        b"\x18\x00\x50\x00DS\x02\x005 ", b"\x18\x00\x50\x00LO\x02\x00Jo"
    ).replace(b"\x22\x00DA\x08\x0020240229", b"\x22\x00DA\x08\x00John Doe")
    new = pydicom.dcmread(io.BytesIO(rebuild(content, "x.dcm", KEY)[0]))
    assert "SliceThickness" not in new and "AcquisitionDate" not in new and "Rows" in new


def test_the_times_of_a_pet_stay_for_its_decay_and_enhanced_groups_are_cleaned_too():
    dose = Dataset()
    dose.RadionuclideTotalDose, dose.RadiopharmaceuticalStartDateTime, dose.Radiopharmaceutical = (
        3.7e8,
        "20240302091500+0100",
        PERSON["given"],
    )
    frame = Dataset()
    frame.PlanePositionSequence = Sequence([Dataset()])
    frame.PlanePositionSequence[0].ImagePositionPatient = [1, 2, 3]
    frame.FrameComments = PERSON["family"]
    old = make_image(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.128",
        Modality="PT",
        SeriesTime="101500",
        RadiopharmaceuticalInformationSequence=Sequence([dose]),
    )
    old.PerFrameFunctionalGroupsSequence = Sequence([frame])
    new, _, content = clean(old)
    item = new.RadiopharmaceuticalInformationSequence[0]
    assert (
        new.SeriesTime == "101500"
        and item.RadiopharmaceuticalStartDateTime == f"{new.SeriesDate}091500"
        and "Radiopharmaceutical" not in item
    )
    assert (
        new.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient
        == [1, 2, 3]
        and PERSON["family"].encode() not in content
    )


def test_the_identifiers_of_a_header_are_read_for_the_masking_of_notes():
    assert {
        f"{PERSON['family']}^{PERSON['given']}",
        PERSON["record"],
        PERSON["born"],
        PERSON["telephone"],
        PERSON["address"],
    } <= set(identifiers_of(as_header(make_image())))


def test_a_new_file_is_named_by_pseudonyms():
    _, report, _ = clean(make_image())
    assert report.path.parts == (report.subject, report.series, f"{report.instance}.dcm")
