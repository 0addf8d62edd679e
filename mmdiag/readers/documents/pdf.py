"""The text layer of a PDF, and what its form fields hold."""

import io
import logging
import re
import warnings
from datetime import date
from typing import TYPE_CHECKING, Final

from mmdiag.errors import ReadError
from mmdiag.readers.recorded import last_day

if TYPE_CHECKING:
    from pypdf import PdfReader

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
    """The text of a PDF, and the day on which the file was made.

    Raises:
        ReadError: `unreadable`, `too_long` or `no_text_layer`.
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
            text = "\n\n".join(page.extract_text() for page in reader.pages)
            text = "\n".join([text, *_fields(reader, text)])
            facts = reader.metadata
            made = last_day(str(facts.get("/CreationDate", ""))[2:]) if facts else None
    except (PyPdfError, *BROKEN) as error:
        raise ReadError("unreadable", f"{name} ({type(error).__name__})") from None
    # a page number or a stamp is no report
    if sum(map(str.isalnum, text)) < 10 * len(reader.pages):
        raise ReadError("no_text_layer", f"{name} has {len(reader.pages)} pages")
    text = re.sub(r"[\x00-\x08\x0e-\x1f\ud800-\udfff]", " ", text)  # glyphs without a letter
    return text, made


def _fields(reader: "PdfReader", text: str) -> list[str]:
    """Text that is filled into a form: a viewer draws it, and it is in no page's own text."""
    values = (
        (reader.get_form_text_fields() or {}).values() if "/AcroForm" in reader.root_object else ()
    )
    return [str(value) for value in values if value and str(value).strip() not in text]
