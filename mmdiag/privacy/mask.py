"""Masks the identifiers in a note: those of the subject first, then patterns of identifiers, then
names from lists.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from mmdiag.privacy.dicom_attributes import VOCABULARY
from mmdiag.privacy.names import find_names
from mmdiag.privacy.normalise import fold
from mmdiag.privacy.patterns import find_identifiers
from mmdiag.privacy.subject_identifiers import subject_patterns
from mmdiag.readers.text.date_forms import find_dates

PLACEHOLDERS: Final = {
    "name": "[NAME]",
    "date": "[DATE]",
    "birth": "[DATE]",
    "age": "[AGE]",
    "id": "[ID]",
    "phone": "[PHONE]",
    "fax": "[PHONE]",
    "email": "[EMAIL]",
    "url": "[URL]",
    "ip": "[IP]",
    "address": "[ADDRESS]",
    "institution": "[INSTITUTION]",
}
_PLACEHOLDER = re.compile(r"\[(?:NAME|DATE|AGE|ID|PHONE|EMAIL|URL|IP|ADDRESS|INSTITUTION)\]")
_SUBJECT, _PATTERN, _LISTED = range(3)
_NUMBER = re.compile(r"\d+")
_MONTH = re.compile(r"(?!out\b|set\b)[^\W\d_]{3}|[月월]", re.IGNORECASE)  # 3 out of 2021
_TOKEN = re.compile(r"[^\W_]+(?:\.\d+)?")
_MEASURE = re.compile(
    r"(?:b|p|te|tr|ti|kv|s|x|t|f|z)?\d{1,3}(?:\.\d{1,2})?(?:mm|cm|ms|s|d|deg|x\d{1,3})?|b\d{4}"
)


class MaskedSpan(NamedTuple):
    """One placeholder: where it stands in the masked text, what it stands for in the original
    (offsets), and of which kind it is.
    """

    start: int
    end: int
    start_in_original: int
    end_in_original: int
    kind: str


@dataclass(frozen=True, slots=True)
class Masked:
    """A note without identifiers.

    Args:
        text: With placeholders such as `[NAME]`.
        spans: The placeholders, in the order of the text.
        counts: Kind -> how many were masked; the kinds are the keys of `PLACEHOLDERS`.
    """

    text: str
    spans: tuple[MaskedSpan, ...]
    counts: dict[str, int]


def mask_note(text: str, subject_terms: Sequence[str], *, names: bool = True) -> Masked:
    """Replace identifiers by placeholders.

    A date finer than a year is masked as a whole; a year that stands alone stays, and so does an
    age up to 89 (HIPAA Safe Harbor, 45 CFR 164.514(b)(2)).

    Args:
        text: The note as it is read.
        subject_terms: The subject's own identifiers as they are in a DICOM header, a table or a
            FHIR resource (`subject_identifiers.subject_patterns`): they are found whatever their
            case, spelling, grouping or format.
        names: Whether the people of name lists are masked as well.
    """
    folded = fold(text)
    hits = [
        (*folded.original(start, end), kind, rank)
        for start, end, kind, rank in _hits(folded.text, subject_terms, names)
    ]
    hits += [(start, end, "date", _PATTERN) for start, end in _dates_in_words(text)]
    pieces: list[str] = []
    spans: list[MaskedSpan] = []
    copied = length = 0
    for start, end, kind in _merged(text, hits):
        pieces += [text[copied:start], PLACEHOLDERS[kind]]
        length += start - copied
        spans.append(MaskedSpan(length, length + len(PLACEHOLDERS[kind]), start, end, kind))
        length += len(PLACEHOLDERS[kind])
        copied = end
    return Masked(
        "".join([*pieces, text[copied:]]), tuple(spans), dict(Counter(span.kind for span in spans))
    )


def _dates_in_words(text: str) -> Iterator[tuple[int, int]]:
    """Where days stand whose month is a word or a character, in any language that notes are dated
    in, with a year of four digits.
    """
    for found in find_dates(text):
        written = text[found.start : found.end]
        numbers = _NUMBER.findall(written)
        if len(numbers) > 1 and any(len(one) == 4 for one in numbers) and _MONTH.search(written):
            yield found.start, found.end


def has_own_name(subject_terms: Sequence[str], text: str) -> bool:
    """Whether a text has a name of the subject that is written with letters beyond ASCII, with the
    accents that the name has.
    """
    if text.isascii():
        return False
    folded = fold(text)
    accented = set("".join(subject_terms).casefold())
    for pattern in subject_patterns(subject_terms):
        for start, end in pattern.spans(folded.text) if pattern.kind == "name" else ():
            beyond = set(text[slice(*folded.original(start, end))].casefold())
            beyond -= set(map(chr, range(128)))
            if beyond and all(letter in accented or letter >= "\u0370" for letter in beyond):
                return True
    return False


def _hits(
    text: str, subject_terms: Sequence[str], names: bool
) -> Iterator[tuple[int, int, str, int]]:
    """Start, end, kind and rank of all that is found in folded text; a placeholder of an earlier
    masking is left alone.
    """
    kept = [found.span() for found in _PLACEHOLDER.finditer(text)]
    for pattern in subject_patterns(subject_terms):
        yield from (
            (start, end, pattern.kind, _SUBJECT)
            for start, end in pattern.spans(text)
            if end > start
        )
    listed = ((start, end, "name", _LISTED) for start, end in find_names(text)) if names else ()
    for start, end, kind, rank in [*((*hit, _PATTERN) for hit in find_identifiers(text)), *listed]:
        # the last placeholder that begins before this ends
        before = bisect_left(kept, (end, 0)) - 1
        if before < 0 or kept[before][1] <= start:
            yield start, end, kind, rank


def _merged(text: str, hits: Sequence[tuple[int, int, str, int]]) -> Iterator[tuple[int, int, str]]:
    """Overlapping stretches as one, of the kind of the first of the best rank; names that only a
    blank parts become one too.
    """
    current: tuple[int, int, str, int] | None = None
    for start, end, kind, rank in sorted(hits, key=lambda hit: (hit[0], hit[3], -hit[1])):
        if current is None:
            current = (start, end, kind, rank)
        elif start < current[1] or (
            kind == current[2] == "name" and not text[current[1] : start].strip(" .,-^")
        ):
            better = (kind, rank) if rank < current[3] else (current[2], current[3])
            current = (current[0], max(current[1], end), *better)
        else:
            yield current[:3]
            current = (start, end, kind, rank)
    if current is not None:
        yield current[:3]


def words_of_radiology(value: str, patient_words: frozenset[str]) -> tuple[str, int]:
    """The words of a description that are words of radiology and none of the subject's, and
    measures; and how many words were dropped.

    Args:
        patient_words: As `subject_identifiers.name_parts` gives them.
    """
    whole = value.strip()
    if whole.lower() in VOCABULARY and whole.lower() not in patient_words:
        return whole, 0
    dropped = 0

    def keep(token: re.Match[str]) -> str:
        nonlocal dropped
        word = token.group().lower()
        if word not in patient_words and (word in VOCABULARY or _MEASURE.fullmatch(word)):
            return token.group()
        dropped += 1
        return ""

    kept = _TOKEN.sub(keep, value)
    kept = re.sub(r"[^A-Za-z0-9_ .+*-]", " ", kept) if kept.isascii() else ""
    parts = [part for part in kept.split() if any(map(str.isalnum, part))]
    return " ".join(parts).strip("_-+.* "), dropped
