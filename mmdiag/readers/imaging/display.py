"""An image as it is to be looked at: its slices as they were acquired, at most 512 pixels a side,
in the pose of the store, each encoded as soon as it is decoded.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Num, Shaped
from numpy import ndarray

from mmdiag.readers.dicom.pixels import Frame
from mmdiag.readers.imaging.grey_levels import WHITE, Rescale
from mmdiag.readers.imaging.pose import Turn
from mmdiag.readers.imaging.resample import spread
from mmdiag.storage.display.codec import Pixels, checksum, encode_slice

LONGEST = 512  # pixels of a side
MOST_PIXELS = 2**27  # of an image; of a larger one slices are left out, evenly spaced
LEVELS = 2**16 - 1  # of what is not stored as whole numbers of 16 bits
FITTING = (np.dtype("u1"), np.dtype("u2"), np.dtype("i2"))  # what is stored as it is


@dataclass(slots=True)
class DisplaySlices:
    """The encoded slices of one image; filled while it is read.

    Args:
        positions: Number of a frame of the file, or of a slice -> its place in the stack.
        turn: Of each slice, where that is not in the pose of the store.
        inverted: Whether the lowest value is shown white.
        colour: Whether channels that differ are kept, and not their luminance.

    Attributes:
        shape: Rows and columns of the slices.
    """

    positions: Mapping[int, int] = field(default_factory=dict)
    turn: Turn = field(default_factory=Turn)
    inverted: bool = False
    colour: bool = True
    shape: tuple[int, int] = (0, 0)
    _encoded: list[bytes] = field(default_factory=list)
    _length: int = 0
    _places: dict[int, tuple[int, int, int, float, float]] = field(default_factory=dict)

    def take(self, number: int, frame: Frame, rescale: Rescale, factor: float) -> None:
        """Keep a decoded frame, where it has a place.

        Args:
            factor: By which its values are multiplied, such as that of an uptake (SUV).
        """
        if number not in self.positions:
            return
        slope, intercept = rescale.slope * factor, rescale.intercept * factor
        plane: Num[ndarray, "row column *colour"] = frame.stored
        if self.colour and frame.colours is not None:
            plane, slope, intercept = frame.colours, WHITE / frame.white, 0.0
        elif rescale.table is not None:
            plane, slope, intercept = rescale(frame.stored), factor, 0.0
        if frame.unmeasured is not None:
            plane = self._without(plane, frame.unmeasured)
        turned = self.turn(plane[np.newaxis])[0] if plane.ndim == 2 else _turned(self.turn, plane)
        self.add(self.positions[number], turned, slope, intercept)

    def add(
        self,
        position: int,
        plane: Num[ndarray, "row column *colour"],
        slope: float = 1.0,
        intercept: float = 0.0,
    ) -> None:
        """Keep a slice in the pose of the store."""
        pixels, (scale, shift) = _whole(_small(plane))
        encoded = encode_slice(pixels)
        self.shape = (pixels.shape[0], pixels.shape[1])
        self._places[position] = (
            self._length,
            len(encoded),
            checksum(encoded),
            slope * scale,
            intercept + slope * shift,
        )
        self._encoded.append(encoded)
        self._length += len(encoded)

    @property
    def content(self) -> bytes:
        """All encoded slices, in the order in which they came."""
        return b"".join(self._encoded)

    def facts(self) -> dict[str, Any]:
        """Where each slice lies in `content`, and what brings it to its units; what is alike in all
        slices stands once.
        """
        places = [self._places[position] for position in sorted(self._places)]
        offsets, lengths, checksums, slopes, intercepts = map(list, zip(*places, strict=True))
        alike = len(set(slopes)) == len(set(intercepts)) == 1
        return {
            "offsets": offsets,
            "lengths": lengths,
            "checksums": checksums,
            "slopes": slopes[:1] if alike else slopes,
            "intercepts": intercepts[:1] if alike else intercepts,
            "rows": self.shape[0],
            "columns": self.shape[1],
            "inverted": self.inverted,
        }

    def _without(
        self, plane: Shaped[ndarray, "row column"], unmeasured: Bool[ndarray, "row column"]
    ) -> Shaped[ndarray, "row column"]:
        """A plane whose pixels that are no image are as dark as its darkest."""
        measured = plane[~unmeasured]
        if not measured.size:
            return np.zeros_like(plane)
        return np.where(unmeasured, measured.max() if self.inverted else measured.min(), plane)


def chosen_slices(count: int, pixels: int) -> list[int]:
    """The slices of an image that are kept.

    Args:
        pixels: Of a slice of the file.
    """
    return spread(count, max(1, MOST_PIXELS // min(pixels, LONGEST**2)))


def display_of_volume(
    volume: Float32[ndarray, "slice row column"],
    colours: Sequence[Float32[ndarray, "slice row column"]] = (),
    *,
    inverted: bool = False,
    whole: bool | None = None,
) -> DisplaySlices:
    """The slices of a volume that is in the pose of the store.

    Args:
        volume: Values; NaN where nothing was measured.
        colours: Red, green and blue, where they differ.
        whole: Whether its values are grey levels, whole numbers from 0 on; None = it is looked at.
    """
    found = DisplaySlices(inverted=inverted)
    chosen = chosen_slices(len(volume), math.prod(volume.shape[1:]))
    channels = colours or (volume,)
    if whole is None:
        whole = all(_is_whole(channel[number]) for number in chosen for channel in channels)
    values: list[Float32[ndarray, "row column *colour"]] = []
    for number in chosen:
        planes = [_small(channel[number]) for channel in channels]
        values.append(np.stack(planes, axis=-1) if colours else planes[0])
    low, high = _range(values)
    for position, plane in enumerate(values):
        filled = plane
        if np.isnan(plane.min()):  # NaN is the least there is
            filled = np.where(np.isnan(plane), np.float32(high if inverted else low), plane)
        if whole:
            found.add(position, _narrow(np.rint(filled), low, high))
            continue
        step = max(high - low, 1e-12) / LEVELS
        levels = np.rint((filled - low) / step).clip(0, LEVELS).astype(np.uint16)
        found.add(position, levels, step, low)
    return found


def _range(values: Sequence[Shaped[ndarray, "..."]]) -> tuple[float, float]:
    """The lowest and the highest value that was measured."""
    lowest = [float(np.fmin.reduce(plane, axis=None)) for plane in values]
    highest = [float(np.fmax.reduce(plane, axis=None)) for plane in values]
    measured = [value for value in (*lowest, *highest) if not math.isnan(value)]
    return (min(measured), max(measured)) if measured else (0.0, 0.0)


def _is_whole(plane: Shaped[ndarray, "row column"]) -> bool:
    """Whether the values of a plane are whole numbers that 16 bits hold."""
    measured = plane[~np.isnan(plane)] if np.isnan(plane.min()) else plane
    return bool((measured == np.rint(measured)).all() and (np.abs(measured) < 2**15).all())


def _narrow(plane: Shaped[ndarray, "..."], low: float, high: float) -> Pixels:
    """Whole numbers in the fewest bits that hold all of an image."""
    if low < 0:
        return plane.astype(np.int16)
    return plane.astype(np.uint8 if high < 2**8 else np.uint16)


def _small(plane: Num[ndarray, "row column *colour"]) -> Num[ndarray, "_ _ *colour"]:
    """At most `LONGEST` pixels a side: averages over areas."""
    longest = max(plane.shape[:2])
    if longest <= LONGEST:
        return plane
    rows, columns = (max(1, round(side * LONGEST / longest)) for side in plane.shape[:2])
    fitting = plane if plane.dtype in FITTING else plane.astype(np.float32)
    shrunk: ndarray = cv2.resize(
        np.ascontiguousarray(fitting), (columns, rows), interpolation=cv2.INTER_AREA
    )
    return shrunk


def _whole(plane: Num[ndarray, "row column *colour"]) -> tuple[Pixels, tuple[float, float]]:
    """Whole numbers of 8 or 16 bits, and the slope and intercept that bring them back."""
    if plane.dtype.newbyteorder("=") in FITTING:
        return plane.astype(plane.dtype.newbyteorder("="), copy=False), (1.0, 0.0)
    if plane.dtype.kind == "f":  # luminance is a sum of products
        near = np.rint(plane)
        plane = np.where(np.abs(plane - near) < 1e-3, near, plane)
    low, high = float(plane.min()), float(plane.max())
    if low >= -(2**15) and high <= LEVELS and (low >= 0 or high < 2**15):
        narrow = _narrow(plane, low, high)
        if plane.dtype.kind != "f" or np.array_equal(narrow, plane):
            return narrow, (1.0, 0.0)
    step = max(high - low, 1e-12) / LEVELS
    levels = np.rint((plane.astype(np.float64) - low) / step).clip(0, LEVELS)
    return levels.astype(np.uint16), (step, low)


def _turned(
    turn: Turn, plane: Num[ndarray, "row column colour"]
) -> Num[ndarray, "new_row new_column colour"]:
    channels = [turn(plane[np.newaxis, ..., number])[0] for number in range(plane.shape[2])]
    return np.stack(channels, axis=-1)
