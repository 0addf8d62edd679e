"""De-identification: only what is listed survives, pseudonyms and intervals hold together, pixels
stay, and what may show a name is refused.
"""

import base64
import io
import json
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    MRImageStorage,
    RLELossless,
    UltrasoundImageStorage,
    generate_uid,
)
from repository import SHARED

from mmdiag.deidentify.dicom import deidentify_file, identifiers_of, rebuild
from mmdiag.deidentify.folder import deidentify_folder
from mmdiag.deidentify.pixels import without_comments
from mmdiag.errors import ReadError, UsageError
from mmdiag.phantom.identifiers import header_of, make_person, sentence_of
from mmdiag.privacy.dicom_attributes import ALLOWED, PATIENT_ATTRIBUTES
from mmdiag.privacy.pseudonyms import pseudonym, pseudonymous_uid, read_key, shift_date
from mmdiag.reasons import REASONS

KEY = bytes(range(32))
HOSTILE = SHARED / "data/torture/dicom_hostile"
PERSON = make_person(7, np.random.default_rng(7))


def make_image(number: int = 0, syntax: str = ExplicitVRLittleEndian, **changes) -> Dataset:
    """A slice of 8 x 10 pixels of a person whose identifiers stand in standard, nested and private
    attributes.
    """
    dataset = header_of(PERSON)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.Modality, dataset.PatientID = (
        MRImageStorage,
        "MR",
        PERSON["record"],
    )
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = (
        generate_uid(entropy_srcs=[str(number)]),
        generate_uid(entropy_srcs=["series"]),
    )
    dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = (
        generate_uid(entropy_srcs=["study"]),
        generate_uid(entropy_srcs=["frame"]),
    )
    dataset.StudyDate, dataset.SeriesDate, dataset.StudyTime = "20240229", "20240302", "101530"
    dataset.SeriesDescription, dataset.StudyDescription = (
        f"T1 POST GD {PERSON['family']}",
        f"MR brain for {PERSON['given']} 5 mm",
    )
    (
        dataset.ReferringPhysicianName,
        dataset.ImageComments,
        dataset.PatientSex,
        dataset.PatientAge,
    ) = (
        "Kowalski^Ann",
        PERSON["telephone"],
        "F",
        "093Y",
    )
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.PixelSpacing = (
        [0, 0, 3 * number],
        [1, 0, 0, 0, 1, 0],
        [0.5, 0.7],
    )
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, dataset.PhotometricInterpretation = (
        8,
        10,
        1,
        "MONOCHROME2",
    )
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = (
        16,
        12,
        11,
        0,
    )
    dataset.PixelData = (
        (np.arange(80, dtype=np.uint16) + 30)
        .astype(">u2" if syntax == ExplicitVRBigEndian else "<u2")
        .tobytes()
    )
    for keyword, change in changes.items():
        setattr(dataset, keyword, change)
    return dataset


def to_bytes(dataset: Dataset) -> bytes:
    dataset.preamble = PERSON["family"].encode()[:100].ljust(128, b"\0")
    dataset.save_as(written := io.BytesIO(), enforce_file_format=True)
    return written.getvalue()


def clean(dataset: Dataset, **options):
    content, report = rebuild(to_bytes(dataset), "x.dcm", KEY, **options)
    return pydicom.dcmread(io.BytesIO(content)), report, content


def forms(secret: str) -> list[bytes]:
    return [
        secret.encode(),
        secret.encode("utf-16-le"),
        base64.b64encode(secret.encode()).rstrip(b"=")[:-1],
        secret.encode().hex().encode(),
    ]


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


def test_pseudonyms_differ_by_kind_and_shifts_by_subject():
    assert (
        pseudonym(KEY, "patient", "7") != pseudonym(KEY, "note", "7")
        and len(pseudonym(KEY, "patient", "7")) == 16
    )
    assert (
        pseudonymous_uid(KEY, "1.2.3")
        == pseudonymous_uid(KEY, "1.2.3\0")
        != pseudonymous_uid(KEY, "1.2.4")
    )
    assert len({shift_date(KEY, str(subject), date(2020, 1, 1)) for subject in range(50)}) > 40


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ExplicitVRBigEndian, "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"],
)
def test_uncompressed_pixels_stay_in_their_transfer_syntax(syntax):
    old = make_image(syntax=syntax)
    old.PixelData += PERSON["family"].encode().ljust(80, b" ")
    new, _, content = clean(old)
    assert (
        new.file_meta.TransferSyntaxUID == syntax
        and new.pixel_array[0, :3].tolist() == [30, 31, 32]
        and PERSON["family"].encode() not in content
    )


def test_compressed_pixels_stay_as_they_are_without_their_comments():
    old = make_image()
    old.compress(RLELossless, generate_instance_uid=False)
    assert np.array_equal(clean(old)[0].pixel_array, make_image().pixel_array)
    from PIL import Image

    Image.fromarray(np.full((8, 10), 90, np.uint8)).save(
        stream := io.BytesIO(), "JPEG", comment=PERSON["family"].encode()
    )
    jpeg = stream.getvalue() + PERSON["family"].encode()
    assert PERSON["family"].encode() in jpeg
    old = make_image(
        syntax=JPEGBaseline8Bit,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=encapsulate([jpeg]),
    )
    old["PixelData"].is_undefined_length, old["PixelData"].VR = True, "OB"
    new, _, content = clean(old)
    assert (
        PERSON["family"].encode() not in content
        and new.pixel_array.tolist() == np.full((8, 10), 90).tolist()
    )


def test_comments_of_jpeg_2000_are_dropped():
    stream = (
        b"\xff\x4f\xff\x51\x00\x04ab"
        + b"\xff\x64\x00\x08\x00\x01John"
        + b"\xff\x52\x00\x03c"
        + b"\xff\x90tile\xff\xd9trailer"
    )
    assert (
        without_comments(stream)
        == b"\xff\x4f\xff\x51\x00\x04ab\xff\x52\x00\x03c\xff\x90tile\xff\xd9"
    )
    with pytest.raises(ReadError, match="undecodable_pixels"):
        without_comments(b"John")


def test_an_overlay_in_unused_bits_is_cleared():
    pixels = np.arange(80, dtype=np.uint16)
    old = make_image(PixelData=(pixels | 0x8000).tobytes())
    old.add_new(0x6000_0102, "US", 15)
    new, _, _ = clean(old)
    assert np.frombuffer(new.PixelData, "<u2").tolist() == pixels.tolist()


RISKY = {
    "class": {"SOPClassUID": UltrasoundImageStorage},
    "modality": {"Modality": "US", "BurnedInAnnotation": "NO"},
    "annotation": {"BurnedInAnnotation": "YES"},
    "conversion": {"ConversionType": "SI"},
    "image type": {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
}


@pytest.mark.parametrize("risk", RISKY)
def test_an_image_that_may_show_text_is_refused_or_blanked_by_rule(risk):
    with pytest.raises(ReadError, match="burned_in") as refusal:
        clean(make_image(**RISKY[risk]))
    assert PERSON["family"] not in str(refusal.value)
    new, report, _ = clean(make_image(**RISKY[risk]), blank_top=0.2)
    assert (
        (new.pixel_array[:2] == 0).all()
        and np.array_equal(new.pixel_array[2:], make_image().pixel_array[2:])
        and report.blanked == 0.2
    )
    assert (
        new.DeidentificationMethodCodeSequence[-1].CodeValue == "113101"
        and new.BurnedInAnnotation == "NO"
    )
    assert "top 20 %" in new.DeidentificationMethod[1]


def test_blanking_is_black_in_colour_in_many_frames_and_where_black_is_white():
    inverted, _, _ = clean(make_image(PhotometricInterpretation="MONOCHROME1"), blank_top=0.25)
    assert (inverted.pixel_array[:2] == 4095).all() and inverted.pixel_array[2, 0] == 50
    colour = {
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "RGB",
        "PlanarConfiguration": 0,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
    }
    new, _, _ = clean(
        make_image(**colour, NumberOfFrames=2, PixelData=bytes([200]) * 480), blank_top=0.5
    )
    assert (
        new.pixel_array.shape == (2, 8, 10, 3)
        and (new.pixel_array[:, :4] == 0).all()
        and (new.pixel_array[:, 4:] == 200).all()
    )


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


def test_a_file_is_written_whole_and_the_headers_identifiers_are_told_for_notes(tmp_path):
    (tmp_path / "old.dcm").write_bytes(to_bytes(make_image()))
    report = deidentify_file(tmp_path / "old.dcm", tmp_path / "new" / "x.dcm", KEY)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["x.dcm"] and report.path.parts[
        0
    ] == report.subject
    told = identifiers_of(make_image())
    assert {
        f"{PERSON['family']}^{PERSON['given']}",
        PERSON["record"],
        PERSON["born"],
        PERSON["telephone"],
        PERSON["address"],
    } <= set(told)


def test_the_key_is_made_for_its_owner_alone_and_stays_outside_of_what_it_protects(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("MMDIAG_KEY_FILE", str(tmp_path / "keys" / "key"))
    key = read_key()
    assert (
        len(key) == 32
        and (tmp_path / "keys" / "key").stat().st_mode & 0o777 == 0o600
        and read_key() == key
    )
    assert [file.name for file in (tmp_path / "keys").iterdir()] == ["key"]
    with pytest.raises(UsageError, match="must lie outside"):
        read_key(outside=[tmp_path / "keys"])
    (tmp_path / "keys" / "key").chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        read_key()
    (tmp_path / "keys" / "key").chmod(0o600)
    (tmp_path / "keys" / "key").write_bytes(b"short")
    with pytest.raises(UsageError, match="at least 32 bytes"):
        read_key()


def make_export(folder: Path) -> None:
    """A study of two slices with its note, one of ultrasound, a report as PDF, and a copy of a
    slice.
    """
    (folder / "p1" / "mr").mkdir(parents=True)
    for number in range(2):
        (folder / "p1" / "mr" / f"{number}.dcm").write_bytes(to_bytes(make_image(number)))
    (folder / "p1" / "mr" / "copy.dcm").write_bytes(to_bytes(make_image(1)))
    (folder / "p1" / "us.dcm").write_bytes(to_bytes(make_image(5, Modality="US")))
    (folder / "p1" / "note.txt").write_text(
        f"FINDINGS: no oedema. {sentence_of(PERSON)}{PERSON['given'].lower()} was well.",
        encoding="utf-8",
    )
    (folder / "p1" / "blank.txt").write_text(" \n")
    (folder / "p1" / "torn.txt").write_bytes(b"a\x00b")
    (folder / "report.pdf").write_bytes(b"%PDF-1.7")


def test_a_folder_is_written_under_pseudonyms_and_what_is_refused_is_listed(tmp_path):
    make_export(tmp_path / "in")
    found = deidentify_folder(tmp_path / "in", tmp_path / "out", KEY)
    assert (
        found.dicom,
        found.copies,
        found.notes,
        found.blank,
        found.subjects,
        found.notes_with_own,
    ) == (2, 1, 1, 1, 1, 1)
    assert {row["path"]: row["code"] for row in found.refused} == {
        "report.pdf": "unknown_kind",
        "p1/us.dcm": "burned_in",
        "p1/torn.txt": "not_text",
    }
    subject = pseudonym(KEY, "patient", PERSON["record"])
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert len(files) == 3 and all(
        file.relative_to(tmp_path / "out").parts[0] == subject for file in files
    )
    for file in files:
        for secret in PERSON.values():
            assert not [
                form
                for form in forms(secret)
                if form in file.read_bytes() or form.decode("latin-1") in str(file)
            ], secret
    (note,) = (tmp_path / "out" / subject).glob("*.txt")
    assert note.read_text(encoding="utf-8").startswith(
        "FINDINGS: no oedema. Patient: [NAME], born [DATE]"
    ) and "[NAME] was well." in note.read_text(encoding="utf-8")
    before = {file: file.read_bytes() for file in files}
    deidentify_folder(tmp_path / "in", tmp_path / "out", KEY)
    assert {
        file: file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file()
    } == before


def test_two_images_under_one_uid_do_not_replace_each_other(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_bytes(to_bytes(make_image(1)))
    (tmp_path / "in" / "b.dcm").write_bytes(to_bytes(make_image(1, PixelData=b"\1" * 160)))
    found = deidentify_folder(tmp_path / "in", tmp_path / "out", KEY)
    assert found.dicom == 1 and [row["code"] for row in found.refused] == ["duplicate_instance"]


def test_a_folder_is_not_written_into_itself(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    for source, target in (
        (tmp_path, tmp_path),
        (tmp_path, tmp_path / "out"),
        (tmp_path / "a.txt", tmp_path),
    ):
        with pytest.raises(UsageError, match="outside"):
            deidentify_folder(source, target, KEY)


def test_the_command_answers_with_counts_and_exit_code_3_where_something_was_refused(
    tmp_path, mmdiag_command
):
    make_export(tmp_path / "in")
    key = {"MMDIAG_KEY_FILE": str(tmp_path / "key")}
    done = mmdiag_command(
        "deidentify", tmp_path / "in", tmp_path / "out", "--json", cwd=tmp_path, **key
    )
    answer = json.loads(done.stdout)
    assert (
        done.returncode == 3
        and answer["dicom"] == 2
        and answer["notes"] == 1
        and len(answer["refused"]) == 3
    )
    assert (
        answer["masked"]["name"] >= 1
        and 0 < answer["note_words_masked"] < answer["note_words"]
        and answer["attributes"]["dropped"] > 10
    )
    assert not [secret for secret in PERSON.values() if secret in done.stdout + done.stderr]
    inside = mmdiag_command(
        "deidentify",
        tmp_path / "in",
        tmp_path / "again",
        cwd=tmp_path,
        MMDIAG_KEY_FILE=str(tmp_path / "again" / "key"),
    )
    assert (
        inside.returncode == 2
        and "must lie outside" in inside.stderr
        and not (tmp_path / "again").exists()
    )


def test_the_hostile_files_with_planted_identifiers_come_out_clean(tmp_path):
    if not HOSTILE.is_dir():
        pytest.skip("the torture files are not beside the repository")
    (tmp_path / "in").mkdir()
    for file in HOSTILE.glob("s130*.dcm"):
        shutil.copy(file, tmp_path / "in")
    found = deidentify_folder(tmp_path / "in", tmp_path / "out", KEY)
    assert found.dicom + found.copies + len(found.refused) == 2 and found.dicom == 1
    for file in (tmp_path / "out").rglob("*.dcm"):
        assert not [
            form
            for secret in ("ZZPLANTED", "19010203", "555-0100")
            for form in forms(secret)
            if form in file.read_bytes()
        ]
