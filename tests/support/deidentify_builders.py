"""DICOM images of a person whose identifiers stand in many attributes, and folders of them."""

import base64
import io
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from mmdiag.deidentify.dicom import rebuild
from mmdiag.phantom.identifiers import header_of, make_person, sentence_of
from mmdiag.readers.dicom.header import Header
from mmdiag.readers.dicom.prescan import scan

KEY = bytes(range(32))
PERSON = make_person(7, np.random.default_rng(7))


def make_image(number: int = 0, syntax: str = ExplicitVRLittleEndian, **changes) -> Dataset:
    """A slice of 8 x 10 pixels of a person whose identifiers stand in standard, nested and private
    attributes.
    """
    byte_order = ">" if syntax == ExplicitVRBigEndian else "<"
    pixels = (np.arange(80, dtype=np.uint16) + 30).astype(f"{byte_order}u2")
    dataset = header_of(PERSON)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    attributes = {
        "SOPClassUID": MRImageStorage,
        "Modality": "MR",
        "PatientID": PERSON["record"],
        "SOPInstanceUID": generate_uid(entropy_srcs=[str(number)]),
        "SeriesInstanceUID": generate_uid(entropy_srcs=["series"]),
        "StudyInstanceUID": generate_uid(entropy_srcs=["study"]),
        "FrameOfReferenceUID": generate_uid(entropy_srcs=["frame"]),
        "StudyDate": "20240229",
        "SeriesDate": "20240302",
        "StudyTime": "101530",
        "SeriesDescription": f"T1 POST GD {PERSON['family']}",
        "StudyDescription": f"MR brain for {PERSON['given']} 5 mm",
        "ReferringPhysicianName": "Kowalski^Ann",
        "ImageComments": PERSON["telephone"],
        "PatientSex": "F",
        "PatientAge": "093Y",
        "ImagePositionPatient": [0, 0, 3 * number],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [0.5, 0.7],
        "Rows": 8,
        "Columns": 10,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "PixelData": pixels.tobytes(),
    }
    for keyword, value in (attributes | changes).items():
        setattr(dataset, keyword, value)
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


def as_header(dataset: Dataset) -> Header:
    """The header of a data set as it is read from a file of it."""
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.get("SOPClassUID", MRImageStorage)
    dataset.SOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    dataset.save_as(written := io.BytesIO(), enforce_file_format=True)
    return Header(scan(written.getvalue()))
