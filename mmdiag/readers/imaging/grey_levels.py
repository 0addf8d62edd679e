"""From stored values to grey levels: the rescale to the units of a modality, then the window or the
table in which a header asks for them to be shown (VOI LUT), then whether the lowest is white. A
window is given in values after the rescale and before the inversion of MONOCHROME1.

Reference:
    DICOM PS3.3 C.11.1.1.2 (Modality LUT), C.8.2.1 (CT Image Module), C.8.8.3 (RT Dose Module),
    C.11.2 (VOI LUT Module),
    C.7.6.16.2.10 (VOI LUT of a frame), C.7.6.3.1.2 (MONOCHROME1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from jaxtyping import Float32, Num
from numpy import ndarray
from pydicom import uid
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.header import Header
from mmdiag.readers.dicom.pixels import BROKEN, read_attributes
from mmdiag.readers.imaging.pixel_format import PixelFormat

MODALITIES_WITH_UNITS = ("CT", "PT")  # a guess of (1, 0) would shift every density
# pictures of a screen or a sheet: Modality says of what, their grey levels have no units
CAPTURES = frozenset(
    (
        uid.SecondaryCaptureImageStorage,
        uid.MultiFrameSingleBitSecondaryCaptureImageStorage,
        uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
    )
)
HOUNSFIELD = ("", "HU", "US")  # RescaleType; US = unspecified, which many scanners write
WHITE = 255.0
FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
LARGEST_FACTOR = 1e15  # up to which a stored whole number stays a number of 32 bits


@dataclass(frozen=True, slots=True)
class Rescale:
    """output = slope * stored + intercept, or a table where the file has one.

    Args:
        stated: Whether the file says it; stored values are values where it does not.
        unit: As RescaleType (0028,1054) or the table's ModalityLUTType (0028,3004) says it; empty
            where neither does.
    """

    slope: float = 1.0
    intercept: float = 0.0
    table: pydicom.Dataset | None = None
    stated: bool = False
    unit: str = ""

    @property
    def is_identity(self) -> bool:
        """Whether values are the stored ones."""
        return self.table is None and (self.slope, self.intercept) == (1.0, 0.0)

    @property
    def is_safe(self) -> bool:
        """Whether every whole number becomes a number, never infinite and so never NaN."""
        largest = max(abs(self.slope), abs(self.intercept))
        return self.table is None and largest <= LARGEST_FACTOR

    def __call__(self, stored: Num[ndarray, "row column"]) -> Float32[ndarray, "row column"]:
        """Values of a plane."""
        if self.table is not None:
            return _by_table(stored, self.table)
        values = stored.astype(np.float32, copy=False)
        if self.is_identity:
            return values
        scaled: ndarray = values * np.float32(self.slope)
        scaled += np.float32(self.intercept)
        return scaled


def _by_table(
    stored: Num[ndarray, "row column"], table: pydicom.Dataset
) -> Float32[ndarray, "row column"]:
    try:
        return np.asarray(apply_modality_lut(stored, table), dtype=np.float32)
    except BROKEN as error:
        raise ReadError(
            "unreadable", f"its Modality LUT does not parse ({type(error).__name__})"
        ) from None


def rescale_of(header: Header) -> Rescale:
    """The rescale of a file.

    Raises:
        ReadError: `missing_rescale`, where the modality's numbers mean nothing without it.
    """
    if header.has("ModalityLUTSequence"):
        table = read_attributes(header, ["ModalityLUTSequence", "PixelRepresentation"])
        # an empty one says nothing
        if table.ModalityLUTSequence and table.ModalityLUTSequence[0].get("LUTDescriptor"):
            unit = str(table.ModalityLUTSequence[0].get("ModalityLUTType") or "").strip()
            return Rescale(table=table, stated=True, unit=unit)
    if _is_dose(header):
        scaling = header.number("DoseGridScaling")
        if scaling is None or scaling <= 0:
            raise ReadError(
                "missing_rescale", "DoseGridScaling (3004,000E) is absent, or not above 0"
            )
        return Rescale(scaling, stated=True)
    slope, intercept = header.number("RescaleSlope"), header.number("RescaleIntercept")
    if slope is None and intercept is None and not _needs_units(header):
        return Rescale()
    if slope is None or intercept is None or slope == 0:
        raise ReadError("missing_rescale", "RescaleSlope or RescaleIntercept is absent or 0")
    return Rescale(slope, intercept, stated=True, unit=header.text("RescaleType"))


def require_one_scale(rescales: Sequence[Rescale]) -> None:
    """Refuse a series of which some slices say how stored values become values, and others do not:
    those lie in another unit.

    Raises:
        ReadError: `missing_rescale`.
    """
    stated = [rescale for rescale in rescales if rescale.stated]
    if len(stated) < len(rescales) and not all(rescale.is_identity for rescale in stated):
        raise ReadError(
            "missing_rescale", f"{len(stated)} of {len(rescales)} slices state a rescale"
        )


def _is_dose(header: Header) -> bool:
    """Whether a file is a grid of dose, each with a scale of its own."""
    sop_class = header.text("SOPClassUID")
    return sop_class == uid.RTDoseStorage or (
        header.text("Modality") == "RTDOSE" and sop_class not in CAPTURES
    )


def _needs_units(header: Header) -> bool:
    return (
        header.text("Modality") in MODALITIES_WITH_UNITS
        and header.text("SOPClassUID") not in CAPTURES
    )


def in_hounsfield(header: Header, rescales: Sequence[Rescale]) -> bool:
    """Whether the values of a series are CT numbers: no picture of a screen, no map of another
    quantity such as effective atomic numbers.

    Args:
        header: Of a file.
        rescales: Of all slices.

    Raises:
        ReadError: `several_volumes`, where some slices are and others are not.
    """
    if header.text("Modality") != "CT" or header.text("SOPClassUID") in CAPTURES:
        return False
    units = {rescale.unit for rescale in rescales}
    others = units.difference(HOUNSFIELD)
    if others and len(units) > 1:
        raise ReadError("several_volumes", "slices differ in RescaleType (0028,1054)")
    return not others


@dataclass(frozen=True, slots=True)
class Voi:
    """Values of interest, as a window or as a table.

    Args:
        low, high: The values that become black and white; of a sigmoid, centre -/+ half the width;
            of a table, the first and the last value that it has an entry for.
        sigmoid: Whether values between and beyond them follow a sigmoid.
        levels: The grey levels of the values from low to high, where they lie in a table.
    """

    low: float
    high: float
    sigmoid: bool = False
    levels: Float32[ndarray, "value"] | None = None

    def __call__(self, values: Num[ndarray, "row column"]) -> Float32[ndarray, "row column"]:
        """Grey levels, 0 to 255, of values in the units of the modality; NaN stays NaN."""
        if self.levels is not None:
            return _looked_up(values, self.levels, int(self.low))
        share = (values - np.float32(self.low)) / np.float32(self.high - self.low)
        if self.sigmoid:  # C.11.2.1.3.1, with c and w from low and high
            with np.errstate(over="ignore"):
                grey: ndarray = WHITE / (1 + np.exp(-4 * (share - 0.5)))
            return grey.astype(np.float32, copy=False)
        clipped: ndarray = np.clip(share * np.float32(WHITE), 0, WHITE)
        return clipped.astype(np.float32, copy=False)


def voi_of(header: Header, pixels: PixelFormat) -> Voi | None:
    """The first table, else the first window, that a file asks for; None where it asks for none.

    Raises:
        ReadError: `bad_window`, where what it asks for has no meaning.
    """
    if header.has("VOILUTSequence"):
        table = read_attributes(header, ["VOILUTSequence"])
        if table.VOILUTSequence and table.VOILUTSequence[0].get("LUTDescriptor"):
            return _table(header, pixels, table.VOILUTSequence[0])
    return _window(
        header.numbers("WindowCenter"),
        header.numbers("WindowWidth"),
        header.text("VOILUTFunction"),
    )


def voi_of_frame(header: Header, pixels: PixelFormat, item: pydicom.Dataset) -> Voi | None:
    """As `voi_of`, of an item of a FrameVOILUTSequence."""
    if item.get("VOILUTSequence") and item.VOILUTSequence[0].get("LUTDescriptor"):
        return _table(header, pixels, item.VOILUTSequence[0])
    return _window(
        _numbers(item.get("WindowCenter")),
        _numbers(item.get("WindowWidth")),
        str(item.get("VOILUTFunction") or ""),
    )


def _numbers(value: Any) -> list[float]:
    if value is None or value == "":
        return []
    return [float(part) for part in (value if isinstance(value, MultiValue) else [value])]


def _window(centres: list[float], widths: list[float], function: str) -> Voi | None:
    """Of several windows the first one, which is the one to begin with."""
    if not centres and not widths:
        return None
    if not centres or not widths:
        raise ReadError("bad_window", "of WindowCenter and WindowWidth it has only one")
    function = function.strip().upper() or "LINEAR"
    if function not in FUNCTIONS:
        raise ReadError("bad_window", "VOILUTFunction is none that is known")
    centre, width = centres[0], widths[0]
    if width <= 0 or (function == "LINEAR" and width < 1):
        raise ReadError(
            "bad_window", "WindowWidth is 0 or less" if width <= 0 else "WindowWidth is below 1"
        )
    if function == "LINEAR":  # C.11.2.1.2.1
        centre, width = centre - 0.5, width - 1
    low, high = centre - width / 2, centre + width / 2
    return Voi(low, max(high, float(np.nextafter(np.float32(low), np.inf))), function == "SIGMOID")


def _table(header: Header, pixels: PixelFormat, item: pydicom.Dataset) -> Voi:
    """A table of values after the rescale: what lies beyond it has its first or last level."""
    try:
        count, first, bits = (int(value) for value in item.LUTDescriptor)
        data = item.LUTData
    except BROKEN as error:
        raise ReadError(
            "bad_window", f"its VOI LUT does not parse ({type(error).__name__})"
        ) from None
    count, first = count or 2**16, first % 2**16
    negative = pixels.signed or (header.number("RescaleIntercept") or 0) < 0
    if first >= 2**15 and negative:
        first -= 2**16
    if isinstance(data, bytes):
        packed = count <= len(data) < 2 * count  # two entries of 8 bits a word
        order = "<" if header.scan.little else ">"
        entries = np.frombuffer(data, "u1" if packed else f"{order}u2")
    else:
        entries = np.asarray(data).reshape(-1)
    if not 8 <= bits <= 16 or count < 2 or len(entries) < count:
        raise ReadError("bad_window", "its VOI LUT has fewer entries than it says, or no depth")
    levels = entries[:count].astype(np.float32) * np.float32(WHITE / (2**bits - 1))
    low, high = float(first), float(first + count - 1)
    return Voi(low, high, levels=np.minimum(levels, np.float32(WHITE)))


def _looked_up(
    values: Num[ndarray, "row column"], levels: Float32[ndarray, "value"], first: int
) -> Float32[ndarray, "row column"]:
    unmeasured = np.isnan(values)
    entry = np.rint(np.where(unmeasured, first, values)).astype(np.int64) - first
    grey: ndarray = levels[np.clip(entry, 0, len(levels) - 1)]
    grey[unmeasured] = np.nan
    return grey


def inverted(header: Header, pixels: PixelFormat) -> bool:
    """Whether the lowest value is shown white (MONOCHROME1, PS3.3 C.7.6.3.1.2).

    Raises:
        ReadError: `unknown_photometric`, where PresentationLUTShape says the opposite (C.11.6).
    """
    white = pixels.photometric == "MONOCHROME1"
    shape = header.text("PresentationLUTShape")
    if (white and shape == "IDENTITY") or (
        pixels.photometric == "MONOCHROME2" and shape == "INVERSE"
    ):
        raise ReadError(
            "unknown_photometric",
            f"PresentationLUTShape (2050,0020) {shape} contradicts {pixels.photometric}",
        )
    return white
