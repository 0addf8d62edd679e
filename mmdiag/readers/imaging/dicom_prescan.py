"""A linear look at a DICOM file before anything parses it: where its elements lie, how deep they
nest and how much its pixels would take.

Nothing is copied, nothing recurses and every count has a cap, so that a file that lies about itself
costs a verdict and no memory.

Reference:
    DICOM PS3.5 7 (the data set), A.4 (encapsulated pixel data); PS3.10 7 (the file).
"""

import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

from mmdiag.errors import ReadError

DEEPEST = 24  # sequences within sequences; real files have fewer than ten
MOST_ELEMENTS = 400_000  # of one file, items and fragments among them
LARGEST_INFLATED = 256 * 2**20  # bytes of a deflated data set
PREAMBLE = 128
UNDEFINED = 0xFFFF_FFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
PIXELS = {
    0x7FE0_0008: "FloatPixelData",
    0x7FE0_0009: "DoubleFloatPixelData",
    0x7FE0_0010: "PixelData",
}
LONG_FORMS = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED = (
    f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2", ".1.99")
)


class Element(NamedTuple):
    """Where an element (`head`) and its value (`start`, `length`) lie in `Scan.content`; the VR is
    empty in implicit transfer syntaxes.
    """

    vr: bytes
    head: int
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file holds at its top level.

    Args:
        content: The file or its first part, or its inflated data set.
        syntax: Transfer syntax UID.
        little: Whether numbers are little endian.
        explicit: Whether elements name their VRs.
        elements: Tag (group << 16 | element) -> where its value lies, up to the pixels.
        pixels: Tag of the pixel element; 0 where there is none.
        start: Where the data set begins in content.
    """

    content: bytes
    syntax: str
    little: bool
    explicit: bool
    elements: dict[int, Element]
    pixels: int
    start: int

    def value(self, tag: int) -> bytes:
        """The bytes of an element; empty where it is absent."""
        found = self.elements.get(tag)
        return self.content[found.start : found.start + found.length] if found else b""


@dataclass(frozen=True, slots=True)
class Fragments:
    """Encapsulated pixels.

    Args:
        places: Start and length of each fragment in the content, the Basic Offset Table not among
            them.
        offsets: The Basic Offset Table.
        end: Where the pixel element ends.
    """

    places: list[tuple[int, int]]
    offsets: bytes
    end: int


def scan(content: bytes, *, size: int | None = None) -> Scan:
    """Find the elements of a file up to its pixels.

    Args:
        content: The file, or its first bytes.
        size: Length of the whole file in bytes, where content is its first part.

    Raises:
        ReadError: `not_dicom`, `truncated`, `too_deep`, `too_large` or `unreadable`; `incomplete`
            where the first bytes do not reach the pixels.
    """
    start, syntax = _file_meta(content)
    if syntax == DEFLATED:
        if size is not None and size > len(content):
            raise ReadError("incomplete", "a deflated data set is inflated as a whole")
        content, start, size = _inflated(content[start:]), 0, None
    explicit = _explicit(content, start, syntax)
    walk = _Walk(
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
    found = scanned.elements[scanned.pixels]
    if found.length != UNDEFINED:
        if found.start + found.length > len(scanned.content):
            raise ReadError("truncated", "the pixels end before their length")
        return None
    walk = _Walk(
        scanned.content, found.start, len(scanned.content), little=scanned.little, explicit=True
    )
    places = walk.items(found.start)
    first = places.pop(0) if places else (found.start, 0)
    return Fragments(places, scanned.content[first[0] : first[0] + first[1]], walk.place)


def _file_meta(content: bytes) -> tuple[int, str]:
    """Where the data set begins, and its transfer syntax."""
    if content[PREAMBLE : PREAMBLE + 4] != b"DICM":
        raise ReadError("not_dicom", "no DICM prefix at byte 128")
    if len(content) < PREAMBLE + 12:
        raise ReadError("truncated", "the file ends behind its prefix")
    place, syntax = PREAMBLE + 4, ""
    for _ in range(1024):
        if place + 8 > len(content):
            break
        group, number, vr, short = struct.unpack_from("<HH2sH", content, place)
        if group != 2:
            break
        if vr in LONG_FORMS:
            if place + 12 > len(content):
                raise ReadError("truncated", "the file ends in its meta information")
            length, value = struct.unpack_from("<I", content, place + 8)[0], place + 12
        else:
            length, value = short, place + 8
        if length == UNDEFINED or value + length > len(content):
            raise ReadError("truncated", "the file ends in its meta information")
        if number == 0x10:
            syntax = content[value : value + length].rstrip(b"\0 ").decode("ascii", "replace")
        place = value + length
    if not syntax:  # a guess is safe where the first element says which of the two usual ones it is
        syntax = (
            EXPLICIT
            if content[place + 4 : place + 6].isalpha() and content[place + 4 : place + 6].isupper()
            else IMPLICIT
        )
    return place, syntax


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


class _Walk:
    """Goes through a data set once, with a stack of its own instead of recursion."""

    def __init__(
        self, content: bytes, start: int, size: int, *, little: bool, explicit: bool
    ) -> None:
        self.content, self.place, self.size, self.little, self.explicit = (
            content,
            start,
            size,
            little,
            explicit,
        )
        order = "<" if little else ">"
        self.head = struct.Struct(f"{order}HH2sH").unpack_from
        self.long = struct.Struct(f"{order}I").unpack_from
        self.plain = struct.Struct(f"{order}HHI").unpack_from
        self.count = 0

    def top(self) -> tuple[dict[int, Element], int]:
        """Elements of the top level up to the pixels, and the tag of the pixels (0 = the data set
        ended).
        """
        elements: dict[int, Element] = {}
        end, known, previous = self.size, len(self.content), 0
        while self.place + 8 <= end:
            previous = self._short_ones(elements, previous)
            head = self.place
            if head + 8 > end:
                break
            tag, vr, start, length = self._element(self.explicit)
            if tag in PIXELS:
                elements[tag] = Element(vr, head, start, length)
                return elements, tag
            if tag >> 16 == 0xFFFE or tag >> 16 == 0:
                raise ReadError(
                    "unreadable",
                    "an item lies outside of a sequence" if tag else "an element has no tag",
                )
            if tag < previous and len(elements) > 8 and tag >> 16 < 8:
                return (
                    elements,
                    0,
                )  # not in order and no group of a data set: bytes behind the last element
            previous = tag
            if length == UNDEFINED or vr == b"SQ":
                self._sequence(start, length, implicit=not self.explicit or vr == b"UN")
                elements[tag] = Element(vr, head, start, self.place - start)
                continue
            place = start + length
            if place > known:
                if place > end:
                    raise ReadError("truncated", "an element ends behind the file's end")
                raise self._at_end("an element goes on behind the first part")
            elements[tag] = Element(vr, head, start, length)
            self.place = place
        if self.place < end:
            raise self._at_end("the file ends in an element")
        return elements, 0

    def _short_ones(self, elements: dict[int, Element], previous: int) -> int:
        """Take elements as long as they have the short explicit form, are in order and whole:
        nearly all of a header; everything else is the caller's.

        Returns:
            The tag of the last one.
        """
        if not self.explicit:
            return previous
        content, place, head, make = self.content, self.place, self.head, tuple.__new__
        last = len(content) - 8
        while place <= last:
            group, number, vr, length = head(content, place)
            tag, start = group << 16 | number, place + 8
            if (
                vr in LONG_FORMS
                or tag <= previous
                or group in (0, 0xFFFE)
                or tag in PIXELS
                or start + length > last
                or self.count >= MOST_ELEMENTS
            ):
                break
            elements[tag] = make(Element, (vr, place, start, length))
            self.count += 1
            previous, place = tag, start + length
        self.place = place
        return previous

    def _element(self, explicit: bool) -> tuple[int, bytes, int, int]:
        """Tag, VR, start and length of the element at `place`."""
        self.count += 1
        if self.count > MOST_ELEMENTS:
            raise ReadError("too_large", f"more than {MOST_ELEMENTS} elements")
        place, content = self.place, self.content
        if place + 8 > len(content):
            raise self._at_end("the file ends in an element")
        if not explicit:
            group, number, length = self.plain(content, place)
            return group << 16 | number, b"", place + 8, length
        group, number, vr, short = self.head(content, place)
        if group == 0xFFFE:
            group, number, length = self.plain(content, place)
            return group << 16 | number, b"", place + 8, length
        if vr in LONG_FORMS:
            if place + 12 > len(content):
                raise self._at_end("the file ends in an element")
            return group << 16 | number, vr, place + 12, self.long(content, place + 8)[0]
        return group << 16 | number, vr, place + 8, short

    def _sequence(self, start: int, length: int, *, implicit: bool) -> None:
        """Go over a sequence and all that lies in it; `place` is behind it afterwards."""
        end = self.size if length == UNDEFINED else start + length
        if end > self.size:
            raise ReadError("truncated", "a sequence ends behind the file's end")
        self.place = start
        # (where it ends, whether its end is marked, whether it is a sequence of items or an item of
        # elements, whether it is implicit)
        stack = [(end, length == UNDEFINED, True, implicit)]
        while stack:
            end, marked, of_items, implicit = stack[-1]
            if self.place >= end:
                if marked:
                    raise ReadError("truncated", "a sequence has no end")
                stack.pop()
                continue
            tag, vr, start, length = self._element(not implicit)
            if of_items:
                if tag == SEQUENCE_END and marked:
                    self.place = start
                    stack.pop()
                elif tag == ITEM:
                    self.place = start
                    self._push(stack, start, length, end, False, implicit)
                else:
                    raise ReadError("unreadable", "a sequence holds what is no item")
            elif tag == ITEM_END and marked:
                self.place = start
                stack.pop()
            elif tag >> 16 == 0xFFFE:
                raise ReadError("unreadable", "an item lies outside of a sequence")
            elif tag in PIXELS and length == UNDEFINED and vr != b"SQ":  # an icon, encapsulated
                self.items(start)
            elif vr == b"SQ" or length == UNDEFINED:
                self.place = start
                self._push(stack, start, length, end, True, implicit or vr == b"UN")
            else:
                if start + length > end:
                    raise ReadError("truncated", "an element ends behind its item")
                self.place = start + length

    @staticmethod
    def _push(
        stack: list[tuple[int, bool, bool, bool]],
        start: int,
        length: int,
        outer: int,
        of_items: bool,
        implicit: bool,
    ) -> None:
        if len(stack) > 2 * DEEPEST:
            raise ReadError("too_deep", f"more than {DEEPEST} sequences within each other")
        end = outer if length == UNDEFINED else start + length
        if end > outer:
            raise ReadError("truncated", "an item ends behind its sequence")
        stack.append((end, length == UNDEFINED, of_items, implicit))

    def items(self, start: int) -> list[tuple[int, int]]:
        """Start and length of each item of encapsulated pixels, the offset table first; `place` is
        behind the last.
        """
        found: list[tuple[int, int]] = []
        place, content = start, self.content
        while True:
            if place + 8 > len(content):
                raise self._at_end("encapsulated pixels have no end")
            group, number, length = self.plain(content, place)
            tag = group << 16 | number
            if tag == SEQUENCE_END:
                self.place = place + 8
                return found
            if tag != ITEM:
                raise ReadError("undecodable_pixels", "encapsulated pixels hold what is no item")
            if length == UNDEFINED or place + 8 + length > self.size:
                raise ReadError(
                    "truncated", "a fragment of encapsulated pixels ends behind the file's end"
                )
            found.append((place + 8, length))
            if len(found) > MOST_ELEMENTS:
                raise ReadError("too_large", f"more than {MOST_ELEMENTS} fragments")
            place += 8 + length

    def _at_end(self, fact: str) -> ReadError:
        """The content ended: of the file, or of its first part that was given."""
        return ReadError("incomplete" if len(self.content) < self.size else "truncated", fact)
