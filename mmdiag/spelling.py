"""Values that print alike are one value: how a cell is spelled does not depend on case, blanks, the
width of its letters, or on how a number was written.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?")
PRINTED_VALUES, PRINTED_LETTERS = 10, 20  # of a label column, whose values may be printed
NEAR = 2  # letters between a name that was looked for and a found one that may be printed
DIGITS = 28  # of a number; longer ones are names
# other characters in a raised or lowered place, or within a ring, print otherwise
PRINT_OTHERWISE = ("<super>", "<sub>", "<fraction>", "<circle>", "<square>")
HYPHENS, APOSTROPHES = "\u2010\u2011\u2012\u2013\u2014\u2212", "\u2018\u2019\u02bc\u2032"
SIGNS = str.maketrans(dict.fromkeys(HYPHENS, "-") | dict.fromkeys(APOSTROPHES, "'"))
# Cyrillic and Greek letters that print like Latin ones, and the Turkish i without a dot
LOOKS_LATIN = str.maketrans("аеорсухіјѕԁԛԝһӏвкмнтαβεικνορτυχı", "aeopcyxijsdqwhlbkmhtabeikvoptuxi")


def fold(value: str) -> str:
    """A value as it is compared: `ＴＲＵＥ ` and `true` are one, `1`, `1.0` and `01` are one.

    Differences of case, of blanks (no-break ones, several, surrounding), of characters that do not
    show, of full and half width, composed and decomposed accents, hyphens and apostrophes are none.
    """
    text = value if value.isascii() else _plain(value)
    text = " ".join(text.casefold().split())
    if len(text) <= DIGITS and NUMBER.fullmatch(text):
        number = Decimal(text).normalize()
        return format(number, "f") if number else "0"
    return text


def same(one: str, other: str) -> bool:
    """Whether two values are spellings of one."""
    return one == other or fold(one) == fold(other)


def place_among(value: str, names: Sequence[str]) -> int | None:
    """The place of the name that a value is a spelling of; None = of none."""
    if value in names:
        return names.index(value)
    return next((place for place, name in enumerate(names) if same(name, value)), None)


def as_number(value: str) -> float | None:
    """The number that a cell is, in decimal form; None where it is none."""
    folded = fold(value)
    return float(folded) if NUMBER.fullmatch(folded) else None


def may_be_printed(values: Iterable[str]) -> bool:
    """Whether a label column has at most ten different values, of at most twenty letters each; else
    messages say how many there are.
    """
    found = [*values]
    return len(set(map(fold, found))) <= PRINTED_VALUES and all(
        len(value) <= PRINTED_LETTERS for value in found
    )


def shape(value: str) -> str:
    """What the eye takes two values for one by: `fold` without blanks, hyphens beside letters, and
    the differences between alphabets.
    """
    text = fold(value).translate(LOOKS_LATIN).replace("_", " ")
    text = re.sub(r"(?<=[^\W\d])\s*-\s*(?=\w)|(?<=\w)\s*-\s*(?=[^\W\d])", "", text)
    return re.sub(r"\s+", "", text)


def _plain(value: str) -> str:
    letters = (
        letter
        if unicodedata.decomposition(letter).startswith(PRINT_OTHERWISE)
        else unicodedata.normalize("NFKC", letter)
        for letter in value
        if unicodedata.category(letter) != "Cf"
    )
    text = unicodedata.normalize("NFC", "".join(letters)).translate(SIGNS)
    return unicodedata.normalize("NFC", text.casefold().replace("i\u0307", "i"))


def near(name: str, found: Iterable[str]) -> str | None:
    """The found name that is at most two letters away from another, and no more than a third of
    them; None where none is.

    What a file holds in its first line may be a patient's values, where it has no header: only a
    name that is nearly the one that was looked for may be printed.
    """
    distances = {other: _distance(name, other) for other in map(str, found)}
    nearest = min(distances, key=lambda other: (distances[other], other), default=None)
    if nearest is None or distances[nearest] > min(NEAR, len(name) // 3):
        return None
    return nearest


def column_hint(name: str, found: Iterable[str]) -> str:
    """What to do about a column that is not among those of a table, which are not printed."""
    nearest = near(name, found)
    if nearest is not None:
        return f"did you mean {nearest!r}?"
    return "compare it with the first line of the table, which must name its columns."


def _distance(one: str, other: str) -> int:
    """Letters that are added, left out or changed between two names, or more than `NEAR`."""
    if abs(len(one) - len(other)) > NEAR:
        return NEAR + 1
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, row = row, [i]
        for j, second in enumerate(other, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != second)))
    return row[-1]
