"""The text that a word processor shows of RTF: without what is hidden, deleted, struck or no text,
with the results of fields, headers, footnotes and text boxes, each character in the code page of
its font.

Reference:
    Microsoft, Rich Text Format Specification 1.9.1.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

from mmdiag.errors import ReadError
from mmdiag.readers.documents.raised import raised
from mmdiag.readers.documents.rtf_characters import (
    CODE_PAGES,
    DEFAULT,
    KNOWN,
    SKIPPED,
    SPECIAL,
    SYMBOL,
    font_code_page,
    glyphs,
)
from mmdiag.readers.recorded import last_of

DEEPEST: Final = 1_000  # groups within each other
_TOKEN: Final = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])"
    rb"|[\r\n\0]+|([^\\{}\r\n\0]+)",
    re.DOTALL,
)
_DESTINATIONS: Final = frozenset(
    ("shpinst", "ud", "upr", "fonttbl", "formfield", "ffl", "fldrslt", "creatim")
)
_HEADERS: Final = ("headerf", "header", "headerl", "headerr")
_FOOTERS: Final = ("footerf", "footer", "footerl", "footerr")
_APART: Final = frozenset((*_HEADERS, *_FOOTERS, "footnote", "shptxt"))
_DOCUMENT_SETS: Final = {"ansi": "cp1252", "mac": "mac-roman", "pc": "cp437", "pca": "cp850"}


@dataclass(slots=True)
class _Font:
    """One entry of the font table."""

    charset: int | None = None
    code_page: int | None = None
    name: bytes = b""


@dataclass(frozen=True, slots=True)
class _Group:
    """What holds within a group.

    Args:
        skipped: Whether nothing of it is shown.
        hidden, raised, deleted, struck: Of its characters.
        font: Number; None = the document's first.
        fallbacks: Characters behind a Unicode one that stand for it elsewhere (`uc`).
        kind: The destination it is.
        part: Where its text goes: the body, one of the headers and footers, or a form's choices.
    """

    skipped: bool = False
    hidden: bool = False
    raised: bool = False
    deleted: bool = False
    struck: bool = False
    font: int | None = None
    fallbacks: int = 1
    kind: str = ""
    part: str = "body"


def rtf_text(content: bytes, name: str) -> tuple[str, date | None]:
    """The text of an RTF document, and the day on which it was made.

    Raises:
        ReadError: `truncated`, `unreadable` or `encoding`.
    """
    reader = _Reader(name, raw_is_utf8=_is_utf8(content))
    start = content.find(b"{\\rtf")
    end = reader.read(content, start)
    if b"{\\rtf" in content[end:]:
        raise ReadError("unreadable", f"{name} holds another document behind its end")
    # the last cell of a row ends where the row does
    body = re.sub(r"\t+(?=\n)", "", "".join(reader.pieces["body"]))
    parts = [*reader.margin(_HEADERS), body, *reader.margin(_FOOTERS)]
    return "\n".join(part for part in parts if part.strip()), reader.made()


def _is_utf8(content: bytes) -> bool:
    """Whether bytes above 127 are UTF-8, as where RTF went through a program that knows only
    Unicode; RTF itself has none of them.
    """
    try:
        return not content.isascii() and bool(content.decode("utf-8"))
    except UnicodeDecodeError:
        return False


@dataclass(slots=True)
class _Reader:
    """Goes over the tokens of a document once.

    Attributes:
        run: Codes of characters that are decoded together: a letter of an East Asian code page is
            two of them.
        skip: Characters that are still left out, because they stand for a Unicode one.
        chosen: Part and place of what is chosen of a list, until the field's own result is seen.
    """

    name: str
    raw_is_utf8: bool
    pieces: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    group: _Group = field(default_factory=_Group)
    stack: list[_Group] = field(default_factory=list)
    fonts: dict[int, _Font] = field(default_factory=dict)
    font_entry: int | None = None
    default_font: int | None = None
    document_set: str = "cp1252"
    run: bytearray = field(default_factory=bytearray)
    skip: int = 0
    starred: bool = False
    half: int = 0  # the first half of a character beyond the basic plane
    box: dict[str, int] = field(default_factory=dict)  # of a form's field
    choices: list[str] = field(default_factory=list)  # of a form's list
    chosen: tuple[str, int] | None = None
    created: dict[str, int] = field(default_factory=dict)
    first_page: bool = False  # has a header of its own
    facing: bool = False  # left pages have headers of their own

    def read(self, content: bytes, position: int) -> int:
        """Go to the end of the document's group; answers with where it is."""
        while found := _TOKEN.match(content, position):
            position = found.end()
            word, number, code, sign, brace, text = found.groups()
            if text is not None:
                self._text(text)
            elif code is not None:
                self._code(int(code, 16))
            elif brace == b"{":
                self._open()
            elif brace == b"}":
                self._close()
                if not self.stack:
                    return position
            elif word is not None:
                self._flush()
                if word == b"bin":
                    position += max(0, int(number or 0))
                else:
                    self._word(word.decode(), int(number) if number else None)
            elif sign is not None:
                self._sign(sign)
        raise ReadError("truncated", f"{self.name} ends before its last group")

    def made(self) -> date | None:
        """When the document was made, where it says so."""
        if not self.created.get("yr"):
            return None
        return last_of(self.created["yr"], self.created.get("mo"), self.created.get("dy"))

    def margin(self, kinds: Sequence[str]) -> list[str]:
        """Headers or footers that are shown, each text once."""
        shown = [
            "".join(self.pieces[kind])
            for kind in kinds
            if (self.first_page or not kind.endswith("f"))
            and (self.facing or not kind.endswith("l"))
        ]
        lines = [line for text in shown for line in text.split("\n")]
        return ["\n".join(dict.fromkeys(line for line in lines if line.strip()))]

    def _open(self) -> None:
        self._flush()
        self.skip, self.half = 0, 0
        if len(self.stack) >= DEEPEST:
            raise ReadError("unreadable", f"{self.name} nests more than {DEEPEST} groups")
        self.stack.append(self.group)
        self.group = replace(self.group, kind="")
        self.starred = False

    def _close(self) -> None:
        self._flush()
        self.skip, self.half = 0, 0
        if self.group.kind in _APART and not self.group.skipped:
            self._show("\n")
        if self.group.kind == "ffl":
            self.choices.append("".join(self.pieces.pop("ffl", [])).strip())
        elif self.group.kind == "formfield":
            self._form()
        elif self.group.kind == "fldrslt" and self.chosen:
            part, place = self.chosen
            if "".join(self.pieces[part][place + 1 :]).strip():  # it shows the choice itself
                self.pieces[part][place] = ""
            self.chosen = None
        self.group = self.stack.pop()
        self.starred = False

    def _form(self) -> None:
        """What is ticked in a form, or chosen of a list; 25 stands for what was set beforehand."""
        state = self.box.get("ffres", 25)
        state = self.box.get("ffdefres", 0) if state == 25 else state
        shown = self.stack[-2] if len(self.stack) > 1 else _Group()
        pieces = self.pieces[self.group.part]
        if shown.hidden or shown.deleted or shown.struck:
            return
        if self.box.get("fftype") == 1:
            pieces.append("\u2612 " if state else "\u2610 ")
        elif self.box.get("fftype") == 2 and 0 <= state < len(self.choices):
            self.chosen = self.group.part, len(pieces)
            pieces.append(self.choices[state])

    def _text(self, text: bytes) -> None:
        if self._in("fonttbl"):
            if self.font_entry is not None and self.group.kind in ("", "fonttbl"):
                self.fonts[self.font_entry].name += text
            return
        wide = text.decode() if self.raw_is_utf8 and not text.isascii() else ""
        skipped = min(self.skip, len(wide or text))
        self.skip -= skipped
        if self._is_silent():
            return
        if wide:
            self._flush()
            self._show(wide[skipped:])
        else:
            self.run += text[skipped:]

    def _code(self, code: int) -> None:
        if self.skip:
            self.skip -= 1
        elif not self._is_silent():
            self.run.append(code)

    def _sign(self, sign: bytes) -> None:
        if sign == b"*":
            self.starred = True
            return
        self._flush()
        if self.skip and sign != b"\n":
            self.skip -= 1
        elif not self._is_silent():
            self._show(SPECIAL.get(sign.decode("latin-1"), ""))

    def _word(self, word: str, number: int | None) -> None:
        starred, self.starred = self.starred, False
        property_of_formula = word.startswith("m") and word.endswith("Pr")
        if word in SKIPPED or property_of_formula or (starred and word not in KNOWN):
            self.group = replace(self.group, skipped=True, kind=word)
        elif word in _DESTINATIONS or word in _APART:
            self._destination(word)
        elif word == "u":
            self._unicode(number or 0)
        elif word in ("fftype", "ffres", "ffdefres"):
            self.box[word] = number or 0
        elif word in ("yr", "mo", "dy") and self.group.kind == "creatim":
            self.created[word] = number or 0
        elif word in SPECIAL:
            if self.skip:
                self.skip -= 1
            elif not self._is_silent():
                self._show(SPECIAL[word])
        elif word == "field":
            self.box, self.chosen = {}, None
        elif not self._font_word(word, number):
            self._property(word, number)

    def _destination(self, word: str) -> None:
        if word in ("fonttbl", "formfield", "creatim"):
            self.group = replace(self.group, skipped=True, kind=word)
            self.box = {} if word == "formfield" else self.box
            self.choices = [] if word == "formfield" else self.choices
        elif word == "ffl":
            self.group = replace(self.group, skipped=False, kind=word, part=word)
        elif word == "fldrslt":
            self.group = replace(self.group, kind=word)
        elif word in ("upr", "shpinst"):  # what is shown of them is a group within
            self.group = replace(self.group, skipped=True, kind=word)
        elif word == "ud":
            outer = self.stack[-2] if len(self.stack) > 1 else _Group()
            self.group = replace(self.group, skipped=outer.skipped, kind=word)
        else:
            boxed = word == "shptxt" and not any(g.kind == "shprslt" for g in self.stack)
            self.group = replace(
                self.group,
                skipped=self.group.skipped and not boxed,
                kind=word,
                part=word if word in (*_HEADERS, *_FOOTERS) else self.group.part,
            )

    def _font_word(self, word: str, number: int | None) -> bool:
        """Fonts and code pages."""
        if self._in("fonttbl"):
            if word == "f" and number is not None:
                self.font_entry = number
                self.fonts[number] = _Font()
            elif self.font_entry is not None and word == "fcharset":
                self.fonts[self.font_entry].charset = number
            elif self.font_entry is not None and word == "cpg":
                self.fonts[self.font_entry].code_page = number
            return True
        if word == "f":
            self.group = replace(self.group, font=number)
        elif word == "deff":
            self.default_font = number
        elif word in _DOCUMENT_SETS:
            self.document_set = _DOCUMENT_SETS[word]
        elif word == "ansicpg":
            self.document_set = CODE_PAGES.get(number or 0) or self.document_set
        else:
            return False
        return True

    def _property(self, word: str, number: int | None) -> None:
        """Properties of characters; 0 turns one off."""
        if word == "v":
            self.group = replace(self.group, hidden=number != 0)
        elif word in ("deleted", "mvf"):  # moved text is deleted where it was
            self.group = replace(self.group, deleted=number != 0)
        elif word in ("strike", "striked"):  # by one line, or by two
            self.group = replace(self.group, struck=number != 0)
        elif word == "plain":
            self.group = replace(
                self.group, hidden=False, deleted=False, struck=False, raised=False, font=None
            )
        elif word in ("super", "up", "nosupersub", "sub", "dn"):
            self.group = replace(self.group, raised=word in ("super", "up") and number != 0)
        elif word in ("titlepg", "facingp"):
            self.first_page |= word == "titlepg"
            self.facing |= word == "facingp"
        elif word == "uc":
            self.group = replace(self.group, fallbacks=max(0, number if number is not None else 1))

    def _unicode(self, number: int) -> None:
        if self.skip:  # itself a character that stands for another
            self.skip -= 1
            return
        self.skip = self.group.fallbacks
        code = number % 0x1_0000 if number < 0x1_0000 else number
        if self._is_silent():
            return
        if 0xD800 <= code < 0xDC00:
            self.half = code
            return
        if 0xDC00 <= code < 0xE000 and self.half:
            code = 0x1_0000 + ((self.half - 0xD800) << 10) + (code - 0xDC00)
        self.half = 0
        if 0xF020 <= code <= 0xF0FF:  # where Word puts the glyphs of symbol fonts
            self._show(glyphs(bytes([code - 0xF000]), self._font_name() or "Symbol"))
        elif 0xD800 <= code < 0xE000 or code > 0x10_FFFF:
            raise ReadError("encoding", f"{self.name} holds half of a character")
        elif code >= 0x20 or code in (9, 10):
            self._show(chr(code))

    def _flush(self) -> None:
        """Decode the codes that were gathered."""
        if not self.run:
            return
        codes, self.run = bytes(self.run), bytearray()
        font = self.fonts.get(self._font_number())
        page = DEFAULT
        if font is not None:
            page = font_code_page(font.charset, font.code_page, self._font_name())
        if page == SYMBOL:
            self._show(glyphs(codes, self._font_name()))
            return
        try:
            self._show(codes.decode(page or self.document_set))
        except (UnicodeDecodeError, LookupError):
            raise ReadError(
                "encoding", f"{self.name} holds characters that are not in their font's code page"
            ) from None

    def _font_number(self) -> int:
        chosen = self.group.font if self.group.font is not None else self.default_font
        return chosen if chosen is not None else -1

    def _font_name(self) -> str:
        font = self.fonts.get(self._font_number())
        return font.name.decode("latin-1") if font else ""

    def _show(self, text: str) -> None:
        self.half = 0
        self.pieces[self.group.part].append(raised(text) if self.group.raised else text)

    def _in(self, kind: str) -> bool:
        return any(group.kind == kind for group in self._around())

    def _around(self) -> Iterator[_Group]:
        yield self.group
        yield from reversed(self.stack[-3:])

    def _is_silent(self) -> bool:
        group = self.group
        return group.skipped or group.hidden or group.deleted or group.struck
