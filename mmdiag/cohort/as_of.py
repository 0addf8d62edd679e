"""Until when a case's inputs may be known: an ISO date, with or without a time and its zone."""

import re
from datetime import datetime
from typing import Final

import pandas as pd

_DAY: Final = r"\d{4}-\d\d-\d\d|\d{8}"
_FORM: Final = re.compile(
    rf"(?P<day>{_DAY})"
    r"(?:[T ](?P<clock>\d\d(?::?\d\d(?::?\d\d(?:[.,]\d+)?)?)?)"
    r"\s?(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?(?:\[[\w/+-]+\])?)?",
    re.IGNORECASE,
)
_BEGINS_LIKE_A_DATE: Final = re.compile(rf"(?:{_DAY})(?!\d)")


def is_one_date(as_of: str) -> bool:
    """Whether `as_of` of a description is a date for all cases rather than the name of a column."""
    return _BEGINS_LIKE_A_DATE.match(as_of.strip()) is not None


def moment_of(text: str) -> pd.Timestamp | None:
    """The moment that a cell names, on the clock that it names it on; None where it names none.

    Args:
        text: `2024-03-02`, `20240302`, `2024-03-02T10:00:00Z`, `2024-03-02 10:00:00+02:00`,
            `2024-03-02T10:00:00+01:00[Europe/Berlin]` ...; what stops at the month names no day.
            The zone is read and left out: inputs are dated on their own clocks, too.
    """
    form = _FORM.fullmatch(text.strip())
    if form is None:
        return None
    zone = (form["zone"] or "").upper()
    zone = "+00:00" if zone in ("Z", "UTC", "GMT") else zone
    clock = f"T{form['clock']}{zone}" if form["clock"] else ""
    try:
        return pd.Timestamp(datetime.fromisoformat(f"{form['day']}{clock}").replace(tzinfo=None))
    except (ValueError, OverflowError):
        return None
