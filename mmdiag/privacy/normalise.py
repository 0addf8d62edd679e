"""Text without accents, look-alike letters and hidden characters, with the way back to where each
letter stood.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_CYRILLIC = dict(
    zip("АВЕКМНОРСТУХЅІЈԌԚԜҮаеорсухѕіјԛԝүһԁ", "ABEKMHOPCTYXSIJGQWYaeopcyxsijqwyhd", strict=True)
)
_GREEK = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹϳονιυρκχϲ", "ABEZHIKMNOPTYXCjoviupkxc", strict=True))
_LATIN = {
    "ß": "ss",
    "ẞ": "SS",
    "æ": "ae",
    "Æ": "AE",
    "œ": "oe",
    "Œ": "OE",
    "ø": "o",
    "Ø": "O",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    "ð": "d",
    "Ð": "D",
}
_MORE = {"\u0131": "i", "\u00fe": "th", "\u00de": "Th", "\u0251": "a", "\u0261": "g", "\u04cf": "l"}
_MARKS = dict.fromkeys("\u2018\u2019\u02bc`", "'") | dict.fromkeys(
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"
)
LOOK_ALIKES: Final = {**_CYRILLIC, **_GREEK, **_LATIN, **_MORE, **_MARKS}


@dataclass(frozen=True, slots=True)
class Folded:
    """Folded text.

    Args:
        text: Of the same case as the original.
        positions: Of each character of `text` where it stood in the original, and the original's
            length at the end; None where both are the same.
    """

    text: str
    positions: Sequence[int] | None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The stretch of the original that a stretch of `text` stands for; accents and hidden
        characters behind its last letter are in it.
        """
        return (
            (start, end) if self.positions is None else (self.positions[start], self.positions[end])
        )


def fold(text: str) -> Folded:
    """Fold text.

    Reference:
        UAX 15 (NFKD); UTS 39 4, confusable detection: the letters of Cyrillic and Greek that look
        Latin.
    """
    if text.isascii():
        return Folded(text, None)
    letters: list[str] = []
    positions: list[int] = []
    for position, letter in enumerate(text):
        folded = letter if letter.isascii() else _fold_letter(letter)
        letters.append(folded)
        positions.extend([position] * len(folded))
    return Folded("".join(letters), [*positions, len(text)])


def _fold_letter(letter: str) -> str:
    if letter in LOOK_ALIKES:
        return LOOK_ALIKES[letter]
    parts = (
        part
        for part in unicodedata.normalize("NFKD", letter)
        if not unicodedata.combining(part) and unicodedata.category(part) != "Cf"
    )
    return "".join(LOOK_ALIKES.get(part, part) for part in parts)
