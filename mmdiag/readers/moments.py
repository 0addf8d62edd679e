"""ISO dates, with or without a time and its zone, as people and tables write a moment."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

DAY: Final = r"\d{4}-\d\d-\d\d|\d{8}"
FORM: Final = re.compile(
    rf"(?P<day>{DAY})"
    r"(?:[T ](?P<clock>\d\d(?::?\d\d(?::?\d\d(?:[.,]\d+)?)?)?)"
    r"(?:\s?(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)(?:\[[\w/+-]+\])?)?)?",
    re.IGNORECASE,
)
MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Moment:
    """A date as it is written.

    Args:
        written: On the clock that it is written on; midnight where it has no time.
        zone: That clock's distance from UTC; None = it is not said.
        has_time: Whether it says more than the day.
    """

    written: datetime
    zone: timedelta | None
    has_time: bool

    @property
    def clock_us(self) -> int:
        """Microseconds since 1970 on its own clock."""
        return (self.written - _EPOCH) // MICROSECOND

    @property
    def utc_us(self) -> int:
        """Microseconds since 1970 in UTC; without a zone its clock is taken for that of UTC."""
        return (self.written - _EPOCH - (self.zone or timedelta())) // MICROSECOND


def read_moment(text: str) -> Moment | None:
    """What a cell such as `2024-03-02`, `20240302`, `2024-03-02T10:00:00Z` or
    `2024-03-02 10:00:00+02:00` names; None where that is no day.

    Args:
        text: What stops at the month or the year names no day, and what names a place without its
            distance from UTC (`[America/New_York]`) no moment. Digits beyond the microsecond are
            cut off.
    """
    form = FORM.fullmatch(text.strip())
    if form is None:
        return None
    zone = (form["zone"] or "").upper()
    zone = "+00:00" if zone in ("Z", "UTC", "GMT") else zone
    clock = f"T{form['clock']}{zone}" if form["clock"] else ""
    try:
        found = datetime.fromisoformat(f"{form['day']}{clock}")
    except (ValueError, OverflowError):
        return None
    return Moment(found.replace(tzinfo=None), found.utcoffset(), bool(clock))
