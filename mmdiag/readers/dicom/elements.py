"""Where the elements of a DICOM data set lie: one walk over its bytes that copies nothing, does not
recurse, and has a cap on every count.

Reference:
    DICOM PS3.5 7 (the data set), A.4 (encapsulated pixel data).
"""

import struct
from typing import NamedTuple

from mmdiag.errors import ReadError

DEEPEST = 24  # sequences within sequences; real files have fewer than ten
MOST_ELEMENTS = 400_000  # of one file, items and fragments among them
UNDEFINED = 0xFFFF_FFFF
LAST_OF_GROUP_0 = 0xFFFF  # a data set has none of them
ITEM, ITEM_END, SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
PIXELS = {
    0x7FE0_0008: "FloatPixelData",
    0x7FE0_0009: "DoubleFloatPixelData",
    0x7FE0_0010: "PixelData",
}
FIRST_OF_PIXELS = min(PIXELS)
LONG_FORMS = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)


class Element(NamedTuple):
    """Where an element (`head`) and its value (`start`, `length`) lie in `Scan.content`; the VR is
    empty in implicit transfer syntaxes.
    """

    vr: bytes
    head: int
    start: int
    length: int


# The same without names: a header has a hundred, of which few are asked for
Place = tuple[bytes, int, int, int]


class ElementWalk:
    """Goes through a data set once, with a stack of its own instead of recursion.

    Args:
        content: The file, or its first part.
        start: Where the data set begins in it.
        size: Length of the whole file in bytes.
        little, explicit: Whether numbers are little endian, and elements name their VRs.

    Attributes:
        position: Where the walk is in the content.
    """

    def __init__(
        self, content: bytes, start: int, size: int, *, little: bool, explicit: bool
    ) -> None:
        self.content, self.position, self.size, self.little, self.explicit = (
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

    def top(self) -> tuple[dict[int, Place], int]:
        """Elements of the top level up to the pixels, and the tag of the pixels (0 = the data set
        ended).
        """
        elements: dict[int, Place] = {}
        end, available, previous = self.size, len(self.content), LAST_OF_GROUP_0
        while self.position + 8 <= end:
            previous = self._short_ones(elements, previous)
            head = self.position
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
                # not in order and no group of a data set: bytes behind the last element
                return (elements, 0)
            previous = tag
            if length == UNDEFINED or vr == b"SQ":
                self._sequence(start, length, implicit=not self.explicit or vr == b"UN")
                elements[tag] = Element(vr, head, start, self.position - start)
                continue
            position = start + length
            if position > available:
                if position > end:
                    raise ReadError("truncated", "an element ends behind the file's end")
                raise self._at_end("an element goes on behind the first part")
            elements[tag] = Element(vr, head, start, length)
            self.position = position
        if self.position < end:
            raise self._at_end("the file ends in an element")
        return elements, 0

    def _short_ones(self, elements: dict[int, Place], previous: int) -> int:
        """Take elements as long as they have the short explicit form, are in order and whole:
        nearly all of a header; everything else is the caller's.

        Returns:
            The tag of the last one.
        """
        if not self.explicit:
            return previous
        content, position, head, count = self.content, self.position, self.head, self.count
        last, long_forms, pixels = len(content) - 8, LONG_FORMS, FIRST_OF_PIXELS
        while position <= last and count < MOST_ELEMENTS:
            group, number, vr, length = head(content, position)
            tag = group << 16 | number
            start = position + 8
            end = start + length
            if end > last or vr in long_forms or not previous < tag < pixels:
                break
            elements[tag] = (vr, position, start, length)
            count += 1
            previous = tag
            position = end
        self.count, self.position = count, position
        return previous

    def _element(self, explicit: bool) -> tuple[int, bytes, int, int]:
        """Tag, VR, start and length of the element at `position`."""
        self.count += 1
        if self.count > MOST_ELEMENTS:
            raise ReadError("too_large", f"more than {MOST_ELEMENTS} elements")
        position, content = self.position, self.content
        if position + 8 > len(content):
            raise self._at_end("the file ends in an element")
        if not explicit:
            group, number, length = self.plain(content, position)
            return group << 16 | number, b"", position + 8, length
        group, number, vr, short = self.head(content, position)
        if group == 0xFFFE:
            group, number, length = self.plain(content, position)
            return group << 16 | number, b"", position + 8, length
        if vr in LONG_FORMS:
            if position + 12 > len(content):
                raise self._at_end("the file ends in an element")
            return group << 16 | number, vr, position + 12, self.long(content, position + 8)[0]
        return group << 16 | number, vr, position + 8, short

    def _sequence(self, start: int, length: int, *, implicit: bool) -> None:
        """Go over a sequence and all that lies in it; `position` is behind it afterwards."""
        end = self.size if length == UNDEFINED else start + length
        if end > self.size:
            raise ReadError("truncated", "a sequence ends behind the file's end")
        self.position = start
        # (where it ends, whether its end is marked, whether it is a sequence of items or an item of
        # elements, whether it is implicit)
        stack = [(end, length == UNDEFINED, True, implicit)]
        while stack:
            end, marked, of_items, implicit = stack[-1]
            if self.position >= end:
                if marked:
                    raise ReadError("truncated", "a sequence has no end")
                stack.pop()
                continue
            tag, vr, start, length = self._element(not implicit)
            if of_items:
                self._item(stack, tag, start, length)
            elif tag == ITEM_END and marked:
                self.position = start
                stack.pop()
            elif tag >> 16 == 0xFFFE:
                raise ReadError("unreadable", "an item lies outside of a sequence")
            elif tag in PIXELS and length == UNDEFINED and vr != b"SQ":  # an icon, encapsulated
                self.items(start)
            elif vr == b"SQ" or length == UNDEFINED:
                self.position = start
                self._push(stack, start, length, end, True, implicit or vr == b"UN")
            else:
                if start + length > end:
                    raise ReadError("truncated", "an element ends behind its item")
                self.position = start + length

    def _item(
        self, stack: list[tuple[int, bool, bool, bool]], tag: int, start: int, length: int
    ) -> None:
        """Go into the next item of a sequence, or leave the sequence at its end."""
        end, marked, _, implicit = stack[-1]
        self.position = start
        if tag == SEQUENCE_END and marked:
            stack.pop()
        elif tag == ITEM:
            self._push(stack, start, length, end, False, implicit)
        else:
            raise ReadError("unreadable", "a sequence holds what is no item")

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
        """Start and length of each item of encapsulated pixels, the offset table first; `position`
        is behind the last.
        """
        found: list[tuple[int, int]] = []
        position, content = start, self.content
        while True:
            if position + 8 > len(content):
                raise self._at_end("encapsulated pixels have no end")
            group, number, length = self.plain(content, position)
            tag = group << 16 | number
            if tag == SEQUENCE_END:
                self.position = position + 8
                return found
            if tag != ITEM:
                raise ReadError("undecodable_pixels", "encapsulated pixels hold what is no item")
            if length == UNDEFINED or position + 8 + length > self.size:
                raise ReadError(
                    "truncated", "a fragment of encapsulated pixels ends behind the file's end"
                )
            found.append((position + 8, length))
            if len(found) > MOST_ELEMENTS:
                raise ReadError("too_large", f"more than {MOST_ELEMENTS} fragments")
            position += 8 + length

    def _at_end(self, fact: str) -> ReadError:
        """The content ended: of the file, or of its first part that was given."""
        return ReadError("incomplete" if len(self.content) < self.size else "truncated", fact)
