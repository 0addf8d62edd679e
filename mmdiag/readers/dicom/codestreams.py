"""Whether a compressed image is whole. Decoders fill what is missing with grey or with the last
value and say so at most on the standard error; nobody sees it there.

Reference:
    ITU-T T.81 B.1.1 (markers), T.87 A.1 (JPEG-LS bit stuffing), T.800 A.4.2 (SOT).
"""

import os
import re
import struct

import cv2
import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from mmdiag.errors import ReadError

JPEG, JPEG_2000, END_OF_IMAGE = b"\xff\xd8", b"\xff\x4f\xff\x51", b"\xff\xd9"
END, SCAN, TILE_PART = 0xD9, 0xDA, 0x90  # of an image; start of a scan; start of a tile-part
# in a scan, 0xFF before what is no marker is data, and restarts belong to it
NEXT_MARKER = re.compile(rb"\xff+[\x80-\xcf\xd8-\xfe]")
DCT = (0xC0, 0xC1, 0xC2)  # frames that are coded as OpenCV decodes them
TORN = 16  # bytes of zeros at the end of a file that was not written to its end
MOST_SAID = 65_536  # bytes
PADDED_BY = 3  # bytes of zeros by which encoders bring a scan to a multiple of four
# between segments of a header some writers leave bytes, in a scan they are lost pixels
UNUSED = re.compile(rb"(\d+) extraneous bytes before marker 0x(?!e.|fe|db|dd|c[0-2])")


def require_whole(stream: bytes) -> None:
    """Refuse a JPEG, JPEG-LS or JPEG 2000 codestream that was cut; other streams say themselves how
    long they are.

    Raises:
        ReadError: `truncated`.
    """
    if stream.startswith(JPEG):
        whole = _jpeg_ends(stream)
    elif stream.startswith(JPEG_2000):
        whole = _jpeg_2000_ends(stream)
    else:
        return
    if not whole:
        raise ReadError("truncated", "the codestream ends before its end marker")


def require_undamaged(stream: bytes) -> None:
    """Refuse an 8-bit DCT JPEG that does not decode without a complaint; what is coded otherwise is
    left to its own decoder.

    Raises:
        ReadError: `truncated` or `undecodable_pixels`.
    """
    if stream.startswith(JPEG) and _is_8_bit_dct(stream):
        decoded_picture(stream)


def decoded_picture(content: bytes) -> Shaped[ndarray, "row column *sample"] | None:
    """A PNG or JPEG as OpenCV decodes it, blue first; None where it does not.

    Raises:
        ReadError: `truncated` or `undecodable_pixels`, where a JPEG lacks data or holds some that
            belongs to no pixel.
    """
    require_whole(content)
    reading, writing = os.pipe()
    for end in (reading, writing):  # neither a talkative decoder nor a forked process holds it up
        os.set_blocking(end, False)
    kept = os.dup(2)
    try:
        os.dup2(writing, 2)  # libjpeg writes what it has to say there and nowhere else
        decoded = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(writing)
    try:
        said = os.read(reading, MOST_SAID)
    except BlockingIOError:
        said = b""
    finally:
        os.close(reading)
    _require_no_complaint(content, said)
    return decoded


def _require_no_complaint(content: bytes, said: bytes) -> None:
    unused = UNUSED.search(said)
    if b"remature end" in said:
        raise ReadError("truncated", "the JPEG codestream holds too little data for its pixels")
    if b"bad Huffman code" in said or b"instead of RST" in said:
        raise ReadError("undecodable_pixels", "the JPEG codestream is damaged")
    if unused:
        count = int(unused[1])
        left = content[: content.rfind(END_OF_IMAGE)][-count:]
        if count > PADDED_BY or left.strip(b"\0"):
            raise ReadError(
                "undecodable_pixels", f"{count} bytes of the JPEG codestream belong to no pixel"
            )


def _jpeg_ends(stream: bytes) -> bool:
    """Whether a JPEG or JPEG-LS comes to its end marker, segment by segment."""
    found = NEXT_MARKER.search(stream, 2)
    while found is not None:
        marker, position = stream[found.end() - 1], found.end()
        if marker == END:
            return True
        if marker not in (0xD8, 0x01):
            if position + 2 > len(stream):
                return False
            position += int(struct.unpack_from(">H", stream, position)[0])
        found = NEXT_MARKER.search(stream, position)
    return False


def _is_8_bit_dct(stream: bytes) -> bool:
    """Whether the frame header (T.81 B.2.2) says so."""
    found = NEXT_MARKER.search(stream, 2)
    while found is not None and stream[found.end() - 1] != SCAN and found.end() + 3 <= len(stream):
        length, precision = struct.unpack_from(">HB", stream, found.end())
        if stream[found.end() - 1] in DCT:
            return bool(precision == 8)
        found = NEXT_MARKER.search(stream, found.end() + length)
    return False


def _jpeg_2000_ends(stream: bytes) -> bool:
    """Whether each tile-part is as long as it says; the end marker itself may be missing, unless
    zeros, which a write that was torn leaves, stand before it.
    """
    position = 2
    while position + 4 <= len(stream) and stream[position] == 0xFF:
        marker, length = struct.unpack_from(">xBH", stream, position)
        if marker == END:
            break
        if marker == TILE_PART:
            if position + 12 > len(stream):
                return False
            length = struct.unpack_from(">I", stream, position + 6)[0]
            if length == 0:  # to the end of the codestream
                return END_OF_IMAGE in stream[-4:]
            position += length
        else:
            position += 2 + length
    ended = stream.startswith(END_OF_IMAGE, position)
    return ended or (position == len(stream) and any(stream[-TORN:]))
