"""Reads the attributes of a DICOM header that de-identification needs: who the patient is, and what
identifies the patient in notes.
"""

import io
import warnings
from collections.abc import Iterable
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from mmdiag.deidentify.pixels import BROKEN
from mmdiag.errors import ReadError
from mmdiag.privacy.dicom_attributes import PATIENT_ATTRIBUTES, header_identifiers
from mmdiag.readers.dicom.attributes import attribute_values
from mmdiag.readers.dicom.header import Header

OVERLAY_BIT_POSITIONS: Final = tuple(Tag(0x6000_0102 + 0x2_0000 * plane) for plane in range(16))


def read_attributes(content: bytes, name: str, keywords: Iterable[str]) -> Dataset:
    """Some attributes of a DICOM file, and where it holds overlays in its pixels.

    Args:
        content: The file.
        name: Its name, for messages.

    Raises:
        ReadError: `unreadable`.
    """
    tags = [*map(Tag, keywords), *OVERLAY_BIT_POSITIONS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dcmread(io.BytesIO(content), specific_tags=tags)
        except BROKEN as error:
            raise ReadError("unreadable", f"{name} ({type(error).__name__})") from None


def identifiers_of(header: Header) -> tuple[str, ...]:
    """What a header says of its patient and of people, read as at ingestion: for
    `mask.mask_note`.
    """
    return header_identifiers(attribute_values(header, PATIENT_ATTRIBUTES), plain_stations=True)


def patient_of(header: Dataset) -> str:
    """Who the patient is: PatientID, else name and date of birth, else the study."""
    stated = str(header.get("PatientID") or "").strip(" \0")
    named = "^".join(
        str(header.get(keyword) or "") for keyword in ("PatientName", "PatientBirthDate")
    ).strip("^")
    return stated or named or str(header.get("StudyInstanceUID", ""))
