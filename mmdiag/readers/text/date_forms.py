"""Finds dates in clinical text, in the forms of the languages that notes come in, with each day
that one may mean.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final, NamedTuple

from mmdiag.readers.recorded import last_of
from mmdiag.readers.text.dates import MONTHS

NEWEST: Final = 2199
# months of further languages, as dates write them: Italian, Portuguese, Dutch, Scandinavian, Polish,
# Czech, Russian, Greek and Turkish ...
_FURTHER: Final = (
    "gennaio gen janeiro januari jan stycznia ledna января январь ιανουαριου ocak",
    "febbraio fevereiro fev februari lutego unora февраля февраль φεβρουαριου subat",
    "marzo marco maart mrt mars marca brezna марта март μαρτιου mart",
    "aprile abril april kwietnia dubna апреля апрель απριλιου nisan",
    "maggio mag maio mai mei maj maja kvetna мая май μαιου mayis",
    "giugno giu junho jun juni czerwca cervna июня июнь ιουνιου haziran",
    "luglio lug julho jul juli lipca cervence июля июль ιουλιου temmuz",
    "agosto ago augustus augusti aug sierpnia srpna августа август αυγουστου agustos",
    "settembre set setembro september sep wrzesnia zari сентября сентябрь σεπτεμβριου eylul",
    "ottobre ott outubro out oktober okt pazdziernika rijna октября октябрь οκτωβριου ekim",
    "novembre novembro november nov listopada listopadu ноября ноябрь νοεμβριου kasim",
    "dicembre dezembro dez december dec grudnia prosince декабря декабрь δεκεμβριου aralik",
)
# ... Slovak, Slovene, Croatian, Serbian, Bulgarian, Ukrainian, Lithuanian, Latvian, Estonian, Finnish,
# Hungarian, Romanian, Arabic and Hebrew
_EASTERN: Final = (
    "januar januara januarja sausio janvaris janvara jaanuar tammikuuta tammikuu ianuarie "
    "sijecnja sijecanj січня януари јануар јануара يناير ינואר",
    "februar februara februarja vasario februaris veebruar helmikuuta helmikuu februarie "
    "veljace veljaca лютого февруари фебруар фебруара فبراير פברואר",
    "kovo marts maaliskuuta maaliskuu marcius martie ozujka ozujak березня марта مارس מרץ",
    "aprila balandzio aprilis aprill huhtikuuta huhtikuu aprilie travnja travanj квітня "
    "април априла ابريل أبريل אפריל",
    "geguzes maijs maija toukokuuta toukokuu majus svibnja svibanj травня мај маја مايو מאי",
    "juna junija birzelio junijs juuni kesakuuta kesakuu junius iunie lipnja lipanj "
    "червня юни јун јуна يونيو יוני",
    "jula julija liepos julijs juuli heinakuuta heinakuu julius iulie srpnja srpanj липня "
    "юли јул јула يوليو יולי",
    "augusta avgusta rugpjucio augusts august elokuuta elokuu augusztus kolovoza kolovoz "
    "серпня август августа أغسطس اغسطس אוגוסט",
    "septembra rugsejo septembris syyskuuta syyskuu szeptember septembrie rujna rujan "
    "вересня септември септембар септембра سبتمبر ספטמבר",
    "oktobra spalio oktobris oktoober lokakuuta lokakuu octombrie жовтня октомври октобар "
    "октобра أكتوبر اكتوبر אוקטובר",
    "novembra lapkricio novembris marraskuuta marraskuu noiembrie studenoga studenog "
    "листопада ноември новембар новембра نوفمبر נובמבר",
    "decembra gruodzio decembris detsember joulukuuta joulukuu decembrie prosinca "
    "prosinac грудня декември децембар децембра ديسمبر דצמבר",
)
_DIGITS: Final = {  # full-width and Arabic ones
    first + digit: str(digit) for first in (0xFF10, 0x0660, 0x06F0) for digit in range(10)
}
_ERAS: Final = {"令和": 2018, "平成": 1988, "昭和": 1925}  # the year before the first one of each


def _plain(word: str) -> str:
    """A word in small letters without its accents."""
    letters = unicodedata.normalize("NFKD", word.lower().replace("ı", "i"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


# number of a month -> what it is called
MONTH_NAMES: Final[Mapping[int, tuple[str, ...]]] = {
    number: (
        *(name for name, n in MONTHS.items() if n == number),
        *further.split(),
        *eastern.split(),
    )
    for number, (further, eastern) in enumerate(zip(_FURTHER, _EASTERN, strict=True), start=1)
}
_NUMBER_OF: Final[Mapping[str, int]] = {
    _plain(name): number for number, names in MONTH_NAMES.items() for name in names
}
_YEAR: Final = r"(?:19|20)\d\d"
_SHORT: Final = r"'?\d\d(?![\d:])"
_WORD: Final = r"(?:[^\W\d_][\u0300-\u036f]?){3,12}"
_OF: Final = r"(?:\s*(?:of|de|del|di)\b)?"
_NUMBER: Final = re.compile(r"\d+")
_NUMBER_FIRST: Final = re.compile(
    # 2024-06-15, 2024/6/15, 2024. 6. 15
    rf"(?<![.,])(?P<y1>{_YEAR})(?P<s1>\s?[-/.]\s?)(?P<m1>\d{{1,2}})(?P=s1)(?P<d1>\d{{1,2}})(?!\d)"
    # 20240615, 20240615140200
    rf"|(?P<y2>{_YEAR})(?P<m2>0[1-9]|1[0-2])(?P<d2>0[1-9]|[12]\d|3[01])(?:\d{{4}}|\d{{6}})?(?!\d)"
    # 15.06.2024, 15. 06. 24, 06/15/2024
    rf"|(?<![.,/])(?P<a3>\d{{1,2}})\s?(?P<s3>[-/.])\s?(?P<b3>\d{{1,2}})\s?(?P=s3)\s?"
    rf"(?P<y3>{_YEAR}|'?\d\d)(?!\d|[./-]\d)"
    # 15 June 2024, 15-JUN-24, 15. Juni 2024, 15 de junio de 2024
    rf"|(?<![.,])(?P<d4>\d{{1,2}})(?:(?:st|nd|rd|th|er)(?![^\W\d_])|\.|º|ª)?{_OF}[\s/.-]*(?P<m4>{_WORD})\.?,?{_OF}"
    rf"[\s/.-]*(?P<y4>{_YEAR}|{_SHORT})"
    # 2024 June 15
    rf"|(?P<y6>{_YEAR})[\s,/.-]+(?P<m6>{_WORD})\.?[\s/-]*(?P<d6>\d{{1,2}})(?!\d)"
    # 2024年6月15日, 2024년 6월 15일, 令和6年6月15日
    r"|(?P<y7>\d{1,4})\s?[年년]\s?(?P<m7>\d{1,2})\s?[月월](?:\s?(?P<d7>\d{1,2})\s?[日號号일])?"
    # 06/2024, 2024-06: all of the month
    rf"|(?<![./,-])(?P<m8>\d{{1,2}})[/.](?P<y8>{_YEAR})(?!\d|[./-]\d)"
    rf"|(?<![./,-])(?P<y9>{_YEAR})-(?P<m9>0[1-9]|1[0-2])(?!\d|[./-]\d)",
    re.IGNORECASE,
)
_MONTH_BEFORE: Final = re.compile(
    rf"(?<![^\W_])(?P<month>{_WORD})\.?,?{_OF}[\s/-]*$", re.IGNORECASE
)
# June [15, 2024], June [2024]
_AFTER_MONTH: Final = re.compile(
    rf"(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?(?:,\s*|[\s-]+)(?P<y1>{_YEAR}|{_SHORT})(?!\d)"
    rf"|(?P<y2>{_YEAR})(?!\d)",
    re.IGNORECASE,
)
_LONGEST: Final = 24  # characters between the start of a month's name and the number behind it


class FoundDate(NamedTuple):
    """A date in a text.

    Args:
        start, end: Where it stands.
        days: The last day that it may mean; where the order of day and month is open two: with the
            day first, with the month first.
        day_first: What its own numbers say of that order; None = nothing.
    """

    start: int
    end: int
    days: tuple[date, ...]
    day_first: bool | None = None


def find_dates(text: str) -> Iterator[FoundDate]:
    """The dates of a text in their order; what stops at the month means its last day."""
    text = text if text.isascii() else text.translate(_DIGITS)
    end = 0
    for number in _NUMBER.finditer(text):
        if number.start() >= end and (found := _at(text, number.start(), end)):
            end = found.end
            yield found


def _at(text: str, start: int, after: int) -> FoundDate | None:
    """The date whose first number begins at an offset; a month's name before it lies behind
    `after`.
    """
    if text[start - 1 : start].isspace() or text[start - 1 : start] in ("-", "/", ".", ","):
        begin = max(after, start - _LONGEST)
        named = _MONTH_BEFORE.search(text[begin:start])
        month = _NUMBER_OF.get(_plain(named["month"])) if named else None
        found = _AFTER_MONTH.match(text, start) if month else None
        if named and month and found:
            day = found["d1"]
            days = _valid(_year(found["y1"] or found["y2"]), month, int(day) if day else None)
            return FoundDate(begin + named.start(), found.end(), days) if days else None
    found = _NUMBER_FIRST.match(text, start)
    if found is None:
        return None
    parts = found.groupdict()
    if parts["a3"] is not None:
        days, day_first = _of_numbers(parts)
    else:
        days, day_first = _of_parts(parts, _ERAS.get(text[max(0, start - 2) : start], 0)), None
    return FoundDate(start, found.end(), days, day_first) if days else None


def _of_numbers(parts: Mapping[str, str | None]) -> tuple[tuple[date, ...], bool | None]:
    first, second = int(parts["a3"] or 0), int(parts["b3"] or 0)
    year, full_stops = _year(parts["y3"] or ""), parts["s3"] == "."
    if second > 12 >= first:
        return _valid(year, first, second), False
    if full_stops or (first > 12 >= second):
        return _valid(year, second, first), None if full_stops else True
    if first > 12:  # 99-12-31
        turned = _valid(_year(f"{first:02d}"), second, int((parts["y3"] or "").lstrip("'")))
        return turned, None
    days = (*_valid(year, second, first), *_valid(year, first, second))
    return tuple(dict.fromkeys(days)), None


def _of_parts(parts: Mapping[str, str | None], era: int) -> tuple[date, ...]:
    for number in "1246789":
        year, month = parts[f"y{number}"], parts[f"m{number}"]
        if year is None or month is None:
            continue
        day = parts.get(f"d{number}")
        numbered = int(month) if month.isdigit() else _NUMBER_OF.get(_plain(month), 0)
        counted = era + int(year) if era and number == "7" else _year(year)
        return _valid(counted, numbered, int(day) if day else None)
    return ()


def _year(text: str) -> int:
    """Two digits mean the latest year that is not in the future."""
    digits = text.lstrip("'")
    if len(digits) > 2:
        return int(digits)
    return int(digits) + (2000 if 2000 + int(digits) <= date.today().year else 1900)


def _valid(year: int, month: int, day: int | None) -> tuple[date, ...]:
    if not 1 <= month <= 12 or (day is not None and not 1 <= day <= 31) or year > NEWEST:
        return ()
    found = last_of(year, month, day)
    return (found,) if found else ()
