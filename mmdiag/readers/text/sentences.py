"""Splits a clinical note into sentences, as offsets into its text, and tells which are negated."""

import re

MOST_WORDS = 60
_ABBREVIATIONS = {"dr", "mr", "mrs", "ms", "prof", "vs", "e.g", "i.e", "approx", "fig", "st"}
_UNITS = {"cm", "mm"}  # end a sentence more often than not: "12 mm. No oedema."
_LIST = (
    r"(?:[-*\u2022]|\d{1,2}[.)])[ \t]"  # "- no oedema" and "1. No oedema" are lines of their own
)
_LABEL = r"[A-Za-z][\w /()-]{0,40}:(?:\s|$)"  # so is "Necrosis: absent"
_END = re.compile(
    rf"[.!?]+(?=\s|$)|\n\s*\n|\n(?=[ \t]*[A-Z][A-Z /&-]{{2,}}:?)|\n(?=[ "
    rf"\t]*(?:{_LIST}|{_LABEL}))|(?<=:)\n|;\s*\n"
)
_NEGATION = re.compile(
    r"\b(no|not|without|negative for|absence of|absent|denies|denied|free of|rule[sd]? out|ruled "
    r"out|unlikely|neither|nor|never|unremarkable|no evidence of)\b",
    re.IGNORECASE,
)
_PSEUDO = re.compile(
    r"\b(no increase|no change|not only|not certain|gram negative|without difficulty|no "
    r"significant change)\b",
    re.IGNORECASE,
)


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence; headings end one, abbreviations and decimals do not, and none
    is longer than 60 words.
    """
    cuts, start = [], 0
    for found in _END.finditer(text):
        if found.group().startswith(".") and _goes_on(
            text[start : found.start()], text[found.end() : found.end() + 12]
        ):
            continue
        cuts.append((start, found.end()))
        start = found.end()
    cuts.append((start, len(text)))
    trimmed = [_trim(text, a, b) for a, b in cuts]
    return [
        piece
        for a, b in trimmed
        if b > a and re.search(r"\w", text[a:b])
        for piece in _shorten(text, a, b)
    ]


def is_negated(sentence: str) -> bool:
    """Whether a sentence speaks of what is not there.

    Reference:
        Chapman 2001, A simple algorithm for identifying negated findings and diseases (NegEx): its
        triggers, without the scope of each.
    """
    return bool(_negations(sentence))


def negating_words(sentence: str) -> list[int]:
    """Numbers of the words, as `str.split` gives them, by which a sentence is negated."""
    where = _negations(sentence)
    words = [match.span() for match in re.finditer(r"\S+", sentence)]
    return [
        number
        for number, (start, end) in enumerate(words)
        if any(a < end and start < b for a, b in where)
    ]


def _negations(sentence: str) -> list[tuple[int, int]]:
    plain = _PSEUDO.sub(lambda match: " " * len(match.group()), sentence)
    return [match.span() for match in _NEGATION.finditer(plain)]


def _goes_on(before: str, after: str) -> bool:
    """Whether a full stop ends an abbreviation, a unit or the number of a list's item, and no
    sentence.
    """
    word = re.search(r"[\w.]+$", before)
    if word is None:
        return False
    last = word.group().lower()
    if last in _UNITS:
        return bool(re.match(r"\s+(?!no\b|not\b|denies\b)[a-z]", after))
    if last == "no":  # "no. 3" is a number, "Haemorrhage: no." an answer
        return bool(re.match(r"\s+\d", after))
    return last in _ABBREVIATIONS or bool(re.fullmatch(r"\s*\d{1,2}", before))


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()))


def _shorten(text: str, start: int, end: int) -> list[tuple[int, int]]:
    words = [(start + m.start(), start + m.end()) for m in re.finditer(r"\S+", text[start:end])]
    return [
        (words[i][0], words[min(i + MOST_WORDS, len(words)) - 1][1])
        for i in range(0, len(words), MOST_WORDS)
    ]
