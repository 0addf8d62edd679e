"""What a DICOM file or series is, where it is no stack of slices: a segmentation, a localizer, a
mosaic, a contact sheet, a tiled slide, several volumes, several views.

Reference:
    DICOM PS3.3 C.7.6.1.1.2 (Image Type), A.51 (segmentations), A.32.8 (whole slide images).
"""

from collections.abc import Sequence
from pathlib import Path

from pydicom import uid

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.header import Header

SEGMENTATIONS = frozenset(
    ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # .7: label maps
)
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
# data sets with Rows that hold no image
NO_IMAGES = frozenset((uid.MRSpectroscopyStorage, uid.MediaStorageDirectoryStorage))
SHEETS = frozenset(
    ("CONTACT SHEET", "CONTACT_SHEET", "CONTACTSHEET", "MONTAGE", "COLLAGE", "MULTI IMAGE")
)
THROUGH = frozenset(("PROJECTION IMAGE", "MIP", "MINIP", "MNIP", "MAX_IP", "MIN_IP"))
LEFT_OUT = ("segmentation", "localizer")  # beside images: they are not what the folder is about
SIEMENS = "SIEMENS MR HEADER"  # creator of the private block that holds the number of a mosaic
TILED_FROM = 1.5  # times the acquired matrix: so large a plane holds several
GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
# what tells volumes of one series apart, the likeliest first; each can be named by `select`
TELLING = (
    "EchoTime",
    "DiffusionBValue",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "TriggerTime",
    "NominalPercentageOfCardiacPhase",
    "InversionTime",
    "FlipAngle",
    "ImageType",
    "ConvolutionKernel",
    "SeriesDescription",
    "AcquisitionNumber",
    "AcquisitionTime",
    "ContentTime",
    "ViewPosition",
    "ImageLaterality",
    "Laterality",
    "FrameReferenceTime",
)
PROJECTIONS = ("CR", "DX", "MG", "US", "XA", "RF", "IO", "PX")


def is_image(header: Header) -> bool:
    """Whether a file is meant to show something."""
    return header.scan.pixels != 0 or (
        header.has("Rows") and header.text("SOPClassUID") not in NO_IMAGES
    )


def no_slice(header: Header) -> str:
    """The reason code of an image that is no slice and no stack of slices; empty of one that may
    be.
    """
    sop_class, image_type = header.text("SOPClassUID"), header.text("ImageType").split("\\")
    if sop_class in SEGMENTATIONS or header.text("Modality") == "SEG":
        return "segmentation"
    if sop_class == WHOLE_SLIDE:
        return "tiled_slide"
    if "LOCALIZER" in image_type:
        return "localizer"
    if not SHEETS.isdisjoint(image_type):
        return "contact_sheet"
    return "mosaic" if "MOSAIC" in image_type and _is_mosaic(header) else ""


def _is_mosaic(header: Header) -> bool:
    """Whether a plane that is called a mosaic is one: some exports keep the word on plain slices,
    and enhanced files have a frame a slice.
    """
    if any(map(header.has, GROUPS)):
        return False
    number = _tiles(header)
    if number is not None:
        return number > 1
    acquired = max(header.numbers("AcquisitionMatrix"), default=0)
    largest = max(header.integer("Rows"), header.integer("Columns"))
    return not acquired or largest >= TILED_FROM * acquired


def _tiles(header: Header) -> int | None:
    """Number of images in a mosaic, (0019,xx0A) of Siemens; None where the file does not say."""
    for block in range(0x10, 0x100):
        creator = header.scan.value(0x0019_0000 | block)
        if creator.rstrip(b"\0 ") == SIEMENS.encode():
            content = header.scan.value(0x0019_0000 | block << 8 | 0x0A)
            if len(content) == 2:
                return int.from_bytes(content, "little" if header.scan.little else "big")
    return None


def stack_of(
    images: Sequence[tuple[Path, Header]],
) -> tuple[list[tuple[Path, Header]], int]:
    """The slices among the images of a selection, and how many others were left out.

    Raises:
        ReadError: What it is, where it is no stack.
    """
    codes = [no_slice(header) for _, header in images]
    if not any(codes):
        slices = _without_projections(images)
        return slices, len(images) - len(slices)
    slices = [pair for pair, code in zip(images, codes, strict=True) if code not in LEFT_OUT]
    if images and not slices:
        raise ReadError(codes[0], f"all {len(images)} images that match are such")
    for (file, _), code in zip(images, codes, strict=True):
        if code and code not in LEFT_OUT:
            raise ReadError(code, file.name)
    slices = _without_projections(slices)
    return slices, len(images) - len(slices)


def _without_projections(images: Sequence[tuple[Path, Header]]) -> list[tuple[Path, Header]]:
    """Images without those that a program made of a series and stored in it: a projection shows a
    whole volume, and lies where no slice is. A series of nothing else is one.
    """
    made = [not THROUGH.isdisjoint(h.text("ImageType").split("\\")) for _, h in images]
    if not any(made):
        return list(images)
    measured = {
        header.text("SeriesInstanceUID")
        for (_, header), projected in zip(images, made, strict=True)
        if not projected
    }
    return [
        (file, header)
        for (file, header), projected in zip(images, made, strict=True)
        if not (projected and header.text("SeriesInstanceUID") in measured)
    ]


def as_what_it_is(
    refusal: ReadError, headers: Sequence[Header], frames: Sequence[int]
) -> ReadError:
    """The refusal of slices that lie at one position or at none, by what the series is.

    Args:
        frames: Of each file.
    """
    telling = _telling(headers)
    views = headers[0].text("Modality") in PROJECTIONS and not any(
        header.has("ImageOrientationPatient") for header in headers
    )
    names = f"; they differ in {', '.join(telling[:3])}" if telling else ""
    if refusal.code == "missing_geometry" and views:
        told = differing(headers, ("ViewPosition", "ImageLaterality", "InstanceNumber"))
        return ReadError("several_views", f"{len(headers)} images{told}")
    if refusal.code == "duplicate_slice":
        if max(frames) > 1:
            return ReadError("several_volumes", f"{max(frames)} frames of one file{names}")
        if telling:
            return ReadError("several_volumes", f"{refusal.detail}{names}")
    return refusal


def _telling(headers: Sequence[Header]) -> list[str]:
    """Keywords whose values make groups of the files: they differ, but not in every file."""
    counts = {keyword: len({header.text(keyword) for header in headers}) for keyword in TELLING}
    return [keyword for keyword, count in counts.items() if 1 < count < len(headers)]


def differing(headers: Sequence[Header], keywords: Sequence[str]) -> str:
    """Which of some keywords differ between files, for a sentence."""
    names = [
        keyword for keyword in keywords if len({header.text(keyword) for header in headers}) > 1
    ]
    return f"; they differ in {', '.join(names)}" if names else ""
