"""What a page of a PDF shows: its text, what is filled into its forms, what is written onto it, and
how much of it is a picture.

Reference:
    ISO 32000-1, 9.7 (composite fonts), 12.5.6.6 (free text), 12.7.3 (form fields).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mmdiag.readers.documents.raised import raised

if TYPE_CHECKING:
    from pypdf import PageObject

LEAST: Final = 10  # letters: a page number or a stamp is no report
LETTERHEAD: Final = 200  # letters
_MOST_OF_A_PAGE: Final = 0.7
_SOME_OF_A_PAGE: Final = 0.1
_UNSEEN: Final = 2 | 32  # flags of an annotation that is hidden or not viewed
_PUSH_BUTTON: Final = 1 << 16
_POWER: Final = re.compile(r" ?[-+\u2212\u2013]?[0-9]{1,3}")
_DEEPEST: Final = 32  # fields within fields


@dataclass(slots=True)
class Page:
    """What was found on one page.

    Attributes:
        lines: What is filled in or written onto it, which is in no page's own text.
        picture: Share of the page that its largest picture takes.
        recognised: Whether text lies invisibly over a picture, as text recognition puts it.
        garbled: Whether letters are shown whose font does not say which they are.
    """

    text: str = ""
    lines: list[str] = field(default_factory=list)
    picture: float = 0.0
    recognised: bool = False
    garbled: bool = False

    @property
    def is_picture(self) -> bool:
        """Whether what it says is in a picture: it has no text beside one, or a letterhead around
        one that takes most of it.
        """
        letters = sum(map(str.isalnum, "".join([self.text, *self.lines])))
        if letters < LEAST:
            return self.picture >= _SOME_OF_A_PAGE
        return self.picture >= _MOST_OF_A_PAGE and letters < LETTERHEAD and not self.recognised


def page_shown(page: "PageObject") -> Page:
    """Read one page."""
    found = _Reader(abs(float(page.mediabox.width) * float(page.mediabox.height)) or 1.0)
    page.extract_text(visitor_operand_before=found.operator, visitor_text=found.piece)
    return Page(
        "".join(found.pieces),
        list(dict.fromkeys(_annotated(page))),
        found.picture,
        found.recognised,
        found.is_garbled(),
    )


class _Reader:
    """Collects what the operators of a page show."""

    def __init__(self, area: float) -> None:
        self.area, self.picture, self.recognised = area, 0.0, False
        self.pieces: list[str] = []
        self._mode, self._rise, self._shown_rise = 0, 0.0, 0.0
        self._line = (0.0, 0.0)  # of the last letters that are not raised: baseline and size
        self._letters = self._garbled = self._longest = 0

    def operator(self, operator: bytes, operands: Any, matrix: Any, _: Any) -> None:
        """Modes of text, and pictures: drawn by name or in line."""
        if operator == b"Tr" and operands:
            self._mode = int(operands[0])
        elif operator == b"Ts" and operands:
            self._rise = float(operands[0])
        elif operator in (b"Tj", b"TJ", b"'", b'"'):
            self.recognised |= self._mode == 3
            self._shown_rise = self._rise
        elif operator in (b"Do", b"INLINE IMAGE"):  # a form is as large as its own matrix
            share = abs(matrix[0] * matrix[3] - matrix[1] * matrix[2]) / self.area
            self.picture = max(self.picture, min(share, 1.0))

    def piece(self, text: str, _: Any, matrix: Any, font: Any, size: float) -> None:
        """A piece of text in one font and size."""
        scale = abs(matrix[3]) or 1.0
        baseline, height = matrix[5] + self._shown_rise * scale, size * scale
        above, usual = baseline - self._line[0], self._line[1]
        if (
            _POWER.fullmatch(text)
            and height <= 0.85 * usual
            and 0.15 * usual < above < 0.8 * usual
            and self.pieces[-1][-1:].isalnum()
        ):
            text = raised(text.strip())
        elif text.strip():
            self._line = baseline, height
        if text:
            self.pieces.append(text)
        count = len("".join(text.split()))
        self._letters += count
        if count and font is not None and _is_unreadable(font, text):
            self._garbled += count
            self._longest = max(self._longest, count)

    def is_garbled(self) -> bool:
        """Whether more than single signs, such as the dots of a list, cannot be read."""
        return self._longest > 1 or self._garbled > self._letters / 10


def _is_unreadable(font: Any, text: str) -> bool:
    """Whether a font does not say which letters its glyphs are: glyphs by their number, or codes
    of its own that make signs of what are letters.
    """
    if "/ToUnicode" in font:
        return False
    if _of(font, "/Subtype") == "/Type0":
        below = font["/DescendantFonts"][0].get_object()
        ordering = _of(_of(below, "/CIDSystemInfo", {}), "/Ordering", "Identity")
        return str(_of(font, "/Encoding")).startswith("/Identity") and ordering == "Identity"
    own = "".join(text.split())
    # by letters and by different letters: a row of dots leads to a number
    signs = min(map(_share_of_signs, (own, "".join(set(own)))))
    embedded = "+" in str(_of(font, "/BaseFont")) and "/Encoding" not in font
    return embedded and len(set(own)) >= LEAST and signs > 0.3


def _share_of_signs(letters: str) -> float:
    return sum(not letter.isalnum() for letter in letters) / max(len(letters), 1)


def _annotated(page: "PageObject") -> Iterator[str]:
    """What is filled into fields, as `name: value`, and what is written onto the page."""
    for reference in _of(page, "/Annots", ()):
        note = reference.get_object()
        if not isinstance(note, dict) or int(_of(note, "/F", 0)) & _UNSEEN:
            continue
        if _of(note, "/Subtype") == "/FreeText":
            yield str(_of(note, "/Contents")).strip()
        elif _of(note, "/Subtype") == "/Widget":
            name, value = _said_of(note, "/TU") or _said_of(note, "/T"), _value(note)
            if value:
                yield f"{name}: {value}" if name else value


def _value(widget: Any) -> str:
    """What a field holds; empty where nothing is filled in, set or chosen."""
    kind, flags = str(_said_of(widget, "/FT")), int(_said_of(widget, "/Ff") or 0)
    value, options = _said_of(widget, "/V"), _said_of(widget, "/Opt") or ()
    if kind == "/Btn":
        state = str(_of(widget, "/AS", value or "/Off")).removeprefix("/")
        if flags & _PUSH_BUTTON or state == "Off":
            return ""
        number = int(state) if state.isdecimal() and len(state) < 4 else len(options)
        return str(options[number]) if number < len(options) else state
    if kind not in ("/Tx", "/Ch") or value is None:
        return ""
    names = dict(map(_option, options)) if kind == "/Ch" else {}
    chosen = value if isinstance(value, list) else [value]
    return ", ".join(names.get(str(one), str(one)) for one in chosen).strip()


def _option(option: Any) -> tuple[str, str]:
    """What a choice is kept as, and what is shown of it."""
    option = option.get_object()
    return (str(option[0]), str(option[1])) if isinstance(option, list) else (str(option),) * 2


def _said_of(widget: Any, key: str) -> Any:
    """What a field or one that it lies in says of itself."""
    for _ in range(_DEEPEST):
        if key in widget:
            return widget[key].get_object()
        if "/Parent" not in widget:
            return None
        widget = widget["/Parent"].get_object()
    return None


def _of(holder: Any, key: str, otherwise: Any = "") -> Any:
    """What a dictionary holds, wherever in the file it lies: `get` gives a reference to it."""
    if key not in holder:
        return otherwise
    return holder[key]
