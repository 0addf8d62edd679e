"""Standardised uptake values of PET: activity over injected dose and body weight, where the header
says all that is needed.

Of two times of a scan the earlier one counts: a series that is reconstructed again is dated hours
later, bed positions follow each other, and the values are corrected to the first of them.

Reference:
    QIBA FDG-PET/CT profile 1.13, appendix G (vendor-neutral SUV of body weight); DICOM PS3.3
    C.8.9.1, C.8.9.4; PS3.5 6.2 (DA, TM, DT); PS3.3 C.12.1.1.8 (TimezoneOffsetFromUTC).
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pydicom

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.header import Header
from mmdiag.readers.dicom.pixels import BROKEN, read_attributes

PHILIPS = b"Philips PET Private Group"  # creator of the block that says what a count is
SUV_FACTOR, ACTIVITY = 0x00, 0x09  # (7053,xx00): to SUV by body weight; (7053,xx09): to Bq/ml
MOST_HALF_LIVES = 10.0  # between injection and scan: a thousandth of the dose
LONGEST_BACK = timedelta(hours=6)  # to a time of the day before, which is told without its date
DATED_FROM_S = 6 * 3600.0  # half-life of what is often scanned on a later day
LEAST_DOSE = 1e4  # Bq: less was written in MBq
HEAVIEST = 700.0  # kg: more was written in g
CLOCK = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.\d+)?)?)?")
DAY = re.compile(r"(\d{4})[.]?(\d\d)[.]?(\d\d)")
FULL = re.compile(r"(\d{8})(\d{2,6})?(?:\.\d+)?([+-]\d{4})?")


def suv_factor(header: Header, began: datetime | None) -> float:
    """What a value in Bq/ml, or in counts of Philips, is multiplied by to become an SUV in g/ml; 1
    where the file holds SUVs already.

    Args:
        began: When the scan began, as `scan_start` gives it.

    Raises:
        ReadError: `no_suv`, naming what the header lacks.
    """
    units, kind = header.text("Units"), header.text("SUVType")
    if units == "GML":
        if kind in ("", "BW"):
            return 1.0
        raise ReadError("no_suv", "SUVType (0054,1006) is not BW: it is over another body measure")
    counts = units == "CNTS" and (_of_philips(header, SUV_FACTOR), _of_philips(header, ACTIVITY))
    if units != "BQML" and not (counts and any(counts)):
        raise ReadError("no_suv", "Units (0054,1001) is neither BQML nor GML")
    corrections = header.text("CorrectedImage").split("\\")
    if not {"ATTN", "DECY"} <= set(corrections):
        raise ReadError("no_suv", "CorrectedImage (0028,0051) does not name ATTN and DECY")
    if counts:
        return counts[0] or counts[1] * _of_activity(header, began)
    return _of_activity(header, began)


def _of_philips(header: Header, element: int) -> float:
    """A factor in the private block of Philips, whose scanners store counts; 0 where it says
    none.
    """
    for block in range(0x10, 0x100):
        if header.scan.value(0x7053_0000 | block).rstrip(b"\0 ") == PHILIPS:
            content = header.scan.value(0x7053_0000 | block << 8 | element)
            try:
                value = float(content.decode("ascii", "replace").strip("\0 ") or 0)
            except ValueError:
                return 0.0
            return value if 0 < value < float("inf") else 0.0
    return 0.0


def _of_activity(header: Header, began: datetime | None) -> float:
    """What a value in Bq/ml is multiplied by."""
    weight = header.number("PatientWeight")
    if not weight or not 0 < weight <= HEAVIEST:
        raise ReadError("no_suv", "PatientWeight (0010,1030) is absent, or not in kg")
    item = _administration(header)
    dose = _positive(item, "RadionuclideTotalDose")
    if dose < LEAST_DOSE:
        raise ReadError("no_suv", "RadionuclideTotalDose (0018,1074) is not in Bq")
    correction = header.text("DecayCorrection")
    if correction == "ADMIN":
        return weight * 1000.0 / dose
    if correction != "START":
        raise ReadError("no_suv", "DecayCorrection (0054,1102) is neither START nor ADMIN")
    half_life = _positive(item, "RadionuclideHalfLife")
    waited = _waited(header, item, half_life, began)
    decayed: float = dose * 2.0 ** (-waited / half_life)
    return weight * 1000.0 / decayed


def scan_start(headers: Sequence[Header]) -> datetime | None:
    """When a scan began: the earliest of the series and acquisition times of all its files, with
    their zone where they state one; None where none is stated, or only some have a zone.
    """
    found = [moment for header in headers for moment in _moments(header)]
    if len({moment.tzinfo is None for moment in found}) != 1:
        return None
    return min(found)


def _moments(header: Header) -> list[datetime]:
    zone = _zone(header.text("TimezoneOffsetFromUTC"))
    day = header.text("SeriesDate") or header.text("StudyDate")
    pairs = [
        (day, header.text("SeriesTime")),
        (header.text("AcquisitionDate") or day, header.text("AcquisitionTime")),
    ]
    found = [_moment(date, clock, zone) for date, clock in pairs]
    found.append(_full(header.text("AcquisitionDateTime"), zone))
    return [moment for moment in found if moment is not None]


def _waited(
    header: Header, item: pydicom.Dataset, half_life: float, began: datetime | None
) -> float:
    """Seconds from the injection to the scan."""
    if began is None:
        raise ReadError(
            "no_suv", "SeriesDate and SeriesTime (0008,0021/0031) are absent, or lack their zone"
        )
    zone = _zone(header.text("TimezoneOffsetFromUTC"))
    exact = str(item.get("RadiopharmaceuticalStartDateTime") or "").strip()
    if exact:
        injected = _full(exact, zone)
        if injected is None:
            raise ReadError("no_suv", "RadiopharmaceuticalStartDateTime (0018,1078) is no time")
    else:
        injected = _by_the_clock(item, half_life, began, zone)
    if (injected.tzinfo is None) != (began.tzinfo is None):
        raise ReadError(
            "no_suv", "of injection and scan one has a time zone, (0008,0201) gives the other none"
        )
    waited = (began - injected).total_seconds()
    if not 0 <= waited <= MOST_HALF_LIVES * half_life:
        raise ReadError(
            "no_suv",
            f"the injection is not within {MOST_HALF_LIVES:.0f} half-lives before the scan",
        )
    return waited


def _by_the_clock(
    item: pydicom.Dataset, half_life: float, began: datetime, zone: timezone | None
) -> datetime:
    """The injection of which only the time of day is told: that of the scan's day, or shortly
    before midnight.
    """
    clock = str(item.get("RadiopharmaceuticalStartTime") or "").strip()
    if half_life > DATED_FROM_S:
        raise ReadError(
            "no_suv",
            "RadiopharmaceuticalStartDateTime (0018,1078) is absent: so long a half-life is often "
            "scanned on a later day",
        )
    aware = zone if began.tzinfo is not None else None
    day = began if aware is None else began.astimezone(aware)
    injected = _moment(f"{day:%Y%m%d}", clock, aware)
    if injected is None:
        raise ReadError("no_suv", "RadiopharmaceuticalStartTime (0018,1072) is absent or no time")
    night_before = injected - timedelta(days=1)
    later = (injected.tzinfo is None) == (began.tzinfo is None) and injected > began
    return night_before if later and began - night_before <= LONGEST_BACK else injected


def _administration(header: Header) -> pydicom.Dataset:
    """The one injection.

    Raises:
        ReadError: There is none, or there are several.
    """
    keyword = "RadiopharmaceuticalInformationSequence"
    items = read_attributes(header, [keyword]).get(keyword) if header.has(keyword) else None
    if not isinstance(items, pydicom.Sequence) or len(items) != 1:
        raise ReadError("no_suv", f"{keyword} (0054,0016) does not hold one injection")
    item: pydicom.Dataset = items[0]
    return item


def _positive(item: pydicom.Dataset, keyword: str) -> float:
    try:
        value = float(item[keyword].value)
    except BROKEN:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ReadError("no_suv", f"{keyword} is absent or not positive")
    return value


def _zone(text: str) -> timezone | None:
    """A zone as +hhmm."""
    found = re.fullmatch(r"([+-])(\d\d)(\d\d)", text.strip())
    if found is None:
        return None
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-offset if found[1] == "-" else offset)


def _moment(day: str, clock: str, zone: timezone | None) -> datetime | None:
    """A date and a time of the day, in the old forms with points and colons, too."""
    date, time = DAY.fullmatch(day.strip()), CLOCK.fullmatch(clock.strip())
    if date is None or time is None:
        return None
    try:
        parts = [int(part or 0) for part in (*date.groups(), *time.groups())]
        year, month, day_of_month, hour, minute, second = parts
        return datetime(year, month, day_of_month, hour, minute, min(second, 59), tzinfo=zone)
    except ValueError:
        return None


def _full(text: str, zone: timezone | None) -> datetime | None:
    """A DT; its own zone counts before that of the file."""
    found = FULL.fullmatch(text.strip())
    if found is None or not found[2]:
        return None
    return _moment(found[1], found[2], _zone(found[3] or "") or zone)
