"""From a document's attachments to the one that is read: plain text before HTML, CDA, RTF and PDF.

Links are never followed. An attachment is decoded only if it is small enough, and is taken only if
it is what it says.

Reference:
    FHIR R4 2.24.0.5, Attachment.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mmdiag.errors import ReadError
from mmdiag.readers.documents.charsets import charset_of, declared_text
from mmdiag.readers.documents.html import declared_html, html_text

Decode = Callable[[bytes, str], tuple[str, str]]
LARGEST: Final = 20 * 2**20  # bytes of one attachment
SUFFIXES: Final = {
    "": ".txt",
    "text/plain": ".txt",
    "text/markdown": ".txt",
    "text/html": ".html",
    "text/xhtml": ".html",
    "application/xhtml+xml": ".html",
    "text/rtf": ".rtf",
    "text/richtext": ".rtf",
    "application/rtf": ".rtf",
    "application/msword": ".rtf",  # only where it is RTF
    "application/pdf": ".pdf",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "application/hl7-v3+xml": ".xml",
    "application/hl7-cda+xml": ".xml",
    "text/hl7v3+xml": ".xml",
}
PREFERRED: Final = (".txt", ".xml", ".rtf", ".pdf")
_BEGINS: Final = {".pdf": b"%PDF-", ".rtf": b"{\\rtf", ".xml": b"<"}
USED, OTHER_FORMAT = "used", "other_format"


class NotUsable(Exception):
    """One attachment is not used; `why` is link_only, not_base64, wrong_type, wrong_hash,
    too_large or encoding.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Attachment:
    """Data within a resource; `link` where there is only an address."""

    kind: str
    data: str | None
    size_bytes: int | None
    sha1: str | None
    link: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was taken of some attachments.

    Args:
        suffix: Of a file that holds it: .txt, .xml, .rtf or .pdf; empty where none can be used.
        content: Text in UTF-8 where its character set was declared, else as it is.
        outcomes: Of each attachment: used, other_format, or why it cannot be used.
    """

    suffix: str
    content: bytes
    outcomes: tuple[str, ...]


def attachment_of(item: Mapping[str, Any]) -> Attachment:
    """An Attachment of a resource, each element checked for its type."""
    data, kind, size = item.get("data"), item.get("contentType"), item.get("size")
    sha1 = item.get("hash")
    return Attachment(
        kind=kind.strip() if isinstance(kind, str) else "",
        data=data if isinstance(data, str) else None,
        size_bytes=size if type(size) is int and 0 <= size < 10**9 else None,
        sha1=sha1.strip() or None if isinstance(sha1, str) else None,
        link=isinstance(item.get("url"), str),
    )


def chosen(attachments: Sequence[Attachment], decode: Decode) -> Chosen:
    """The one that is read: attachments of a document are the same in several formats; several of
    plain text or HTML are parts, and become one text.

    Args:
        decode: Brings bytes of which nothing says the character set to text and encoding.
    """
    found: dict[str, dict[bytes, None]] = {}
    outcomes: list[str] = []
    for attachment in attachments:
        try:
            suffix, content = usable(attachment, decode)
        except NotUsable as refusal:
            outcomes.append(refusal.why)
        else:
            found.setdefault(suffix, {})[content] = None
            outcomes.append(suffix)
    best = next((suffix for suffix in PREFERRED if suffix in found), "")
    parts = list(found.get(best, ()))
    if best != ".txt" and len(parts) > 1:
        first = outcomes.index(best)
        outcomes = [
            OTHER_FORMAT if one == best and number != first else one
            for number, one in enumerate(outcomes)
        ]
        parts = parts[:1]
    return Chosen(
        best,
        b"\n\n".join(parts),
        tuple(USED if one == best else OTHER_FORMAT if one in found else one for one in outcomes),
    )


def usable(attachment: Attachment, decode: Decode) -> tuple[str, bytes]:
    """Suffix and content of one attachment; HTML becomes text.

    Raises:
        NotUsable: It has no data, too much, or is not what it says.
    """
    if attachment.data is None:
        raise NotUsable("link_only" if attachment.link else "not_base64")
    media_type = attachment.kind.partition(";")[0].strip().lower()
    if media_type not in SUFFIXES:
        raise NotUsable("wrong_type")
    if len(attachment.data) > LARGEST * 4 // 3 + LARGEST // 16:  # room for line ends
        raise NotUsable("too_large")
    content = _decoded(attachment)
    begin = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    stated = SUFFIXES[media_type]
    # RTF and PDF are often sent as plain text, and show what they are
    suffix = next((one for one in (".pdf", ".rtf") if begin.startswith(_BEGINS[one])), stated)
    if suffix in _BEGINS and not begin.startswith(_BEGINS[suffix]):
        raise NotUsable("wrong_type")
    if suffix not in (".txt", ".html"):
        return suffix, content
    try:
        return ".txt", _text(content, suffix, charset_of(attachment.kind), decode)
    except ReadError as refusal:
        raise NotUsable("encoding" if refusal.code == "encoding" else "wrong_type") from None


def _text(content: bytes, suffix: str, charset: str | None, decode: Decode) -> bytes:
    """Text in UTF-8; plain text whose character set nothing says as it is, for its reader to
    judge.
    """
    name = "an attachment"
    if suffix == ".html":
        html = declared_html(content, charset, name)
        return html_text(html if html is not None else decode(content, name)[0], name).encode()
    return declared_text(content, charset, name).encode() if charset else content


def _decoded(attachment: Attachment) -> bytes:
    try:
        content = base64.b64decode("".join((attachment.data or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise NotUsable("not_base64") from None
    if attachment.size_bytes not in (None, len(content)):
        raise NotUsable("wrong_hash")
    if attachment.sha1 is not None:
        digest = hashlib.sha1(content, usedforsecurity=False).digest()
        if attachment.sha1 != base64.b64encode(digest).decode():
            raise NotUsable("wrong_hash")
    return content
