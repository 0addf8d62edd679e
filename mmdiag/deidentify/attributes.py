"""Rebuilds the attributes of a DICOM data set from the allow-list: each is copied, replaced by a
pseudonym, shifted or reduced to words of radiology, as its rule says; all others are dropped.

Reference:
    DICOM PS3.15 Annex E, Basic Application Level Confidentiality Profile.
"""

import re
import warnings
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import format_number_as_ds

from mmdiag.deidentify.header import patient_of
from mmdiag.deidentify.pixels import BROKEN
from mmdiag.privacy import dicom_attributes as attributes
from mmdiag.privacy.mask import words_of_radiology
from mmdiag.privacy.pseudonyms import pseudonym, pseudonymous_uid, shift_date
from mmdiag.privacy.subject_identifiers import name_parts

OLDEST_AGE = 90  # years, which stands for every age above
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_DAY = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)")
_CLOCK = re.compile(r"\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?")


class AttributeRebuilder:
    """Builds the data set of a de-identified file element by element, and counts.

    Args:
        old: The data set of the original.
        key: As `pseudonyms.read_key` gives it.
        identifiers: What its header says of people (`header.identifiers_of`).

    Attributes:
        subject: Pseudonym of the patient.
        uids, dates, words: How many UIDs were replaced, dates shifted, and words of descriptions
            dropped.
    """

    def __init__(self, old: Dataset, key: bytes, identifiers: Iterable[str]) -> None:
        self.key = key
        self.uids = self.dates = self.words = 0
        self.patient = patient_of(old)
        self.subject = pseudonym(key, "patient", self.patient)
        self.keeps_times = str(old.get("Modality", "")).strip() in attributes.TIMED
        self.patient_words = name_parts(tuple(identifiers))

    def build(self, old: Dataset) -> Dataset:
        """The new data set, without pixels."""
        new = self._copy(old)
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
            if keyword not in new:  # type 2: present, and empty
                setattr(new, keyword, "")
        return new

    def _copy(self, old: Dataset) -> Dataset:
        """What the list keeps of a data set or of an item."""
        new = Dataset()
        for keyword, rule in attributes.ALLOWED.items():
            if keyword not in old:
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    element = old[keyword]
                    value = getattr(self, f"_kept_as_{rule}")(element)
            except BROKEN:  # no value of its kind: dropped like an attribute that is not listed
                continue
            # text may pass for a number under another VR
            if value is not None and element.VR in dictionary_VR(element.tag).split(" or "):
                new[element.tag] = DataElement(element.tag, element.VR, value)
        return new

    def _kept_as_class(self, element: DataElement) -> str:
        return str(element.value)

    def _kept_as_uid(self, element: DataElement) -> str | None:
        if not str(element.value).strip(" \0"):
            return None
        self.uids += 1
        return pseudonymous_uid(self.key, str(element.value))

    def _kept_as_date(self, element: DataElement) -> str | None:
        day = _DAY.fullmatch(str(element.value).strip())
        return self._shifted(day) if day else None

    def _kept_as_datetime(self, element: DataElement) -> str | None:
        """Date, and where decay is counted the time of the day; a time zone is dropped."""
        text = str(element.value).strip()
        day = _DAY.match(text)
        if day is None:
            return None
        clock = _CLOCK.match(text[day.end() :])
        return self._shifted(day) + (clock.group() if clock and self.keeps_times else "")

    def _shifted(self, written: re.Match[str]) -> str:
        year, month, number = map(int, written.groups())
        day = shift_date(self.key, self.patient, date(year, month, number))
        self.dates += 1
        return f"{day.year:04d}{day.month:02d}{day.day:02d}"

    def _kept_as_time(self, element: DataElement) -> str | None:
        clock = _CLOCK.fullmatch(str(element.value).strip())
        return clock.group() if clock and self.keeps_times else None

    def _kept_as_number(self, element: DataElement) -> Any:
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

    def _kept_as_words(self, element: DataElement) -> Any:
        values = (
            [str(value) for value in element.value]
            if hasattr(element.value, "append")
            else [str(element.value or "")]
        )
        # a code means what it says, a patient called CT or not
        patient_words: frozenset[str] = frozenset() if element.VR == "CS" else self.patient_words
        kept = [self._vocabulary(value, patient_words) for value in values]
        return (kept if len(kept) > 1 else kept[0]) if any(kept) else None

    def _vocabulary(self, value: str, patient_words: frozenset[str]) -> str:
        """What a description keeps."""
        kept, dropped = words_of_radiology(value, patient_words)
        self.words += dropped
        return kept

    def _kept_as_age(self, element: DataElement) -> str | None:
        age = re.fullmatch(r"(\d{3})([DWMY])", str(element.value).strip())
        if age is None:
            return None
        return f"{OLDEST_AGE:03d}Y" if age[2] == "Y" and int(age[1]) >= OLDEST_AGE else age.group()

    def _kept_as_sex(self, element: DataElement) -> str | None:
        return str(element.value).strip() if str(element.value).strip() in ("M", "F", "O") else None

    def _kept_as_data(self, element: DataElement) -> Any:
        return element.value

    def _kept_as_tag(self, element: DataElement) -> Any:
        return element.value

    def _kept_as_group(self, element: DataElement) -> Sequence | None:
        items = list(self._items(element))
        return Sequence(items) if items else None

    def _items(self, element: DataElement) -> Iterator[Dataset]:
        for item in element.value:
            yield self._copy(item)
