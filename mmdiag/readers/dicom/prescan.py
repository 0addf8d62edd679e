"""Pre-scan of a DICOM file before anything parses it: where its elements lie, how deep they nest
and how much its pixels would take.

Nothing is copied, nothing recurses and every count has a cap, so that a file that lies about itself
costs a verdict and no memory.

Reference:
    DICOM PS3.5 7 (the data set), A.4 (encapsulated pixel data); PS3.10 7 (the file).
"""

import struct
import zlib
from dataclasses import dataclass

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.elements import LONG_FORMS, UNDEFINED, Element, ElementWalk, Place
from mmdiag.readers.picture_forms import picture_form

LARGEST_INFLATED = 256 * 2**20  # bytes of a deflated data set
PREAMBLE = 128
IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED = (
    f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2", ".1.99")
)


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file holds at its top level.

    Args:
        content: The file or its first part, or its inflated data set.
        syntax: Transfer syntax UID.
        little: Whether numbers are little endian.
        explicit: Whether elements name their VRs.
        elements: Tag (group << 16 | element) -> where it lies, as the fields of `Element`, up to
            the pixels.
        pixels: Tag of the pixel element; 0 where there is none.
        start: Where the data set begins in content.
    """

    content: bytes
    syntax: str
    little: bool
    explicit: bool
    elements: dict[int, Place]
    pixels: int
    start: int

    def value(self, tag: int) -> bytes:
        """The bytes of an element; empty where it is absent."""
        found = self.elements.get(tag)
        return self.content[found[2] : found[2] + found[3]] if found else b""

    @property
    def pixel_element(self) -> Element:
        """Where the pixels lie.

        Raises:
            KeyError: There are none.
        """
        return Element(*self.elements[self.pixels])


@dataclass(frozen=True, slots=True)
class Fragments:
    """Encapsulated pixels.

    Args:
        fragments: Start and length of each in the content, the Basic Offset Table not among them.
        offsets: The Basic Offset Table.
        end: Where the pixel element ends.
    """

    fragments: list[tuple[int, int]]
    offsets: bytes
    end: int


def scan(content: bytes, *, size: int | None = None) -> Scan:
    """Find the elements of a file up to its pixels.

    Args:
        content: The file, or its first bytes.
        size: Length of the whole file in bytes, where content is its first part.

    Raises:
        ReadError: `not_dicom`, `picture_form`, `truncated`, `too_deep`, `too_large` or
            `unreadable`; `incomplete` where the first bytes do not reach the pixels.
    """
    start, syntax = _file_meta(content)
    if syntax == DEFLATED:
        if size is not None and size > len(content):
            raise ReadError("incomplete", "a deflated data set is inflated as a whole")
        content, start, size = _inflated(content[start:]), 0, None
    explicit = _explicit(content, start, syntax)
    walk = ElementWalk(
        content,
        start,
        size if size is not None else len(content),
        little=syntax != BIG_ENDIAN,
        explicit=explicit,
    )
    elements, tag = walk.top()
    return Scan(content, syntax, walk.little, explicit, elements, tag, start)


def fragments(scanned: Scan) -> Fragments | None:
    """Where the fragments of encapsulated pixels lie; None where pixels are native and complete.

    Raises:
        ReadError: `truncated` or `undecodable_pixels`.
    """
    pixels = scanned.pixel_element
    if pixels.length != UNDEFINED:
        if pixels.start + pixels.length > len(scanned.content):
            raise ReadError("truncated", "the pixels end before their length")
        return None
    walk = ElementWalk(
        scanned.content, pixels.start, len(scanned.content), little=scanned.little, explicit=True
    )
    items = walk.items(pixels.start)
    start, length = items.pop(0) if items else (pixels.start, 0)
    return Fragments(items, scanned.content[start : start + length], walk.position)


def _file_meta(content: bytes) -> tuple[int, str]:
    """Where the data set begins, and its transfer syntax."""
    if content[PREAMBLE : PREAMBLE + 4] != b"DICM":
        if (form := picture_form(content)) is not None:
            raise ReadError("picture_form", f"it is {form}")
        raise ReadError("not_dicom", "no DICM prefix at byte 128")
    if len(content) < PREAMBLE + 12:
        raise ReadError("truncated", "the file ends behind its prefix")
    position, syntax = PREAMBLE + 4, ""
    for _ in range(1024):
        if position + 8 > len(content):
            break
        group, number, vr, short = struct.unpack_from("<HH2sH", content, position)
        if group != 2:
            break
        if vr in LONG_FORMS:
            if position + 12 > len(content):
                raise ReadError("truncated", "the file ends in its meta information")
            length, value = struct.unpack_from("<I", content, position + 8)[0], position + 12
        else:
            length, value = short, position + 8
        if length == UNDEFINED or value + length > len(content):
            raise ReadError("truncated", "the file ends in its meta information")
        if number == 0x10:
            syntax = content[value : value + length].rstrip(b"\0 ").decode("ascii", "replace")
        position = value + length
    if not syntax:  # a guess is safe where the first element says which of the two usual ones it is
        syntax = (
            EXPLICIT
            if content[position + 4 : position + 6].isalpha()
            and content[position + 4 : position + 6].isupper()
            else IMPLICIT
        )
    return position, syntax


def _explicit(content: bytes, start: int, syntax: str) -> bool:
    """Whether the data set names its VRs; a file that is implicit behind an explicit syntax shows
    it in its first element.
    """
    if syntax == IMPLICIT:
        return (
            content[start + 4 : start + 6].isalpha()
            and content[start + 4 : start + 6].isupper()
            and _short_enough(content, start)
        )
    first = content[start + 4 : start + 6]
    return len(first) < 2 or (first.isalpha() and first.isupper())


def _short_enough(content: bytes, start: int) -> bool:
    """An implicit length whose two lower bytes are letters is at least 16 kB: no first element is
    that long.
    """
    return len(content) > start + 8 and content[start + 4 : start + 6] in (
        b"UI",
        b"CS",
        b"UL",
        b"DA",
        b"TM",
        b"LO",
        b"SH",
        b"US",
    )


def _inflated(deflated: bytes) -> bytes:
    """A deflated data set (PS3.5 A.5), at most so long; a stream that was cut is refused."""
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = machine.decompress(deflated, LARGEST_INFLATED)
    except zlib.error:
        raise ReadError("unreadable", "the deflated data set does not inflate") from None
    if machine.unconsumed_tail:
        raise ReadError(
            "too_large", f"the deflated data set inflates to more than {LARGEST_INFLATED >> 20} MB"
        )
    if not machine.eof:
        raise ReadError("truncated", "the deflated data set has no end")
    return content
