"""The text layer of a PDF, what its forms hold, and what is written onto its pages."""

import io
import logging
import re
import warnings
from datetime import date
from typing import Final

from mmdiag.errors import ReadError
from mmdiag.readers.documents.pdf_page import LEAST, Page, page_shown
from mmdiag.readers.recorded import last_day

MOST_PAGES: Final = 500
BROKEN: Final = (
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


def pdf_text(content: bytes, name: str) -> tuple[str, date | None]:
    """The text of a PDF, and the day on which the file was made: page by page, behind it what is
    filled into its forms (`name: value`) and written onto its pages.

    Raises:
        ReadError: `unreadable`, `too_long`, or `no_text_layer` where one of its pages is a picture
            or its letters cannot be told.
    """
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
            pages = [page_shown(page) for page in reader.pages]
            facts = reader.metadata
            made = last_day(str(facts.get("/CreationDate", ""))[2:]) if facts else None
    except (PyPdfError, *BROKEN) as error:
        raise ReadError("unreadable", f"{name} ({type(error).__name__})") from None
    _require_text(pages, name)
    text = "\n\n".join(page.text for page in pages)
    text = "\n".join([text, *(line for page in pages for line in page.lines)])
    text = re.sub(r"[\x00-\x08\x0e-\x1f\ud800-\udfff]", " ", text)  # glyphs without a letter
    return text, made


def _require_text(pages: list[Page], name: str) -> None:
    """Each page says what it says in letters."""
    for number, page in enumerate(pages, start=1):
        if page.garbled:
            fact = f"the font on page {number} of {name} does not say which letters it shows"
            raise ReadError("no_text_layer", fact)
        if page.is_picture:
            raise ReadError(
                "no_text_layer", f"page {number} of {len(pages)} of {name} is a picture"
            )
    letters = sum(map(str.isalnum, "".join("".join([page.text, *page.lines]) for page in pages)))
    if letters < LEAST * len(pages):
        raise ReadError("no_text_layer", f"{name} has {len(pages)} pages")
