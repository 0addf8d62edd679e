"""The five FHIR resource types that a cohort is made of, each narrowed to what is read of it.

Nothing of a resource is trusted: every element is checked for its JSON type as it is taken, and
codes for their form.

Reference:
    FHIR R4 8.1 Patient, 10.5 ImagingStudy, 10.3 DiagnosticReport, 2.42 DocumentReference, 10.1
    Observation.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from mmdiag.exchange.fhir.accounting import LeftOut
from mmdiag.exchange.fhir.dates import When, date_of, read_date
from mmdiag.exchange.pacs.inbox import is_uid
from mmdiag.readers.documents.attachments import Attachment
from mmdiag.readers.documents.fhir import (
    FINAL,
    attachments_of,
    is_final,
    replaced_by,
    stated_text,
)

SYSTEMS = {"http://loinc.org": "loinc", "http://snomed.info/sct": "snomed"}
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,39}")
UNIT = re.compile(r"[!#-+\--\[\]-~]{1,32}")  # UCUM, less comma, quote and backslash
DICOM_KIND = re.compile(r"[A-Z][A-Z0-9]{1,15}")
SEXES = ("female", "male", "other", "unknown")
LARGEST_VALUE = 1e15
SHORTEST = 3  # characters of an identifier that can be masked without masking half a note


@dataclass(frozen=True, slots=True)
class Patient:
    """A person, without what need not be known.

    Args:
        number: The medical record number where there is exactly one, else the resource's id.
        identifiers: All strings that name the person: names, numbers, addresses, telephone numbers,
            date of birth; also of relatives.
    """

    key: str
    number: str
    sex: str
    birth_year: int | None
    identifiers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DiagnosticReport:
    """A DiagnosticReport. `studies` and `orders` are references; `text` is what it says where it
    has no attachment.
    """

    key: str
    patient: str
    when: When
    studies: tuple[str, ...]
    orders: tuple[str, ...]
    attachments: tuple[Attachment, ...]
    text: str


@dataclass(frozen=True, slots=True)
class ImagingStudy:
    """An ImagingStudy; `series` are UID, modality and number of instances."""

    key: str
    patient: str
    when: When
    uid: str
    orders: tuple[str, ...]
    series: tuple[tuple[str, str, int | None], ...]


@dataclass(frozen=True, slots=True)
class DocumentReference:
    """A DocumentReference; `replaces` are references to documents that it takes the place of."""

    key: str
    patient: str
    when: When
    attachments: tuple[Attachment, ...]
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """An Observation; `values` are code, unit and number, its components among them."""

    key: str
    patient: str
    when: When
    values: tuple[tuple[str, str, float], ...]


Resource = Patient | DiagnosticReport | ImagingStudy | DocumentReference | Observation


def read_resource(key: str, body: Mapping[str, Any]) -> Resource:
    """Narrow one resource.

    Args:
        key: What it is called within the export.

    Raises:
        LeftOut: It cannot be used; the code is a key of `accounting.WHY`.
    """
    return READERS[body["resourceType"]](key, body)


def _patient(key: str, body: Mapping[str, Any]) -> Patient:
    identifiers = [item for item in _dicts(body, "identifier") if _text(item, "value")]
    records = {
        _text(item, "value")
        for item in identifiers
        if any(c.get("code") == "MR" for c in _dicts(item.get("type"), "coding"))
    }
    born = read_date(body.get("birthDate"))
    return Patient(
        key,
        number=records.pop() if len(records) == 1 else (_text(body, "id") or key),
        sex=sex if (sex := _text(body, "gender")) in SEXES else "",
        birth_year=born.last_day.year if born else None,
        identifiers=tuple(
            dict.fromkeys(value for value in _identifying(body) if len(value) >= SHORTEST)
        ),
    )


def _identifying(body: Mapping[str, Any]) -> Iterator[str]:
    """Every string that names a person, blanks evened out."""
    for person in (body, *_dicts(body, "contact")):
        for name in (
            *_dicts(person, "name"),
            *([person["name"]] if isinstance(person.get("name"), dict) else []),
        ):
            yield from (_text(name, "text"), _text(name, "family"), *_texts(name, "given"))
            yield " ".join([*_texts(name, "given"), _text(name, "family")])
        for address in (
            *_dicts(person, "address"),
            *([person["address"]] if isinstance(person.get("address"), dict) else []),
        ):
            yield from (
                _text(address, "text"),
                *_texts(address, "line"),
                _text(address, "city"),
                _text(address, "postalCode"),
            )
        yield from (_text(item, "value") for item in _dicts(person, "telecom"))
    yield from (_text(item, "value") for item in _dicts(body, "identifier"))
    yield from (_text(body, "id"), _text(body, "birthDate"))


def _report(key: str, body: Mapping[str, Any]) -> DiagnosticReport:
    _require(is_final(body), "not_final")
    return DiagnosticReport(
        key,
        patient=_reference(body.get("subject")),
        when=_day(date_of(body, "effectiveDateTime", "effectivePeriod")),
        studies=tuple(_references(body, "imagingStudy"))
        or tuple(_references(body, "study")),  # the latter in R5
        orders=tuple(_references(body, "basedOn")),
        attachments=attachments_of(body),
        text=stated_text(body, key),
    )


def _study(key: str, body: Mapping[str, Any]) -> ImagingStudy:
    _require(body.get("status") == "available", "not_final")
    uids = [
        _text(item, "value").removeprefix("urn:oid:")
        for item in _dicts(body, "identifier")
        if item.get("system") == "urn:dicom:uid"
    ]
    series = tuple(
        (_text(item, "uid"), _dicom_kind(item), _count(item.get("numberOfInstances")))
        for item in _dicts(body, "series")
    )
    _require(
        len(uids) == 1 and is_uid(uids[0]) and all(is_uid(uid) for uid, _, _ in series), "no_uid"
    )
    return ImagingStudy(
        key,
        _reference(body.get("subject")),
        _day(date_of(body, "started")),
        uids[0],
        tuple(_references(body, "basedOn")),
        series,
    )


def _document(key: str, body: Mapping[str, Any]) -> DocumentReference:
    _require(is_final(body), "not_final")
    return DocumentReference(
        key,
        _reference(body.get("subject")),
        _day(date_of(body, "date")),
        attachments_of(body),
        replaced_by(body),
    )


def _observation(key: str, body: Mapping[str, Any]) -> Observation:
    _require(body.get("status") in FINAL, "not_final")
    when = _dated(date_of(body, "effectiveDateTime", "effectivePeriod", "effectiveInstant"))
    values, reasons = [], []
    for part in (body, *_dicts(body, "component")):
        try:
            values.append(_value(part))
        except LeftOut as refusal:
            reasons.append(refusal.why)
    _require(
        bool(values),
        next((why for why in reasons if why != "not_a_number_value"), "not_a_number_value"),
    )
    return Observation(key, _reference(body.get("subject")), when, tuple(values))


def _value(part: Mapping[str, Any]) -> tuple[str, str, float]:
    quantity = part.get("valueQuantity")
    if isinstance(quantity, dict):
        _require("comparator" not in quantity, "comparator")
        number, unit = quantity.get("value"), _text(quantity, "code") or _text(quantity, "unit")
    else:
        number, unit = part.get("valueInteger", part.get("valueBoolean")), ""
    if not isinstance(number, int | float) or abs(number) > LARGEST_VALUE:
        raise LeftOut("not_a_number_value")
    _require(not unit or UNIT.fullmatch(unit) is not None, "no_code")
    return _code(part.get("code")), unit, float(number)


def _code(concept: Any) -> str:
    """One code: LOINC before SNOMED CT before a local one, whose system is told by a short hash."""
    found = []
    for coding in _dicts(concept, "coding"):
        system, code = _text(coding, "system"), _text(coding, "code")
        if CODE.fullmatch(code):
            name = (
                SYSTEMS.get(system)
                or f"local{hashlib.sha256(system.encode('utf-8', 'replace')).hexdigest()[:6]}"
            )
            found.append(
                (
                    list(SYSTEMS).index(system) if system in SYSTEMS else len(SYSTEMS),
                    f"{name}_{code}",
                )
            )
    _require(bool(found), "no_code")
    return min(found)[1]


def _reference(value: Any) -> str:
    found = _text(value, "reference")
    _require(bool(found), "no_patient")
    return found


def _references(body: Mapping[str, Any], name: str) -> list[str]:
    return [found for item in _dicts(body, name) if (found := _text(item, "reference"))]


def _dicom_kind(series: Mapping[str, Any]) -> str:
    modality = series.get("modality")
    # R4 gives one code, R5 a list of codings
    code = _text(modality, "code") or next(
        (_text(c, "code") for c in _dicts(modality, "coding")), ""
    )
    return code if DICOM_KIND.fullmatch(code) else ""


def _day(when: When | None) -> When:
    found = _dated(when)
    _require(
        found.to_the_day
        and found.last_day.year >= 1900
        and found.last_day <= date.today() + timedelta(days=1),
        "no_date",
    )
    return found


def _dated(when: When | None) -> When:
    if when is None:
        raise LeftOut("no_date")
    return when


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 10**9 else None


def _text(value: Any, name: str) -> str:
    """A text of an object, blanks at its ends taken off; empty where it is not there or not a
    text.
    """
    found = value.get(name) if isinstance(value, dict) else None
    return found.strip() if isinstance(found, str) else ""


def _texts(value: Mapping[str, Any], name: str) -> list[str]:
    found = value.get(name)
    return (
        [item.strip() for item in found if isinstance(item, str)] if isinstance(found, list) else []
    )


def _dicts(value: Any, name: str) -> list[dict[str, Any]]:
    found = value.get(name) if isinstance(value, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _require(holds: bool, why: str) -> None:
    if not holds:
        raise LeftOut(why)


READERS: dict[str, Callable[[str, Mapping[str, Any]], Resource]] = {
    "Patient": _patient,
    "DiagnosticReport": _report,
    "ImagingStudy": _study,
    "DocumentReference": _document,
    "Observation": _observation,
}
