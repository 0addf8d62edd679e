"""Sentences of a clinical note, by offsets into its text, and whether one is negated."""

import re

MOST_WORDS = 60
_ABBREVIATIONS = {"dr", "mr", "mrs", "ms", "prof", "vs", "e.g", "i.e", "approx", "fig", "no", "st", "cm", "mm"}
_END = re.compile(r"[.!?]+(?=\s|$)|\n\s*\n|\n(?=[ \t]*[A-Z][A-Z /&-]{2,}:?)|(?<=:)\n|;\s*\n")
_NEGATION = re.compile(
    r"\b(no|not|without|negative for|absence of|absent|denies|denied|free of|rule[sd]? out|ruled out|unlikely|neither|nor|never|unremarkable|no evidence of)\b",
    re.IGNORECASE,
)
_PSEUDO = re.compile(
    r"\b(no increase|no change|not only|not certain|gram negative|without difficulty|no significant change)\b", re.IGNORECASE
)


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence; headings end one, abbreviations and decimals do not, and none is longer than 60 words."""
    cuts, start = [], 0
    for found in _END.finditer(text):
        before = re.search(r"([\w.]+)$", text[start : found.start()])
        if found.group().startswith(".") and before and before.group(1).lower() in _ABBREVIATIONS:
            continue
        cuts.append((start, found.end()))
        start = found.end()
    cuts.append((start, len(text)))
    trimmed = [_trim(text, a, b) for a, b in cuts]
    return [piece for a, b in trimmed if b > a and re.search(r"\w", text[a:b]) for piece in _shorten(text, a, b)]


def is_negated(sentence: str) -> bool:
    """Whether a sentence speaks of what is not there.

    Reference:
        Chapman 2001, A simple algorithm for identifying negated findings and diseases (NegEx): its triggers, without the scope of each.
    """
    return bool(_NEGATION.search(_PSEUDO.sub(" ", sentence)))


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()))


def _shorten(text: str, start: int, end: int) -> list[tuple[int, int]]:
    words = [(start + m.start(), start + m.end()) for m in re.finditer(r"\S+", text[start:end])]
    return [(words[i][0], words[min(i + MOST_WORDS, len(words)) - 1][1]) for i in range(0, len(words), MOST_WORDS)]
