"""The text that a browser shows of HTML.

Reference:
    WHATWG HTML 15.3 (rendering); CSS 2.2 16.6 (white space).
"""

import re
from html.parser import HTMLParser
from typing import Final

from mmdiag.errors import ReadError
from mmdiag.readers.documents.charsets import BYTE_ORDER_MARKS, declared_text
from mmdiag.readers.documents.raised import raised

MOST_OPEN: Final = 2_000  # elements within each other
_BLOCKS: Final = frozenset(
    re.findall(
        r"[\w-]+",
        "address article aside blockquote body caption center dd details div dl dt fieldset "
        "figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr legend li main nav ol p "
        "pre section summary table tbody tfoot thead tr ul",
    )
)
_VOID: Final = frozenset(
    re.findall(
        r"[\w-]+",
        "area base br col embed hr img input link meta param source track wbr",
    )
)
# what a browser that runs scripts does not show; deleted and struck text is crossed out by it, and
# is no part of the note
_HIDDEN: Final = frozenset(
    re.findall(
        r"[\w-]+",
        "applet audio canvas datalist del head iframe math noembed noframes noscript object "
        "rp s script strike style svg template title video",
    )
)
# an element that ends where one of these begins: its end tag may be left out
_ENDS: Final = {
    "p": _BLOCKS - {"body", "caption", "tbody", "tfoot", "thead", "tr"},
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "td": frozenset({"td", "th", "tr", "tbody", "tfoot"}),
    "th": frozenset({"td", "th", "tr", "tbody", "tfoot"}),
    "tr": frozenset({"tr", "tbody", "tfoot"}),
    "option": frozenset({"option", "optgroup"}),
    "head": frozenset({"body"}),
}
_NOT_SHOWN: Final = re.compile(
    r"(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)"
    r"|text-decoration(?:-line)?\s*:[^;{}]*line-through)\b",
    re.I,
)
_RULE: Final = re.compile(r"([^{}]{1,200})\{([^{}]{0,2000})\}")
_BEGIN: Final = re.compile(
    rb"(?:\s|<!--.*?-->|<\?xml[^>]*\?>)*<(?:!doctype\s+html|html|head|body|meta|style|div|p|span|table|"
    rb"ul|ol|dl|h[1-6]|br|hr|b|strong|i|em|u|font|center|pre|section|article|blockquote)"
    rb"(?:\s[^<>]*)?/?>",
    re.IGNORECASE | re.DOTALL,
)
_META: Final = re.compile(
    rb"<meta[^>]{0,400}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE
)
_XML: Final = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{1,40})")
HEAD: Final = 4_096  # bytes in which HTML says its character set


def looks_like_html(content: bytes) -> bool:
    """Whether bytes begin as a page, or a part of one, does."""
    for mark in BYTE_ORDER_MARKS:
        content = content.removeprefix(mark)
    return _BEGIN.match(content[:HEAD].replace(b"\0", b"")) is not None


def html_charset(content: bytes) -> str | None:
    """The character set that HTML declares in its head."""
    if any(content.startswith(mark) for mark in BYTE_ORDER_MARKS):
        return "utf-8"  # the mark goes before what is declared
    named = _META.search(content[:HEAD]) or _XML.match(content[:HEAD])
    if named is None:
        return None
    charset = named[1].decode("ascii")
    # a declaration that can be read is not in UTF-16 (WHATWG HTML 13.2.3.2)
    return "utf-8" if charset.lower().startswith("utf-16") else charset


def declared_html(content: bytes, charset: str | None, name: str) -> str | None:
    """HTML in the character set that its media type or it itself declares; None where neither does.

    Raises:
        ReadError: `encoding`.
    """
    named = charset or html_charset(content)
    return declared_text(content, named, name) if named else None


def html_text(html: str, name: str) -> str:
    """The words of HTML: blocks on lines of their own, cells parted by tabs; scripts, styles,
    hidden, deleted and struck elements left out; of a form what is filled in.

    Raises:
        ReadError: `unreadable`, where elements nest without end.
    """
    reader = _Shown(name)
    reader.feed(html)
    reader.close()
    return even_lines("".join(reader.pieces))


def even_lines(text: str) -> str:
    """Lines without blanks at their ends, single blanks and tabs within, and no two blank lines in
    a row.
    """
    lines = (
        "\t".join(" ".join(cell.split()) for cell in line.rstrip("\t").split("\t")).strip()
        for line in text.split("\n")
    )
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Shown(HTMLParser):
    """Collects what is shown, by a stack of the elements that are open."""

    def __init__(self, name: str) -> None:
        super().__init__(convert_charrefs=True)
        self.name, self.pieces = name, list[str]()
        self.open: list[tuple[str, bool]] = []  # element, and whether it or one around it is hidden
        self.rules: set[str] = set()  # selectors of a style sheet that hide: p, .old, #x
        self.options: list[tuple[bool, list[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        while self.open and tag in _ENDS.get(self.open[-1][0], ()):
            ended, hidden = self.open.pop()
            if ended in ("td", "th") and not hidden:
                self.pieces.append("\t")
        if tag == "body":  # a title that nobody closed hides no note
            self.open = [one for one in self.open if one[0] == "html"]
        facts = {key: value or "" for key, value in attrs}
        hidden = (bool(self.open) and self.open[-1][1]) or self._is_hidden(tag, facts)
        if not hidden:
            self._begin(tag, facts)
        if tag not in _VOID:
            if len(self.open) >= MOST_OPEN:
                raise ReadError("unreadable", f"{self.name} nests more than {MOST_OPEN} elements")
            self.open.append((tag, hidden))

    def handle_endtag(self, tag: str) -> None:
        shown = not (self.open and self.open[-1][1])
        for number in range(len(self.open) - 1, max(-1, len(self.open) - 200), -1):
            if self.open[number][0] == tag:
                shown = not self.open[number][1]
                del self.open[number:]
                break
        if shown and tag in _BLOCKS:
            self.pieces.append("\n")
        elif shown and tag in ("td", "th"):
            self.pieces.append("\t")
        elif tag == "select":
            self._select()

    def handle_data(self, data: str) -> None:
        kind, hidden = self.open[-1] if self.open else ("", False)
        if kind == "style":
            self._learn(data)
        if hidden:
            return
        inside = {name for name, _ in self.open[-20:]}
        kept = data if inside & {"pre", "textarea"} else re.sub(r"[ \t\r\n\f]+", " ", data)
        kept = raised(kept) if "sup" in inside else kept
        if "option" in inside and self.options:
            self.options[-1][1].append(kept)
        elif "select" not in inside:
            self.pieces.append(kept)

    def _begin(self, tag: str, facts: dict[str, str]) -> None:
        if tag in _BLOCKS or tag == "br":
            self.pieces.append("\n")
        elif tag == "option":
            self.options.append(("selected" in facts, []))
        elif tag == "input":
            kind = facts.get("type", "text").lower()
            if kind in ("checkbox", "radio"):
                self.pieces.append("\u2612 " if "checked" in facts else "\u2610 ")
            elif kind not in ("hidden", "password", "submit", "button", "reset", "image", "file"):
                self.pieces.append(f" {facts.get('value', '')} ")

    def _select(self) -> None:
        """Of a list the options that are chosen, else the first."""
        chosen = [words for selected, words in self.options if selected]
        chosen = chosen or [words for _, words in self.options[:1]]
        self.pieces.append(" ".join("".join(words).strip() for words in chosen))
        self.options = []

    def _is_hidden(self, tag: str, facts: dict[str, str]) -> bool:
        names = {tag, f"#{facts.get('id', '')}"}
        names |= {f".{name}" for name in facts.get("class", "").split()}
        names |= {f"{tag}{name}" for name in names - {tag}}
        return (
            tag in _HIDDEN
            or "hidden" in facts
            or _NOT_SHOWN.search(facts.get("style", "")) is not None
            or not self.rules.isdisjoint(names)
        )

    def _learn(self, sheet: str) -> None:
        """Selectors of one element, class or id that hide; others are too rare in notes."""
        for selectors, declarations in _RULE.findall(re.sub(r"/\*.*?\*/", "", sheet, flags=re.S)):
            if _NOT_SHOWN.search(declarations):
                self.rules |= {selector.strip() for selector in selectors.split(",")}
