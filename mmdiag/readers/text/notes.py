"""Reads clinical notes: from a file's bytes to clean text with its encoding and its date."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from mmdiag.errors import ReadError
from mmdiag.readers.documents.charsets import BYTE_ORDER_MARKS
from mmdiag.readers.documents.extract import Document, extract
from mmdiag.readers.recorded import latest
from mmdiag.readers.text.encodings import IsOwn, is_disguised, legacy_text, self_named
from mmdiag.readers.text.messages import message_kind
from mmdiag.readers.text.note_dates import note_dates
from mmdiag.readers.text.sections import Section, find_sections
from mmdiag.readers.text.transfer_encodings import transfer_encoding, with_line_ends

LONGEST = 2_000_000  # bytes of one plain note, characters of the text of any
LONGEST_DOCUMENT = 32_000_000  # bytes of a document, which may carry pictures
LONGEST_TOKEN = 10_000  # characters without white space: no prose has such a word
# what exports write where there is no note
NO_NOTE = frozenset({"nan", "na", "n/a", "null", "none", "nil", "nat", "no data", "not available"})
MOST_MARKS = 8  # combining marks on one letter: Vietnamese and pointed Hebrew need fewer
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all of Unicode's but tab and newline
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
_WITHIN_WORDS = re.compile("[\u00ad\u2060]")
_SOFT_BREAK = re.compile(r"(?<=\w)\u00ad[ \t]*\n[ \t]*(?=[^\W\d_])")  # a word that goes on below
_TOKEN = re.compile(rf"\S{{{LONGEST_TOKEN + 1}}}")


@dataclass(frozen=True, slots=True)
class Note:
    """One note as it is stored.

    Args:
        text: Clean text; line ends are newlines.
        sections: Parts under a heading, by offsets into `text`.
        encoding: Such as utf-8 or cp1252; of a document that says its own, the name of its format.
        format: plain, rtf, html, pdf, docx, cda or fhir.
        written: The latest day on which the document or its text says that it was written.
        open_dates: Pairs of days of which one is meant, where the text writes 02/03/2024.
    """

    text: str
    sections: tuple[Section, ...]
    encoding: str
    format: str
    written: date | None
    open_dates: tuple[tuple[date, date], ...] = ()


def read_note(file: Path, is_own: IsOwn | None = None) -> Note | None:
    """One note; None where it is blank, which means that there is none.

    Args:
        is_own: As `clean_note`.

    Raises:
        ReadError: `not_text`, `encoding`, `control_characters`, `too_long`, or what
            `documents.extract` refuses.
    """
    if (size := file.stat().st_size) > LONGEST_DOCUMENT:
        raise ReadError("too_long", f"{file.name} has {size} bytes")
    return clean_note(file.read_bytes(), file.name, is_own)


def clean_note(content: bytes, name: str, is_own: IsOwn | None = None) -> Note | None:
    """Bring a note to clean text: documents to their text, plain text by its byte order mark, else
    UTF-8, else an older encoding where one reading is proven.

    Line ends become newlines, accents are composed, and soft hyphens are left out, so that a word
    is one word however it was written; other control characters are refused rather than dropped,
    because something is wrong with a note that has them.

    Args:
        content: The note's bytes.
        name: The file's name, for messages; its suffix tells XML, JSON, HTML and YAML from text.
        is_own: Whether a text has a name of the patient with letters beyond ASCII, which proves in
            which of the older encodings it is read rightly.

    Raises:
        ReadError: As `read_note`.
    """
    decoder = partial(decode, is_own=is_own)
    document = extract(content, name, decoder)
    if document is None:
        text, encoding = decoder(content, name)
        document = Document(text, encoding, "plain")
    text = _LINE_ENDS.sub("\n", document.text)
    _check(text, name)
    text = _as_written(text)
    if document.format == "plain" and (kind := transfer_encoding(text) or message_kind(text)):
        raise ReadError("not_text", f"{name} is {kind}")
    if _says_nothing(text):
        return None
    stated = note_dates(text)
    written = latest((document.written, stated.written))
    if written is None and not stated.open:
        written = document.made  # a copy is younger than what it holds
    sections = find_sections(text)
    return Note(text, sections, document.encoding, document.format, written, stated.open)


def _as_written(text: str) -> str:
    """A text with its lines as lines and each word as one: line ends that a database or a message
    wrote as characters are such, soft hyphens and what else shows nothing within a word are left
    out, accents are composed. A name behind an `\\n` would pass the masking.
    """
    if "\\" in text or "_x000D_" in text:
        text = with_line_ends(text)
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _WITHIN_WORDS.sub("", _SOFT_BREAK.sub("", text)))


def decode(content: bytes, name: str, is_own: IsOwn | None = None) -> tuple[str, str]:
    """Text and encoding of some bytes.

    Args:
        is_own: As `clean_note`.

    Raises:
        ReadError: `too_long`, `not_text` or `encoding`.
    """
    if len(content) > LONGEST:
        raise ReadError("too_long", f"{name} has {len(content)} bytes")
    encoding = next(
        (codec for mark, codec in BYTE_ORDER_MARKS.items() if content.startswith(mark)), None
    )
    if encoding is None and b"\x00" in content:
        raise ReadError("not_text", f"{name} holds NUL bytes")
    if encoding is None and (named := self_named(content)):
        return named
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        if encoding is not None:
            raise ReadError("encoding", f"{name} is damaged {encoding}") from None
        return _legacy(content, name, is_own)
    if is_disguised(content, text):
        raise ReadError("encoding", f"{name} was encoded twice, or is in the seven-bit form HZ")
    return text, encoding or "utf-8"


def _legacy(content: bytes, name: str, is_own: IsOwn | None) -> tuple[str, str]:
    windows = _may_be_windows(content)
    found = legacy_text(content, is_own, windows=windows)
    if found is not None:
        return found
    if not windows:
        raise ReadError("encoding", f"{name} is damaged UTF-8, or in an encoding it does not name")
    raise ReadError("encoding", f"{name} is in an encoding that it does not name")


def _may_be_windows(content: bytes) -> bool:
    """Whether bytes that are not UTF-8 look like Windows-1252, and not like UTF-8 that was
    damaged.
    """
    if _SURROGATE.search(content):
        return False
    return all(ord(letter) < 128 for letter in content.decode("utf-8", "ignore"))


def _says_nothing(text: str) -> bool:
    """Whether a text has no letter and no digit, or is what programs write for a missing one."""
    if text[:100].strip().strip("#<>[]()").lower() in NO_NOTE and len(text) < 100:
        return True
    return not any(map(str.isalnum, text))


def _check(text: str, name: str) -> None:
    """Refuse text that shows something other than it says, or that no reader can hold."""
    if len(text) > LONGEST:
        raise ReadError("too_long", f"{name} has {len(text)} characters")
    if "\x00" in text:
        raise ReadError("not_text", f"{name} holds NUL characters")
    if surrogates := _count(_LONE_SURROGATES, text):
        raise ReadError("encoding", f"{name} holds {surrogates} lone surrogates")
    if controls := _count(_CONTROLS, text):
        raise ReadError("control_characters", f"{name} holds {controls} control characters")
    if turns := _count(_TURNS, text):
        raise ReadError(
            "control_characters",
            f"{name} holds {turns} characters that turn or hide the text beside them",
        )
    if _TOKEN.search(text):
        raise ReadError("too_long", f"{name} has a word of more than {LONGEST_TOKEN} characters")
    _check_marks(text, name)


def _count(characters: re.Pattern[str], text: str) -> int:
    return len(characters.findall(text))


def _check_marks(text: str, name: str) -> None:
    if text.isascii():
        return
    pile = 0
    for letter in text:
        pile = pile + 1 if unicodedata.combining(letter) else 0
        if pile > MOST_MARKS:
            raise ReadError(
                "control_characters",
                f"{name} has a letter under more than {MOST_MARKS} combining marks",
            )
