"""From a resource's attachments to one note: plain text, or a document in its own format for the
reader of notes.

Links are never followed. An attachment is decoded only if it is small enough, and is taken only if
it is what it says.

Reference:
    FHIR R4 2.24.0.5, Attachment.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from html.parser import HTMLParser

from mmdiag.exchange.fhir.accounting import Account, LeftOut
from mmdiag.exchange.fhir.resources import Attachment

LARGEST = 20 * 2**20  # bytes of one attachment
SUFFIXES = {
    "text/plain": ".txt",
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/rtf": ".rtf",
    "application/rtf": ".rtf",
    "application/pdf": ".pdf",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "application/hl7-v3+xml": ".xml",
    "application/hl7-cda+xml": ".xml",
    "text/hl7v3+xml": ".xml",
}
PREFERRED = (".txt", ".html", ".xml", ".rtf", ".pdf")
BEGINS = {".pdf": b"%PDF-", ".rtf": b"{\\rtf", ".xml": b"<"}
CHARSET = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
BLOCKS = frozenset(
    {
        "p",
        "div",
        "br",
        "tr",
        "li",
        "ul",
        "ol",
        "table",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "section",
        "pre",
        "hr",
        "dd",
        "dt",
    }
)
HIDDEN = frozenset({"script", "style", "title", "template"})


def note_of(attachments: Sequence[Attachment], account: Account) -> tuple[str, bytes] | None:
    """The note that attachments hold: its suffix and content; plain text before HTML before CDA,
    RTF and PDF.

    Args:
        account: Every attachment is entered as used or left out.

    Returns:
        None where no attachment can be used. HTML becomes text; several texts become one.
    """
    found: dict[str, list[bytes]] = {}
    for attachment in attachments:
        try:
            suffix, content = _decoded(attachment)
        except LeftOut as refusal:
            account.leave_nameless("Attachment", refusal.why)
        else:
            found.setdefault(suffix, []).append(content)
    best = next((suffix for suffix in PREFERRED if suffix in found), None)
    used = (len(found[best]) if best in (".txt", ".html") else 1) if best else 0
    for number in range(sum(map(len, found.values()))):
        if number < used:
            account.use_nameless("Attachment")
        else:
            account.leave_nameless("Attachment", "other_format")
    if best is None:
        return None
    if best in (".txt", ".html"):
        return ".txt", b"\n\n".join(found[best])
    return best, found[best][0]


def text_of_html(html: str) -> str:
    """The words of HTML: blocks on lines of their own, scripts and styles left out."""
    reader = _Words()
    reader.feed(html)
    reader.close()
    lines = ("".join(reader.words)).split("\n")
    return re.sub(
        r"\n{3,}", "\n\n", "\n".join(re.sub(r"[ \t\xa0]+", " ", line).strip() for line in lines)
    ).strip()


def _decoded(attachment: Attachment) -> tuple[str, bytes]:
    kind, _, parameters = attachment.kind.partition(";")
    suffix = SUFFIXES.get(kind.strip().lower())
    if attachment.data is None:
        raise LeftOut("link_only" if attachment.link else "not_base64")
    if suffix is None:
        raise LeftOut("wrong_type")
    if len(attachment.data) > LARGEST * 4 // 3 + LARGEST // 16:  # room for line ends
        raise LeftOut("too_large")
    try:
        content = base64.b64decode("".join(attachment.data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise LeftOut("not_base64") from None
    if attachment.size_bytes not in (None, len(content)):
        raise LeftOut("wrong_hash")
    if (
        attachment.sha1 is not None
        and attachment.sha1
        != base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()
    ):
        raise LeftOut("wrong_hash")
    if suffix in BEGINS and not content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(BEGINS[suffix]):
        raise LeftOut("wrong_type")
    if suffix in (".txt", ".html"):
        content = _in_utf8(content, parameters)
    return suffix, text_of_html(
        content.decode("utf-8", "replace")
    ).encode() if suffix == ".html" else content


def _in_utf8(content: bytes, parameters: str) -> bytes:
    """Text in the character set that it names; without one as it is, for the reader of notes to
    judge.
    """
    named = CHARSET.search(parameters)
    if named is None:
        return content
    try:
        return content.decode(named[1]).encode()
    except (LookupError, ValueError):  # an unknown set, or not in it
        raise LeftOut("wrong_type") from None


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the library's signature
        # a title that nobody closed hides no note
        self.hidden = 0 if tag == "body" else self.hidden + (tag in HIDDEN)
        if tag in BLOCKS:
            self.words.append("\n")
        elif tag in ("td", "th"):
            self.words.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = max(self.hidden - (tag in HIDDEN), 0)
        if tag in BLOCKS and tag != "br":
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.words.append(data)
