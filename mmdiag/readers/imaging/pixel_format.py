"""What a DICOM header says of its pixels, checked: their number, their depth, their colours, and
which stored values stand for no image.

Reference:
    DICOM PS3.3 C.7.6.3, Image Pixel Module; C.7.5.1.1.2, pixel padding.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Num
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.elements import PIXELS, UNDEFINED
from mmdiag.readers.dicom.header import Header

LARGEST_PLANE = 2**28  # bytes of one decoded frame
LARGEST_IMAGE = 2**33  # bytes of all frames: they are decoded one after the other
MOST_FRAMES = 65_536
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420")
PALETTE = "PALETTE COLOR"
UNDERSTOOD = frozenset((*GREY, *COLOUR, PALETTE))
# Type 1 of the Image Pixel Module: without them nobody knows what was stored. HighBit is not among
# them: it can only be BitsStored - 1 (PS3.5 8.1.1).
ALWAYS_STATED = ("SamplesPerPixel", "PhotometricInterpretation", "Columns", "BitsAllocated")
STATED_OF_INTEGERS = (*ALWAYS_STATED, "BitsStored", "PixelRepresentation")


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """What the Image Pixel Module says (PS3.3 C.7.6.3), checked."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str
    planar: int

    @property
    def frame_bits(self) -> int:
        """Bits of one frame as it is stored natively."""
        halved = self.photometric == "YBR_FULL_422"
        return self.rows * self.columns * (2 if halved else self.samples) * self.bits_allocated


def pixel_format(header: Header) -> PixelFormat:
    """Read and check what a header says of its pixels.

    Raises:
        ReadError: `no_pixel_data`, `missing_attribute`, `unknown_photometric`, `too_large` or
            `unreadable`.
    """
    if not header.scan.pixels or not header.has("Rows"):
        raise ReadError("no_pixel_data", "no pixels, or no Rows")
    _require_stated(header)
    found = PixelFormat(
        rows=header.integer("Rows"),
        columns=header.integer("Columns"),
        frames=header.integer("NumberOfFrames", 1) if header.has("NumberOfFrames") else 1,
        samples=header.integer("SamplesPerPixel"),
        bits_allocated=header.integer("BitsAllocated"),
        bits_stored=header.integer("BitsStored", header.integer("BitsAllocated")),
        high_bit=header.integer("HighBit", header.integer("BitsStored") - 1),
        signed=header.integer("PixelRepresentation") == 1,
        photometric=header.text("PhotometricInterpretation"),
        planar=header.integer("PlanarConfiguration"),
    )
    if found.photometric not in UNDERSTOOD:
        raise ReadError(
            "unknown_photometric", "PhotometricInterpretation is none that is understood"
        )
    if found.samples != (3 if found.photometric in COLOUR else 1):
        raise ReadError(
            "unreadable",
            f"SamplesPerPixel is {found.samples}, which {found.photometric} does not have",
        )
    if (
        found.bits_allocated not in (1, 8, 16, 32, 64)
        or not 1 <= found.bits_stored <= found.bits_allocated
    ):
        raise ReadError(
            "unreadable", f"BitsAllocated is {found.bits_allocated}, BitsStored {found.bits_stored}"
        )
    if min(found.rows, found.columns, found.frames) < 1:
        raise ReadError("unreadable", "Rows, Columns or NumberOfFrames is less than 1")
    if (
        found.frames > MOST_FRAMES
        or found.frame_bits // 8 > LARGEST_PLANE
        or found.frame_bits // 8 * found.frames > LARGEST_IMAGE
    ):
        raise ReadError(
            "too_large", f"{found.rows} x {found.columns} pixels in {found.frames} frames"
        )
    return found


def _require_stated(header: Header) -> None:
    integers = PIXELS[header.scan.pixels] == "PixelData"
    needed = STATED_OF_INTEGERS if integers else ALWAYS_STATED
    stated = header.stated(needed)
    lacking = [keyword for keyword in needed if keyword not in stated]
    plain = header.scan.pixel_element.length != UNDEFINED
    if plain and header.integer("SamplesPerPixel") > 1 and not header.has("PlanarConfiguration"):
        lacking.append("PlanarConfiguration")
    if lacking:
        raise ReadError("missing_attribute", f"no {', '.join(lacking)}")


@dataclass(frozen=True, slots=True)
class Padding:
    """Stored values that stand for no image: from `low` to `high`, both among them.

    Reference:
        DICOM PS3.3 C.7.5.1.1.2.
    """

    low: float
    high: float

    def where(self, stored: Num[ndarray, "row column"]) -> Bool[ndarray, "row column"] | None:
        """Which pixels are no image; None where all are."""
        found: ndarray = (
            stored == self.low
            if self.low == self.high
            else (stored >= self.low) & (stored <= self.high)
        )
        return found if found.any() else None


def padding_of(header: Header, pixels: PixelFormat) -> Padding | None:
    """The padding of a file; None where it has none.

    Its value is written as the pixels are, signed or not, whatever its VR says.
    """
    prefix = {"FloatPixelData": "Float", "DoubleFloatPixelData": "DoubleFloat"}.get(
        PIXELS[header.scan.pixels], ""
    )
    names = (f"{prefix}PixelPaddingValue", f"{prefix}PixelPaddingRangeLimit")
    if not header.has(names[0]) or pixels.samples != 1:
        return None
    ends = [number for name in names for number in header.numbers(name)[:1]]
    if not prefix:
        ends = [_as_stored(number, pixels) for number in ends]
    return Padding(min(ends), max(ends))


def _as_stored(number: float, pixels: PixelFormat) -> float:
    bits = pixels.bits_allocated
    wrapped = int(number) % 2**bits
    return float(wrapped - 2**bits if pixels.signed and wrapped >= 2 ** (bits - 1) else wrapped)
