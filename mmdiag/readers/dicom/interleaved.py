"""Volumes whose slices lie between each other's: each would be a stack by itself, together they
alternate.

Slices that a scanner measures in passes (odd, then even) lie between each other, too, and are one
volume: their times differ, and of MR their acquisition numbers may.

Reference:
    DICOM PS3.3 C.7.6.16.2.2 (Frame Content), C.8.13.3.1 and C.8.15.3.1 (Frame Type).
"""

from collections.abc import Sequence

import numpy as np

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.volume import SliceFile
from mmdiag.readers.imaging.geometry import Arrangement, distances_of

# of a file, or in the functional groups of a frame: what differs within no volume
VOLUMES = (
    "EchoTime",
    "EffectiveEchoTime",
    "DiffusionBValue",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "NominalPercentageOfCardiacPhase",
    "InversionTime",
    "FlipAngle",
    "KVP",
    "ImageType",
    "ConvolutionKernel",
    "SeriesDescription",
    "StackID",
)
PASSES = ("AcquisitionNumber", "FrameAcquisitionNumber")
TIMES = (
    "AcquisitionTime",
    "ContentTime",
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "FrameReferenceTime",
)
CROWDED = 0.5  # of the mean gap: slices of one volume lie no nearer than that
SAME_GAP = 1.05  # times the gap: a spacing up to it is that of slices in passes


def require_one_volume(read: Sequence[SliceFile], arrangement: Arrangement) -> None:
    """Refuse frames of several types, and slices whose values of what tells volumes apart alternate
    along the normal.

    Raises:
        ReadError: `localizer` or `several_volumes`.
    """
    _require_one_frame_type(read)
    if not np.isfinite(arrangement.gap_mm):
        return
    planes = [plane for file in read for plane in file.planes]
    gaps = np.diff(distances_of(planes)[arrangement.order])
    crowded = bool(gaps.min() < CROWDED * gaps.mean())
    apart = (*VOLUMES, *(() if _in_passes(read, arrangement.gap_mm) and not crowded else PASSES))
    asked = (*apart, *(TIMES if crowded else ()))
    stated = {keyword for file in read for keyword in file.header.stated(asked)}
    stated.update(keyword for plane in planes for keyword in plane.told)
    for keyword in asked:
        if keyword not in stated:
            continue
        values = _values(read, keyword)
        if len(set(values)) > 1 and _alternate([values[number] for number in arrangement.order]):
            raise ReadError(
                "several_volumes",
                f"slices of {len(set(values))} values of {keyword} lie between each other",
            )


def _require_one_frame_type(read: Sequence[SliceFile]) -> None:
    types = [value for value in _values(read, "FrameType") if value]
    localizers = sum("LOCALIZER" in value.split("\\") for value in types)
    if localizers:
        raise ReadError("localizer", f"{localizers} of {len(types)} frames are such by FrameType")
    if len(set(types)) > 1:
        raise ReadError(
            "several_volumes", f"frames of {len(set(types))} values of FrameType (0008,9007)"
        )


def _values(read: Sequence[SliceFile], keyword: str) -> list[str]:
    """Of each plane, by its functional groups, else by the header of its file."""
    return [
        plane.told.get(keyword) or file.header.text(keyword)
        for file in read
        for plane in file.planes
    ]


def _in_passes(read: Sequence[SliceFile], gap_mm: float) -> bool:
    """Whether slices of MR are as far apart as they are said to be, all passes together."""
    header = read[0].header
    stated = header.number("SpacingBetweenSlices") or header.number("SliceThickness")
    return (
        header.text("Modality") == "MR" and bool(stated) and abs(stated or 0) <= SAME_GAP * gap_mm
    )


def _alternate(values: Sequence[str]) -> bool:
    """Whether of two values one comes back after the other has come and before it comes back, as in
    a b a b; not in a a b b, nor in a b b a.
    """
    last = {value: number for number, value in enumerate(values)}
    begun: list[str] = []
    for number, value in enumerate(values):
        while begun and last[begun[-1]] < number:
            begun.pop()
        if value not in begun:
            begun.append(value)
        elif begun[-1] != value:
            return True
    return False
