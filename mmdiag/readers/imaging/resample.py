"""Resamples and windows image planes to the square 8-bit slices that the store keeps."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Num, UInt8
from numpy import ndarray
from scipy.sparse import csr_array

CT_WINDOW_HU = (-1000.0, 1000.0)
PERCENTILES = (0.5, 99.5)
LEAST_MEASURED = 0.5  # share of a pixel's area that must be image
WHOLE = 2**19  # pixels of a plane that is averaged at once
STRIP = 2**17  # of a larger one: with its values in float32 it stays in a processor's own cache


def shrink(
    plane: Num[ndarray, "row column"],
    size: int | None,
    *,
    aspect: float = 1.0,
    unmeasured: Bool[ndarray, "row column"] | None = None,
) -> Num[ndarray, "new_row new_column"]:
    """A plane whose longest side is `size` pixels, its proportions in the patient kept: averages
    over areas where it becomes smaller, bilinear where it becomes larger.

    Args:
        size: None = as it is.
        aspect: Height of a pixel over its width; those of the new plane are square.
        unmeasured: Pixels that are no image. They have no share in any mean, and a new pixel that
            covers mostly them is NaN.
    """
    if unmeasured is not None:
        measured = np.where(unmeasured, np.float32(0), plane.astype(np.float32, copy=False))
        share = shrink((~unmeasured).astype(np.float32), size, aspect=aspect)
        with np.errstate(invalid="ignore", divide="ignore"):
            means: ndarray = shrink(measured, size, aspect=aspect) / share
        means[share < LEAST_MEASURED] = np.nan
        return means
    height, width = plane.shape
    if size is None:
        return plane
    tall, wide = (height * aspect, width) if aspect >= 1 else (height, width / aspect)
    scale = size / max(tall, wide)
    target = (max(1, round(tall * scale)), max(1, round(wide * scale)))
    fewer = (min(height, target[0]), min(width, target[1]))
    smaller = plane if fewer == plane.shape else area_means(plane, fewer)
    if fewer == target:
        return smaller
    larger: ndarray = cv2.resize(
        smaller.astype(np.float32), target[::-1], interpolation=cv2.INTER_LINEAR
    )
    return larger


def area_means(
    plane: Num[ndarray, "row column"], target: tuple[int, int]
) -> Float32[ndarray, "new_row new_column"]:
    """The mean of the area that each pixel of a smaller plane covers, pixels on its edge by their
    share.

    What `cv2.resize` gives with INTER_AREA, in a third of its time: rows first, a strip after the
    other, then columns, each as a product with a sparse matrix.

    Args:
        target: Rows and columns, neither more than the plane has.
    """
    strips = [
        weights @ plane[start:stop].astype(np.float32, copy=False)
        for start, stop, weights in _strips(plane.shape[0], target[0], plane.shape[1])
    ]
    rows = strips[0] if len(strips) == 1 else np.concatenate(strips)
    means: ndarray = cv2.transpose(_weights(plane.shape[1], target[1]) @ cv2.transpose(rows))
    return means


@lru_cache(maxsize=64)
def _weights(count: int, target: int) -> csr_array:
    """Share of each of `count` pixels in the mean of each of `target`, fewer, (target, count)."""
    edges = np.arange(target + 1) * (count / target)
    first, last = (
        np.floor(edges[:-1]).astype(np.int32),
        np.minimum(np.ceil(edges[1:] - 1e-9), count).astype(np.int32),
    )
    row = np.repeat(np.arange(target), last - first)
    column = np.concatenate(
        [np.arange(a, b, dtype=np.int32) for a, b in zip(first, last, strict=True)]
    )
    covered = np.minimum(column + 1, edges[row + 1]) - np.maximum(column, edges[row])
    starts = np.concatenate([[0], np.cumsum(last - first)]).astype(np.int32)
    return csr_array(
        ((covered * (target / count)).astype(np.float32), column, starts), shape=(target, count)
    )


@lru_cache(maxsize=64)
def _strips(count: int, target: int, width: int) -> list[tuple[int, int, csr_array]]:
    """Weights of a few rows after the others, with the first and last row that they look at: so
    much of a plane stays in the processor's cache.
    """
    all_weights = _weights(count, target)
    pixels = count * width
    number = 1 if pixels < WHOLE else min(target, pixels // STRIP)
    parts = []
    for rows in np.array_split(np.arange(target), number):
        part = all_weights[rows[0] : rows[-1] + 1]
        start, stop = int(part.indices.min()), int(part.indices.max()) + 1
        parts.append((start, stop, part[:, start:stop]))
    return parts


def spread(count: int, most: int) -> list[int]:
    """At most so many of `count` numbers, evenly spaced, the first and the last among them."""
    if most >= count:
        return list(range(count))
    return sorted({round(number) for number in np.linspace(0, count - 1, most).tolist()})


@dataclass(frozen=True, slots=True)
class Stored:
    """An image as the store keeps it.

    Args:
        stack: Slices, padded with black to a square.
        low, high: Values that became 0 and 255; of an inverted image, 255 and 0.
        inside: First row and column, height and width of what is no padding.
    """

    stack: UInt8[ndarray, "slice size size"]
    low: float
    high: float
    inside: tuple[int, int, int, int]


def to_stored(
    volume: Float32[ndarray, "slice row column"],
    size: int,
    slices: int,
    *,
    window: tuple[float, float] | None = None,
    measured: bool = False,
    inverted: bool = False,
    aspect: float = 1.0,
) -> Stored:
    """Window, resize by area and choose slices.

    Args:
        volume: Values; NaN where nothing was measured, which is shown black and decides nothing.
        size: Height and width in pixels; the proportions in the patient are kept.
        slices: At most so many, evenly spaced.
        window: Values that become 0 and 255; None = the volume's own percentiles.
        measured: Whether it is known that none is NaN, which is then not looked for.
        inverted: Whether the lowest value is shown white.
        aspect: Height of a pixel over its width.
    """
    planes = [_shrunk(volume[number], size, aspect) for number in spread(len(volume), slices)]
    # NaN is the least there is
    blank = [not measured and bool(np.isnan(plane.min())) for plane in planes]
    low, high = window if window is not None else _percentiles(planes, any(blank))
    scale = 255.0 / max(float(high) - float(low), 1e-6)
    shift = -float(low) * scale
    if inverted:
        scale, shift = -scale, 255.0 - shift
    stack = np.zeros((len(planes), size, size), dtype=np.uint8)
    for square, plane, holes in zip(stack, planes, blank, strict=True):
        top, left = (size - plane.shape[0]) // 2, (size - plane.shape[1]) // 2
        inside = square[top : top + plane.shape[0], left : left + plane.shape[1]]
        values = np.where(np.isnan(plane), np.float32(0), plane) if holes else plane
        # rounds, and stops at 0 and 255
        inside[:] = cv2.addWeighted(values, scale, values, 0, shift, dtype=cv2.CV_8U)
        if holes:
            inside[np.isnan(plane)] = 0
    return Stored(stack, float(low), float(high), (top, left, *planes[0].shape))


def _shrunk(
    plane: Float32[ndarray, "row column"], size: int, aspect: float
) -> Float32[ndarray, "new_row new_column"]:
    if aspect == 1 and max(plane.shape) == size:
        return plane
    holes = np.isnan(plane)
    shrunk: ndarray = shrink(plane, size, aspect=aspect, unmeasured=holes if holes.any() else None)
    return shrunk.astype(np.float32, copy=False)


def _percentiles(planes: list[Float32[ndarray, "row column"]], holes: bool) -> tuple[float, float]:
    """The window of what was measured; of nothing at all, one value."""
    values = np.stack(planes)
    if holes:
        values = values[~np.isnan(values)]
    if not values.size:
        return 0.0, 0.0
    low, high = np.percentile(values, PERCENTILES)
    return float(low), float(high)
