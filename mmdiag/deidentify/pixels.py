"""Copies the pixels of a DICOM file without what may identify: comments in codestreams, bytes
behind the last frame, overlays in unused bits, text in the top rows.
"""

import struct
from typing import Final

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, ExplicitVRLittleEndian, MPEGTransferSyntaxes, RLELossless

from mmdiag.errors import ReadError

PIXELS: Final = 0x7FE0_0010
BROKEN: Final = (
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
    NotImplementedError,
    RuntimeError,
    OSError,
    struct.error,
    EOFError,
    MemoryError,
    OverflowError,
    ArithmeticError,
)
_JPEG_KEPT = {
    0xE0: b"JFIF\0",
    0xE8: b"mrfx",
    0xEE: b"Adobe",
}  # application segments that say how colours are coded


def copy_pixels(old: Dataset, new: Dataset, syntax: UID, *, clear_unused_bits: bool) -> None:
    """Put the pixels of one data set into another as they are coded; decoded, both are equal.

    Args:
        clear_unused_bits: Set the bits above BitsStored as the pixels' sign demands: they held an
            overlay.

    Raises:
        ReadError: `truncated`, `unsupported_transfer_syntax` or `undecodable_pixels`.
    """
    frames = int(new.get("NumberOfFrames") or 1)
    content = old[PIXELS].value
    if not syntax.is_transfer_syntax or syntax.is_private or syntax in MPEGTransferSyntaxes:
        raise ReadError("unsupported_transfer_syntax", "its transfer syntax is not one of images")
    if syntax.is_encapsulated:
        offsets = (
            (old["ExtendedOffsetTable"].value, old["ExtendedOffsetTableLengths"].value)
            if "ExtendedOffsetTableLengths" in old
            else None
        )
        coded = list(generate_frames(content, number_of_frames=frames, extended_offsets=offsets))
        if len(coded) != frames:
            raise ReadError("truncated", f"{len(coded)} of {frames} frames")
        element = DataElement(
            PIXELS,
            "OB",
            encapsulate(
                [frame if syntax == RLELossless else without_comments(frame) for frame in coded]
            ),
        )
        element.is_undefined_length = True
        new[PIXELS] = element
        return
    length = _frame_bits(new) * frames
    length = length // 8 + bool(length % 8)
    if len(content) < length:
        raise ReadError("truncated", f"{len(content)} bytes of pixels, the header says {length}")
    content = content[:length]
    if clear_unused_bits:
        content = _cleared(content, new, little=syntax.is_little_endian)
    new[PIXELS] = DataElement(PIXELS, old[PIXELS].VR, content + b"\0" * (length % 2))


def blank_top_rows(old: Dataset, new: Dataset, share: float) -> None:
    """Put the pixels of one data set into another, decoded, with the rows at the top black.

    Args:
        share: Of the rows, rounded up.

    Raises:
        ReadError: `unknown_photometric` for palettes, whose black is not known.
    """
    photometric = str(new.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        raise ReadError(
            "unknown_photometric",
            "an image with a palette cannot be blanked: which of its colours is black is not known",
        )
    pixels = np.array(old.pixel_array)
    axis = 1 if int(new.get("NumberOfFrames") or 1) > 1 else 0
    rows = min(pixels.shape[axis], int(np.ceil(share * pixels.shape[axis])))
    lowest = -(1 << (int(new.BitsStored) - 1)) if new.PixelRepresentation else 0
    black = lowest if photometric != "MONOCHROME1" else lowest + (1 << int(new.BitsStored)) - 1
    pixels[(slice(None),) * axis + (slice(0, rows),)] = black
    new.file_meta = FileMetaDataset()
    new.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    colour = pixels.ndim - axis == 3
    new.set_pixel_data(
        pixels, "RGB" if colour else photometric, int(new.BitsStored), generate_instance_uid=False
    )


def without_comments(stream: bytes) -> bytes:
    """A JPEG, JPEG-LS or JPEG 2000 codestream without comments, application data and bytes behind
    its end.

    Raises:
        ReadError: `undecodable_pixels` where it is none of these.

    Reference:
        ISO/IEC 10918-1 B.1.1.3 (COM, APPn), 15444-1 A.9.2 (COM).
    """
    if stream[:2] == b"\xff\xd8":
        return _jpeg(stream)
    if stream[:4] == b"\xff\x4f\xff\x51":
        return _jpeg2000(stream)
    raise ReadError("undecodable_pixels", "a frame is no JPEG family codestream")


def _jpeg(stream: bytes) -> bytes:
    kept, position = [stream[:2]], 2
    while position + 4 <= len(stream) and stream[position] == 0xFF:
        marker = stream[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        end = position + 2 + struct.unpack_from(">H", stream, position + 2)[0]
        if marker == 0xDA:
            last = stream.rfind(b"\xff\xd9")
            kept.append(stream[position : last + 2] if last > position else stream[position:])
            return b"".join(kept)
        if end > len(stream):
            break
        segment = stream[position:end]
        if not (marker == 0xFE or 0xE0 <= marker <= 0xEF):
            kept.append(segment)
        elif segment[4:].startswith(_JPEG_KEPT.get(marker, b"\0none")):
            kept.append(
                segment if marker != 0xE0 else b"\xff\xe0\x00\x10" + segment[4:16] + b"\0\0"
            )  # without its thumbnail
        position = end
    raise ReadError("undecodable_pixels", "a JPEG codestream has no scan")


def _jpeg2000(stream: bytes) -> bytes:
    kept, position = [stream[:2]], 2
    while position + 4 <= len(stream) and stream[position] == 0xFF:
        marker = stream[position + 1]
        if marker == 0x90:  # the first tile-part
            last = stream.rfind(b"\xff\xd9")
            kept.append(stream[position : last + 2] if last > position else stream[position:])
            return b"".join(kept)
        end = position + 2 + struct.unpack_from(">H", stream, position + 2)[0]
        if marker != 0x64:
            kept.append(stream[position:end])
        position = end
    raise ReadError("undecodable_pixels", "a JPEG 2000 codestream has no tile")


def _frame_bits(new: Dataset) -> int:
    samples = 2 if new.PhotometricInterpretation == "YBR_FULL_422" else int(new.SamplesPerPixel)
    return int(new.Rows) * int(new.Columns) * samples * int(new.BitsAllocated)


def _cleared(content: bytes, new: Dataset, *, little: bool) -> bytes:
    """The stored bits alone, with their sign (PS3.5 8.1.1)."""
    allocated, stored = int(new.BitsAllocated), int(new.BitsStored)
    if (
        allocated not in (8, 16, 32)
        or stored == allocated
        or int(new.get("HighBit", stored - 1)) != stored - 1
    ):
        return content
    values = np.frombuffer(
        content,
        f"{'<' if little else '>'}{'i' if new.PixelRepresentation else 'u'}{allocated // 8}",
    )
    shift = allocated - stored
    return ((values << shift) >> shift).astype(values.dtype).tobytes()
