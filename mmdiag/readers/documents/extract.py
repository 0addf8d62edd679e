"""Tells a document from plain text and extracts its text: what a reader of its format shows."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from mmdiag.errors import ReadError
from mmdiag.readers.documents.attachments import SUFFIXES, Decode, chosen
from mmdiag.readers.documents.cda import cda_text
from mmdiag.readers.documents.charsets import charset_of, declared_text
from mmdiag.readers.documents.fhir import (
    NOTES,
    attachments_of,
    is_final,
    stated_text,
    written_day,
)
from mmdiag.readers.documents.html import declared_html, html_text, looks_like_html
from mmdiag.readers.documents.pdf import pdf_text
from mmdiag.readers.documents.rtf import rtf_text
from mmdiag.readers.documents.strict_json import NotStrict, parse_json
from mmdiag.readers.documents.word import word_text

_NOT_TEXT: Final = (".yaml", ".yml")  # may carry objects; no note is one
WORD: Final = (".docx",)
_PAGES: Final = (".html", ".htm", ".xhtml")
# what begins so is no text, whatever its name
_OTHERS: Final = (
    (b"PK\x03\x04", "a ZIP archive, such as .odt"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a file of Word or Excel before 2007"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"II*\x00", "a picture"),
    (b"MM\x00*", "a picture"),
    (b"{\\urtf", "RTF in UTF-8, which no word processor writes"),
)
_HL7: Final = re.compile(rb"\s*(?:FHS|BHS|MSH)[|^~\\&]")
_REFUSED: Final = {
    "link_only": ("text_elsewhere", "it is a link"),
    "not_base64": ("unreadable", "it is not base64"),
    "wrong_hash": ("unreadable", "its size or hash is not that of its data"),
    "too_large": ("too_long", "it has more than 20 MB"),
    "encoding": ("encoding", "it is not in the character set it declares, or in one not read"),
    "wrong_type": ("not_text", "it is not text, or not what it says"),
}


@dataclass(frozen=True, slots=True)
class Document:
    """The text of a document, with what it says of itself.

    Args:
        written: The latest day on which it says that it was written.
        made: The day on which its file was made.
    """

    text: str
    encoding: str
    format: str
    written: date | None = None
    made: date | None = None


def extract(content: bytes, name: str, decode: Decode) -> Document | None:
    """The text of a document; None where the content is no document, but plain text.

    Args:
        content: The file's bytes; what they begin with decides, for XML, JSON, HTML and YAML the
            suffix too.
        name: The file's name.
        decode: Brings bytes of which nothing says the character set to text and encoding.

    Raises:
        ReadError: `not_text`, `not_final`, `text_elsewhere`, `encoding`, `duplicate_key`,
            `no_text_layer`, `unreadable`, `truncated`, `too_large` or `too_long`.
    """
    head, suffix = content[:256].removeprefix(b"\xef\xbb\xbf").lstrip(), name.lower()
    if suffix.endswith(WORD) and not head.startswith((b"%PDF-", b"{\\rtf")):
        text, written, made = word_text(content, name)
        return Document(text, "docx", "docx", written, made)
    for begin, what in _OTHERS:
        if content.startswith(begin):
            raise ReadError("not_text", f"{name} is {what}")
    if suffix.endswith(_NOT_TEXT):
        raise ReadError("not_text", f"{name} is YAML")
    if _HL7.match(content[:64]):
        raise ReadError("not_text", f"{name} is a message of HL7 version 2")
    if head.startswith(b"%PDF-"):
        text, made = pdf_text(content, name)
        return Document(text, "pdf", "pdf", made=made)
    if head.startswith(b"{\\rtf"):
        text, made = rtf_text(content, name)
        return Document(text, "rtf", "rtf", made=made)
    if suffix.endswith(_PAGES) or looks_like_html(content):
        return _page(content, name, decode)
    if head.startswith((b"<?xml", b"<ClinicalDocument")) or suffix.endswith(".xml"):
        text, written = cda_text(content, name, _Inner(name, decode))
        return Document(text, "cda", "cda", written)
    if suffix.endswith((".json", ".ndjson")) or head.startswith((b"{", b"[")):
        return _json(content, name, decode, certain=suffix.endswith((".json", ".ndjson")))
    return None


def _page(content: bytes, name: str, decode: Decode) -> Document:
    html = declared_html(content, None, name)
    encoding = "html" if html is not None else ""
    if html is None:
        html, encoding = decode(content, name)
    return Document(html_text(html, name), encoding, "html")


def _json(content: bytes, name: str, decode: Decode, *, certain: bool) -> Document | None:
    """FHIR; other JSON is no note, but text that only begins like it is."""
    try:
        text, encoding = content.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        text, encoding = decode(content, name)
    try:
        resource = parse_json(text.lstrip("\ufeff"))
    except NotStrict as fault:
        if not certain and b'"resourceType"' not in content[:4096]:
            return None
        codes = {"duplicate_key": "duplicate_key", "not_a_number": "not_text"}
        fact = fault.why.replace("_", " ")
        raise ReadError(codes.get(fault.why, "unreadable"), f"{name}: JSON, {fact}") from None
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if kind not in NOTES:
        if not certain and not isinstance(resource, dict | list):
            return None
        raise ReadError(
            "not_text", f"{name} is JSON and neither a DocumentReference nor a DiagnosticReport"
        )
    if not is_final(resource):
        raise ReadError("not_final", f"the {kind} in {name} is withdrawn, superseded or a draft")
    text = _resource_text(resource, name, decode)
    return Document(text, encoding, "fhir", written_day(resource))


def _resource_text(resource: dict[str, Any], name: str, decode: Decode) -> str:
    found = chosen(attachments_of(resource), decode)
    if not found.suffix:
        if text := stated_text(resource, name):
            return text
        refused = next((_REFUSED[why] for why in found.outcomes), None)
        code, fact = refused or ("not_text", "it has none")
        raise ReadError(code, f"{name} carries no text of its own: of its attachment, {fact}")
    if found.suffix == ".txt":
        return decode(found.content, name)[0]
    inside = extract(found.content, f"{name}{found.suffix}", decode)
    if inside is None or not inside.text.strip():
        raise ReadError("not_text", f"{name} carries an attachment without text")
    return inside.text


@dataclass(frozen=True, slots=True)
class _Inner:
    """Reads the document that the body of a CDA holds."""

    name: str
    decode: Decode

    def __call__(self, content: bytes, media_type: str, charset: str | None) -> str:
        suffix = SUFFIXES.get(media_type.partition(";")[0].strip().lower())
        if suffix is None or suffix == ".xml":
            raise ReadError("not_text", f"{self.name} holds a document that is not text")
        charset = charset or charset_of(media_type)
        head = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
        if suffix == ".html":
            html = declared_html(content, charset, self.name)
            return html_text(
                html if html is not None else self.decode(content, self.name)[0], self.name
            )
        if head.startswith((b"%PDF-", b"{\\rtf")):
            found = extract(content, self.name.removesuffix(".xml"), self.decode)
            return found.text if found else ""
        if suffix != ".txt":
            raise ReadError("not_text", f"{self.name} holds a document that is not what it says")
        if charset:
            return declared_text(content, charset, self.name)
        return self.decode(content, self.name)[0]
