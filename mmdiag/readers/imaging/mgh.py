"""What the header of an MGH or MGZ volume says of its numbers.

Reference:
    FreeSurfer, the MGH/MGZ volume format (surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat).
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mmdiag.errors import ReadError
from mmdiag.readers.imaging.layout import GZIP, Layout, inflated, one_volume
from mmdiag.regular_files import open_regular

HEADER: Final = struct.Struct(">7ih")  # version, four lengths, type, degrees of freedom, good RAS
DATA_AT: Final = 284
SCAN_FACTS: Final = 20  # bytes behind the numbers: times and angles of the scan
COLOUR_TABLE: Final = 1  # tag of the names and colours of labels
BYTES: Final = {0: 1, 1: 4, 3: 4, 4: 2}  # type -> bytes: unsigned 8, signed 32, float 32, signed 16


def require_mgh(file: Path) -> Layout:
    """Where the numbers of an MGH or MGZ lie; all are there.

    Raises:
        ReadError: It is no MGH, is not one volume whose axes are known, is cut, or carries the
            names of labels.
    """
    name, packed = file.name, _is_packed(file)
    parts = _parts(file, packed)
    head = b""
    while len(head) < DATA_AT and (part := next(parts, b"")):
        head += part
    if len(head) < DATA_AT:
        raise ReadError("truncated", f"{name} ends within its header")
    version, *lengths, kind, _, good = HEADER.unpack_from(head)
    if version != 1 or kind not in BYTES:
        raise ReadError("unreadable", f"{name} has no header of an MGH")
    shape = one_volume(lengths[:3] if lengths[3] in (0, 1) else lengths, name)
    if good != 1:
        raise ReadError("missing_geometry", f"{name} does not say where its axes go")
    layout = Layout(shape, BYTES[kind], file, DATA_AT, GZIP if packed else "")
    there, tail = len(head) - DATA_AT, head[DATA_AT:][layout.size :]
    for part in parts:
        before = max(layout.size - there, 0)
        tail += part[before:] if len(tail) < SCAN_FACTS + 4 else b""
        there += len(part)
        if there >= layout.size + SCAN_FACTS + 4:
            break
    if there < layout.size:
        raise ReadError("truncated", f"{name} promises {layout.size} bytes, {there} are there")
    tag = tail[SCAN_FACTS : SCAN_FACTS + 4]
    if len(tag) == 4 and int.from_bytes(tag, "big") == COLOUR_TABLE:
        raise ReadError("segmentation", f"{name} carries the names of labels")
    return layout


def _is_packed(file: Path) -> bool:
    with open_regular(file) as opened:
        return opened.read(2) == b"\x1f\x8b"


def _parts(file: Path, packed: bool) -> Iterator[bytes]:
    """The content in parts: inflated where it is packed, whatever the file's ending."""
    if packed:
        yield from inflated(file, 0, GZIP, file.name)
        return
    with open_regular(file) as opened:
        while part := opened.read(2**20):
            yield part
