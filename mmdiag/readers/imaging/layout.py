"""Where the numbers of a research volume lie, as its header says it, and whether the file holds as
many: before a library that believes the header reads them.
"""

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.imaging.raster_nifti import MOST_VOXELS
from mmdiag.regular_files import open_regular

FLAT = 1e-6  # of three directions: they lie in a plane
CHUNK = 2**20  # bytes that are inflated at once
GZIP, ZLIB = "gzip", "zlib"
WINDOW_BITS = {GZIP: 31, ZLIB: 15}


@dataclass(frozen=True, slots=True)
class Layout:
    """What a header says of its numbers.

    Args:
        shape: Voxels along the three axes, the fastest first.
        voxel_bytes: Of one voxel.
        data: The file that holds them: its own, or one beside it.
        start: Bytes of `data` before them.
        packed: `GZIP`, `ZLIB`, or empty: as they lie in memory.
        unit_mm: Length in mm of the unit of its lengths.
    """

    shape: tuple[int, int, int]
    voxel_bytes: int
    data: Path
    start: int
    packed: str = ""
    unit_mm: float = 1.0

    @property
    def size(self) -> int:
        """Bytes of all voxels."""
        return math.prod(self.shape) * self.voxel_bytes


def one_volume(lengths: list[int], name: str) -> tuple[int, int, int]:
    """The lengths of the three axes of one volume.

    Raises:
        ReadError: There are other than three axes, one is empty, or all are too long.
    """
    if len(lengths) > 3:
        raise ReadError("several_volumes", f"{name} has {len(lengths)} axes, {lengths[3]} volumes")
    if len(lengths) < 3:
        raise ReadError("missing_geometry", f"{name} has {len(lengths)} axes, a volume has three")
    if min(lengths) < 1:
        raise ReadError("unreadable", f"{name} is empty")
    if math.prod(lengths) > MOST_VOXELS:
        raise ReadError("too_large", f"{name} has more than {MOST_VOXELS} voxels")
    return lengths[0], lengths[1], lengths[2]


def require_axes(directions: Float[ndarray, "axis xyz"], name: str) -> None:
    """Refuse three axes that do not span a volume.

    Raises:
        ReadError: `missing_geometry`.
    """
    lengths = np.linalg.norm(directions, axis=1)
    whole = np.isfinite(lengths).all() and lengths.min() > 0
    if not whole or abs(np.linalg.det(directions / lengths[:, None])) < FLAT:
        raise ReadError("missing_geometry", f"the axes of {name} are none")


def axes_of(texts: Sequence[str], name: str) -> Float[ndarray, "axis xyz"]:
    """Three axes, each of three numbers as text.

    Raises:
        ReadError: `missing_geometry`, where they are none, or do not span a volume.
    """
    try:
        directions = np.asarray([float(text) for text in texts]).reshape(3, 3)
    except ValueError:
        raise ReadError("missing_geometry", f"the axes of {name} are no numbers") from None
    require_axes(directions, name)
    return directions


def require_complete(layout: Layout, name: str) -> None:
    """Hold the bytes that are there against those that the header promises; what is packed is
    inflated in parts and counted, and no further than one byte too many.

    Raises:
        ReadError: `truncated`, or `unreadable` where there are more or they do not inflate.
    """
    most = layout.size
    if layout.packed:
        there = 0
        for part in inflated(layout.data, layout.start, layout.packed, name):
            there += len(part)
            if there > most:
                break
    else:
        there = layout.data.stat().st_size - layout.start
    if there < most:
        raise ReadError("truncated", f"{name} promises {most} bytes, {max(there, 0)} are there")
    if there > most:
        raise ReadError("unreadable", f"{name} promises {most} bytes, more are there")


def inflated(file: Path, start: int, packed: str, name: str) -> Iterator[bytes]:
    """What is packed in a file from a byte on, in parts of at most `CHUNK` bytes.

    Raises:
        ReadError: `unreadable` where it does not inflate, `truncated` where it ends too early.
    """
    inflate = zlib.decompressobj(WINDOW_BITS[packed])
    with open_regular(file) as opened:
        opened.seek(start)
        rest = b""
        while not inflate.eof:
            rest = inflate.unconsumed_tail or opened.read(CHUNK)
            if not rest:
                raise ReadError("truncated", f"the packed part of {name} ends too early")
            try:
                part = inflate.decompress(rest, CHUNK)
            except zlib.error:
                raise ReadError("unreadable", f"the packed part of {name} is damaged") from None
            if part:
                yield part
