"""The narrative of an HL7 CDA document, or the document that its body holds.

Reference:
    HL7 CDA R2 4.3 (header), 4.3.5 (narrative block), 4.2.1.2 (nonXMLBody); HL7 V3 datatypes ED.
"""

import base64
import binascii
import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Final

from mmdiag.errors import ReadError
from mmdiag.readers.documents.html import even_lines
from mmdiag.readers.documents.raised import raised
from mmdiag.readers.recorded import last_day, latest

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# content, media type and character set -> text
Inner = Callable[[bytes, str, str | None], str]
DEEPEST: Final = 60  # elements within each other: a report has about fifteen
LARGEST_INFLATED: Final = 32_000_000  # bytes
HL7: Final = "{urn:hl7-org:v3}"
_BLOCKS: Final = frozenset(
    ("paragraph", "item", "tr", "caption", "title", "br", "list", "table", "footnote")
)
# when a document was written and signed, and when what it reports was done
_TIMES: Final = (
    "effectiveTime",
    "author/time",
    "authenticator/time",
    "legalAuthenticator/time",
    "dataEnterer/time",
    "documentationOf/serviceEvent/effectiveTime",
)


def cda_text(content: bytes, name: str, inner: Inner) -> tuple[str, date | None]:
    """The text of a CDA document, and the latest day on which it was written, signed, or what it
    reports was done.

    Args:
        inner: Reads the document that a nonXMLBody holds.

    Raises:
        ReadError: `not_text`, `text_elsewhere` or `unreadable`.
    """
    root = parse_xml(content, name)
    if root.tag != f"{HL7}ClinicalDocument":
        raise ReadError("not_text", f"{name} is XML and no CDA document")
    titles = [" ".join(narrative(title).split()) for title in root.findall(f"{HL7}title")]
    pieces: list[str] = []
    for section in root.iter(f"{HL7}section"):
        pieces += [f"{narrative(part).strip()}:" for part in section.findall(f"{HL7}title")]
        pieces += [even_lines(narrative(part)) for part in section.findall(f"{HL7}text")]
    for body in root.iter(f"{HL7}nonXMLBody"):
        pieces += [_embedded(part, name, inner) for part in body.findall(f"{HL7}text")]
    if not any(pieces):
        raise ReadError("not_text", f"{name} has a title and no text")
    return "\n".join(piece for piece in [*titles, *pieces] if piece), _written(root)


def parse_xml(content: bytes, name: str) -> "Element":
    """The root of an XML document without a document type.

    Raises:
        ReadError: `not_text` or `unreadable`.
    """
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


def narrative(element: "Element") -> str:
    """Text of a narrative block; what is marked as deleted is left out."""
    kind = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
    if element.get("revised") == "delete" or not kind:
        return element.tail or ""
    inside = (element.text or "") + "".join(map(narrative, element))
    if kind == "sup":
        inside = raised(inside)
    elif kind in ("td", "th"):
        inside = f"{inside}\t"
    elif kind in _BLOCKS:
        inside = f"{inside}\n"
    return inside if kind == "text" else inside + (element.tail or "")


def _written(root: "Element") -> date | None:
    def stated() -> Iterator[str]:
        for path in _TIMES:
            for time in root.findall("/".join(HL7 + part for part in path.split("/"))):
                yield time.get("value") or ""
                yield from (part.get("value") or "" for part in time)  # low and high of a period

    return latest(map(last_day, stated()))


def _embedded(part: "Element", name: str, inner: Inner) -> str:
    """The document that is the value of a nonXMLBody."""
    if part.find(f"{HL7}reference") is not None and not (part.text or "").strip():
        raise ReadError("text_elsewhere", f"{name} refers to another file")
    content = "".join(part.itertext()).encode()
    if part.get("representation") == "B64":
        try:
            content = base64.b64decode(b"".join(content.split()), validate=True)
        except binascii.Error:
            raise ReadError("unreadable", f"{name}: its body is not base64") from None
    packed = part.get("compression")
    content = _inflated(content, packed, name) if packed else content
    stated = part.get("charset") if part.get("representation") == "B64" else None
    return inner(content, part.get("mediaType") or "text/plain", stated)


def _inflated(content: bytes, packed: str, name: str) -> bytes:
    """A body that is compressed by DF, ZL, GZ, BZ or 7Z's LZMA."""
    try:
        if packed in ("DF", "ZL"):
            machine = zlib.decompressobj(-zlib.MAX_WBITS if packed == "DF" else zlib.MAX_WBITS)
            found = machine.decompress(content, LARGEST_INFLATED)
            whole = machine.eof and not machine.unconsumed_tail
        elif packed == "GZ":
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as opened:
                found = opened.read(LARGEST_INFLATED + 1)
            whole = len(found) <= LARGEST_INFLATED
        elif packed == "BZ":
            unzip = bz2.BZ2Decompressor()
            found = unzip.decompress(content, LARGEST_INFLATED)
            whole = unzip.eof
        elif packed in ("7Z", "LZMA"):
            expand = lzma.LZMADecompressor()
            found = expand.decompress(content, LARGEST_INFLATED)
            whole = expand.eof
        else:
            raise ReadError("unreadable", f"{name}: its body is compressed by another method")
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
        whole, found = False, b""
    if not whole:
        raise ReadError("unreadable", f"{name}: its compressed body is cut short or too long")
    return found
