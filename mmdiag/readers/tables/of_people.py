"""Columns of numbers that measure nothing: numbers and addresses of a person, days, and numbers of
rows. Where nobody names the inputs they are none.
"""

import re
from collections.abc import Collection
from typing import Final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from mmdiag.readers.tables.numbers import Numbers

WIDE: Final = 500  # columns, from which on a table holds measurements and names are those of genes
OF_A_PERSON: Final = "numbers of a person, by its name (columns makes them inputs)"
DAYS: Final = "days as whole numbers, such as 20240131"
SPREADSHEET_DAYS: Final = "days as a spreadsheet numbers them, such as 45292"
ROWS: Final = "numbers of the rows"
LEAST: Final = 100  # the largest number of a person's column: what stays below counts something
_FIRST_DAY, _LAST_DAY = 19_000_101, 21_001_231
_LETTERS: Final = str.maketrans("áàâãäéèêëíìîïóòôõöúùûüçñ", "aaaaaeeeeiiiiooooouuuucn")
_NUMBERED: Final = (
    r"(?:patient|patienten|pat|subject|person|member|medical record|health record|record|chart"
    r"|hospital|accession|insurance|policy|versicherten|versicherungs|social security|sozial"
    r"versicherungs|national|nhs|encounter|admission|case|fall|aufnahme|paciente|historia|dossier)"
    r" ?(?:id|ids|no|nr|num|number|numero|nummer|identifier|key|code)"
)
_NAMED: Final = re.compile(
    rf"{_NUMBERED}|mrn|ssn|pid|patid|nhc|dni|nir|iban|dob"
    r"|(?:date of )?birth ?(?:date|day)?|date of birth|geburts(?:datum|tag)|geb(?: ?dat(?:um)?)?"
    r"|fecha (?:de )?nacimiento|date (?:de )?naissance|data (?:di |de )?nascita"
    r"|(?:home |mobile |cell )?(?:tele)?(?:phone|fon)(?: ?(?:no|nr|number|nummer))?|tel|mobile|fax"
    r"|zip(?: ?code)?|post(?:al)? ?code|plz|postleitzahl|codigo postal|code postal|cap"
)
_DATED: Final = re.compile(r"(?:.* )?(?:dates?|datum|fecha|day of .*)(?: .*)?")
_FIRST_NUMBER, _LAST_NUMBER = 14_000, 65_000  # of 1938 and 2077; from 1904 on, four years more
_ROW: Final = re.compile(r"|unnamed 0|index|row(?: ?(?:no|nr|number|id))?|lfd ?(?:nr|nummer)?")


def columns_of_people(numbers: Numbers, wanted: Collection[str] = ()) -> dict[str, str]:
    """Column that is no measurement -> what it holds instead.

    Args:
        wanted: Columns that are inputs whatever they hold.
    """
    if len(numbers.names) > WIDE:
        return {}
    found = {}
    for name, values in zip(numbers.names, numbers.values, strict=True):
        if name not in wanted and (why := _why(_words(name), values)):
            found[name] = why
    return found


def _why(words: str, values: Float32[ndarray, " row"]) -> str:
    known = values[~np.isnan(values)].astype(np.float64)
    if not len(known) or (known % 1).any() or known.min() < 0:
        return ""
    if _ROW.fullmatch(words) and len(known) == len(values):
        return ROWS if len(known) > 1 and (np.diff(known) == 1).all() else ""
    if _NAMED.fullmatch(words) and known.max() >= LEAST:
        return OF_A_PERSON
    if _DATED.fullmatch(words) and _FIRST_NUMBER <= known.min() <= known.max() <= _LAST_NUMBER:
        return SPREADSHEET_DAYS
    return DAYS if _are_days(known) else ""


def _are_days(known: ndarray) -> bool:
    """Whether numbers have the form YYYYMMDD; those beyond 2^24 are even in float32."""
    near = 1  # a day that was rounded may be the 32nd or the 0th
    day, month = known % 100, known // 100 % 100
    inside = (known >= _FIRST_DAY - near) & (known <= _LAST_DAY + near)
    return bool((inside & (month >= 1) & (month <= 12) & (day <= 31 + near)).all())


def _words(name: str) -> str:
    """A column's name in small letters without accents, a blank between its words."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.sub(r"[\W_]+", " ", parted.lower().translate(_LETTERS)).strip()
