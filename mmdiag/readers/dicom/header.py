"""Reads single values of a DICOM header from where the pre-scan found them; nothing else of the
file is parsed.
"""

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from pydicom.datadict import dictionary_VR, tag_for_keyword

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.character_sets import decoded, is_encoded, other_readings
from mmdiag.readers.dicom.prescan import Scan

NUMBERS = {
    "US": "H",
    "SS": "h",
    "UL": "I",
    "SL": "i",
    "FL": "f",
    "FD": "d",
    "UV": "Q",
    "SV": "q",
    "US or SS": "H",
    "OW": "H",
}
# text in the file's own character set
ENCODED = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
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
        return found is not None and found.length > 0

    def stated(self, keywords: Iterable[str]) -> list[str]:
        """Those of some elements that are there and not empty."""
        elements = self.scan.elements
        return [
            keyword
            for keyword in keywords
            if (found := elements.get(_tag(keyword))) is not None and found.length > 0
        ]

    def of_whole_file(self, content: bytes) -> "Header":
        """The header with the content of the whole file: what its first bytes said stays true."""
        return Header(replace(self.scan, content=content), self._texts, self._numbers)

    def raw(self, keyword: str) -> bytes:
        """The bytes of a value; empty where it is absent."""
        return self.scan.value(_tag(keyword))

    def is_sequence(self, keyword: str) -> bool:
        """Whether an element holds items rather than values."""
        return self._vr(keyword) == "SQ"

    def text(self, keyword: str) -> str:
        """A value as text, several joined by a backslash as in the file; empty where it is
        absent.
        """
        found = self._texts.get(keyword)
        if found is None:
            found = self._texts[keyword] = self._text(keyword)
        return found

    def _text(self, keyword: str) -> str:
        if _tag(keyword) not in self.scan.elements:
            return ""
        vr = self._vr(keyword)
        if vr in NUMBERS:
            return "\\".join(f"{value:g}" for value in self.numbers(keyword))
        content = self._content(keyword)
        if vr in ENCODED and is_encoded(content):
            return decoded(content, self.scan.value(CHARACTER_SET)).strip()
        return content.decode("ascii", "replace").strip()

    def readings(self, keyword: str) -> tuple[str, ...]:
        """A value as text, in each character set that may be meant: what the header names first,
        then others where that one is absent, unknown or often wrong. For looking up, not for show.
        """
        text, content = self.text(keyword), self._content(keyword)
        if self._vr(keyword) not in ENCODED or content.isascii():
            return (text,)
        others = other_readings(content, self.scan.value(CHARACTER_SET))
        return tuple(dict.fromkeys((text, *(other.strip() for other in others))))

    def _content(self, keyword: str) -> bytes:
        return self.scan.value(_tag(keyword))[:LONGEST_TEXT].rstrip(b"\0 ")

    def numbers(self, keyword: str) -> list[float]:
        """The numbers of a value; empty where it is absent.

        Raises:
            ReadError: `unreadable`, where they are no finite numbers.
        """
        found = self._numbers.get(keyword)
        if found is None:
            found = self._numbers[keyword] = tuple(self._decoded_numbers(keyword))
        return list(found)

    def _decoded_numbers(self, keyword: str) -> list[float]:
        content = self.scan.value(_tag(keyword))
        if not content:
            return []
        vr = self._vr(keyword)
        if vr == "US" and len(content) == 2:  # most numbers of an image
            return [float(int.from_bytes(content, "little" if self.scan.little else "big"))]
        if vr in NUMBERS:
            form = NUMBERS[vr]
            count = min(len(content) // struct.calcsize(form), MOST_NUMBERS)
            found = [
                float(value)
                for value in struct.unpack_from(
                    f"{'<' if self.scan.little else '>'}{count}{form}", content
                )
            ]
        else:
            found = _decimals(content, keyword)
        if not all(map(math.isfinite, found)):
            raise ReadError("unreadable", f"{keyword} is not a finite number")
        return found

    def number(self, keyword: str) -> float | None:
        """The first number of a value; None where it is absent."""
        known = self._numbers.get(keyword)
        found = known if known is not None else self.numbers(keyword)
        return found[0] if found else None

    def integer(self, keyword: str, default: int = 0) -> int:
        """A whole number; the default where it is absent.

        Raises:
            ReadError: `unreadable`, where it is no whole number.
        """
        found = self.number(keyword)
        if found is None:
            return default
        if found != int(found):
            raise ReadError("unreadable", f"{keyword} is not a whole number")
        return int(found)

    def _vr(self, keyword: str) -> str:
        found = self.scan.elements.get(_tag(keyword))
        if found is not None and found.vr and found.vr != b"UN":
            return found.vr.decode("ascii", "replace")
        return _dictionary_vr(keyword)


def _decimals(content: bytes, keyword: str) -> list[float]:
    """Decimal and integer strings (PS3.5 6.2), without what only Python takes for a number."""
    if len(content) > MOST_NUMBERS * 17:
        raise ReadError("unreadable", f"{keyword} has more values than an image needs")
    text = content.decode("ascii", "replace").replace("\0", " ")
    try:
        if "_" in text:
            raise ValueError
        return [float(part) for part in text.split("\\") if part.strip()]
    except ValueError:
        raise ReadError("unreadable", f"{keyword} is not a number") from None


@lru_cache(maxsize=512)
def _tag(keyword: str) -> int:
    found = tag_for_keyword(keyword)
    return int(found) if found is not None else 0


@lru_cache(maxsize=512)
def _dictionary_vr(keyword: str) -> str:
    tag = _tag(keyword)
    return dictionary_VR(tag) if tag else "UN"


def known_keyword(keyword: str) -> bool:
    """Whether DICOM has such an attribute (PS3.6)."""
    return _tag(keyword) != 0
