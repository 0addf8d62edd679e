"""FHIR dates, which may stop at the year, and what it means that one is not after another."""

import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

FORM = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?)?)?"
)


@dataclass(frozen=True, slots=True)
class When:
    """A FHIR dateTime.

    Args:
        last_day: The last day that it may mean, on its own clock.
        instant: The moment, where it is that precise.
        to_the_day: Whether it means one day.
    """

    last_day: date
    instant: datetime | None
    to_the_day: bool

    def not_after(self, other: "When") -> bool:
        """Whether it certainly is not later than another one that is precise to the day."""
        if self.instant is not None and other.instant is not None:
            return self.instant <= other.instant
        return self.last_day <= other.last_day

    def order(self) -> tuple[date, float]:
        """A key to sort by time; what names only the day comes at its end."""
        return self.last_day, self.instant.timestamp() if self.instant is not None else float("inf")


def read_date(text: Any) -> When | None:
    """A FHIR date, dateTime or instant; None where it is none.

    Reference:
        FHIR R4 2.24.0.1.
    """
    form = FORM.fullmatch(text) if isinstance(text, str) else None
    if form is None:
        return None
    year, month, day, clock = form.groups()
    try:
        last_month = int(month or 12)
        last_day = date(int(year), last_month, int(day or monthrange(int(year), last_month)[1]))
        return When(last_day, datetime.fromisoformat(text) if clock else None, day is not None)
    except (ValueError, IndexError, OverflowError):
        return None


def date_of(body: Mapping[str, Any], *names: str) -> When | None:
    """The first date among some elements; a period counts by its end."""
    for name in names:
        value = body.get(name)
        found = read_date(value.get("end") if isinstance(value, dict) else value)
        if found is not None:
            return found
    return None
