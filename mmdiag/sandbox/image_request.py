"""The request of an image: a DICOM series, a volume, a PNG or a JPEG as the store keeps it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from mmdiag.errors import ReadError
from mmdiag.privacy.dicom_attributes import (
    PATIENT_ATTRIBUTES,
    TEXT_IN_PIXELS_ATTRIBUTES,
    header_identifiers,
    text_in_pixels,
)
from mmdiag.privacy.mask import words_of_radiology
from mmdiag.privacy.subject_identifiers import name_parts
from mmdiag.readers.clutter import left_by_a_viewer
from mmdiag.readers.detached import without_data_files
from mmdiag.readers.dicom.series import Series, read_series
from mmdiag.readers.embedded_dates import picture_day, volume_day
from mmdiag.readers.imaging.colour import AUTO, GREY, shows_colour, to_stored_colours
from mmdiag.readers.imaging.display import DisplaySlices, chosen_slices, display_of_volume
from mmdiag.readers.imaging.image_hash import exact_hash, perceptual_hash
from mmdiag.readers.imaging.pose import Pose
from mmdiag.readers.imaging.raster_nifti import PICTURES, read_picture
from mmdiag.readers.imaging.resample import CT_WINDOW_HU, Stored, spread, to_stored
from mmdiag.readers.imaging.research import VOLUMES, read_volume
from mmdiag.regular_files import open_regular

GREY_LEVELS = (0.0, 255.0)
BESIDE_VOLUMES = (".bval", ".bvec")  # of diffusion; its JSON is what viewers leave, too
PREFIX = slice(128, 132)  # of a DICOM file: DICM
ATTRIBUTES_OF_AN_IMAGE = (*PATIENT_ATTRIBUTES, *TEXT_IN_PIXELS_ATTRIBUTES)
Reply = tuple[dict[str, Any] | None, dict[str, np.ndarray]]


def image(
    files: Sequence[str],
    select: Mapping[str, str],
    size: int,
    slices: int,
    window: str | Sequence[float],
    burned_in: str,
    colour: str = AUTO,
) -> Reply:
    """Read one image as the store keeps it.

    Args:
        files: A DICOM folder's files; or one PNG, JPEG or volume, its data file with it or not.
        window: `auto`, `voi` (what the header asks to be shown), or the two values that become
            black and white.
        burned_in: `refuse` images that may show text in their pixels, or `accept` them.
        colour: `grey` where channels that differ are not to be kept beside luminance.

    Returns:
        Facts for the data contract and about the person, the array `stack`, and `colours` where
        channels differ; and what is looked at: its facts, and `display`, its encoded slices. None
        where no image matches.

    Raises:
        ReadError: As the readers.
    """
    paths, left_out = alone([Path(file) for file in files])
    suffix = "".join(paths[0].suffixes[-2:]).lower() if len(paths) == 1 else ""
    if suffix.endswith((*PICTURES, *VOLUMES)):
        shown = _picture(paths[0], suffix, size, slices, window, colour)
        shown.of_patient["left_out"] = left_out
    else:
        found = _series(paths, select, size, slices, window, burned_in, colour)
        if found is None:
            return None, {}
        shown = found
    stored = shown.stored
    facts = shown.facts | {
        "low": stored.low,
        "high": stored.high,
        "share_black": np.count_nonzero(stored.stack < 5) / stored.stack.size,
        "pixel_sha256": exact_hash(stored.stack, float(stored.low), float(stored.high)),
        "perceptual": perceptual_hash(stored.stack),
    }
    pose = shown.pose.stored(size, len(stored.stack))
    reply = {"facts": json_facts(facts), "pose": json_facts(pose), **shown.of_patient}
    reply["display"] = json_facts(display_facts(shown.display, shown.pose, stored) | shown.said)
    arrays = {"stack": stored.stack, "display": np.frombuffer(shown.display.content, np.uint8)}
    if shown.colours is None:
        return reply, arrays
    reply["in_colour"] = shows_colour(shown.colours)
    return reply, {**arrays, "colours": shown.colours}


def alone(files: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The files that an image is read of: of a picture or a volume that lies beside what describes
    it (BIDS) that one, and the names of the others.

    Raises:
        ReadError: `several_files`, where there are several.
    """
    found = without_data_files(files) if len(files) > 1 else list(files)
    pictured = [file for file in found if file.name.lower().endswith((*PICTURES, *VOLUMES))]
    others = [file for file in found if file not in pictured]
    if not pictured or len(found) == 1 or any(map(_may_be_slice, others)):
        return found, []
    if len(pictured) > 1:
        raise ReadError("several_files", f"{len(pictured)} pictures or volumes")
    return pictured, [file.name for file in others]


def _may_be_slice(file: Path) -> bool:
    if not left_by_a_viewer(file) and file.suffix.lower() not in BESIDE_VOLUMES:
        return True
    with open_regular(file) as opened:
        return opened.read(PREFIX.stop)[PREFIX] == b"DICM"


@dataclass(frozen=True, slots=True)
class _Image:
    """One image as the store keeps it, with the facts of its contract and what is known of the
    patient.

    Args:
        display: Its slices as they are to be looked at.
        said: What it says of that.
        colours: Its channels, at the same slices and size; None where they are alike or not wanted.
    """

    stored: Stored
    facts: dict[str, Any]
    pose: Pose
    of_patient: dict[str, Any]
    display: DisplaySlices
    said: dict[str, Any]
    colours: UInt8[np.ndarray, "slice size size 3"] | None = None


def _picture(
    file: Path, suffix: str, size: int, slices: int, window: str | Sequence[float], colour: str
) -> _Image:
    """A PNG, JPEG or volume."""
    found = read_picture(file) if suffix.endswith(PICTURES) else read_volume(file)
    chosen = found.shown if window == "voi" else None
    if not isinstance(window, str):
        chosen = (float(window[0]), float(window[1]))
    stored = to_stored(found.volume, size, slices, window=chosen, aspect=found.aspect)
    colours = None
    if found.colours and colour != GREY:
        full = chosen or (0.0, found.white)
        colours = to_stored_colours(found.colours, size, slices, window=full, aspect=found.aspect)
    facts: dict[str, Any] = {
        "n_slices": found.pose.shape[0],
        "height": found.pose.shape[1],
        "width": found.pose.shape[2],
        "spacing_row_mm": found.pose.lengths_mm[1],
        "spacing_column_mm": found.pose.lengths_mm[2],
        "slice_gap_mm": found.pose.lengths_mm[0] if found.pose.shape[0] > 1 else math.nan,
        "tilt_degrees": math.nan,
        "missing_slices": 0,
        "localizers": 0,
    }
    taken = picture_day(file) if suffix.endswith(PICTURES) else volume_day(file)
    recorded = taken.isoformat() if taken else ""
    nobody = {"patient_id": "", "identifiers": [], "recorded": recorded, "left_out": []}
    looked_at = found.colours if colour != GREY else ()
    levels = suffix.endswith(PICTURES) or None  # grey levels are whole numbers
    display = display_of_volume(found.volume, looked_at, whole=levels)
    windows = [(0.0, found.white)] if looked_at else [found.shown] if found.shown else []
    said = {"series": "", "windows": windows, "ends_mm": [], "modality": "", "hounsfield": False}
    return _Image(stored, facts, found.pose, nobody, display, said, colours)


def _series(
    paths: Sequence[Path],
    select: Mapping[str, str],
    size: int,
    slices: int,
    window: str | Sequence[float],
    burned_in: str,
    colour: str,
) -> _Image | None:
    """A DICOM series; None where no image matches."""
    refused = partial(_require_no_text, burned_in=burned_in)
    series = read_series(
        paths,
        select,
        size=size,
        slices=slices,
        attributes=ATTRIBUTES_OF_AN_IMAGE,
        voi=window == "voi",
        colour=colour != GREY,
        display=True,
        first=refused,
    )
    if series is None:
        return None
    chosen = None
    if not isinstance(window, str):
        chosen = (float(window[0]), float(window[1]))
    elif series.shown is not None:
        chosen = GREY_LEVELS
    elif series.hounsfield:
        chosen = CT_WINDOW_HU
    stored = to_stored(
        series.volume,
        size,
        slices,
        window=chosen,
        measured=series.measured,
        inverted=series.inverted,
        aspect=series.aspect,
    )
    if series.shown is not None:
        stored = replace(stored, low=series.shown[0], high=series.shown[1])
    facts, of_patient = _facts(series)
    colours = None
    if series.colours:
        full = GREY_LEVELS if isinstance(window, str) else (float(window[0]), float(window[1]))
        colours = to_stored_colours(series.colours, size, slices, window=full, aspect=series.aspect)
    assert series.display is not None
    return _Image(
        stored, facts, series.pose, of_patient, series.display, _said(series, of_patient), colours
    )


def _said(series: Series, of_patient: Mapping[str, Any]) -> dict[str, Any]:
    """What a series says of how it is looked at; of its name the words of radiology."""
    name = str(series.said["series"])
    kept, _ = words_of_radiology(name, name_parts(of_patient["identifiers"]))
    windows = [list(GREY_LEVELS)] if series.colours else series.said["windows"]
    return {
        **series.said,
        "series": kept,
        "windows": windows,
        "modality": series.modality,
        "hounsfield": series.hounsfield and windows != [list(GREY_LEVELS)],
    }


def display_facts(display: DisplaySlices, pose: Pose, stored: Stored) -> dict[str, Any]:
    """What is kept of a display stack: where its slices lie, how they lie in the patient, and where
    the array that networks read lies in them.
    """
    count, rows, columns = pose.shape
    chosen = np.asarray(chosen_slices(count, rows * columns))
    read = spread(count, len(stored.stack))
    lengths = [
        length * whole / shown if math.isfinite(length) else None
        for length, whole, shown in zip(
            pose.lengths_mm[1:], pose.shape[1:], display.shape, strict=True
        )
    ]
    apart = pose.lengths_mm[0] * (count - 1) / max(len(chosen) - 1, 1)
    return {
        **display.facts(),
        "orientation": pose.orientation,
        "side": pose.side,
        "slice_mm": apart if count > 1 and math.isfinite(apart) else None,
        "row_mm": lengths[0],
        "column_mm": lengths[1],
        "range": [stored.low, stored.high],
        "array_slices": [int(np.abs(chosen - number).argmin()) for number in read],
        "array_inside": list(stored.inside),
    }


def _require_no_text(attributes: Mapping[str, Sequence[str]], *, burned_in: str) -> None:
    """Before anything else is said of an image: a picture of a screen is refused as that, not for
    the slope that it lacks.
    """
    if burned_in == "refuse" and (by := text_in_pixels(attributes, trust_no=True)):
        raise ReadError("burned_in", f"its pixels may show text: by {', '.join(by)}")


def _facts(series: Series) -> tuple[dict[str, Any], dict[str, Any]]:
    facts = {
        "n_slices": series.slices,
        "height": series.rows,
        "width": series.columns,
        "spacing_row_mm": series.spacing_mm[0],
        "spacing_column_mm": series.spacing_mm[1],
        "slice_gap_mm": series.gap_mm,
        "missing_slices": series.missing_slices,
        "tilt_degrees": series.tilt_degrees,
        "localizers": series.localizers,
    }
    return facts, {
        "patient_id": series.patient_id,
        "identifiers": list(header_identifiers(series.attributes)),
        "recorded": series.recorded,
        "left_out": list(series.left_out),
    }


def json_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """NaN is no JSON: what is missing is null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in facts.items()
    }
