"""Until when a case's inputs may be known: an ISO date, with or without a time and its zone."""

import re
from typing import Final

import pandas as pd

from mmdiag.readers.moments import DAY, read_moment

_BEGINS_LIKE_A_DATE: Final = re.compile(rf"(?:{DAY})(?!\d)")


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
    found = read_moment(text)
    try:
        return None if found is None else pd.Timestamp(found.written)
    except (ValueError, OverflowError):
        return None
