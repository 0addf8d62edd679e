"""What in a note says nothing of a patient: headings, separators and the marks of a list."""

import re
from collections.abc import Sequence

from mmdiag.readers.text.sections import known_headings

SHORT, FEW = 60, 6  # characters and words of a line that may be a heading
CAPITALS = 0.5  # share of a note's letters: above it capitals mark no heading
_MARK = r"(?:[^\w\s]|_)"  # neither letter, digit nor blank
_SEPARATOR = re.compile(rf"{_MARK}(?:[ \t]*{_MARK}){{2,}}|^[ \t]*{_MARK}+[ \t]*$", re.MULTILINE)
_BULLET = re.compile(rf"^[ \t]*(?:{_MARK}+|\d{{1,2}}[.)]|[A-Za-z][.)])[ \t]+", re.MULTILINE)
_LINE = re.compile(r"[^\n\r\u2028\u2029]+")
_BEFORE_COLON = re.compile(r"[^:\n]{1,60}:(?=[ \t]|$)")
_RULED = re.compile(
    r"(?P<line>[^\r\n]+)\r?\n[ \t]*(?P<rule>={3,}|-{3,}|_{3,}|~{3,})[ \t]*(?=[\r\n]|$)"
)


def without_content(text: str) -> list[tuple[int, int]]:
    """Start and end of each heading, separator and list mark, merged and in order.

    Args:
        text: The note as it is stored.
    """
    found = known_headings(text)
    found += [match.span() for match in _SEPARATOR.finditer(text)]
    found += [match.span() for match in _BULLET.finditer(text)]
    found += [match.span("line") for match in _RULED.finditer(text) if _is_underlined(match)]
    shouted = _mostly_capitals(text)
    for line in _LINE.finditer(text):
        found += _heading_of_line(line.group(), line.start(), capitals_mark=not shouted)
    return _merged(found)


def content_pieces(
    text: str, start: int, end: int, without: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """The pieces of a span that hold letters or digits outside of `without`, trimmed."""
    pieces, at = [], start
    for a, b in [*without, (end, end)]:
        if a >= at and at < end:
            pieces.append(_trimmed(text, at, min(a, end)))
        at = max(at, b)
    return [(a, b) for a, b in pieces if a < b]


def _heading_of_line(line: str, start: int, *, capitals_mark: bool) -> list[tuple[int, int]]:
    """A line that ends with a colon; words in capitals before one, or alone; `# Heading`."""
    bare = line.strip()
    first = start + len(line) - len(line.lstrip())
    whole = [(first, first + len(bare))]
    if _is_short(bare):
        if re.fullmatch(r"#+ .+|\*\*.+\*\*:?|[^.,;:]+:", bare):
            return whole
        if capitals_mark and _in_capitals(bare) and not re.search(r"[.!?]$", bare):
            return whole
    label = _BEFORE_COLON.match(bare) if capitals_mark else None
    return [(first, first + label.end())] if label and _in_capitals(label.group()) else []


def _is_underlined(found: re.Match[str]) -> bool:
    """Whether a rule is as long as a short line above it that is no sentence: else it parts two."""
    bare, rule = found["line"].strip(), len(found["rule"])
    alike = 0.6 * len(bare) <= rule <= 1.6 * len(bare) + 3
    return _is_short(bare) and alike and not re.search(r"[.,;!?]|:[ \t]*\S", bare)


def _is_short(line: str) -> bool:
    bare = line.strip()
    return 0 < len(bare) <= SHORT and len(bare.split()) <= FEW


def _in_capitals(line: str) -> bool:
    letters = [c for c in line if c.isalpha()]
    return len(letters) >= 3 and all(c.isupper() for c in letters)


def _mostly_capitals(text: str) -> bool:
    letters = [c for c in text if c.isupper() or c.islower()]
    return sum(c.isupper() for c in letters) > CAPITALS * max(len(letters), 1)


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """From the first letter or digit to the last, with the mark that ends a sentence."""
    words = list(re.finditer(r"[^\W_]+", text[start:end]))
    if not words:
        return start, start
    last = start + words[-1].end()
    return start + words[0].start(), last + (last < end and text[last] in ".!?%)")
