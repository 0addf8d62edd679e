"""Files that hold other files: what they are, told by how they begin. None is unpacked."""

from pathlib import Path

from mmdiag.errors import ReadError

HEAD = 512  # bytes that tell
TAR_MARK, TAR_AT = b"ustar", 257  # POSIX 1003.1, ustar interchange format
BEGINNINGS = {
    b"PK\x03\x04": "a zip archive, or a document that is one",
    b"PK\x05\x06": "an empty zip archive",
    b"\x1f\x8b": "compressed by gzip",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ\x00": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard",
}


def archive_form(head: bytes) -> str | None:
    """What archive a file is by its first 512 bytes, in words; None = none that is known."""
    if head[TAR_AT : TAR_AT + len(TAR_MARK)] == TAR_MARK:
        return "a tar archive"
    return next((form for mark, form in BEGINNINGS.items() if head.startswith(mark)), None)


def refuse_archive(file: Path) -> None:
    """Refuse an archive by what it is.

    Raises:
        ReadError: `archive`.
    """
    with file.open("rb") as content:
        form = archive_form(content.read(HEAD))
    raise ReadError("archive", f"{file.name} is {form or 'an archive'}")
