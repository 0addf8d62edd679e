"""Clinical notes as text."""

from pathlib import Path

from mmdiag.errors import ReadError

LONGEST = 2_000_000  # bytes of one note
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


def read_note(file: Path) -> str | None:
    """One note; None where it is blank, which means that there is none.

    Raises:
        ReadError: It is not text.
    """
    return clean_note(file.read_bytes(), file.name)


def clean_note(content: bytes, name: str) -> str | None:
    """Decode a note: by its byte order mark, else UTF-8, else Windows-1252.

    Line ends become newlines; other control characters are refused rather than dropped, because something is wrong with a note that has them.
    """
    if len(content) > LONGEST:
        raise ReadError("not_text", f"{name} has {len(content)} bytes")
    encoding = next((codec for mark, codec in BYTE_ORDER_MARKS.items() if content.startswith(mark)), None)
    if encoding is None and b"\x00" in content:
        raise ReadError("not_text", f"{name} holds NUL bytes")
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            raise ReadError("not_text", f"{name} is in no known encoding") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n").replace("\x0b", "\n")
    controls = sum(ord(c) < 32 and c not in "\n\t" for c in text)
    if controls:
        raise ReadError("not_text", f"{name} holds {controls} control characters")
    return text if text.strip() else None
