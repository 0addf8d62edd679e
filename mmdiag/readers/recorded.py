"""Until when something may have been recorded, as headers write dates: DICOM DA and DT, HL7 TS, ISO
8601, EXIF.

Reference:
    DICOM PS3.5 6.2 (DA, DT; the form with full stops is that of ACR-NEMA 300, still to be read),
    HL7 V3 datatypes TS, FHIR R4 2.24.0.1.
"""

import re
from calendar import monthrange
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import Final

OLDEST: Final = 1900  # years before are placeholders
_COMPACT: Final = re.compile(r"(\d{4})(?:(\d\d)(?:(\d\d)(?:\d\d)*)?)?(?!\d)")
_YEAR_FIRST: Final = re.compile(r"(\d{4})([-.:/])(\d{1,2})(?:\2(\d{1,2}))?(?!\d)")
_YEAR_LAST: Final = re.compile(r"(\d{1,2})([-./])(\d{1,2})\2(\d{4})(?!\d)")


@lru_cache(maxsize=4096)
def last_day(text: str) -> date | None:
    """The last day that a date, or a date with its time, may mean, on its own clock.

    Args:
        text: `20240601`, `2024.06.01`, `2024-06-01T10:15:00Z`, `20240601101500.0+0200`, `202406`,
            `2024`, `01.06.2024` ...; what stops at the month or the year, or names a day or month
            that there is not, means all of its days.

    Returns:
        None where it is no date, or a placeholder such as `00000000`.
    """
    text = text.strip()
    if found := _YEAR_FIRST.match(text):
        return last_of(int(found[1]), int(found[3]), int(found[4]) if found[4] else None)
    if found := _YEAR_LAST.match(text):
        return last_of_numbers(int(found[1]), int(found[3]), int(found[4]), found[2])
    if found := _COMPACT.match(text):
        return last_of(int(found[1]), *(int(part) if part else None for part in found.groups()[1:]))
    return None


def last_of(year: int, month: int | None = None, day: int | None = None) -> date | None:
    """The last day of a year, of a month, or the day itself; None before 1900."""
    if not OLDEST <= year <= 9999:
        return None
    if month is None or not 1 <= month <= 12:
        return date(year, 12, 31)
    days = monthrange(year, month)[1]
    return date(year, month, day if day is not None and 1 <= day <= days else days)


def last_of_numbers(first: int, second: int, year: int, between: str) -> date | None:
    """The later day that two numbers and a year may mean; with full stops the day comes first."""
    orders = [(second, first), (first, second)] if between != "." else [(second, first)]
    return latest(
        last_of(year, month, day) for month, day in orders if 1 <= month <= 12 and 1 <= day <= 31
    )


def latest(days: Iterable[date | None]) -> date | None:
    """The latest of some days; None where there is none."""
    return max([day for day in days if day is not None], default=None)
