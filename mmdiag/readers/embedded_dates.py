"""When a photograph, a volume or a WAV was recorded, where its file or the one beside it says so.

Reference:
    Exif 2.32 (DateTimeOriginal), XMP; BIDS 1.10 (the JSON beside a NIfTI, as dcm2niix writes it);
    RIFF INFO (ICRD), EBU Tech 3285 (bext).
"""

import io
import json
import re
import struct
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

from mmdiag.readers.recorded import last_day, latest

HEAD: Final = 262_144  # bytes of a picture in which it says when it was taken
LARGEST_SIDECAR: Final = 4_000_000  # bytes
MOST_CHUNKS: Final = 1_000
_EXIF, _ORIGINAL, _DIGITIZED = 0x8769, 0x9003, 0x9004
_XMP: Final = re.compile(
    rb"(?:exif:DateTimeOriginal|photoshop:DateCreated)[\s=>\"']{1,8}(\d{4}[-:]\d\d[-:]\d\d)"
)
_SIDECAR: Final = (
    "AcquisitionDateTime",
    "AcquisitionDate",
    "ContentDate",
    "SeriesDate",
    "StudyDate",
)
_TEXT_HEADERS: Final = {  # ending -> where the header of text ends
    **dict.fromkeys((".nrrd", ".nhdr"), re.compile(rb"\r?\n\r?\n")),
    **dict.fromkeys((".mha", ".mhd"), re.compile(rb"^ElementDataFile", re.MULTILINE)),
}
_HEADER_DAY: Final = re.compile(
    rb"^(?:\w*[:.])?(?:Acquisition|Content|Series|Study)_?Date(?:Time)?[ \t]*:?=[ \t]*"
    rb"([\d.:/T+\- ]{4,32})",
    re.MULTILINE,
)
_ORIGINATION: Final = slice(320, 330)  # of a bext chunk: description, originator, reference before


def picture_day(file: Path) -> date | None:
    """The day on which a photograph was taken, by its Exif or XMP; None where they do not say."""
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    return latest((*_exif_days(head), *(last_day(x.decode()) for x in _XMP.findall(head))))


def volume_day(file: Path) -> date | None:
    """The day on which a volume was acquired, by its own header, where that is text, and by the
    JSON beside it; None where neither says it.
    """
    name = re.sub(r"\.(?:nii|nii\.gz|nrrd|nhdr|mha|mhd|mgh|mgz)$", "", file.name, flags=re.I)
    return latest((_sidecar_day(file.with_name(f"{name}.json")), *_header_days(file)))


def _header_days(file: Path) -> Iterator[date | None]:
    """The days in a header of NRRD or MetaImage."""
    form = _TEXT_HEADERS.get(file.suffix.lower())
    if form is None:
        return
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    end = form.search(head)
    for found in _HEADER_DAY.findall(head[: end.start()] if end else head):
        yield last_day(found.decode("ascii", "replace"))


def _sidecar_day(beside: Path) -> date | None:
    if not beside.is_file() or beside.stat().st_size > LARGEST_SIDECAR:
        return None
    try:
        facts = json.loads(beside.read_bytes())
    except (ValueError, RecursionError):
        return None
    if not isinstance(facts, dict):
        return None
    return latest(last_day(facts[key]) for key in _SIDECAR if isinstance(facts.get(key), str))


def wav_day(file: Path) -> date | None:
    """The day on which a WAV was recorded, by its INFO or bext chunk; None where they do not
    say.
    """
    with file.open("rb") as opened:
        if opened.read(4) not in (b"RIFF", b"RF64", b"RIFX"):
            return None
        opened.seek(12)
        return latest(_wav_days(opened))


def _exif_days(head: bytes) -> Iterator[date | None]:
    if b"Exif" not in head and b"eXIf" not in head:
        return
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(head)) as picture:
            facts = picture.getexif().get_ifd(_EXIF)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, struct.error, TypeError):
        return
    yield from (last_day(str(facts[tag])) for tag in (_ORIGINAL, _DIGITIZED) if tag in facts)


def _wav_days(opened: io.BufferedReader) -> Iterator[date | None]:
    for _ in range(MOST_CHUNKS):
        head = opened.read(8)
        if len(head) < 8:
            return
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if name in (b"bext", b"LIST"):
            content = opened.read(min(length, HEAD))
            if name == b"bext":
                yield last_day(content[_ORIGINATION].decode("latin-1"))
            elif content.startswith(b"INFO"):
                found = re.search(rb"ICRD.{4}([^\0]{4,40})", content, re.DOTALL)
                yield last_day(found[1].decode("latin-1")) if found else None
            length -= len(content)
        opened.seek(length + length % 2, io.SEEK_CUR)
