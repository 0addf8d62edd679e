"""Where the planes of a series lie in the patient: their order along the normal, and their gaps,
tilt and spacing.

Reference:
    DICOM PS3.3 C.7.6.2, Image Plane Module; C.7.6.16, Multi-frame Functional Groups Module;
    C.8.4.8, NM Multi-frame Module.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pydicom
from jaxtyping import Float, Integer
from numpy import ndarray
from pydicom.multival import MultiValue

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.header import Header
from mmdiag.readers.dicom.pixels import BROKEN, read_attributes
from mmdiag.readers.imaging.grey_levels import Rescale, Voi, rescale_of, voi_of, voi_of_frame
from mmdiag.readers.imaging.pixel_format import PixelFormat

GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
# what tells volumes apart in functional groups: the sequence, then the attribute in its item
TOLD = (
    ("CTImageFrameTypeSequence", "FrameType"),
    ("MRImageFrameTypeSequence", "FrameType"),
    ("PETFrameTypeSequence", "FrameType"),
    ("XRay3DFrameTypeSequence", "FrameType"),
    ("FrameContentSequence", "StackID"),
    ("FrameContentSequence", "TemporalPositionIndex"),
    ("FrameContentSequence", "FrameAcquisitionNumber"),
    ("MREchoSequence", "EffectiveEchoTime"),
    ("MRDiffusionSequence", "DiffusionBValue"),
    ("MRTimingAndRelatedParametersSequence", "FlipAngle"),
    ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    ("CTReconstructionSequence", "ConvolutionKernel"),
    ("CTXRayDetailsSequence", "KVP"),
)
SLICES = "SliceVector"  # (0054,0080): the number of each frame's slice
# what frames of nuclear medicine differ in besides: energy, head of the camera, time, angle
VECTORS = (
    "EnergyWindowVector",
    "DetectorVector",
    "PhaseVector",
    "RotationVector",
    "RRIntervalVector",
    "TimeSlotVector",
    "AngularViewVector",
    "TimeSliceVector",
)
SAME_MM = 0.01  # positions nearer than this are one position
SAME_DIRECTION = 1e-3  # cosines that differ less are one direction
SAME_SPACING = 0.01  # share of the spacing
MISSING_FROM = 1.5  # median gaps; a gap this wide lacks a slice


@dataclass(frozen=True, slots=True)
class Plane:
    """Where one frame lies, and how its stored values become values.

    Args:
        position: Of the centre of its first pixel, in mm; empty where the file does not say.
        orientation: Direction cosines of its rows and of its columns; empty where the file does not
            say.
        spacing: Between rows and between columns in mm; empty where the file does not say.
        voi: How its values are shown, where that was asked for and the file says it.
        told: Keyword -> value, of what a functional group says that tells volumes apart.
    """

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    rescale: Rescale
    voi: Voi | None = None
    told: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The order of some planes, and what was seen.

    Args:
        order: Numbers of the planes along the normal.
        gap_mm: Median distance of neighbours; NaN for one plane.
        missing: Slices that seem to be missing: gaps of more than one and a half times the median.
        tilt_degrees: Between the normal and the line through the positions (a tilted gantry); NaN
            where it does not apply.
    """

    order: Integer[ndarray, "plane"]
    gap_mm: float
    missing: int
    tilt_degrees: float


def planes_of(header: Header, pixels: PixelFormat, *, voi: bool = False) -> list[Plane]:
    """The planes of one file, one a frame.

    Args:
        voi: Whether to read how its values are shown.

    Raises:
        ReadError: `unreadable`, `missing_rescale`, `several_volumes` or `bad_window`.
    """
    frames = pixels.frames
    if any(map(header.has, GROUPS)):
        return _from_functional_groups(header, pixels, voi)
    shown = voi_of(header, pixels) if voi else None
    if frames > 1 and header.has("GridFrameOffsetVector"):
        return [replace(plane, voi=shown) for plane in _from_grid(header, frames)]
    plane = Plane(
        _of(header, "ImagePositionPatient", 3),
        _of(header, "ImageOrientationPatient", 6),
        _spacing(header),
        rescale_of(header),
        shown,
    )
    if frames == 1:
        return [plane]
    numbers = _slice_numbers(header, frames)
    if not numbers:
        return [plane] * frames
    return [replace(plane, told={SLICES: f"{number:g}"}) for number in numbers]


def _slice_numbers(header: Header, frames: int) -> list[float]:
    """Of each frame the number of its slice; empty where the file has none."""
    for keyword in VECTORS:
        count = len(set(header.numbers(keyword)))
        if count > 1:
            raise ReadError("several_volumes", f"frames of {count} values of {keyword}")
    numbers = header.numbers(SLICES)
    if numbers and len(numbers) != frames:
        raise ReadError("unreadable", f"{SLICES} has {len(numbers)} values for {frames} frames")
    if len(set(numbers)) < len(numbers):
        raise ReadError("several_volumes", f"frames of one value of {SLICES}")
    return numbers


def _of(header: Header, keyword: str, count: int) -> tuple[float, ...]:
    found = tuple(header.numbers(keyword))
    return found if len(found) == count else ()


def _spacing(header: Header) -> tuple[float, ...]:
    """PixelSpacing (0028,0030), else ImagerPixelSpacing (0018,1164) of projection images, else that
    of a scanned film (0018,2010); a spacing that is not positive is none.
    """
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        found = _of(header, keyword, 2)
        if found and min(found) > 0:
            return found
    return ()


def pixel_aspect(header: Header, plane: Plane) -> float:
    """Height of a pixel over its width: by its spacing, else by PixelAspectRatio (0028,0034)."""
    if plane.spacing:
        return plane.spacing[0] / plane.spacing[1]
    ratio = _of(header, "PixelAspectRatio", 2)
    return ratio[0] / ratio[1] if ratio and min(ratio) > 0 else 1.0


def directions_of(orientation: Sequence[float]) -> Float[ndarray, "axis xyz"]:
    """Where slices, rows and columns go: along the normal, down a column, along a row.

    Args:
        orientation: As `Plane.orientation`.
    """
    along_row, down_column = np.asarray(orientation, dtype=np.float64).reshape(2, 3)
    return np.stack([np.cross(along_row, down_column), down_column, along_row])


def _from_grid(header: Header, frames: int) -> list[Plane]:
    """Dose grids: frames lie at offsets along the normal (PS3.3 C.8.8.3.2)."""
    start, orientation = (
        _of(header, "ImagePositionPatient", 3),
        _of(header, "ImageOrientationPatient", 6),
    )
    offsets = header.numbers("GridFrameOffsetVector")
    rescale, spacing = rescale_of(header), _spacing(header)
    if not start or not orientation or len(offsets) != frames:
        return [Plane((), (), spacing, rescale)] * frames
    normal = np.cross(orientation[:3], orientation[3:])
    return [
        Plane(
            tuple(np.add(start, (offset - offsets[0]) * normal).tolist()),
            orientation,
            spacing,
            rescale,
        )
        for offset in offsets
    ]


def _from_functional_groups(header: Header, pixels: PixelFormat, voi: bool) -> list[Plane]:
    """Enhanced multi-frame: what is the same for all frames is in the shared groups, the rest in
    those of each frame.
    """
    groups, frames = read_attributes(header, list(GROUPS)), pixels.frames
    try:
        shared = groups.get("SharedFunctionalGroupsSequence") or []
        common = shared[0] if len(shared) else pydicom.Dataset()
        stated = groups.get("PerFrameFunctionalGroupsSequence")
        per_frame = list(stated) if stated else [pydicom.Dataset()] * frames
        if len(per_frame) < frames:
            raise ReadError(
                "unreadable", f"functional groups of {len(per_frame)} frames for {frames}"
            )
        return [
            _plane_of_frame(header, pixels, (group, common), voi) for group in per_frame[:frames]
        ]
    except BROKEN as error:
        raise ReadError(
            "unreadable", f"its functional groups do not parse ({type(error).__name__})"
        ) from None


def _plane_of_frame(
    header: Header, pixels: PixelFormat, groups: tuple[pydicom.Dataset, ...], voi: bool
) -> Plane:
    """One frame.

    Args:
        groups: Its own, and the shared ones.
    """

    def item(sequence: str) -> pydicom.Dataset | None:
        return next((group[sequence].value[0] for group in groups if group.get(sequence)), None)

    def numbers(sequence: str, keyword: str) -> tuple[float, ...]:
        found = item(sequence)
        return tuple(map(float, found.get(keyword) or ())) if found else ()

    rescale, transformed = Rescale(), item("PixelValueTransformationSequence")
    if transformed is not None:
        slope, intercept = transformed.RescaleSlope, transformed.RescaleIntercept
        unit = str(transformed.get("RescaleType") or header.text("RescaleType")).strip()
        rescale = Rescale(float(slope), float(intercept), stated=True, unit=unit)
    elif header.text("Modality") in ("CT", "PT") or header.has("RescaleSlope"):
        rescale = rescale_of(header)
    shown = None
    if voi:
        window = item("FrameVOILUTSequence")
        shown = voi_of_frame(header, pixels, window) if window else voi_of(header, pixels)
    position = numbers("PlanePositionSequence", "ImagePositionPatient")
    orientation = numbers("PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = numbers("PixelMeasuresSequence", "PixelSpacing")
    return Plane(
        position=position if len(position) == 3 else (),
        orientation=orientation if len(orientation) == 6 else (),
        spacing=spacing if len(spacing) == 2 and min(spacing) > 0 else (),
        rescale=rescale,
        voi=shown,
        told=_told(item),
    )


def _told(item: Callable[[str], pydicom.Dataset | None]) -> dict[str, str]:
    """What functional groups say that tells volumes apart.

    Args:
        item: Gives the item of a sequence.
    """
    found = {}
    for sequence, keyword in TOLD:
        group = item(sequence)
        value = None if group is None else group.get(keyword)
        if value is not None:
            several = isinstance(value, MultiValue)
            found[keyword] = "\\".join(map(str, value)) if several else str(value)
    return found


def arrange(planes: Sequence[Plane], files: int) -> Arrangement:
    """Order planes along the normal of their orientation.

    Args:
        files: How many files they come from: the frames of one file keep their order where it says
            no positions (a cine loop) and numbers no slices (reconstructed nuclear medicine).

    Raises:
        ReadError: `missing_geometry`, `mixed_geometry` or `duplicate_slice`.
    """
    nothing = float("nan")
    if len(planes) == 1:
        return Arrangement(np.zeros(1, dtype=int), nothing, 0, nothing)
    unplaced = sum(not plane.position or not plane.orientation for plane in planes)
    if unplaced:
        if unplaced == len(planes) and files == 1:
            numbers = [float(plane.told.get(SLICES, 0)) for plane in planes]
            return Arrangement(np.argsort(numbers, kind="stable"), nothing, 0, nothing)
        raise ReadError(
            "missing_geometry",
            f"{unplaced} of {len(planes)} slices have no position or orientation",
        )
    orientation = np.asarray([plane.orientation for plane in planes])
    if np.abs(orientation - orientation[0]).max() > SAME_DIRECTION:
        raise ReadError("mixed_geometry", "slices differ in orientation")
    _require_one_spacing(planes)
    distances = distances_of(planes)
    order = np.argsort(distances, kind="stable")
    gaps = np.diff(distances[order])
    if gaps.min() < SAME_MM:
        raise ReadError(
            "duplicate_slice",
            f"{int((gaps < SAME_MM).sum())} of {len(planes)} slices lie where another does",
        )
    median = float(np.median(gaps))
    missing = int(np.rint(gaps[gaps > MISSING_FROM * median] / median - 1).sum())
    first, last = (np.asarray(planes[order[end]].position) for end in (0, -1))
    return Arrangement(order, median, missing, _tilt(last - first, _normal(planes[0])))


def distances_of(planes: Sequence[Plane]) -> Float[ndarray, "plane"]:
    """Where planes of one orientation lie along their normal, in mm."""
    distances: ndarray = np.asarray([plane.position for plane in planes]) @ _normal(planes[0])
    return distances


def _normal(plane: Plane) -> Float[ndarray, "3"]:
    return np.cross(np.asarray(plane.orientation[:3]), np.asarray(plane.orientation[3:]))


def _require_one_spacing(planes: Sequence[Plane]) -> None:
    spacings = {plane.spacing for plane in planes}
    if len(spacings) > 1:
        stated = np.asarray([spacing for spacing in spacings if spacing])
        if (
            len(stated) < len(spacings)
            or (np.ptp(stated, axis=0) > SAME_SPACING * stated.min(axis=0)).any()
        ):
            raise ReadError("mixed_geometry", "slices differ in spacing")


def _tilt(line: Float[ndarray, "3"], normal: Float[ndarray, "3"]) -> float:
    """Degrees between the direction in which slices follow each other and their normal."""
    share = abs(float(line @ normal)) / max(
        float(np.linalg.norm(line) * np.linalg.norm(normal)), 1e-9
    )
    return float(np.degrees(np.arccos(min(share, 1.0))))
