"""Reads a DICOM series: chosen by header, grouped, sorted by geometry, decoded, and brought to the
modality's own units.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.attributes import values_of_all
from mmdiag.readers.dicom.dates import recorded_day
from mmdiag.readers.dicom.display import begin_display, said_of_display
from mmdiag.readers.dicom.header import Header, fits
from mmdiag.readers.dicom.interleaved import require_one_volume
from mmdiag.readers.dicom.series_kind import (
    as_what_it_is,
    differing,
    is_image,
    no_slice,
    stack_of,
)
from mmdiag.readers.dicom.volume import (
    SliceFile,
    decoded_volume,
    described,
    head_of,
    heads_of,
    is_measured,
    without_copies,
)
from mmdiag.readers.imaging.display import DisplaySlices, display_of_volume
from mmdiag.readers.imaging.geometry import Arrangement, arrange, directions_of, pixel_aspect
from mmdiag.readers.imaging.grey_levels import in_hounsfield, require_one_scale
from mmdiag.readers.imaging.pixel_format import GREY
from mmdiag.readers.imaging.pose import Pose, Turn, turn_of, turn_of_projection
from mmdiag.readers.imaging.resample import spread

# what usually tells series of one folder apart, for a sentence
TELLING_SERIES = ("SeriesDescription", "SeriesNumber", "Modality", "ImageType", "StudyDate")
MOST_TURNED = 2**26  # voxels of a volume whose slices are cut anew before its planes are shrunk


@dataclass(frozen=True, slots=True)
class Series:
    """One series in physical order and in the pose of the store (`pose`).

    Args:
        volume: Values in the modality's units (HU for CT, SUV for PT), (slice, row, column), NaN
            where nothing was measured; grey levels from 0 to 255 where the series was read as its
            header shows it (`shown`); colour as luminance. Not inverted.
        colours: Red, green and blue from 0 to 255, where they were asked for and differ.
        measured: Whether it is known, without looking, that none is NaN.
        inverted: Whether its lowest value is shown white (MONOCHROME1).
        rows, columns: Of the file, before any resampling.
        slices: Of the series, before any were left out.
        spacing_mm: Between rows and between columns of the file; NaN where the header does not say.
        gap_mm: Median distance of neighbouring slices; NaN for one slice.
        missing_slices: Gaps in the series, in slices.
        tilt_degrees: Of the gantry; NaN for one slice.
        localizers: Images of the selection that were left out because they are localizers,
            segmentations, or projections of the series.
        modality: DICOM modality, such as MR.
        hounsfield: Whether the values are CT numbers.
        recorded: ISO date of the last day on which it was recorded (`dicom.dates`); empty where no
            header says.
        shown: Lowest and highest value that the header asks to be shown (VOI), where the volume
            holds grey levels.
        attributes: Keyword -> values as text, of what `read_series` was asked for and a header has,
            of all files.
        pose: How it lies in the patient, before any resampling.
        aspect: Height of a pixel of the volume over its width.
        left_out: Names of the files that were left out because they are no images.
        display: Its slices as they are to be looked at, where they were asked for.
        said: What it says of that (`dicom.display.said_of_display`).
    """

    volume: Float32[ndarray, "slice row column"]
    colours: tuple[Float32[ndarray, "slice row column"], ...]
    measured: bool
    inverted: bool
    rows: int
    columns: int
    slices: int
    spacing_mm: tuple[float, float]
    gap_mm: float
    missing_slices: int
    tilt_degrees: float
    localizers: int
    modality: str
    hounsfield: bool
    patient_id: str
    recorded: str
    shown: tuple[float, float] | None
    attributes: Mapping[str, tuple[str, ...]]
    files: int
    pose: Pose
    aspect: float
    left_out: tuple[str, ...]
    display: DisplaySlices | None = None
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Selection:
    """The files of one series, and what is said of them and of the files beside them."""

    files: Sequence[tuple[Path, Header]]
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    localizers: int = 0
    left_out: tuple[str, ...] = ()


def read_series(
    files: Sequence[Path],
    select: Mapping[str, str],
    *,
    size: int | None = None,
    slices: int | None = None,
    attributes: Sequence[str] = (),
    voi: bool = False,
    colour: bool = False,
    display: bool = False,
    first: Callable[[Mapping[str, tuple[str, ...]]], None] | None = None,
) -> Series | None:
    """Read the one series of a folder that `select` means.

    Args:
        files: All files of the folder.
        select: DICOM keyword -> text or glob, case-insensitive; empty = every image.
        size: Longest side in pixels that slices are brought to as they are decoded, their
            proportions in the patient kept; None = as they are.
        slices: At most so many are kept, evenly spaced; the others are read and checked all the
            same. A volume whose slices are cut anew keeps all.
        attributes: DICOM keywords whose values are wanted as they are (`Series.attributes`).
        voi: Whether grey levels are wanted as the header shows them, where it says so.
        colour: Whether channels are wanted beside luminance, where they differ.
        display: Whether its slices are wanted as they are to be looked at, too.
        first: Is called with the attributes of the series before anything of it is decoded, and may
            refuse it.

    Returns:
        The series, or None where no image matches: it was not acquired.

    Raises:
        ReadError: A file is not DICOM, is cut short or does not decode; the series is mixed or
            ambiguous, or is no stack of slices.
    """
    headers, left_out = heads_of(files)
    matching = [
        (file, header) for file, header in headers if is_image(header) and _matches(header, select)
    ]
    if not matching:
        return None
    chosen, others = stack_of(matching)
    series = {header.text("SeriesInstanceUID") for _, header in chosen}
    if len(series) > 1:
        told = differing([header for _, header in chosen], TELLING_SERIES)
        raise ReadError("several_series", f"{len(series)} series match{told}")
    patients = {header.text("PatientID") for _, header in chosen}
    if len(patients) > 1:
        raise ReadError(
            "patient_mismatch", f"{len(patients)} patients in one series of {len(chosen)} files"
        )
    said = values_of_all([header for _, header in chosen], attributes)
    if first is not None:
        first(said)
    selection = _Selection(chosen, said, others, left_out)
    return _read(selection, size, slices, voi=voi, colour=colour, display=display)


def check_file(file: Path) -> None:
    """Read one file to the end, as a series of its own. Whether it is what a cohort asks for is
    another question: a segmentation that decodes is a sound file.

    Raises:
        ReadError: As `read_series`.
    """
    header = head_of(file)
    if not is_image(header):
        raise ReadError("no_pixel_data", file.name)
    try:
        _read(_Selection([(file, header)]), 8, None)
    except ReadError as refusal:
        what = no_slice(header) if refusal.code == "several_volumes" else ""
        raise ReadError(what, file.name) if what else refusal from None


def series_descriptions(files: Sequence[Path]) -> set[str]:
    """SeriesDescription (0008,103E) of the images among some files.

    Raises:
        ReadError: A file is not DICOM.
    """
    headers, _ = heads_of(files)
    return {header.text("SeriesDescription") for _, header in headers if is_image(header)}


def _matches(header: Header, select: Mapping[str, str]) -> bool:
    return all(fits(header.text(keyword), pattern) for keyword, pattern in select.items())


def _read(
    selection: _Selection,
    size: int | None,
    slices: int | None,
    *,
    voi: bool = False,
    colour: bool = False,
    display: bool = False,
) -> Series:
    sizes = {(header.integer("Rows"), header.integer("Columns")) for _, header in selection.files}
    if len(sizes) > 1:
        raise ReadError("mixed_geometry", "slices differ in rows or columns")
    read = [described(path, header, voi) for path, header in selection.files]
    white = _one_display(read)
    read, arrangement = _arranged(read)
    require_one_volume(read, arrangement)
    require_one_scale([plane.rescale for file in read for plane in file.planes])
    turn = _turn(read[0], arrangement)
    order, within, shown = arrangement.order, size, None
    if turn.in_plane:
        if turn.backward[0]:
            order = order[::-1]
            turn = replace(turn, backward=(False, *turn.backward[1:]))
        if display:
            shown = begin_display(read, order, turn, inverted=white, colour=colour)
        order = order[spread(len(order), slices or len(order))]
    elif size is not None:
        pixels = len(order) * read[0].pixels.rows * read[0].pixels.columns
        within = None if pixels <= MOST_TURNED else 2 * size
    aspect = pixel_aspect(read[0].header, read[0].planes[0])
    said = said_of_display(read, order, turn) if display else {}
    slots = {int(number): slot for slot, number in enumerate(order)}
    decoded = decoded_volume(read, slots, within, aspect, colour=colour, display=shown)
    if turn.in_plane:
        aspect = 1.0 if within is not None else aspect if turn.axes[1] == 1 else 1 / aspect
    else:
        aspect = _aspect_of_turned(read[0], arrangement, turn, decoded.values)
    values, *colours = (
        np.ascontiguousarray(turn(volume)) for volume in (decoded.values, *decoded.colours)
    )
    if display and shown is None:
        shown = display_of_volume(values, tuple(colours), inverted=white)
        if voi and _shown(read):
            said["windows"] = [[0.0, 255.0]]  # the volume holds grey levels
    found = _series(selection, read, arrangement, turn, values, white, aspect)
    return replace(found, colours=tuple(colours), display=shown, said=said)


def _aspect_of_turned(
    first: SliceFile,
    arrangement: Arrangement,
    turn: Turn,
    volume: Float32[ndarray, "slice row column"],
) -> float:
    """Height of a pixel over its width, of slices that are cut across those of the file."""
    (height, width), (_, rows, columns) = first.planes[0].spacing, volume.shape
    _, down, across = turn.along(
        (
            arrangement.gap_mm,
            height * first.pixels.rows / rows,
            width * first.pixels.columns / columns,
        )
    )
    return float(down / across)


def _series(
    selection: _Selection,
    read: Sequence[SliceFile],
    arrangement: Arrangement,
    turn: Turn,
    volume: Float32[ndarray, "slice row column"],
    white: bool,
    aspect: float,
) -> Series:
    header, rows, columns = read[0].header, read[0].pixels.rows, read[0].pixels.columns
    height, width = read[0].planes[0].spacing or (float("nan"), float("nan"))
    recorded, count = recorded_day([file.header for file in read]), len(arrangement.order)
    return Series(
        volume=volume,
        colours=(),
        measured=all(map(is_measured, read)),
        inverted=white,
        rows=rows,
        columns=columns,
        slices=count,
        spacing_mm=(height, width),
        gap_mm=arrangement.gap_mm,
        missing_slices=arrangement.missing,
        tilt_degrees=arrangement.tilt_degrees,
        localizers=selection.localizers,
        modality=header.text("Modality"),
        hounsfield=in_hounsfield(header, [plane.rescale for f in read for plane in f.planes]),
        patient_id=header.text("PatientID"),
        recorded=recorded.isoformat() if recorded else "",
        shown=_shown(read),
        attributes=selection.attributes,
        files=len(read),
        pose=Pose(
            turn.orientation,
            _side(header),
            turn.along((count, rows, columns)),
            turn.along((arrangement.gap_mm, height, width)),
        ),
        aspect=aspect,
        left_out=selection.left_out,
    )


def _one_display(read: Sequence[SliceFile]) -> bool:
    """Whether a series is inverted: its files agree in that, in having colours, and in saying how
    they are shown.
    """
    if len({(file.inverted, file.pixels.photometric in GREY) for file in read}) > 1:
        raise ReadError("unknown_photometric", "slices differ in PhotometricInterpretation")
    return read[0].inverted


def _shown(read: Sequence[SliceFile]) -> tuple[float, float] | None:
    """The lowest and highest value that is shown, where the header of every slice says it.

    Raises:
        ReadError: `bad_window`, where it is said of some slices only.
    """
    shown = [plane.voi for file in read for plane in file.planes]
    stated = [voi for voi in shown if voi is not None]
    if stated and len(stated) < len(shown):
        raise ReadError("bad_window", f"{len(stated)} of {len(shown)} slices have one")
    if not stated:
        return None
    return min(voi.low for voi in stated), max(voi.high for voi in stated)


def _arranged(read: list[SliceFile]) -> tuple[list[SliceFile], Arrangement]:
    """The order of the slices; copies of one are left out, what is no stack is refused by what it
    is.
    """
    try:
        return read, arrange([plane for file in read for plane in file.planes], len(read))
    except ReadError as refusal:
        if refusal.code not in ("duplicate_slice", "missing_geometry"):
            raise
        kept = without_copies(read)
        if len(kept) < len(read):
            return _arranged(kept)
        headers, counts = [f.header for f in read], [f.pixels.frames for f in read]
        raise as_what_it_is(refusal, headers, counts) from None


def _turn(first: SliceFile, arrangement: Arrangement) -> Turn:
    plane = first.planes[0]
    if not plane.orientation:
        towards = first.header.text("PatientOrientation").split("\\")
        projection = first.pixels.frames == 1 and len(towards) == 2 and _is_upright(first.header)
        return turn_of_projection(*towards) if projection else Turn()
    gap = arrangement.gap_mm
    whole = len(plane.spacing) == 2 and math.isfinite(gap) and not arrangement.missing
    return _turn_of_slices(
        plane.orientation, (gap, *plane.spacing) if whole else (1.0, 1.0, 1.0), not whole
    )


@lru_cache(maxsize=256)
def _turn_of_slices(
    orientation: tuple[float, ...], lengths_mm: tuple[float, ...], fixed: bool
) -> Turn:
    """The turn of slices that were acquired so; most series of a cohort lie alike."""
    return turn_of(directions_of(orientation), lengths_mm, acquired=0, fixed=fixed)


def _is_upright(header: Header) -> bool:
    """Whether a projection is looked at head up: all but mammograms, whose sides mirror each
    other.
    """
    return header.text("Modality") != "MG"


def _side(header: Header) -> str:
    """Image laterality (0020,0062), else that of the examined part (0020,0060)."""
    return (header.text("ImageLaterality") or header.text("Laterality"))[:1]
