"""Patterns that find one subject's identifiers in text, however they are spelt, grouped or
formatted.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Final, NamedTuple

from mmdiag.privacy.name_forms import BETWEEN, Names, add_name, bounded, name_patterns
from mmdiag.privacy.normalise import fold
from mmdiag.readers.text.date_forms import MONTH_NAMES
from mmdiag.readers.text.dates import parse_date

SHORTEST_WHOLE = 4  # letters of a name of several parts, which are written with something between
SURE_WHOLE = 6  # letters of one that is found without anything between
SHORTEST_CODE = 4  # letters and digits of an id that is masked without a label
SHORTEST_CORE = 5  # digits within an id or a number that are masked by themselves
# first year, name and letter of each era of Japan since 1868
_ERAS: Final = (
    (1868, "明治", "M"),
    (1912, "大正", "T"),
    (1926, "昭和", "S"),
    (1989, "平成", "H"),
    (2019, "令和", "R"),
)
_ROMAN: Final = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
_BUDDHIST_ERA = 543  # years that Thailand counts more
_INSTITUTION: Final = frozenset(
    re.findall(
        r"\w+",
        "hospital hospitals clinic clinics center centre medical university health healthcare "
        "institute department street road avenue lane the and of "
        "for general radiology imaging klinikum klinik universitat hopital clinica universitario "
        "centro north south east west city state county national "
        "regional",
    )
)
_NO_TERM: Final = re.compile(
    r"\d{3}[DWMY]|text|unknown|none|anonymous|anonymized|n/?a|male|female|other", re.IGNORECASE
)


class SubjectPattern(NamedTuple):
    """What is found, and how."""

    kind: str
    pattern: re.Pattern[str]
    accept: Callable[[str], bool] | None = None

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where it is found in folded text."""
        group = "hit" if "hit" in self.pattern.groupindex else 0
        for found in self.pattern.finditer(text):
            if self.accept is None or self.accept(found.group("name")):
                yield found.span(group)


def subject_patterns(subject_terms: Sequence[str]) -> list[SubjectPattern]:
    """Patterns for folded text, made of raw identifiers.

    Args:
        subject_terms: Values of a DICOM header, a table or a FHIR resource as they are:
            `Family^Given`, ids, dates as YYYYMMDD, telephone numbers, addresses. The form of each
            shows what it is; a name that is an ordinary word as well is sought with a capital only.
    """
    names = Names()
    sought: dict[tuple[str, str], None] = {}
    for value in subject_terms:
        folded = fold(value).text.strip(" \0")
        if len(folded) < 2 or _NO_TERM.fullmatch(folded):
            continue
        for kind, expression in _expressions(folded, value, names):
            sought[kind, expression] = None
        if folded != value:  # Müller is Mueller elsewhere
            for kind, expression in _expressions(_umlauts(value), value, Names()):
                sought[kind, expression] = None
    patterns = [
        SubjectPattern(kind, re.compile(expression, re.IGNORECASE)) for kind, expression in sought
    ]
    return [
        *patterns,
        *(
            SubjectPattern("name", re.compile(pattern.expression, re.IGNORECASE), pattern.accept)
            for pattern in name_patterns(names)
        ),
    ]


def name_parts(subject_terms: Sequence[str]) -> frozenset[str]:
    """The words and numbers within some identifiers, in small letters and folded, those of one
    letter left out.
    """
    return frozenset(
        part
        for value in subject_terms
        for part in re.findall(r"[^\W_]{2,}", fold(value).text.lower())
        if part not in _INSTITUTION
    )


def _expressions(value: str, written: str, names: Names) -> Iterator[tuple[str, str]]:
    """Kind and expression of all forms of one folded value; parts of names are added to `names`.

    Args:
        written: The value as it is.
    """
    stated = (
        parse_date(value)
        if re.fullmatch(r"\d{8}|\d{4}-\d\d-\d\d.*|\d{1,2}[./-]\d{1,2}[./-]\d{4}", value)
        else None
    )
    if stated is not None:
        yield "date", _date(stated)
    elif "@" in value:
        yield "email", re.escape(value)
    elif re.fullmatch(r"[\d.]+", value) and value.count(".") > 3:
        yield "id", rf"(?<![\d.]){re.escape(value)}(?![\d.])"
    elif "^" in value or not any(
        map(str.isdigit, value)
    ):  # a name may have digits, as in a test or in research
        yield from _words(value, written, names)
    elif re.fullmatch(r"[+\d\s()./-]+", value):
        yield from _number(value)
    elif len(re.findall(r"[^\W\d_]{3,}", value)) >= 2 or re.search(r"\d\s+[^\W\d_]{3,}", value):
        yield from _address(value, names)
    else:
        yield from _code(value)


def _words(value: str, written: str, names: Names) -> Iterator[tuple[str, str]]:
    add_name(names, written, _INSTITUTION)
    parts = re.findall(r"[\w']+", value.replace("_", " "))
    letters = sum(map(len, parts))
    if len(parts) > 1 and letters >= SHORTEST_WHOLE:
        between = BETWEEN if letters >= SURE_WHOLE else rf"(?=\W){BETWEEN}"
        yield (
            ("institution" if any(part.lower() in _INSTITUTION for part in parts) else "name"),
            bounded(between.join(map(re.escape, parts))),
        )


def _date(day: date) -> str:
    """A date in every usual form, with two or four digits of its year."""
    year, month, number, gap = (
        rf"(?:{day.year}|'?{day.year % 100:02d})",
        f"0?{day.month}",
        f"0?{day.day}",
        r"\s?[./\-\s]\s?",
    )
    called = {fold(name).text for name in MONTH_NAMES[day.month]} | {_ROMAN[day.month - 1]}
    names = rf"ב?(?:{'|'.join(sorted(called, key=len, reverse=True))})"  # Hebrew: in March
    forms = [
        f"{number}{gap}{month}{gap}{year}",
        f"{month}{gap}{number}{gap}{year}",
        f"{day.year}{gap}{month}{gap}{number}",
        day.strftime("%Y%m%d"),
        day.strftime("%d%m%Y"),
        day.strftime("%m%d%Y"),
        rf"{number}(?:st|nd|rd|th|\.|er|º)?(?:\s?(?:of|de|del|di)\s|[\s./-]{{0,2}})(?:{names})\.?,?"
        rf"(?:\s?(?:de|del|di)\s|[\s./-]{{0,2}}){year}",
        rf"(?:{names})\.?[\s-]{{0,2}}{number}(?:st|nd|rd|th)?,?\s{{0,2}}{year}",
        rf"{day.year}\.?(?:\s(?:m\.|gada))?\s(?:{names}\.?\s{number}|{number}\.?\s{names})",
        *_eastern_dates(day, month, number),
    ]
    return rf"(?<!\d)(?:{'|'.join(forms)})(?!\d)"


def _eastern_dates(day: date, month: str, number: str) -> Iterator[str]:
    """A date with the characters of year, month and day, in Japanese eras, and in years of the
    Buddhist era.
    """
    years = [str(day.year)]
    for begun, era, letter in _ERAS:
        if day.year >= begun:
            of_era = day.year - begun + 1
            count = f"(?:0?{of_era}|元)" if of_era == 1 else f"0?{of_era}"
            years.append(rf"(?:{era}|{letter})\s?{count}")
    year = rf"(?:{'|'.join(years)})"
    marks = [fold(text).text for text in ("年년", "月월", "日일")]
    yield (
        rf"{year}\s?(?:{_either(marks[0])}|[./-])\s?{month}\s?(?:{_either(marks[1])}|[./-])\s?"
        rf"{number}(?:\s?(?:{_either(marks[2])}))?"
    )
    yield rf"{number}\s?[./\-\s]\s?{month}\s?[./\-\s]\s?{day.year + _BUDDHIST_ERA}"


def _either(characters: str) -> str:
    """A Han character, or the Hangul syllable behind it as folded text has it."""
    return f"{characters[0]}|{characters[1:]}"


def _number(value: str) -> Iterator[tuple[str, str]]:
    """A telephone number, or an id of digits, in any grouping, with or without the prefix of its
    country.
    """
    digits = re.sub(r"\D", "", value)
    if len(digits) < SHORTEST_CODE:
        yield from _labelled(digits)
        return
    kind = "phone" if not value.isdigit() and len(digits) >= 7 else "id"
    cores = [digits]
    if value.lstrip("( ").startswith(("+", "00")):
        national = digits.removeprefix("00")
        cores = [national[skipped:] for skipped in (0, 1, 2, 3) if len(national) - skipped >= 7]
    elif len(digits.lstrip("0")) >= SHORTEST_CORE:
        cores = [digits.lstrip("0")]
    joined = "|".join(r"[\s\-./()_]{0,3}".join(core) for core in cores)
    prefix = (
        r"(?:(?:\+|00)\d{1,3}[\s\-./]{0,2})?(?:\(?0\)?[\s\-./]{0,2})?\(?"
        if kind == "phone"
        else r"0*"
    )
    yield kind, rf"(?<!\d){prefix}(?:{joined})(?!\d)"


def _code(value: str) -> Iterator[tuple[str, str]]:
    """An id of letters and digits, with other blanks and dashes in it; its run of digits by itself
    too.
    """
    letters = re.findall(r"[^\W_]", value)
    if len(letters) < SHORTEST_CODE:
        yield from _labelled(re.escape(value))
        return
    yield "id", bounded(r"[\s\-./_]{0,2}".join(map(re.escape, letters)))
    yield from _cores(value)


def _cores(value: str) -> Iterator[tuple[str, str]]:
    """Long runs of digits of a value, dashes within them left out."""
    for run in re.findall(r"\d[\d-]+\d", value):
        digits = run.replace("-", "").lstrip("0")
        if len(digits) >= SHORTEST_CORE:
            joined = r"[\s-]?".join(digits)
            yield "id", rf"(?<!\d)0*{joined}(?!\d)"


def _labelled(expression: str) -> Iterator[tuple[str, str]]:
    """A short id only behind the word that says what it is."""
    yield (
        "id",
        r"(?<=\W)(?:MRN|ID|patient|pat|nr|no|number|case|#)[\s:.#]{1,3}"
        rf"(?P<hit>0*{expression})(?![\w])",
    )


def _address(value: str, names: Names) -> Iterator[tuple[str, str]]:
    """An address as a whole, its lines, and the name of its street without the number."""
    for line in [value, *re.split(r"[,;^\n\\]+", value)]:
        parts = re.findall(r"\w+", line)
        letters = [part for part in parts if not part.isdigit()]
        if any(map(str.isdigit, line)) and letters and len("".join(parts)) >= 6:
            yield "address", bounded(BETWEEN.join(map(re.escape, parts)))
        if len(letters) > 1 and len("".join(letters)) >= 8:
            yield "address", bounded(BETWEEN.join(map(re.escape, letters)))
        elif (
            len(parts) == 1
            and len(letters) == 1
            and letters[0].isalpha()
            and len(letters[0]) >= SHORTEST_CODE
        ):
            names.words[letters[0]] = False
    yield from _cores(value)


def _umlauts(value: str) -> str:
    """The other way in which German and Nordic letters are written."""
    for letter, written in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("å", "aa"), ("ø", "oe")):
        value = value.replace(letter, written).replace(letter.upper(), written.title())
    return fold(value).text.strip(" \0")
