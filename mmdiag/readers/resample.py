"""From a plane of any size to the grey levels that the store keeps."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

CT_WINDOW_HU = (-1000.0, 1000.0)
PERCENTILES = (0.5, 99.5)
EXACT = 2**20  # pixels; larger planes of 16 bits are averaged as they are stored, which rounds to a whole stored value


def shrink(plane: ndarray, size: int | None) -> ndarray:
    """A plane whose longest side is `size` pixels, aspect kept: averages over areas where it becomes smaller, bilinear where it becomes larger."""
    height, width = plane.shape
    if size is None or max(height, width) == size:
        return plane
    scale = size / max(height, width)
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    if plane.dtype not in (np.dtype(np.uint16), np.dtype(np.int16)) or plane.size < EXACT:
        plane = plane.astype(np.float32)
    smaller: ndarray = cv2.resize(plane, target, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return smaller


def spread(count: int, most: int) -> list[int]:
    """At most so many of `count` numbers, evenly spaced, the first and the last among them."""
    if most >= count:
        return list(range(count))
    return sorted({round(place) for place in np.linspace(0, count - 1, most).tolist()})


@dataclass(frozen=True, slots=True)
class Stored:
    """An image as the store keeps it.

    Args:
        stack: Slices, padded with black to a square.
        low, high: Values that became 0 and 255.
    """

    stack: UInt8[ndarray, "slice size size"]
    low: float
    high: float


def to_stored(volume: Float32[ndarray, "slice row column"], size: int, slices: int, *, window: tuple[float, float] | None = None) -> Stored:
    """Window, resize by area and choose slices.

    Args:
        size: Height and width in pixels; the aspect is kept.
        slices: At most so many, evenly spaced.
        window: Values that become 0 and 255; None = the volume's own percentiles.
    """
    planes = [shrink(volume[number], size) for number in spread(len(volume), slices)]
    low, high = window if window is not None else np.percentile(np.stack(planes), PERCENTILES)
    scale = 255.0 / max(float(high) - float(low), 1e-6)
    stack = np.zeros((len(planes), size, size), dtype=np.uint8)
    for square, plane in zip(stack, planes, strict=True):
        top, left = (size - plane.shape[0]) // 2, (size - plane.shape[1]) // 2
        inside = square[top : top + plane.shape[0], left : left + plane.shape[1]]
        inside[:] = cv2.addWeighted(plane, scale, plane, 0, -float(low) * scale, dtype=cv2.CV_8U)  # rounds, and stops at 0 and 255
    return Stored(stack, float(low), float(high))
