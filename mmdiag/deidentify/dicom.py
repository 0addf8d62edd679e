"""De-identifies a DICOM image: builds a new file of what an allow-list names, under pseudonymous
UIDs, and drops all else.

Reference:
    DICOM PS3.15 Annex E, Basic Application Level Confidentiality Profile.
"""

import io
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from mmdiag.deidentify.attributes import AttributeRebuilder
from mmdiag.deidentify.header import (
    OVERLAY_BIT_POSITIONS,
    identifiers_of,
    patient_of,
    read_attributes,
)
from mmdiag.deidentify.pixels import BROKEN, blank_top_rows, copy_pixels
from mmdiag.errors import ReadError
from mmdiag.privacy import dicom_attributes as attributes
from mmdiag.readers.dicom.attributes import attribute_values
from mmdiag.readers.dicom.header import Header
from mmdiag.readers.dicom.prescan import scan

READ: Final = (
    *attributes.ALLOWED,
    *attributes.PATIENT_ATTRIBUTES,
    *attributes.TEXT_IN_PIXELS_ATTRIBUTES,
    attributes.PIXELS,
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
)


@dataclass(frozen=True, slots=True)
class ImageReport:
    """What became of one file; no value of the original is in it.

    Args:
        subject, study, series, instance: Pseudonyms: an id, and three UIDs.
        kept: Attributes that the new file has, pixels among them.
        dropped: Attributes of the original's top level that are not in it.
        uids, dates: How many were replaced, and shifted.
        words: Words of descriptions that were dropped.
        blanked: Share of the image's height that was blacked out from its top.
    """

    subject: str
    study: str
    series: str
    instance: str
    kept: int
    dropped: int
    uids: int
    dates: int
    words: int
    blanked: float

    @property
    def path(self) -> Path:
        """Where the new file belongs below an output folder: subject / series / instance, all of
        them pseudonyms.
        """
        return Path(self.subject, self.series, f"{self.instance}.dcm")


def deidentified_dicom(
    file: str, key: str, blank_top: float
) -> tuple[dict[str, Any], dict[str, UInt8[ndarray, "byte"]]]:
    """For the sandbox: `rebuild` of a file, the report as facts, the new file as an array of bytes.

    Args:
        file: Path of the file.
        key: In hexadecimal digits.
        blank_top: As `rebuild`.
    """
    path = Path(file)
    content, report = rebuild(path.read_bytes(), path.name, bytes.fromhex(key), blank_top=blank_top)
    return asdict(report), {"content": np.frombuffer(content, np.uint8)}


def dicom_identifiers(file: str) -> tuple[dict[str, Any], dict[str, ndarray]]:
    """For the sandbox: `patient` (PatientID) of a file, and `identifiers`: what its header says of
    people, read as at ingestion.
    """
    path = Path(file)
    content = path.read_bytes()
    identifiers = identifiers_of(Header(scan(content)))
    header = read_attributes(
        content, path.name, [*attributes.PATIENT_ATTRIBUTES, "StudyInstanceUID"]
    )
    return {"patient": patient_of(header), "identifiers": list(identifiers)}, {}


def rebuild(
    content: bytes, name: str, key: bytes, *, blank_top: float = 0.0
) -> tuple[bytes, ImageReport]:
    """The bytes of the new file, and what became of the old one.

    Args:
        content: The old file.
        name: Its name, for messages.
        key: As `pseudonyms.read_key` gives it.
        blank_top: Share (0 to 1) of the image's height that is blacked out from its top; 0 = pixels
            stay, and images that may show text are refused.

    Raises:
        ReadError: `burned_in`, `not_an_image`, or whatever is wrong with the file.
    """
    scanned = scan(content)
    old = read_attributes(content, name, READ)
    _require_image(old, name)
    if not blank_top:
        _require_no_text_in_pixels(Header(scanned), name)
    rebuilder = AttributeRebuilder(old, key, identifiers_of(Header(scanned)))
    new = rebuilder.build(old)
    if missing := [keyword for keyword in attributes.ESSENTIAL if keyword not in new]:
        raise ReadError(
            "unreadable", f"{name} lacks {', '.join(missing)}, or they hold what they must not"
        )
    try:
        written = _with_pixels(old, new, UID(scanned.syntax), blank_top)
    except BROKEN as error:
        raise ReadError("undecodable_pixels", f"{name} ({type(error).__name__})") from None
    kept_of_old = sum(keyword in old for keyword in attributes.ALLOWED) + 1  # and the pixels
    return written, ImageReport(
        subject=rebuilder.subject,
        study=str(new.StudyInstanceUID),
        series=str(new.SeriesInstanceUID),
        instance=str(new.SOPInstanceUID),
        kept=len(new),
        dropped=max(0, len(scanned.elements) - kept_of_old),
        uids=rebuilder.uids,
        dates=rebuilder.dates,
        words=rebuilder.words,
        blanked=blank_top,
    )


def _require_image(old: Dataset, name: str) -> None:
    kind = str(old.get("SOPClassUID", ""))
    if kind not in attributes.CLASSES_WITHOUT_TEXT and kind not in attributes.CLASSES_WITH_TEXT:
        raise ReadError(
            "not_an_image",
            f"{name} is of SOP class "
            f"{UID(kind).name if UID(kind).is_valid and UID(kind).name != kind else 'unknown'}",
        )
    if attributes.PIXELS not in old:
        raise ReadError("no_pixel_data", name)


def _require_no_text_in_pixels(header: Header, name: str) -> None:
    """Refuse what commonly carries text in its pixels, whatever its BurnedInAnnotation says."""
    values = attribute_values(header, attributes.TEXT_IN_PIXELS_ATTRIBUTES)
    if reasons := attributes.text_in_pixels(values, trust_no=False):
        raise ReadError("burned_in", f"{name}: by {', '.join(reasons)}")


def _with_pixels(old: Dataset, new: Dataset, syntax: UID, blank_top: float) -> bytes:
    """The new file: the rebuilt attributes with the pixels of the old one, which stay as they are
    coded unless rows are blanked.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if blank_top:
            syntax = ExplicitVRLittleEndian
            blank_top_rows(old, new, blank_top)
        else:
            copy_pixels(old, new, syntax, clear_unused_bits=_has_overlay_in_pixels(old))
        _record_method(new, blank_top)
        return _write(new, syntax)


def _has_overlay_in_pixels(old: Dataset) -> bool:
    """Overlays of old files lie in bits of the pixels (PS3.5 8.1.2, retired)."""
    return any(tag in old and old[tag].value for tag in OVERLAY_BIT_POSITIONS)


def _record_method(new: Dataset, blanked: float) -> None:
    applied = ["profile", "descriptors", "dates", "patient", *(["pixels"] if blanked else [])]
    new.PatientIdentityRemoved = "YES"
    new.DeidentificationMethod = [
        "mmdiag: rebuilt by allow-list, PS3.15 E",
        *([f"top {100 * blanked:.0f} % of the rows blanked"] if blanked else []),
    ]
    items = []
    for option in applied:
        item = Dataset()
        item.CodeValue, item.CodeMeaning = attributes.METHOD_CODES[option]
        item.CodingSchemeDesignator = "DCM"
        items.append(item)
    new.DeidentificationMethodCodeSequence = Sequence(items)
    new.LongitudinalTemporalInformationModified = "MODIFIED"
    if blanked:
        new.BurnedInAnnotation = "NO"


def _write(new: Dataset, syntax: UID) -> bytes:
    new.file_meta = FileMetaDataset()
    new.file_meta.MediaStorageSOPClassUID = new.SOPClassUID
    new.file_meta.MediaStorageSOPInstanceUID = new.SOPInstanceUID
    new.file_meta.TransferSyntaxUID = syntax
    new.preamble = b"\0" * 128
    dcmwrite(written := io.BytesIO(), new, enforce_file_format=True)
    return written.getvalue()
