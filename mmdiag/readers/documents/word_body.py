"""What is shown of the elements of a Word document.

Reference:
    ECMA-376 part 1: 17.3 (paragraphs and runs), 17.4 (tables), 17.7.3 (toggle properties), 17.13.5
    (tracked changes), 17.16 (fields); part 3: 7 (alternate content).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from mmdiag.readers.documents.rtf_characters import glyphs

W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
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
    """
    reader = _Reader(styles)
    reader.inside(element)
    return Shown("".join(reader.pieces), reader.notes, reader.elsewhere)


def has_pictures(element: Any) -> bool:
    """Whether an element shows a picture."""
    return any(_name(one) in _PICTURES for one in element.iter())


class Styles:
    """Which styles hide or strike out what they are given to; a style is what it is based on,
    but for what it says itself.
    """

    def __init__(self, root: Any) -> None:
        self._own: dict[str, dict[str, bool]] = {}
        self._based: dict[str, str] = {}
        self._usual: dict[str, str] = {}
        for style in root.iter(f"{W}style"):
            name = style.get(f"{W}styleId", "")
            self._own[name] = _toggles(style.find(f"{W}rPr"))
            based = style.find(f"{W}basedOn")
            self._based[name] = "" if based is None else based.get(f"{W}val", "")
            if style.get(f"{W}default") in ("1", "true", "on"):
                self._usual[style.get(f"{W}type", "")] = name
        self._all = _toggles(root.find(f"{W}docDefaults/{W}rPrDefault/{W}rPr"))

    def is_left_out(self, run: Any) -> bool:
        """Whether a run is hidden or struck out, by itself or by its styles."""
        own = run.find(f"{W}rPr")
        direct = _toggles(own)
        character = "" if own is None else _style(own, "rStyle")
        paragraph = next((one for one in run.iterancestors(f"{W}p")), None)
        facts = None if paragraph is None else paragraph.find(f"{W}pPr")
        block = "" if facts is None else _style(facts, "pStyle")
        block = block or self._usual.get("paragraph", "")
        return any(
            direct[name]
            if name in direct
            else (self._says(character, name) != self._says(block, name))
            or self._all.get(name, False)
            for name in _STRUCK
        )

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
            "AlternateContent": self._alternative,
            "txbxContent": self._boxes.append,
            "altChunk": self._chunk,
        }

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
            self._field(mark)

    def _letters(self, element: Any) -> None:
        text = element.text or ""
        self._write(text.replace("\r", " ").replace("\n", " ").replace("\t", " "))

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

    def _field(self, element: Any) -> None:
        kind = element.get(f"{W}fldCharType", "")
        if kind == "begin":
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
        number = int(code, 16)
        self._write(glyphs(bytes([number & 0xFF]), font) if number >= 0xF000 else chr(number))

    def _control(self, element: Any) -> None:
        """A content control; the words that ask for its content are none."""
        if element.find(f"{W}sdtPr/{W}showingPlcHdr") is None:
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


def _style(facts: Any, name: str) -> str:
    found = facts.find(f"{W}{name}")
    return "" if found is None else str(found.get(f"{W}val", ""))
