"""The text of a Word document (.docx): what a reader of its pages sees, in reading order.

Headers and footers stand apart: a letterhead is no finding. What is hidden, struck out or deleted
by tracking is not the note; what is inserted is. Links are never followed, macros never run.
"""

import io
import zipfile
import zlib
from datetime import date
from typing import Any, Final

from mmdiag.errors import ReadError
from mmdiag.readers.documents.html import even_lines
from mmdiag.readers.documents.word_body import (
    Shown,
    Styles,
    has_pictures,
    picture_share,
    shown_text,
)
from mmdiag.readers.office_parts import OfficeParts
from mmdiag.readers.text.note_dates import note_dates

LETTERHEAD: Final = 200  # letters
_MOST_OF_A_PAGE: Final = 0.7  # of what its margins leave
_A_PAGE: Final = 0.9
NOTES: Final = ("footnotes", "endnotes")  # at the foot of a page, at the end
_EDGES: Final = ("/header", "/footer")
_BROKEN: Final = (
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
    OSError,
    EOFError,
    RecursionError,
    SyntaxError,  # of lxml
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def word_text(content: bytes, name: str) -> tuple[str, date | None, date | None]:
    """The text of a Word document, the latest day on which its headers and footers say that it was
    written, and the day on which its file was saved.

    Raises:
        ReadError: `not_text`, `truncated`, `too_large`, `unreadable`, `no_text_layer` where it
            holds pictures alone, or one that is a page, or `text_elsewhere` where its text is
            another document within it.
    """
    OfficeParts(content, name, "not_text")
    from docx.opc.exceptions import OpcError

    try:
        document = _opened(content, name)
        styles = Styles(document.styles.element)
        body = shown_text(document.element.body, styles)
        if body.elsewhere:
            raise ReadError("text_elsewhere", f"{name} holds another document")
        text = even_lines("\n".join([body.text, *_notes(document.part, body, styles)]))
        edges = _edges(document.part, styles)
        letters, share = sum(map(str.isalnum, text)), picture_share(document.element.body)
        pictures = not letters and has_pictures(document.element.body)
        saved = document.core_properties.modified or document.core_properties.created
    except (OpcError, *_BROKEN) as error:
        raise ReadError("unreadable", f"{name} ({type(error).__name__})") from None
    if pictures:
        raise ReadError("no_text_layer", f"{name} holds pictures and no text")
    if share >= (_MOST_OF_A_PAGE if letters < LETTERHEAD else _A_PAGE):
        raise ReadError("no_text_layer", f"a page of {name} is a picture")
    return text, note_dates(edges).written, saved.date() if saved else None


def _opened(content: bytes, name: str) -> Any:
    import docx

    try:
        return docx.Document(io.BytesIO(content))
    except (ValueError, KeyError):  # another main part, or none
        raise ReadError("not_text", f"{name} is a zip archive, and no Word document") from None


def _notes(part: Any, body: Shown, styles: Styles) -> list[str]:
    """Footnotes and endnotes that the body refers to, in its order."""
    from docx.oxml.parser import parse_xml

    found = []
    for kind in NOTES:
        wanted = body.notes.get(kind, [])
        roots = [
            parse_xml(link.target_part.blob)
            for link in part.rels.values()
            if wanted and not link.is_external and link.reltype.endswith(f"/{kind}")
        ]
        for root in roots:
            texts = {note.get(f"{{{root.nsmap['w']}}}id"): note for note in root}
            found += [shown_text(texts[one], styles).text for one in wanted if one in texts]
    return found


def _edges(part: Any, styles: Styles) -> str:
    """The text of headers and footers, for the dates in it."""
    links = [link for link in part.rels.values() if not link.is_external]
    return "\n".join(
        shown_text(link.target_part.element, styles).text
        for link in links
        if link.reltype.endswith(_EDGES)
    )
