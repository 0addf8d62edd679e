"""One slice of a display stack as bytes: its shape, and its pixels without loss.

Of 16-bit pixels the steps from each to the next are kept, parted into low and high bytes before
they are compressed: the high ones are mostly alike, which makes it smaller and faster.

Reference:
    RFC 8878 (Zstandard).
"""

import struct
import zlib

import numpy as np
import pyarrow as pa
from jaxtyping import Integer
from numpy import ndarray

KINDS = ("u1", "<u2", "<i2")  # of pixels, by their number in the head
HEAD = struct.Struct("<BBHHH")  # kind, channels, rows, columns, and nothing: 8 bytes
FAST = -20  # of Zstandard's levels: a third of the time of level -5 for a fourteenth more bytes
NO_STEP = np.uint16(2**7)  # so that small steps up and down have the same high byte
LARGEST = 2**16 - 1  # rows or columns

Pixels = Integer[ndarray, "row column *colour"]


def encode_slice(plane: Pixels) -> bytes:
    """One slice of one channel, or of red, green and blue.

    Args:
        plane: 8 bits unsigned, or 16 bits with or without a sign.
    """
    head, pixels = _head(plane)
    content = pixels if pixels.itemsize == 1 else _parted(pixels)
    return head + bytes(pa.Codec("zstd", FAST).compress(content.data, asbytes=True))


def raw_slice(plane: Pixels) -> bytes:
    """A slice without compression, for whoever has none: the same head, then pixels in little
    endian, row by row, channels side by side.
    """
    head, pixels = _head(plane)
    return head + pixels.tobytes()


def decode_slice(encoded: bytes) -> Pixels:
    """The slice that `encode_slice` was given.

    Raises:
        ValueError: It is none.
    """
    try:
        kind, channels, rows, columns, _ = HEAD.unpack_from(encoded)
        dtype = np.dtype(KINDS[kind])
        size = rows * columns * channels * dtype.itemsize
        content = pa.Codec("zstd").decompress(encoded[HEAD.size :], size, asbytes=True)
    except (struct.error, IndexError, pa.ArrowException, OSError) as error:
        raise ValueError(f"no slice ({type(error).__name__})") from None
    if len(content) != size:
        raise ValueError("a slice has another length than it says")
    pixels = np.frombuffer(content, np.uint8)
    if dtype.itemsize == 2:
        low, high = pixels.reshape(2, -1).astype(np.uint16)
        steps = (high << 8 | low) - NO_STEP
        pixels = np.cumsum(steps, dtype=np.uint16).view(dtype)
    shape = (rows, columns, channels) if channels > 1 else (rows, columns)
    return pixels.reshape(shape)


def checksum(encoded: bytes) -> int:
    """What tells that stored bytes are no longer those that were written."""
    return zlib.crc32(encoded)


def _head(plane: Pixels) -> tuple[bytes, Pixels]:
    """The head of a slice, and its pixels as they lie in a file."""
    kind = KINDS.index(plane.dtype.newbyteorder("<").str.lstrip("|"))
    rows, columns, channels = (*plane.shape, 1)[:3]
    head = HEAD.pack(kind, channels, rows, columns, 0)
    return head, np.ascontiguousarray(plane, dtype=KINDS[kind])


def _parted(pixels: Pixels) -> Integer[ndarray, "2 byte"]:
    """The low bytes of the steps from each pixel to the next, then the high ones."""
    words = pixels.reshape(-1).view(np.uint16)
    steps = np.empty_like(words)
    steps[:1] = words[:1]
    np.subtract(words[1:], words[:-1], out=steps[1:])  # modulo 2^16, and so without loss
    steps += NO_STEP
    parted = np.empty((2, steps.size), np.uint8)
    parted[0] = steps.astype(np.uint8)
    parted[1] = steps >> 8
    return parted
