"""The pixels of one DICOM file, its frames one after the other."""

import io
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pydicom
from jaxtyping import Bool, Float32, Num
from numpy import ndarray
from pydicom.datadict import tag_for_keyword
from pydicom.encaps import generate_frames
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID, JPEGLSLossless, JPEGLSNearLossless, RLELossless

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.codestreams import JPEG, JPEG_2000, require_undamaged, require_whole
from mmdiag.readers.dicom.elements import PIXELS, Element
from mmdiag.readers.dicom.header import Header
from mmdiag.readers.dicom.prescan import EXPLICIT, IMPLICIT, Fragments, Scan, fragments
from mmdiag.readers.imaging.pixel_format import GREY, PALETTE, Padding, PixelFormat

LUMINANCE = np.asarray([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
# decoders that refuse a damaged codestream; others go on and fill what is missing
STRICT: dict[str, str] = {JPEGLSLossless: "pyjpegls", JPEGLSNearLossless: "pyjpegls"}
COLOURS = ("Red", "Green", "Blue")
STRAY = "start byte (0xFF) for a JPEG marker was not found"
BROKEN = (
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
    AssertionError,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame.

    Args:
        stored: Stored values, or luminance.
        unmeasured: Which pixels are no image; None where all are.
        colours: Red, green and blue; None where they are alike, or there is one channel.
        white: The largest value of luminance and of channels.
    """

    stored: Num[ndarray, "row column"]
    unmeasured: Bool[ndarray, "row column"] | None
    colours: Num[ndarray, "row column 3"] | None = None
    white: float = 255.0


def frames(header: Header, pixels: PixelFormat, padding: Padding | None = None) -> Iterator[Frame]:
    """Frames in the order of the file; one at a time, so that memory does not grow with their
    number.

    Raises:
        ReadError: `truncated`, `undecodable_pixels`, `unsupported_transfer_syntax`, or `unreadable`
            where there are more pixels than the header says.
    """
    scanned = header.scan
    encapsulated = fragments(scanned)
    if encapsulated is None:
        _require_length(scanned, pixels)
        if (
            scanned.syntax in (EXPLICIT, IMPLICIT)
            and pixels.photometric in GREY
            and pixels.bits_allocated in (8, 16)
            and scanned.pixels == 0x7FE0_0010
        ):
            return _plain_frames(header, pixels, padding)
        if pixels.high_bit != pixels.bits_stored - 1 and PIXELS[scanned.pixels] == "PixelData":
            raise ReadError("unreadable", "HighBit is not BitsStored - 1")
    else:
        _require_count(scanned.content, encapsulated, pixels, scanned.syntax == RLELossless)
        _require_size(scanned.content, encapsulated, pixels)
    return _decoded_frames(header, pixels, encapsulated, padding)


def _require_length(scanned: Scan, pixels: PixelFormat) -> None:
    """Bytes that no frame takes are frames that nobody counted, or rows of a larger image."""
    said = -(-pixels.frame_bits * pixels.frames // 8)
    start, length = scanned.pixel_element.start, scanned.pixel_element.length
    if said <= length <= said + said % 2:
        return
    if said < length and not any(scanned.content[start + said : start + length]):
        return  # padded, further than to an even length
    raise ReadError(
        "truncated" if length < said else "unreadable",
        f"{length} bytes of pixels, the header says {said}",
    )


def _require_count(content: bytes, encapsulated: Fragments, pixels: PixelFormat, rle: bool) -> None:
    """A frame is at least one fragment, and each codestream is a frame; of RLE each fragment is."""
    parts = encapsulated.fragments
    if len(parts) < pixels.frames:
        raise ReadError("truncated", f"{len(parts)} fragments for {pixels.frames} frames")
    begun = [start for start, _ in parts if content.startswith((JPEG, JPEG_2000), start)]
    found = len(parts) if rle else len(begun)
    if found > pixels.frames:
        raise ReadError("unreadable", f"{found} frames, the header says {pixels.frames}")


def _plain_frames(header: Header, pixels: PixelFormat, padding: Padding | None) -> Iterator[Frame]:
    """Views into the file, little endian."""
    start = header.scan.pixel_element.start
    kind = np.dtype(f"{'i' if pixels.signed else 'u'}{pixels.bits_allocated // 8}")
    size = pixels.rows * pixels.columns
    for number in range(pixels.frames):
        plane = np.frombuffer(
            header.scan.content, kind, size, start + number * size * kind.itemsize
        ).reshape(pixels.rows, pixels.columns)
        yield Frame(_without_other_bits(plane, pixels), padding.where(plane) if padding else None)


def _without_other_bits(
    plane: Num[ndarray, "row column"], pixels: PixelFormat
) -> Num[ndarray, "row column"]:
    """Bits outside of BitsStored may hold an overlay, or nothing that means anything (PS3.5
    8.1.1).
    """
    if pixels.bits_stored == pixels.bits_allocated:
        return plane
    top = 1 << (pixels.bits_stored - pixels.signed)
    if (
        pixels.high_bit == pixels.bits_stored - 1
        and plane.max() < top
        and (not pixels.signed or plane.min() >= -top)
    ):
        return plane
    left = pixels.bits_allocated - 1 - pixels.high_bit
    shifted: ndarray = (plane << left) >> (pixels.bits_allocated - pixels.bits_stored)
    return shifted


def _decoded_frames(
    header: Header,
    pixels: PixelFormat,
    encapsulated: Fragments | None,
    padding: Padding | None,
) -> Iterator[Frame]:
    """Frames by pydicom's decoders: compressed, big endian, colour, bit-packed or floating
    point.
    """
    try:
        decoder = get_decoder(UID(header.scan.syntax))
    except NotImplementedError:
        raise ReadError(
            "unsupported_transfer_syntax", "no decoder for its transfer syntax"
        ) from None
    lookup = _lookup_tables(header) if pixels.photometric == PALETTE else None
    options = _decoder_options(header, pixels)
    element = header.scan.pixel_element
    end = encapsulated.end if encapsulated else element.start + element.length
    source = memoryview(header.scan.content)[element.start : end].tobytes()
    count = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if encapsulated is not None:
                _require_codestreams(source, pixels.frames)
            for plane, facts in _planes(decoder, source, options):
                count += 1
                yield _frame(plane, facts, pixels, lookup, padding)
        except BROKEN as error:
            raise ReadError("undecodable_pixels", type(error).__name__) from None
    if count < pixels.frames:
        raise ReadError("truncated", f"{count} of {pixels.frames} frames")


def _planes(
    decoder: Decoder, source: bytes, options: dict[str, Any]
) -> Iterator[tuple[Num[ndarray, "row column *sample"], Any]]:
    """Decoded frames. A strict decoder that has read every pixel also refuses a stray byte before
    the marker that follows: then the others have their turn.
    """
    count = 0
    try:
        for found in decoder.iter_array(source, raw=False, **options):
            count += 1
            yield found
    except RuntimeError as error:
        if STRAY not in str(error):
            raise
        lenient = {name: value for name, value in options.items() if name != "decoding_plugin"}
        lenient["decoding_plugin"] = "pylibjpeg"
        yield from islice(decoder.iter_array(source, raw=False, **lenient), count, None)


def _require_codestreams(source: bytes, count: int) -> None:
    for stream in generate_frames(source, number_of_frames=count):
        require_whole(stream)
        require_undamaged(stream)


def _frame(
    plane: Num[ndarray, "row column *sample"],
    facts: Any,
    pixels: PixelFormat,
    lookup: pydicom.Dataset | None,
    padding: Padding | None,
) -> Frame:
    """A decoded frame: grey as it is stored; colour, which the decoder brought to RGB, as luminance
    and as channels.
    """
    unmeasured = _unmeasured(plane, padding)
    coloured = apply_color_lut(plane, lookup) if lookup is not None else plane
    if coloured.ndim == 2:
        return Frame(coloured, unmeasured)
    if str(facts["photometric_interpretation"]) not in ("RGB", PALETTE):
        return Frame(coloured[..., 0], unmeasured)  # luminance comes first
    colours = coloured[..., :3]
    grey: Float32[ndarray, "row column"] = colours.astype(np.float32) @ LUMINANCE
    bits = _bits_of(lookup, colours) if lookup is not None else pixels.bits_stored
    differ = bool((colours != colours[..., :1]).any())
    return Frame(grey, unmeasured, colours if differ else None, float(2**bits - 1))


def _bits_of(lookup: pydicom.Dataset, colours: Num[ndarray, "row column 3"]) -> int:
    """The depth of a palette's entries; that of 8 bits in words of 16, which call themselves 16,
    is 8.
    """
    tables = [lookup.get(f"{name}PaletteColorLookupTableData", b"") for name in COLOURS]
    words = [np.frombuffer(table[: len(table) // 2 * 2], "u2") for table in tables]
    if colours.dtype.itemsize == 2 and all(len(one) and one.max() < 2**8 for one in words):
        return 8
    return 8 * colours.dtype.itemsize


def _unmeasured(
    plane: Num[ndarray, "row column *sample"], padding: Padding | None
) -> Bool[ndarray, "row column"] | None:
    if plane.ndim != 2:
        return None
    found = padding.where(plane) if padding else None
    if plane.dtype.kind != "f" or np.isfinite(plane).all():
        return found
    missing: ndarray = ~np.isfinite(plane)
    return missing if found is None else found | missing


def _decoder_options(header: Header, pixels: PixelFormat) -> dict[str, Any]:
    keyword = PIXELS[header.scan.pixels]
    options: dict[str, Any] = {
        "rows": pixels.rows,
        "columns": pixels.columns,
        "number_of_frames": pixels.frames,
        "samples_per_pixel": pixels.samples,
        "bits_allocated": pixels.bits_allocated,
        "photometric_interpretation": pixels.photometric,
        "pixel_keyword": keyword,
    }
    if keyword == "PixelData":
        options |= {
            "bits_stored": pixels.bits_stored,
            "pixel_representation": int(pixels.signed),
            "pixel_vr": _pixel_vr(header),
        }
    if pixels.samples > 1:
        options["planar_configuration"] = pixels.planar
    if header.scan.syntax in STRICT:
        options["decoding_plugin"] = STRICT[header.scan.syntax]
    return options


def _pixel_vr(header: Header) -> str:
    vr = header.scan.pixel_element.vr
    return vr.decode() if vr in (b"OB", b"OW") else "OW"


def _lookup_tables(header: Header) -> pydicom.Dataset:
    """The palette (PS3.3 C.7.6.3.1.5), which pydicom applies."""
    tables = [
        f"{colour}PaletteColorLookupTable{part}"
        for colour in COLOURS
        for part in ("Descriptor", "Data")
    ]
    return read_attributes(header, [*tables, "BitsAllocated"])


def read_attributes(header: Header, keywords: list[str]) -> pydicom.Dataset:
    """Some attributes by pydicom, for what is more than a value: sequences and tables.

    Raises:
        ReadError: `unreadable`.
    """
    scanned = header.scan
    found = [
        Element(*scanned.elements[tag])
        for tag in sorted(tag_for_keyword(keyword) or 0 for keyword in keywords)
        if tag in scanned.elements
    ]
    parts = b"".join(
        scanned.content[element.head : element.start + element.length] for element in found
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read_dataset(io.BytesIO(parts), not scanned.explicit, scanned.little)
        except BROKEN as error:
            raise ReadError(
                "unreadable", f"its header does not parse ({type(error).__name__})"
            ) from None


def _require_size(content: bytes, encapsulated: Fragments, pixels: PixelFormat) -> None:
    """A codestream that says another size than the header would have the decoder allocate what
    nobody asked for.
    """
    start, length = encapsulated.fragments[0] if encapsulated.fragments else (0, 0)
    size = codestream_size(content[start : start + min(length, 65_536)])
    if size is not None and size != (pixels.rows, pixels.columns):
        raise ReadError(
            "undecodable_pixels", "the codestream has another size than the header says"
        )


def codestream_size(stream: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 codestream declares; None where it is none
    of them, or does not say within its first bytes.

    Reference:
        ITU-T T.81 B.2.2 (frame header), T.87 C.2.2, T.800 A.5.1 (SIZ).
    """
    if stream[:4] == b"\xff\x4f\xff\x51" and len(stream) >= 24:
        width, height, left, top = struct.unpack_from(">4I", stream, 8)
        return height - top, width - left
    if stream[:2] != b"\xff\xd8":
        return None
    offset = 2
    while offset + 9 < len(stream) and stream[offset] == 0xFF:
        marker = stream[offset + 1]
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            height, width = struct.unpack_from(">2H", stream, offset + 5)
            return height, width
        offset += (
            2
            if marker == 0xFF or 0xD0 <= marker <= 0xD8
            else 2 + struct.unpack_from(">H", stream, offset + 2)[0]
        )
    return None
