"""The request of an image: a DICOM series, a NIfTI, a PNG or a JPEG as the store keeps it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmdiag.errors import ReadError
from mmdiag.privacy.dicom_attributes import (
    PATIENT_ATTRIBUTES,
    TEXT_IN_PIXELS_ATTRIBUTES,
    header_identifiers,
    text_in_pixels,
)
from mmdiag.readers.dicom.series import Series, read_series
from mmdiag.readers.embedded_dates import nifti_day, picture_day
from mmdiag.readers.imaging.image_hash import exact_hash, perceptual_hash
from mmdiag.readers.imaging.pose import Pose
from mmdiag.readers.imaging.raster_nifti import read_nifti, read_picture
from mmdiag.readers.imaging.resample import CT_WINDOW_HU, Stored, to_stored

PICTURES = (".png", ".jpg", ".jpeg")
NIFTI = (".nii", ".nii.gz")
GREY_LEVELS = (0.0, 255.0)
ATTRIBUTES_OF_AN_IMAGE = (*PATIENT_ATTRIBUTES, *TEXT_IN_PIXELS_ATTRIBUTES)
Reply = tuple[dict[str, Any] | None, dict[str, np.ndarray]]


def image(
    files: Sequence[str],
    select: Mapping[str, str],
    size: int,
    slices: int,
    window: str | Sequence[float],
    burned_in: str,
) -> Reply:
    """Read one image as the store keeps it.

    Args:
        files: A DICOM folder's files, or one PNG, JPEG or NIfTI.
        window: `auto`, `voi` (what the header asks to be shown), or the two values that become
            black and white.
        burned_in: `refuse` images that may show text in their pixels, or `accept` them.

    Returns:
        Facts for the data contract and about the person, and the array `stack`; None where no image
        matches.

    Raises:
        ReadError: As the readers.
    """
    paths = [Path(file) for file in files]
    suffix = "".join(paths[0].suffixes[-2:]).lower() if len(paths) == 1 else ""
    if suffix.endswith((*PICTURES, *NIFTI)):
        shown = _picture(paths[0], suffix, size, slices, window)
    else:
        found = _series(paths, select, size, slices, window, burned_in)
        if found is None:
            return None, {}
        shown = found
    stored = shown.stored
    facts = shown.facts | {
        "low": stored.low,
        "high": stored.high,
        "share_black": np.count_nonzero(stored.stack < 5) / stored.stack.size,
        "pixel_sha256": exact_hash(stored.stack),
        "perceptual": perceptual_hash(stored.stack),
    }
    pose = shown.pose.stored(size, len(stored.stack))
    return {"facts": json_facts(facts), "pose": json_facts(pose), **shown.of_patient}, {
        "stack": stored.stack
    }


@dataclass(frozen=True, slots=True)
class _Image:
    """One image as the store keeps it, with the facts of its contract and what is known of the
    patient.
    """

    stored: Stored
    facts: dict[str, Any]
    pose: Pose
    of_patient: dict[str, Any]


def _picture(
    file: Path, suffix: str, size: int, slices: int, window: str | Sequence[float]
) -> _Image:
    """A PNG, JPEG or NIfTI."""
    found = read_picture(file) if suffix.endswith(PICTURES) else read_nifti(file)
    chosen = found.shown if window == "voi" else None
    if not isinstance(window, str):
        chosen = (float(window[0]), float(window[1]))
    stored = to_stored(found.volume, size, slices, window=chosen, aspect=found.aspect)
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
    taken = picture_day(file) if suffix.endswith(PICTURES) else nifti_day(file)
    recorded = taken.isoformat() if taken else ""
    nobody = {"patient_id": "", "identifiers": [], "recorded": recorded, "left_out": []}
    return _Image(stored, facts, found.pose, nobody)


def _series(
    paths: Sequence[Path],
    select: Mapping[str, str],
    size: int,
    slices: int,
    window: str | Sequence[float],
    burned_in: str,
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
    return _Image(stored, facts, series.pose, of_patient)


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
