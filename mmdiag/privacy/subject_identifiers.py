"""Patterns that find one subject's identifiers in text, however they are spelt, grouped or
formatted.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final, NamedTuple

from mmdiag.privacy.names import name_lists
from mmdiag.privacy.normalise import fold
from mmdiag.readers.text.dates import MONTHS, parse_date

SHORTEST_NAME = 3  # letters of a part of a name that is masked by itself
SHORTEST_CODE = 4  # letters and digits of an id that is masked without a label
SHORTEST_CORE = 5  # digits within an id or a number that are masked by themselves
_BETWEEN = r"[\s\-./,'^_()]{0,3}"  # what may stand between the parts of a name, an id or an address
_PARTICLES: Final = frozenset(
    re.findall(
        r"\w+",
        "van von der den de del della di da dos du la las le los el al bin ben ibn abu ter ten "
        "zu zum zur mac san st",
    )
)
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


def subject_patterns(subject_terms: Sequence[str]) -> list[SubjectPattern]:
    """Patterns for folded text, made of raw identifiers.

    Args:
        subject_terms: Values of a DICOM header, a table or a FHIR resource as they are:
            `Family^Given`, ids, dates as YYYYMMDD, telephone numbers, addresses. The form of each
            shows what it is; a name that is an ordinary word as well is sought with a capital only.
    """
    words: dict[str, None] = {}
    sought: dict[tuple[str, str], None] = {}
    for value in subject_terms:
        folded = fold(value).text.strip(" \0")
        if len(folded) < 2 or _NO_TERM.fullmatch(folded):
            continue
        for kind, expression in _expressions(folded, words):
            sought[kind, expression] = None
        if folded != value:  # Müller is Mueller elsewhere
            for kind, expression in _expressions(_umlauts(value), words):
                sought[kind, expression] = None
    patterns = [
        SubjectPattern(kind, re.compile(expression, re.IGNORECASE)) for kind, expression in sought
    ]
    names = _names(words)
    return (
        [*patterns, SubjectPattern("name", re.compile(names, re.IGNORECASE))] if names else patterns
    )


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


def _expressions(value: str, words: dict[str, None]) -> Iterator[tuple[str, str]]:
    """Kind and expression of all forms of one value; parts of names are added to `words`."""
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
        yield from _words(value, words)
    elif re.fullmatch(r"[+\d\s()./-]+", value):
        yield from _number(value)
    elif len(re.findall(r"[^\W\d_]{3,}", value)) >= 2 or re.search(r"\d\s+[^\W\d_]{3,}", value):
        yield from _address(value, words)
    else:
        yield from _code(value)


def _words(value: str, words: dict[str, None]) -> Iterator[tuple[str, str]]:
    parts = re.findall(r"[\w']+", value.replace("_", " "))
    for part in parts:
        bare = part.replace("'", "")
        if part.isascii() and bare.lower() not in _INSTITUTION:
            words[part.lower()] = None
        elif not part.isascii() and len(part) >= 2:
            yield "name", re.escape(part)
    glued = [part for part in parts if not part.isascii()]
    if len(glued) > 1:  # scripts that write names without a space
        yield "name", _BETWEEN.join(map(re.escape, glued))
    if len(parts) > 1 and sum(map(len, parts)) >= 6:
        yield (
            ("institution" if any(part.lower() in _INSTITUTION for part in parts) else "name"),
            _bounded(_BETWEEN.join(map(re.escape, parts))),
        )


def _names(words: Iterable[str]) -> str:
    """One expression for all parts of the subject's names, with the initials and particles beside
    them.
    """
    is_word = name_lists().is_word
    alone = [
        _spelt(word, is_word(word.replace("'", "")))
        for word in words
        if len(word) >= SHORTEST_NAME and word not in _PARTICLES
    ]
    if not alone:
        return ""
    beside = "|".join(
        [
            *(re.escape(word) for word in words if len(word) < SHORTEST_NAME or word in _PARTICLES),
            *_PARTICLES,
            r"(?-i:[A-Z])\.?",
        ]
    )
    name = "|".join(sorted(alone, key=len, reverse=True))
    before, initial = (
        rf"(?:(?:{beside})[\s,.^]{{1,2}})?",
        r"(?:[\s,^]{1,2}(?-i:[A-Z])(?=[\s,.;:)]))?",
    )
    return _bounded(rf"{before}(?:{name})(?:[\s,.^-]{{1,3}}{before}(?:{name}))*{initial}")


def _spelt(word: str, is_word: bool) -> str:
    """A name's letters, which a line's end may part; with a capital where the name is a word as
    well.
    """
    letters = [re.escape(letter) for letter in word.replace("'", "")]
    if is_word:
        letters[0] = f"(?-i:{letters[0].upper()})"
    gap = r"(?:['-]?\n)?" if len(word) >= 5 else ""
    plain = gap.join(letters)
    return rf"{re.escape(word[0])}['\s]?{gap.join(letters[1:])}" if word[1:2] == "'" else plain


def _date(day: date) -> str:
    """A date in every usual form, with two or four digits of its year."""
    year, month, number, gap = (
        rf"(?:{day.year}|'?{day.year % 100:02d})",
        f"0?{day.month}",
        f"0?{day.day}",
        r"\s?[./\-\s]\s?",
    )
    names = "|".join(
        sorted(
            (fold(name).text for name, n in MONTHS.items() if n == day.month), key=len, reverse=True
        )
    )
    forms = [
        f"{number}{gap}{month}{gap}{year}",
        f"{month}{gap}{number}{gap}{year}",
        f"{day.year}{gap}{month}{gap}{number}",
        day.strftime("%Y%m%d"),
        day.strftime("%d%m%Y"),
        day.strftime("%m%d%Y"),
        rf"{number}(?:st|nd|rd|th|\.|er)?(?:\s?(?:of|de|del)\s|[\s-]{{0,2}})(?:{names})\.?,?"
        rf"(?:\s?(?:de|del)\s|[\s-]{{0,2}}){year}",
        rf"(?:{names})\.?[\s-]{{0,2}}{number}(?:st|nd|rd|th)?,?\s{{0,2}}{year}",
    ]
    return rf"(?<!\d)(?:{'|'.join(forms)})(?!\d)"


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
    yield "id", _bounded(r"[\s\-./_]{0,2}".join(map(re.escape, letters)))
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


def _address(value: str, words: dict[str, None]) -> Iterator[tuple[str, str]]:
    """An address as a whole, its lines, and the name of its street without the number."""
    for line in [value, *re.split(r"[,;^\n\\]+", value)]:
        parts = re.findall(r"\w+", line)
        letters = [part for part in parts if not part.isdigit()]
        if any(map(str.isdigit, line)) and letters and len("".join(parts)) >= 6:
            yield "address", _bounded(_BETWEEN.join(map(re.escape, parts)))
        if len(letters) > 1 and len("".join(letters)) >= 8:
            yield "address", _bounded(_BETWEEN.join(map(re.escape, letters)))
        elif (
            len(parts) == 1
            and len(letters) == 1
            and letters[0].isalpha()
            and len(letters[0]) >= SHORTEST_CODE
        ):
            words[letters[0].lower()] = None
    yield from _cores(value)


def _umlauts(value: str) -> str:
    """The other way in which German and Nordic letters are written."""
    for letter, written in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("å", "aa"), ("ø", "oe")):
        value = value.replace(letter, written).replace(letter.upper(), written.title())
    return fold(value).text.strip(" \0")


def _bounded(expression: str) -> str:
    return rf"(?<![^\W_])(?:{expression})(?![^\W_])"
