"""Reads a date as people write it, where it can mean one day only."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Final

MONTHS: Final[Mapping[str, int]] = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar jänner enero ene janvier janv",
            "february feb februar febrero février févr",
            "march mar märz mrz marzo mars",
            "april apr abril abr avril avr",
            "may mai mayo",
            "june jun juni junio juin",
            "july jul juli julio juillet juil",
            "august aug agosto ago août",
            "september sept sep septiembre setiembre septembre",
            "october oct oktober okt octubre octobre",
            "november nov noviembre novembre",
            "december dec dezember dez diciembre dic décembre déc",
        ),
        start=1,
    )
    for name in names.split()
}
MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_ISO = re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_COMPACT = re.compile(r"(?<!\d)((?:19|20)\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)")
_NUMBERS = re.compile(r"(?<!\d)(\d{1,2})([-/.])(\d{1,2})\2(\d{4})(?!\d)")
# fmt: off
_DAY_MONTH = re.compile(
    rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th|er|\.|º)?(?:\s+of|\s+de|\s+del)?[\s-]*({MONTH})\.?,?(?:\s+de|\s+del)?[\s-]*(\d{{4}})", re.IGNORECASE
)
_MONTH_DAY = re.compile(rf"\b({MONTH})\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})", re.IGNORECASE)
# fmt: on


def parse_date(text: str) -> date | None:
    """The date that some text begins with.

    Args:
        text: Such as `2024-03-02`, `20240302`, `2.3.2024`, `14 March 2026` or `March 14, 2026`.

    Returns:
        The date; None where there is none, or where day and month cannot be told apart
        (`02/03/2024`).
    """
    if found := _ISO.match(text) or _COMPACT.match(text):
        return _date(int(found[1]), int(found[2]), int(found[3]))
    if found := _DAY_MONTH.match(text):
        return _date(int(found[3]), MONTHS[found[2].lower()], int(found[1]))
    if found := _MONTH_DAY.match(text):
        return _date(int(found[3]), MONTHS[found[1].lower()], int(found[2]))
    if found := _NUMBERS.match(text):
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        if found[2] == "." or first > 12 or first == second:
            return _date(year, second, first)
        return _date(year, first, second) if second > 12 else None
    return None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
