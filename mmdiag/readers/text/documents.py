"""Extracts the plain text of documents that carry a note: RTF, PDF with a text layer, HL7 CDA and
FHIR.
"""

import base64
import binascii
import io
import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from mmdiag.errors import ReadError
from mmdiag.readers.text.dates import parse_date

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

Decode = Callable[[bytes, str], tuple[str, str]]
MOST_PAGES = 500
DEEPEST = 60  # elements within each other: a report has about fifteen
BROKEN = (
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
    RuntimeError,
    OSError,
    EOFError,
    MemoryError,
    ArithmeticError,
    NotImplementedError,
)
_CDA = "{urn:hl7-org:v3}"
_BLOCKS = {
    "paragraph",
    "item",
    "tr",
    "caption",
    "title",
    "br",
    "list",
    "table",
    "p",
    "div",
    "li",
    "h1",
    "h2",
    "h3",
    "h4",
    "ul",
    "ol",
}
_NOT_TEXT = (".yaml", ".yml")  # may carry objects; no note is one


@dataclass(frozen=True, slots=True)
class Document:
    """The text of a document, with what it says of itself."""

    text: str
    encoding: str
    format: str
    written: date | None = None


def extract(content: bytes, name: str, decode: Decode) -> Document | None:
    """The text of a document; None where the content is no document, but plain text.

    Args:
        content: The file's bytes; what they begin with decides, for XML, JSON and YAML the suffix
            too.
        name: The file's name.
        decode: Brings bytes to text and encoding.

    Raises:
        ReadError: `not_text` for XML, JSON or YAML that is no CDA or FHIR document,
            `duplicate_key`, `no_text_layer`, `unreadable`, `too_long`.
    """
    head, suffix = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip(), name.lower()
    if suffix.endswith(_NOT_TEXT):
        raise ReadError("not_text", f"{name} is YAML")
    if head.startswith(b"%PDF-"):
        return Document(_pdf(content, name), "pdf", "pdf")
    if head.startswith(b"{\\rtf"):
        return Document(_rtf(content, name), "rtf", "rtf")
    if head.startswith((b"<?xml", b"<ClinicalDocument")) or suffix.endswith(".xml"):
        return _cda(content, name, decode)
    if suffix.endswith((".json", ".ndjson")) or (
        head.startswith(b"{") and b'"resourceType"' in content[:4096]
    ):
        return _fhir(content, name, decode)
    return None


def _rtf(content: bytes, name: str) -> str:
    from striprtf.striprtf import rtf_to_text

    try:
        text: str = rtf_to_text(content.decode("latin-1"), encoding="cp1252", errors="strict")  # type: ignore[no-untyped-call]
    except BROKEN as error:
        raise ReadError("unreadable", f"{name} ({type(error).__name__})") from None
    return text


def _pdf(content: bytes, name: str) -> str:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # its warnings quote the file
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader = PdfReader(io.BytesIO(content))
            if reader.is_encrypted:
                raise ReadError("unreadable", f"{name} is encrypted")
            if len(reader.pages) > MOST_PAGES:
                raise ReadError("too_long", f"{name} has {len(reader.pages)} pages")
            text = "\n\n".join(page.extract_text() for page in reader.pages)
    except (PyPdfError, *BROKEN) as error:
        raise ReadError("unreadable", f"{name} ({type(error).__name__})") from None
    if sum(map(str.isalnum, text)) < 10 * len(
        reader.pages
    ):  # a page number or a stamp is no report
        raise ReadError("no_text_layer", f"{name} has {len(reader.pages)} pages")
    return re.sub(r"[\x00-\x08\x0e-\x1f\ud800-\udfff]", " ", text)  # glyphs without a letter


def _cda(content: bytes, name: str, decode: Decode) -> Document:
    root = _xml(content, name)
    if root.tag != f"{_CDA}ClinicalDocument":
        raise ReadError("not_text", f"{name} is XML and no CDA document")
    stated = root.find(f"{_CDA}effectiveTime")
    written = parse_date((stated.get("value") or "")[:8]) if stated is not None else None
    pieces = [" ".join(_narrative(title).split()) for title in root.findall(f"{_CDA}title")]
    for section in root.iter(f"{_CDA}section"):
        pieces += [f"{_narrative(part).strip()}:" for part in section.findall(f"{_CDA}title")]
        pieces += [_lines(_narrative(part)) for part in section.findall(f"{_CDA}text")]
    for body in root.iter(f"{_CDA}nonXMLBody"):
        for part in body.findall(f"{_CDA}text"):
            coded = (part.text or "").encode()
            pieces.append(
                _inner(
                    _base64(coded, name) if part.get("representation") == "B64" else coded,
                    part.get("mediaType") or "text/plain",
                    name,
                    decode,
                )
            )
    return Document("\n".join(piece for piece in pieces if piece), "cda", "cda", written)


def _xml(content: bytes, name: str) -> "Element":
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(content, forbid_dtd=True)
        if _depth(root) > DEEPEST:
            raise ReadError("unreadable", f"{name} nests more than {DEEPEST} elements")
    except DefusedXmlException:
        raise ReadError("not_text", f"{name} declares a document type or entities") from None
    except (ParseError, LookupError, ValueError, RecursionError) as error:
        raise ReadError("unreadable", f"{name} ({type(error).__name__})") from None
    return root


def _depth(root: "Element") -> int:
    depth, level = 0, [root]
    while level and depth <= DEEPEST:
        depth, level = depth + 1, [child for element in level for child in element]
    return depth


def _narrative(element: "Element") -> str:
    """Text of a narrative block (CDA R2 4.3.5); what is marked as deleted is left out."""
    kind = element.tag.rpartition("}")[2]
    if element.get("revised") == "delete":
        return element.tail or ""
    inside = (element.text or "") + "".join(map(_narrative, element))
    if kind in ("td", "th"):
        inside = f"{inside}\t"
    elif kind in _BLOCKS:
        inside = f"{inside}\n"
    return inside if kind == "text" else inside + (element.tail or "")


def _fhir(content: bytes, name: str, decode: Decode) -> Document:
    text, encoding = decode(content, name)
    resource = _json(text, name)
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if kind == "DocumentReference":
        attachments = [
            entry.get("attachment")
            for entry in _list(resource.get("content"))
            if isinstance(entry, dict)
        ]
        pieces, stated = _attachments(attachments, name, decode), resource.get("date")
    elif kind == "DiagnosticReport":
        pieces = _attachments(_list(resource.get("presentedForm")), name, decode)
        if not pieces and isinstance(resource.get("conclusion"), str):
            pieces = [f"Conclusion:\n{resource['conclusion']}"]
        stated = resource.get("effectiveDateTime") or resource.get("issued")
    else:
        raise ReadError(
            "not_text", f"{name} is JSON and neither a DocumentReference nor a DiagnosticReport"
        )
    if not pieces:
        raise ReadError("not_text", f"{name} carries no text of its own")
    return Document(
        "\n".join(pieces), encoding, "fhir", parse_date(stated) if isinstance(stated, str) else None
    )


def _attachments(attachments: list[Any], name: str, decode: Decode) -> list[str]:
    """Text of the first attachment that has one: the others are the same document in other formats
    (FHIR DocumentReference.content).
    """
    inside = [a for a in attachments if isinstance(a, dict) and isinstance(a.get("data"), str)]
    inside.sort(key=lambda a: not str(a.get("contentType", "")).startswith("text/"))
    return (
        [
            _inner(
                _base64(inside[0]["data"].encode(), name),
                str(inside[0].get("contentType", "")),
                name,
                decode,
            )
        ]
        if inside
        else []
    )


def _inner(content: bytes, media_type: str, name: str, decode: Decode) -> str:
    """Text of a document within a document: PDF, RTF, HTML or plain."""
    head = content[:16].lstrip()
    if head.startswith(b"%PDF-"):
        return _pdf(content, name)
    if head.startswith(b"{\\rtf"):
        return _rtf(content, name)
    if media_type.partition(";")[0].strip() not in (
        "text/plain",
        "text/html",
        "text/xhtml",
        "application/xhtml+xml",
        "text/markdown",
        "",
    ):
        raise ReadError("not_text", f"{name} carries an attachment that is not text")
    text, _ = decode(content, name)
    return _html(text) if "html" in media_type else text


def _html(text: str) -> str:
    reader = _Html()
    reader.feed(text)
    reader.close()
    return _lines("".join(reader.pieces))


class _Html(HTMLParser):
    """Collects what a browser would show as text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser's signature
        self.hidden += tag in ("script", "style", "head")
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = max(0, self.hidden - (tag in ("script", "style", "head")))
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.pieces.append(data)


def _json(text: str, name: str) -> Any:
    """Strict JSON: no key twice, no number that is none."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ReadError(
                "duplicate_key",
                f"{name}: {len(pairs) - len({key for key, _ in pairs})} keys of one object are "
                "repeated",
            )
        return dict(pairs)

    def no_number(_: str) -> float:
        raise ReadError("not_text", f"{name} holds NaN or Infinity")

    try:
        return json.loads(text.lstrip("\ufeff"), object_pairs_hook=once, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise ReadError("unreadable", f"{name} ({type(error).__name__})") from None


def _base64(text: bytes, name: str) -> bytes:
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        raise ReadError("unreadable", f"{name}: an attachment is not base64") from None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _lines(text: str) -> str:
    """Lines without blanks at their ends, and no two blank lines in a row."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(_squeezed(text))).strip()


def _squeezed(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        yield "\t".join(" ".join(cell.split()) for cell in line.rstrip("\t").split("\t")).strip()
