"""De-identifies a DICOM image: builds a new file of what an allow-list names, under pseudonymous
UIDs, and drops all else.

Reference:
    DICOM PS3.15 Annex E, Basic Application Level Confidentiality Profile.
"""

import io
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from mmdiag.deidentify.pixels import BROKEN, blank_top_rows, copy_pixels
from mmdiag.errors import ReadError
from mmdiag.privacy import dicom_attributes as allow
from mmdiag.privacy.pseudonyms import pseudonym, pseudonymous_uid, shift_date
from mmdiag.privacy.subject_identifiers import name_parts
from mmdiag.readers.imaging.dicom_prescan import scan

OVERLAY_BIT_POSITIONS: Final = tuple(Tag(0x6000_0102 + 0x2_0000 * plane) for plane in range(16))
OLDEST_AGE = 90  # years, which stands for every age above
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_DAY = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_CLOCK = re.compile(r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?")
_TOKEN = re.compile(r"[^\W_]+(?:\.\d+)?")
_MEASURE = re.compile(
    r"(?:b|p|te|tr|ti|kv|s|x|t|f|z)?\d{1,3}(?:\.\d{1,2})?(?:mm|cm|ms|s|d|deg|x\d{1,3})?|b\d{4}"
)


@dataclass(frozen=True, slots=True)
class Report:
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


def deidentify_file(source: Path, target: Path, key: bytes, *, blank_top: float = 0.0) -> Report:
    """De-identify one DICOM image in this process.

    Args:
        source: A DICOM image.
        target: Where the new file is written, whole or not at all.
        key: As `secret_key.read_key` gives it.
        blank_top: Share (0 to 1) of the image's height that is blacked out from its top; 0 = pixels
            stay, and images that may show text are refused.

    Raises:
        ReadError: `burned_in`, `not_an_image`, or whatever is wrong with the file.
    """
    content, report = rebuild(source.read_bytes(), source.name, key, blank_top=blank_top)
    write_whole(target, content)
    return report


def write_whole(target: Path, content: bytes) -> None:
    """Write a file under a temporary name, bring it to the disk and rename it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def deidentified_dicom(
    file: str, key: str, blank_top: float
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """`rebuild` for the sandbox: the report as facts, the new file as an array of bytes.

    Args:
        file: Path of the file.
        key: In hexadecimal digits.
        blank_top: As `deidentify_file`.
    """
    path = Path(file)
    content, report = rebuild(path.read_bytes(), path.name, bytes.fromhex(key), blank_top=blank_top)
    return asdict(report), {"content": np.frombuffer(content, np.uint8)}


def dicom_identifiers(file: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """For the sandbox: `patient` (PatientID) and `identifiers` (`identifiers_of`) of a file."""
    path = Path(file)
    content = path.read_bytes()
    scan(content)
    header = _read(content, path.name, [*allow.PATIENT_ATTRIBUTES, "StudyInstanceUID"])
    return {"patient": patient_of(header), "identifiers": list(identifiers_of(header))}, {}


def rebuild(
    content: bytes, name: str, key: bytes, *, blank_top: float = 0.0
) -> tuple[bytes, Report]:
    """The bytes of the new file, and what became of the old one.

    Args:
        content: The old file.
        name: Its name, for messages.
        key, blank_top: As `deidentify_file`.

    Raises:
        ReadError: As `deidentify_file`.
    """
    scanned = scan(content)
    old = _read(
        content,
        name,
        [
            *allow.ALLOWED,
            *allow.PATIENT_ATTRIBUTES,
            allow.PIXELS,
            "ConversionType",
            "ExtendedOffsetTable",
            "ExtendedOffsetTableLengths",
        ],
    )
    _require_image(old, name)
    if not blank_top:
        _require_no_text_in_pixels(old, name)
    builder = _Builder(old, key)
    new = builder.build(old)
    missing = [keyword for keyword in allow.ESSENTIAL if keyword not in new]
    if missing:
        raise ReadError(
            "unreadable", f"{name} lacks {', '.join(missing)}, or they hold what they must not"
        )
    syntax = UID(scanned.syntax)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if blank_top:
                syntax = ExplicitVRLittleEndian
                blank_top_rows(old, new, blank_top)
            else:
                copy_pixels(old, new, syntax, clear_unused_bits=_has_overlay_in_pixels(old))
            _say_what_was_done(new, blank_top)
            written = _write(new, syntax)
    except BROKEN as error:
        raise ReadError("undecodable_pixels", f"{name} ({type(error).__name__})") from None
    report = Report(
        subject=builder.subject,
        study=str(new.StudyInstanceUID),
        series=str(new.SeriesInstanceUID),
        instance=str(new.SOPInstanceUID),
        kept=len(new),
        dropped=max(
            0, len(scanned.elements) - sum(keyword in old for keyword in allow.ALLOWED) - 1
        ),
        uids=builder.uids,
        dates=builder.dates,
        words=builder.words,
        blanked=blank_top,
    )
    return written, report


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
    return allow.header_identifiers(header_values(header, allow.PATIENT_ATTRIBUTES))


def patient_of(header: Dataset) -> str:
    """Who the patient is: PatientID, else name and date of birth, else the study."""
    stated = str(header.get("PatientID") or "").strip(" \0")
    named = "^".join(
        str(header.get(keyword) or "") for keyword in ("PatientName", "PatientBirthDate")
    ).strip("^")
    return stated or named or str(header.get("StudyInstanceUID", ""))


def _read(content: bytes, name: str, keywords: list[str]) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return dcmread(
                io.BytesIO(content), specific_tags=[*map(Tag, keywords), *OVERLAY_BIT_POSITIONS]
            )
        except BROKEN as error:
            raise ReadError("unreadable", f"{name} ({type(error).__name__})") from None


def _require_image(old: Dataset, name: str) -> None:
    kind = str(old.get("SOPClassUID", ""))
    if kind not in allow.CLASSES_WITHOUT_TEXT and kind not in allow.CLASSES_WITH_TEXT:
        raise ReadError(
            "not_an_image",
            f"{name} is of SOP class "
            f"{UID(kind).name if UID(kind).is_valid and UID(kind).name != kind else 'unknown'}",
        )
    if allow.PIXELS not in old:
        raise ReadError("no_pixel_data", name)


def _require_no_text_in_pixels(old: Dataset, name: str) -> None:
    """Refuse what commonly carries text in its pixels, whatever its BurnedInAnnotation says."""
    header = header_values(old, allow.TEXT_IN_PIXELS_ATTRIBUTES)
    if reasons := allow.text_in_pixels(header, trust_no=False):
        raise ReadError("burned_in", f"{name}: by {', '.join(reasons)}")


def _has_overlay_in_pixels(old: Dataset) -> bool:
    """Overlays of old files lie in bits of the pixels (PS3.5 8.1.2, retired)."""
    return any(tag in old and old[tag].value for tag in OVERLAY_BIT_POSITIONS)


def _say_what_was_done(new: Dataset, blanked: float) -> None:
    applied = ["profile", "descriptors", "dates", "patient", *(["pixels"] if blanked else [])]
    new.PatientIdentityRemoved = "YES"
    new.DeidentificationMethod = [
        "mmdiag: rebuilt by allow-list, PS3.15 E",
        *([f"top {100 * blanked:.0f} % of the rows blanked"] if blanked else []),
    ]
    items = []
    for option in applied:
        item = Dataset()
        item.CodeValue, item.CodeMeaning = allow.METHOD_CODES[option]
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


class _Builder:
    """Builds the new data set element by element, and counts."""

    def __init__(self, old: Dataset, key: bytes) -> None:
        self.key = key
        self.uids = self.dates = self.words = 0
        self.patient = patient_of(old)
        self.subject = pseudonym(key, "patient", self.patient)
        self.timed = str(old.get("Modality", "")).strip() in allow.TIMED
        self.own = name_parts(identifiers_of(old))

    def build(self, old: Dataset) -> Dataset:
        """The new data set, without pixels."""
        new = self.copy(old)
        if new.get("PhotometricInterpretation") != "PALETTE COLOR":
            for colour in ("Red", "Green", "Blue"):
                for part in ("Descriptor", "Data"):
                    new.pop(f"{colour}PaletteColorLookupTable{part}", None)
        new.PatientName = new.PatientID = self.subject
        for keyword in (
            "PatientBirthDate",
            "AccessionNumber",
            "StudyID",
            "ReferringPhysicianName",
            "StudyTime",
            "StudyDate",
            "PatientSex",
        ):
            if keyword not in new:  # type 2: there, and empty
                setattr(new, keyword, "")
        return new

    def copy(self, old: Dataset) -> Dataset:
        """What the list keeps of a data set or of an item."""
        new = Dataset()
        for keyword, rule in allow.ALLOWED.items():
            if keyword not in old:
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    element = old[keyword]
                    value = getattr(self, f"_{rule}")(element)
            except BROKEN:  # no value of its kind: dropped like an attribute that is not listed
                continue
            if value is not None and element.VR in dictionary_VR(element.tag).split(
                " or "
            ):  # text may pass for a number under another VR
                new[element.tag] = DataElement(element.tag, element.VR, value)
        return new

    def _class(self, element: DataElement) -> str:
        return str(element.value)

    def _uid(self, element: DataElement) -> str | None:
        if not str(element.value).strip(" \0"):
            return None
        self.uids += 1
        return pseudonymous_uid(self.key, str(element.value))

    def _date(self, element: DataElement) -> str | None:
        found = _DAY.fullmatch(str(element.value).strip())
        return self._shifted(found) if found else None

    def _datetime(self, element: DataElement) -> str | None:
        """Date, and where decay is counted the time of the day; a time zone is dropped."""
        text = str(element.value).strip()
        found = _DAY.match(text)
        if found is None:
            return None
        clock = _CLOCK.match(text[found.end() :])
        return self._shifted(found) + (clock.group() if clock and self.timed else "")

    def _shifted(self, found: re.Match[str]) -> str:
        day = shift_date(self.key, self.patient, date(int(found[1]), int(found[2]), int(found[3])))
        self.dates += 1
        return f"{day.year:04d}{day.month:02d}{day.day:02d}"

    def _time(self, element: DataElement) -> str | None:
        found = _CLOCK.fullmatch(str(element.value).strip())
        return found.group() if found and self.timed else None

    def _number(self, element: DataElement) -> Any:
        if element.VR not in ("DS", "IS"):
            return element.value
        values = element.value if hasattr(element.value, "append") else [element.value]
        texts = [str(getattr(value, "original_string", None) or value).strip() for value in values]
        if not texts or not all(_NUMBER.fullmatch(text) for text in texts):
            return None
        if element.VR == "IS":
            return (
                [int(float(text)) for text in texts]
                if all(abs(float(text)) < 2**31 for text in texts)
                else None
            )
        return [text if len(text) <= 16 else format_number_as_ds(float(text)) for text in texts]

    def _words(self, element: DataElement) -> Any:
        values = (
            [str(value) for value in element.value]
            if hasattr(element.value, "append")
            else [str(element.value or "")]
        )
        own: frozenset[str] = (
            frozenset() if element.VR == "CS" else self.own
        )  # a code means what it says, a patient called CT or not
        kept = [self._vocabulary(value, own) for value in values]
        return (kept if len(kept) > 1 else kept[0]) if any(kept) else None

    def _vocabulary(self, value: str, own: frozenset[str]) -> str:
        """The words of a value that are words of radiology and none of the subject's, and
        measures.
        """
        if value.strip().lower() in allow.VOCABULARY and value.strip().lower() not in own:
            return value.strip()

        def keep(found: re.Match[str]) -> str:
            word = found.group().lower()
            if word not in own and (word in allow.VOCABULARY or _MEASURE.fullmatch(word)):
                return found.group()
            self.words += 1
            return ""

        kept = _TOKEN.sub(keep, value)
        kept = re.sub(r"[^A-Za-z0-9_ .+*-]", " ", kept) if kept.isascii() else ""
        return " ".join(part for part in kept.split() if any(map(str.isalnum, part))).strip(
            "_-+.* "
        )

    def _age(self, element: DataElement) -> str | None:
        found = re.fullmatch(r"(\d{3})([DWMY])", str(element.value).strip())
        if found is None:
            return None
        return (
            f"{OLDEST_AGE:03d}Y"
            if found[2] == "Y" and int(found[1]) >= OLDEST_AGE
            else found.group()
        )

    def _sex(self, element: DataElement) -> str | None:
        return str(element.value).strip() if str(element.value).strip() in ("M", "F", "O") else None

    def _data(self, element: DataElement) -> Any:
        return element.value

    def _tag(self, element: DataElement) -> Any:
        return element.value

    def _group(self, element: DataElement) -> Sequence | None:
        items = list(self._items(element))
        return Sequence(items) if items else None

    def _items(self, element: DataElement) -> Iterator[Dataset]:
        for item in element.value:
            yield self.copy(item)
