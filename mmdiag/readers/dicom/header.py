"""Reads single values of a DICOM header from where the pre-scan found them; nothing else of the
file is parsed.
"""

import fnmatch
import math
import struct
from dataclasses import dataclass, field, replace
from functools import lru_cache

from pydicom.datadict import dictionary_VR, tag_for_keyword

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.character_sets import decoded, is_encoded, other_readings
from mmdiag.readers.dicom.prescan import Scan

NUMBERS = {
    b"US": "H",
    b"SS": "h",
    b"UL": "I",
    b"SL": "i",
    b"FL": "f",
    b"FD": "d",
    b"UV": "Q",
    b"SV": "q",
    b"US or SS": "H",
    b"OW": "H",
}
# text in the file's own character set
ENCODED = frozenset({b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UT"})
UNTOLD = (b"", b"UN")
CHARACTER_SET = 0x0008_0005  # SpecificCharacterSet
LONGEST_TEXT = 1024  # bytes of a value that is compared or shown
MOST_NUMBERS = 4096


@dataclass(frozen=True, slots=True)
class Header:
    """One file's header; what it says of an attribute is decoded once."""

    scan: Scan
    _texts: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    _numbers: dict[str, tuple[float, ...]] = field(default_factory=dict, repr=False, compare=False)

    def has(self, keyword: str) -> bool:
        """Whether an element is there and not empty."""
        found = self.scan.elements.get(_tag(keyword))
        return found is not None and found[3] > 0

    def stated(self, keywords: tuple[str, ...]) -> list[str]:
        """Those of some elements that are there and not empty."""
        elements = self.scan.elements
        return [
            keyword for tag, keyword in _tags(keywords) if tag in elements and elements[tag][3] > 0
        ]

    def of_whole_file(self, content: bytes) -> "Header":
        """The header with the content of the whole file: what its first bytes said stays true."""
        return Header(replace(self.scan, content=content), self._texts, self._numbers)

    def raw(self, keyword: str) -> bytes:
        """The bytes of a value; empty where it is absent."""
        return self.scan.value(_tag(keyword))

    def is_sequence(self, keyword: str) -> bool:
        """Whether an element holds items rather than values."""
        found = self.scan.elements.get(_tag(keyword))
        return found is not None and _stated_vr(found[0], keyword) == b"SQ"

    def text(self, keyword: str) -> str:
        """A value as text, several joined by a backslash as in the file; empty where it is
        absent.
        """
        found = self._texts.get(keyword)
        if found is None:
            found = self._texts[keyword] = self._text(keyword)
        return found

    def _text(self, keyword: str) -> str:
        vr, content = self._stored(keyword)
        if not content:
            return ""
        if vr in NUMBERS:
            return "\\".join(f"{value:g}" for value in self.numbers(keyword))
        content = _without_padding(content)
        if vr in ENCODED and is_encoded(content):
            return decoded(content, self.scan.value(CHARACTER_SET)).strip()
        return content.decode("ascii", "replace").strip()

    def readings(self, keyword: str) -> tuple[str, ...]:
        """A value as text, in each character set that may be meant: what the header names first,
        then others where that one is absent, unknown or often wrong. For looking up, not for show.
        """
        text, (vr, content) = self.text(keyword), self._stored(keyword)
        if vr not in ENCODED or content[:LONGEST_TEXT].isascii():
            return (text,)
        others = other_readings(_without_padding(content), self.scan.value(CHARACTER_SET))
        return tuple(dict.fromkeys((text, *(other.strip() for other in others))))

    def numbers(self, keyword: str) -> list[float]:
        """The numbers of a value; empty where it is absent.

        Raises:
            ReadError: `unreadable`, where they are no finite numbers.
        """
        return list(self._decoded(keyword))

    def _decoded(self, keyword: str) -> tuple[float, ...]:
        found = self._numbers.get(keyword)
        if found is None:
            found = self._numbers[keyword] = self._read_numbers(keyword)
        return found

    def _read_numbers(self, keyword: str) -> tuple[float, ...]:
        vr, content = self._stored(keyword)
        if not content:
            return ()
        if vr == b"US" and len(content) == 2:  # most numbers of an image
            return (float(int.from_bytes(content, "little" if self.scan.little else "big")),)
        if vr in NUMBERS:
            form = NUMBERS[vr]
            count = min(len(content) // struct.calcsize(form), MOST_NUMBERS)
            order = "<" if self.scan.little else ">"
            found = tuple(map(float, struct.unpack_from(f"{order}{count}{form}", content)))
        else:
            found = _decimals(content, keyword)
        if not all(map(math.isfinite, found)):
            raise ReadError("unreadable", f"{keyword} is not a finite number")
        return found

    def number(self, keyword: str) -> float | None:
        """The first number of a value; None where it is absent."""
        found = self._decoded(keyword)
        return found[0] if found else None

    def integer(self, keyword: str, default: int = 0) -> int:
        """A whole number; the default where it is absent.

        Raises:
            ReadError: `unreadable`, where it is no whole number.
        """
        found = self._decoded(keyword)
        if not found:
            return default
        if found[0] != int(found[0]):
            raise ReadError("unreadable", f"{keyword} is not a whole number")
        return int(found[0])

    def _stored(self, keyword: str) -> tuple[bytes, bytes]:
        """The VR of an element and the bytes of its value; both empty where it is absent."""
        found = self.scan.elements.get(_tag(keyword))
        if found is None:
            return b"", b""
        vr, _, start, length = found
        return _stated_vr(vr, keyword), self.scan.content[start : start + length]


def _stated_vr(vr: bytes, keyword: str) -> bytes:
    """The VR that a file states, else that of the dictionary."""
    return _dictionary_vr(keyword) if vr in UNTOLD else vr


def _without_padding(content: bytes) -> bytes:
    return content[:LONGEST_TEXT].rstrip(b"\0 ")


def _decimals(content: bytes, keyword: str) -> tuple[float, ...]:
    """Decimal and integer strings (PS3.5 6.2), without what only Python takes for a number."""
    if len(content) > MOST_NUMBERS * 17:
        raise ReadError("unreadable", f"{keyword} has more values than an image needs")
    text = content.decode("ascii", "replace").replace("\0", " ")
    try:
        if "_" in text:
            raise ValueError
        return tuple([float(part) for part in text.split("\\") if part.strip()])
    except ValueError:
        raise ReadError("unreadable", f"{keyword} is not a number") from None


@lru_cache(maxsize=512)
def _tag(keyword: str) -> int:
    found = tag_for_keyword(keyword)
    return int(found) if found is not None else 0


@lru_cache(maxsize=64)
def _tags(keywords: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    """The tag of each of some keywords, before it: lists of them are asked of every header."""
    return tuple((_tag(keyword), keyword) for keyword in keywords)


@lru_cache(maxsize=512)
def _dictionary_vr(keyword: str) -> bytes:
    tag = _tag(keyword)
    return dictionary_VR(tag).encode() if tag else b"UN"


def known_keyword(keyword: str) -> bool:
    """Whether DICOM has such an attribute (PS3.6)."""
    return _tag(keyword) != 0


def fits(value: str, pattern: str) -> bool:
    """Whether a value is what was asked for: numbers by their size (80 is 80.00), texts without
    regard to case and to how many blanks part their words.
    """
    own, asked = (" ".join(text.lower().split()) for text in (value, pattern))
    if fnmatch.fnmatchcase(own, asked):
        return True
    try:
        return float(own) == float(asked)
    except ValueError:
        return False
