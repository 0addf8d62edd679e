"""What is shown of the elements of a Word document.

Reference:
    ECMA-376 part 1: 17.3 (paragraphs and runs), 17.4 (tables), 17.7.3 (toggle properties), 17.13.5
    (tracked changes), 17.16 (fields); part 3: 7 (alternate content).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mmdiag.readers.documents.raised import raised
from mmdiag.readers.documents.rtf_characters import glyphs, is_symbol_font

W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
MATH: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_OFF: Final = ("0", "false", "off", "none")
_STRUCK: Final = ("strike", "dstrike", "vanish", "specVanish")
_SIGNS: Final = {
    "tab": "\t",
    "ptab": "\t",
    "br": "\n",
    "cr": "\n",
    "noBreakHyphen": "-",
    "softHyphen": "",
}
# what is no text of the note: tracked away, instructions of fields, how letters are read aloud
_LEFT_OUT: Final = frozenset(
    (
        *("del", "moveFrom", "delText", "instrText", "delInstrText", "rt", "rPr", "pPr", "tblPr"),
        *("sectPr", "comment", "annotationRef", "sdtPr", "sdtEndPr", "trPr", "tcPr", "object"),
    )
)
PRIVATE: Final = (0xF020, 0xF0FF)  # where Word puts the glyphs of symbol fonts
_NOTES: Final = {"footnoteReference": "footnotes", "endnoteReference": "endnotes"}
_PICTURES: Final = ("blip", "imagedata")


@dataclass(slots=True)
class Shown:
    """What is shown of an element.

    Args:
        notes: `footnotes` and `endnotes` -> the ids that are referred to, in their order.
        elsewhere: Whether a part of its text is another document.
    """

    text: str = ""
    notes: dict[str, list[str]] = field(default_factory=dict)
    elsewhere: bool = False


def shown_text(element: Any, styles: "Styles") -> Shown:
    """The text of an element as a person reads it; cells of a table parted by tabs.

    Args:
        element: Of lxml, such as the body of a document.

    Raises:
        ValueError: A field has no end: what follows cannot be told from its instructions.
    """
    reader = _Reader(styles)
    reader.inside(element)
    if not reader.is_whole:
        raise ValueError("a field without an end")
    return Shown("".join(reader.pieces), reader.notes, reader.elsewhere)


def has_pictures(element: Any) -> bool:
    """Whether an element shows a picture."""
    return any(_name(one) in _PICTURES for one in element.iter())


def picture_share(element: Any) -> float:
    """The largest picture's share of what a page's margins leave; 0 where there is none.

    Reference:
        ECMA-376 part 1, 17.6 (sections, in twentieths of a point), 20.4.2.7 (extent, in EMU); VML
        gives points.
    """
    section = next(iter(list(element.iter(f"{W}sectPr"))[::-1]), None)
    size, margins = (
        None if section is None else section.find(f"{W}{n}") for n in ("pgSz", "pgMar")
    )
    width, height = _twips(size, "w", 12_240), _twips(size, "h", 15_840)
    width -= _twips(margins, "left", 1_440) + _twips(margins, "right", 1_440)
    height -= _twips(margins, "top", 1_440) + _twips(margins, "bottom", 1_440)
    areas = [_area(one) for one in element.iter() if _name(one) in _PICTURES]
    return max(areas, default=0.0) / max(width * height, 1.0)


def _twips(facts: Any, name: str, usual: float) -> float:
    said = "" if facts is None else facts.get(f"{W}{name}", "")
    return float(said) if re.fullmatch(r"[0-9]{1,6}", said) else usual


def _area(picture: Any) -> float:
    """How large a picture is drawn, in square twentieths of a point."""
    for outer in picture.iterancestors():
        if _name(outer) in ("inline", "anchor"):
            extents = [one for one in outer if _name(one) == "extent"]
            sides = [one.get(side, "") for one in extents for side in ("cx", "cy")]
            behind = outer.get("behindDoc", "0") in ("1", "true")  # paper that is written on
            if behind or [bool(re.fullmatch(r"[0-9]{1,12}", side)) for side in sides] != [True] * 2:
                return 0.0
            return float(sides[0]) * float(sides[1]) / 635**2
        if _name(outer) == "shape":
            found = re.findall(
                r"(?<![\w-])(?:width|height):([0-9.]{1,9})pt", outer.get("style", "")
            )
            return float(found[0]) * float(found[1]) * 20**2 if len(found) == 2 else 0.0
    return 0.0


class Styles:
    """Which styles hide or strike out what they are given to, and which give it a font; a style is
    what it is based on, but for what it says itself.
    """

    def __init__(self, root: Any) -> None:
        self._own: dict[str, dict[str, bool]] = {}
        self._based: dict[str, str] = {}
        self._usual: dict[str, str] = {}
        self._fonts: dict[str, str] = {}
        self._places: dict[str, str] = {}
        for style in root.iter(f"{W}style"):
            name = style.get(f"{W}styleId", "")
            self._own[name] = _toggles(style.find(f"{W}rPr"))
            self._fonts[name] = _font(style.find(f"{W}rPr"))
            self._places[name] = _place(style.find(f"{W}rPr"))
            based = style.find(f"{W}basedOn")
            self._based[name] = "" if based is None else based.get(f"{W}val", "")
            if style.get(f"{W}default") in ("1", "true", "on"):
                self._usual[style.get(f"{W}type", "")] = name
        self._all = _toggles(root.find(f"{W}docDefaults/{W}rPrDefault/{W}rPr"))

    def is_left_out(self, run: Any) -> bool:
        """Whether a run is hidden or struck out, by itself or by its styles."""
        own = run.find(f"{W}rPr")
        direct = _toggles(own)
        character, block = self._styles(run)
        return any(
            direct[name]
            if name in direct
            else (self._says(character, name) != self._says(block, name))
            or self._all.get(name, False)
            for name in _STRUCK
        )

    def font_of(self, run: Any) -> str:
        """The font of a run's letters; empty where none is named."""
        return self._first(run, _font(run.find(f"{W}rPr")), self._fonts)

    def is_raised(self, run: Any) -> bool:
        """Whether a run's letters stand above the line."""
        return self._first(run, _place(run.find(f"{W}rPr")), self._places) == "superscript"

    def _first(self, run: Any, own: str, said: Mapping[str, str]) -> str:
        """What a run says itself, else what its styles do; empty where nobody does."""
        for style in self._styles(run):
            for _ in range(len(self._own) if not own else 0):
                own = own or said.get(style, "")
                style = self._based.get(style, "")
        return own

    def _styles(self, run: Any) -> tuple[str, str]:
        """The styles of a run and of its paragraph."""
        own = run.find(f"{W}rPr")
        paragraph = next((one for one in run.iterancestors(f"{W}p")), None)
        facts = None if paragraph is None else paragraph.find(f"{W}pPr")
        block = "" if facts is None else _style(facts, "pStyle")
        character = "" if own is None else _style(own, "rStyle")
        return character, block or self._usual.get("paragraph", "")

    def _says(self, style: str, name: str) -> bool:
        for _ in range(len(self._own)):  # a style that is based on itself ends, too
            if name in self._own.get(style, {}):
                return self._own[style][name]
            style = self._based.get(style, "")
        return False


class _Reader:
    """Collects what is shown, element by element."""

    def __init__(self, styles: Styles) -> None:
        self.styles, self.pieces = styles, list[str]()
        self.notes: dict[str, list[str]] = {}
        self.elsewhere = False
        self._instructions: list[bool] = []  # of each open field, whether its result has begun
        self._boxes: list[Any] = []
        self._readers: dict[str, Callable[[Any], None]] = {
            "p": self._paragraph,
            "r": self._run,
            "t": self._letters,
            "tbl": self._table,
            "fldChar": self._field,
            "sym": self._symbol,
            "sdt": self._control,
            "f": self._fraction,
            "sSup": self._power,
            "AlternateContent": self._alternative,
            "txbxContent": self._boxes.append,
            "altChunk": self._chunk,
        }

    @property
    def is_whole(self) -> bool:
        """Whether each field that began has a result or an end."""
        return all(self._instructions)

    def inside(self, element: Any) -> None:
        """The children of an element."""
        for child in element:
            self._read(child)

    def _read(self, element: Any) -> None:
        name = _name(element)
        if name in _LEFT_OUT or not name:
            return
        if name in self._readers:
            self._readers[name](element)
        elif name in _SIGNS:
            self._write(_SIGNS[name])
        elif name in _NOTES:
            self.notes.setdefault(_NOTES[name], []).append(element.get(f"{W}id", ""))
        else:
            self.inside(element)

    def _write(self, text: str) -> None:
        if all(self._instructions):
            self.pieces.append(text)

    def _paragraph(self, element: Any) -> None:
        outer, self._boxes[:] = list(self._boxes), []
        self.inside(element)
        boxes, self._boxes[:] = list(self._boxes), outer
        facts = element.find(f"{W}pPr/{W}rPr")
        deleted = facts is not None and facts.find(f"{W}del") is not None
        self.pieces.append("" if deleted and not boxes else "\n")
        for box in boxes:  # beside the paragraph that it is bound to
            self.inside(box)

    def _run(self, element: Any) -> None:
        if not self.styles.is_left_out(element):
            self.inside(element)
            return
        for mark in element.iter(f"{W}fldChar"):
            self._field(mark, shown=False)

    def _letters(self, element: Any) -> None:
        text = re.sub(r"[\r\n\t]", " ", element.text or "")
        run = element.getparent()
        font = self.styles.font_of(run) if run.tag == f"{W}r" and not text.isspace() else ""
        shown = "".join(_glyph(ord(letter), font) for letter in text)
        self._write(raised(shown) if run.tag == f"{W}r" and self.styles.is_raised(run) else shown)

    def _table(self, element: Any) -> None:
        for row in element.iter(f"{W}tr"):
            if _nearest(row, "tbl") is not element or _is_deleted(row, "trPr", "del"):
                continue
            cells = [cell for cell in row.iter(f"{W}tc") if _nearest(cell, "tr") is row]
            shown = [self._cell(cell) for cell in cells if not _is_deleted(cell, "tcPr", "cellDel")]
            self.pieces.append("\t".join(shown) + "\n")

    def _cell(self, cell: Any) -> str:
        """What a cell holds; one that goes on from the row above holds nothing."""
        merged = cell.find(f"{W}tcPr/{W}vMerge")
        if merged is not None and merged.get(f"{W}val", "continue") == "continue":
            return ""
        outer, self.pieces = self.pieces, []
        self.inside(cell)
        inner, self.pieces = "".join(self.pieces), outer
        return inner.rstrip("\n")

    def _field(self, element: Any, *, shown: bool = True) -> None:
        kind = element.get(f"{W}fldCharType", "")
        if kind == "begin":
            if shown:
                self._form(element)
            self._instructions.append(False)
        elif kind == "separate" and self._instructions:
            self._instructions[-1] = True
        elif kind == "end" and self._instructions:
            self._instructions.pop()

    def _form(self, element: Any) -> None:
        """What is ticked or chosen in a form."""
        for box in element.iter(f"{W}checkBox"):
            states = [box.find(f"{W}{name}") for name in ("checked", "default")]
            state = next((one for one in states if one is not None), None)
            self._write("\u2612" if state is not None and _is_on(state) else "\u2610")
        for listed in element.iter(f"{W}ddList"):
            entries = [one.get(f"{W}val", "") for one in listed.iter(f"{W}listEntry")]
            result = listed.find(f"{W}result")
            number = "0" if result is None else result.get(f"{W}val", "0")
            if number.isdecimal() and int(number[:4]) < len(entries):
                self._write(entries[int(number[:4])])

    def _symbol(self, element: Any) -> None:
        code, font = element.get(f"{W}char", ""), element.get(f"{W}font", "")
        self._write(_glyph(int(code, 16), font))

    def _fraction(self, element: Any) -> None:
        """A fraction of a formula: one over the other."""
        over, under = (element.find(f"{MATH}{name}") for name in ("num", "den"))
        if over is None or under is None:
            self.inside(element)
            return
        self.inside(over)
        self._write("/")
        self.inside(under)

    def _power(self, element: Any) -> None:
        """A power of a formula."""
        base, power = (element.find(f"{MATH}{name}") for name in ("e", "sup"))
        if base is None or power is None:
            self.inside(element)
            return
        self.inside(base)
        outer, self.pieces = self.pieces, []
        self.inside(power)
        inner, self.pieces = "".join(self.pieces), outer
        self.pieces.append(raised(inner))

    def _control(self, element: Any) -> None:
        """A content control; the words that ask for its content are none."""
        asks = element.find(f"{W}sdtPr/{W}showingPlcHdr")
        if asks is None or not _is_on(asks):
            self.inside(element)

    def _alternative(self, element: Any) -> None:
        """The same in several forms, of which the first counts."""
        forms = [child for child in element if _name(child) in ("Choice", "Fallback")]
        if forms:
            self.inside(forms[0])

    def _chunk(self, _: Any) -> None:
        self.elsewhere = True


def _name(element: Any) -> str:
    """An element's name without its space; empty for comments and instructions."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _nearest(element: Any, name: str) -> Any:
    return next(element.iterancestors(f"{W}{name}"), None)


def _is_deleted(element: Any, facts: str, mark: str) -> bool:
    return element.find(f"{W}{facts}/{W}{mark}") is not None


def _is_on(element: Any) -> bool:
    return str(element.get(f"{W}val", "true")).lower() not in _OFF


def _toggles(facts: Any) -> dict[str, bool]:
    found = {} if facts is None else {name: facts.find(f"{W}{name}") for name in _STRUCK}
    return {name: _is_on(one) for name, one in found.items() if one is not None}


def _glyph(code: int, font: str) -> str:
    """What a character shows in a font: in one of symbols its codes are pictures, which lie among
    the letters or where Word puts them (0xF000 on).
    """
    if PRIVATE[0] <= code <= PRIVATE[1]:
        return glyphs(bytes([code & 0xFF]), font or "Symbol")
    if 0x20 <= code <= 0xFF and is_symbol_font(font):
        return glyphs(bytes([code]), font)
    return chr(code)


def _font(facts: Any) -> str:
    """The font that properties name for letters; empty where they name none, or the theme's."""
    fonts = None if facts is None else facts.find(f"{W}rFonts")
    if fonts is None or fonts.get(f"{W}asciiTheme"):
        return ""
    return str(fonts.get(f"{W}ascii") or fonts.get(f"{W}hAnsi") or "")


def _place(facts: Any) -> str:
    """Where properties put letters beside the line: superscript, subscript, baseline, or empty."""
    return "" if facts is None else _style(facts, "vertAlign")


def _style(facts: Any, name: str) -> str:
    found = facts.find(f"{W}{name}")
    return "" if found is None else str(found.get(f"{W}val", ""))
