"""Reads the attributes of a DICOM header that de-identification needs: who the patient is, and what
identifies the patient in notes.
"""

import io
import warnings
from collections.abc import Iterable
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from mmdiag.deidentify.pixels import BROKEN
from mmdiag.errors import ReadError
from mmdiag.privacy.dicom_attributes import PATIENT_ATTRIBUTES, header_identifiers

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


def header_values(header: Dataset, keywords: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The values of some attributes as text; of a sequence, the PatientID of each item."""
    found = {}
    for keyword in keywords:
        value = header.get(keyword)
        if isinstance(value, Sequence):
            found[keyword] = tuple(str(item.get("PatientID", "")) for item in value)
        elif value is not None:
            values = value if isinstance(value, MultiValue) else [value]
            found[keyword] = tuple(str(part) for part in values)
    return found


def identifiers_of(header: Dataset) -> tuple[str, ...]:
    """What a header says of its patient and of people, as it says it: for `mask.mask_note`."""
    return header_identifiers(header_values(header, PATIENT_ATTRIBUTES), plain_stations=True)


def patient_of(header: Dataset) -> str:
    """Who the patient is: PatientID, else name and date of birth, else the study."""
    stated = str(header.get("PatientID") or "").strip(" \0")
    named = "^".join(
        str(header.get(keyword) or "") for keyword in ("PatientName", "PatientBirthDate")
    ).strip("^")
    return stated or named or str(header.get("StudyInstanceUID", ""))
