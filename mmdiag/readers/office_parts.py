"""The parts of an office document: a zip of XML whose sizes, names and methods are looked at before
anything in it is parsed. Nothing is followed, run or written.

Reference:
    ECMA-376 part 2 (Open Packaging Conventions); OpenDocument 1.3 part 2.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final
from xml.sax.handler import ContentHandler

from mmdiag.errors import ReadError

MOST_PARTS: Final = 4_096
SMALL: Final = 1 << 26  # bytes after inflation that any document may have
INFLATION: Final = 100  # times its size that a larger one may have
PIECE: Final = 1 << 20  # bytes that are inflated at once
DEEPEST: Final = 128  # elements within each other
OWN: Final = "calcext:"  # LibreOffice's additions, which repeat names of the standard
METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED: Final = 1  # bit of a part's flags
MARKUP: Final = (".xml", ".rels", ".vml")
OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # of Office before 2007, and of what is encrypted
_DECLARES: Final = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_ENCODING: Final = re.compile(rb"^[^>]{0,200}encoding\s*=\s*[\"']([A-Za-z0-9._-]+)")
_ENCODINGS: Final = (b"utf-8", b"utf-16", b"us-ascii", b"iso-8859-1")
_BROKEN: Final = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError)


class OfficeParts:
    """A document whose parts all inflate, to no more than they may.

    Args:
        content: The file's bytes.
        name: The file's name, for messages.
        wrong: The reason code of what is no such document at all.

    Raises:
        ReadError: `wrong`, `truncated`, `too_large`, or `unreadable` where it is encrypted, holds
            a part twice, or declares a document type.
    """

    def __init__(self, content: bytes, name: str, wrong: str) -> None:
        self.name, self._wrong = name, wrong
        if content.startswith(OLE):
            raise ReadError(wrong, f"{name} is encrypted, or of a program before 2007")
        if not content.startswith(b"PK"):
            raise ReadError(wrong, f"{name} is no zip of XML")
        self._most = max(SMALL, INFLATION * len(content))
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
            self.names = [part.filename for part in self._zip.infolist()]
            self._look(self._zip.infolist())
        except _BROKEN:
            raise ReadError("truncated", f"{name} is torn, or not the zip that it says") from None

    def read(self, part: str) -> bytes:
        """The bytes of a part.

        Raises:
            ReadError: The code of what is no such document: it has no such part.
        """
        if part not in self.names:
            raise ReadError(self._wrong, f"{self.name} has no part {part.rpartition('/')[2]}")
        return self._zip.read(part)

    def rewritten(self, part: str, change: Callable[[bytes], bytes]) -> bytes:
        """The document with another content of one part, uncompressed."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as target:
            for name in self.names:
                content = self._zip.read(name)
                target.writestr(name, change(content) if name == part else content)
        return packed.getvalue()

    def parse(self, part: str, handler: "Elements") -> None:
        """Hand the elements of a part to a handler.

        Raises:
            ReadError: `unreadable`: it is no well-formed XML.
        """
        from xml.sax import SAXException

        import defusedxml.sax
        from defusedxml.common import DefusedXmlException

        try:
            defusedxml.sax.parseString(self.read(part), handler, forbid_dtd=True)
        except DefusedXmlException:
            raise ReadError("unreadable", f"{self.name} {_DECLARED}") from None
        except (SAXException, ValueError, LookupError) as error:
            raise ReadError("unreadable", f"{self.name} ({type(error).__name__})") from None
        if handler.deepest > DEEPEST:
            raise ReadError("unreadable", f"{self.name} nests more than {DEEPEST} elements")

    def _look(self, parts: list[zipfile.ZipInfo]) -> None:
        """Inflate every part once, in pieces that are not kept."""
        if len(parts) > MOST_PARTS:
            raise ReadError("too_large", f"{self.name} has {len(parts)} parts")
        if len({part.filename.lower() for part in parts}) < len(parts):
            raise ReadError("unreadable", f"{self.name} holds a part twice")
        if any(part.flag_bits & ENCRYPTED for part in parts):
            raise ReadError("unreadable", f"{self.name} is encrypted")
        if any(part.compress_type not in METHODS for part in parts):
            raise ReadError("unreadable", f"{self.name} is compressed by another method")
        total = 0
        for part in parts:
            markup, tail = part.filename.lower().endswith(MARKUP), b""
            for piece in self._pieces(part):
                total += len(piece)
                if total > self._most:
                    raise ReadError(
                        "too_large", f"{self.name} inflates to more than {self._most} bytes"
                    )
                if markup:
                    plain = tail + piece.replace(b"\0", b"")  # of UTF-16, too
                    _require_plain(plain, self.name, first=not tail)
                    tail = plain[-16:]

    def _pieces(self, part: zipfile.ZipInfo) -> Iterator[bytes]:
        with self._zip.open(part) as stream:
            while piece := stream.read(PIECE):
                yield piece


_DECLARED: Final = "declares a document type or entities"


def _require_plain(content: bytes, name: str, *, first: bool) -> None:
    if _DECLARES.search(content):
        raise ReadError("unreadable", f"{name} {_DECLARED}")
    stated = _ENCODING.match(content) if first else None
    if stated and stated[1].lower() not in _ENCODINGS:
        raise ReadError("unreadable", f"{name} has XML in an encoding that no program writes")


class Elements(ContentHandler):
    """Elements of a part by their names without prefix; what they mean says who inherits."""

    def __init__(self) -> None:
        super().__init__()
        self.deepest, self._depth = 0, 0

    def startElement(self, name: str, attrs: Any) -> None:  # noqa: N802 - of xml.sax
        """An element begins: its name and attributes without their prefixes."""
        self._depth += 1
        self.deepest = max(self.deepest, self._depth)
        if self._depth <= DEEPEST:
            facts = {
                key if key.startswith(OWN) else key.rpartition(":")[2]: value
                for key, value in attrs.items()
            }
            self.begin(name.rpartition(":")[2], facts)

    def endElement(self, name: str) -> None:  # noqa: N802 - of xml.sax
        """An element ends."""
        if self._depth <= DEEPEST:
            self.end(name.rpartition(":")[2])
        self._depth -= 1

    def begin(self, name: str, facts: dict[str, str]) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""
