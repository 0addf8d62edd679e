"""What the colours of slices say: statistics of each channel and of hue, all in units of the full
range; and their luminance, for what reads grey levels.
"""

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8
from numpy import ndarray

from mmdiag.prepare.slices.statistics import BACKGROUND, counts_of_levels, of_levels

LUMINANCE = np.asarray([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
HUES = 12  # parts of the circle of hues
FEATURES = 3 * 6 + 4 + HUES


def luminance(stack: UInt8[ndarray, "slice row column 3"]) -> UInt8[ndarray, "slice row column"]:
    """The grey levels of slices in colour."""
    grey: ndarray = np.rint(stack.astype(np.float32) @ LUMINANCE).astype(np.uint8)
    return grey


def colour_statistics(
    stack: UInt8[ndarray, "slice row column 3"],
) -> Float32[ndarray, "slice feature"]:
    """The colours of every slice inside the body: of each channel mean, deviation and 10th, 50th,
    90th and 99th percentile; the mean of the two axes on which hues lie, mean and deviation of
    chroma, and how much chroma each twelfth of the circle of hues has.
    """
    found = [_of_slice(plane) for plane in stack]
    return (
        np.stack(found).astype(np.float32) if found else np.zeros((0, FEATURES), dtype=np.float32)
    )


def _of_slice(plane: UInt8[ndarray, "row column 3"]) -> Float64[ndarray, "feature"]:
    body = _body(plane)
    pixels = plane[body]
    channels = of_levels(np.concatenate([counts_of_levels(pixels[None, :, c]) for c in range(3)]))
    red, green, blue = (pixels[:, c].astype(np.float64) / 255.0 for c in range(3))
    along, across = red - (green + blue) / 2, np.sqrt(3) / 2 * (green - blue)
    chroma = np.hypot(along, across)
    part = np.floor((np.arctan2(across, along) / (2 * np.pi) % 1.0) * HUES).astype(int) % HUES
    of_hue = np.bincount(part, weights=chroma, minlength=HUES) / len(pixels)
    rest = [along.mean(), across.mean(), chroma.mean(), chroma.std()]
    return np.concatenate([np.stack(channels, axis=1).ravel(), rest, of_hue])


def _body(plane: UInt8[ndarray, "row column 3"]) -> Bool[ndarray, "row column"]:
    """All but what is nearly black; all of a slice that is nearly black throughout."""
    found: ndarray = plane.max(axis=2) > 255 * BACKGROUND
    return found if found.any() else np.ones_like(found)
