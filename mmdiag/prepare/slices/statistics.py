"""First-order statistics of slices at several scales: location, spread, extremes and edge strength,
all in units of the full grey range.

Features made without the label read lesions where a network trained from scratch on a few hundred
cases cannot.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32, Float64, Int, Integer, UInt8
from numpy import ndarray

BACKGROUND = 0.04  # of the grey range: air around the patient
SCALES = (
    (1, 1.0),
    (1, 2.0),
    (2, 2.0),
    (4, 2.0),
    # (pixels that are averaged to one, deviation of the blur in those): blurs of 1, 2, 4 and 8
    # pixels
)
FINE = 1024  # bins of the grey range in which a percentile of a smoothed slice is looked for
HIGH = 0.98
TOGETHER = 2**17  # pixels that are looked at together: their numbers stay in a core's cache


def slice_statistics(
    stack: UInt8[ndarray, "slice row column"],
) -> Float32[ndarray, "slice feature"]:
    """The statistics of every slice: a slice's do not depend on which others it comes with.

    Of the levels inside the body its share, mean, deviation and 10th, 50th, 90th and 99th
    percentile; of each of four blurs the maximum, the deviation,
    the mean slope (a pixel) and the 98th percentile.
    """
    together = max(1, TOGETHER // max(stack[0].size, 1)) if len(stack) else 1
    parts = [_some(stack[start : start + together]) for start in range(0, len(stack), together)]
    return (
        np.concatenate(parts).astype(np.float32)
        if parts
        else np.zeros((0, 7 + 4 * len(SCALES)), np.float32)
    )


def _some(planes: UInt8[ndarray, "slice row column"]) -> Float64[ndarray, "slice feature"]:
    pixels = planes[0].size
    counts = counts_of_levels(planes.reshape(len(planes), -1))
    inside = np.where(np.arange(256) > 255 * BACKGROUND, counts, 0)
    inside = np.where(inside.any(axis=1, keepdims=True), inside, counts)
    features = [inside.sum(axis=1) / pixels, *of_levels(inside)]
    coarse = {1: [plane.astype(np.float32) / 255.0 for plane in planes]}
    for factor, sigma in SCALES:
        if factor not in coarse:
            coarse[factor] = [_averaged(plane, factor) for plane in coarse[1]]
        features += _of_blur(
            [
                cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
                for plane in coarse[factor]
            ],
            factor,
        )
    return np.stack(features, axis=1)


def _averaged(plane: ndarray, factor: int) -> ndarray:
    height, width = plane.shape
    return cv2.resize(
        plane,
        (max(1, round(width / factor)), max(1, round(height / factor))),
        interpolation=cv2.INTER_AREA,
    )


def counts_of_levels(values: UInt8[ndarray, "slice pixel"]) -> Int[ndarray, "slice level"]:
    """How many pixels of each slice have each of the 256 levels."""
    return _counts(values, 256)


def _counts(values: Integer[ndarray, "slice pixel"], levels: int) -> Int[ndarray, "slice level"]:
    """How many pixels of each slice have each level."""
    own = values + np.arange(0, len(values) * levels, levels, dtype=np.int32)[:, None]
    return np.bincount(own.ravel(), minlength=len(values) * levels).reshape(len(values), levels)


def of_levels(counts: Int[ndarray, "slice level"]) -> list[Float64[ndarray, "slice"]]:
    """Mean, deviation and the 10th, 50th, 90th and 99th percentile of grey values of which each of
    256 levels has a count.
    """
    grey, number = np.arange(256) / 255.0, counts.sum(axis=1)
    mean = counts @ grey / number
    deviation = np.sqrt(
        np.maximum(((grey - mean[:, None]) ** 2 * counts).sum(axis=1) / number, 0.0)
    )
    upto = np.cumsum(counts, axis=1)
    found = [mean, deviation]
    for share in (0.10, 0.50, 0.90, 0.99):
        place = share * (number - 1)  # between two neighbours in order, as numpy's "linear"
        below, above = (
            grey[(upto <= at[:, None]).sum(axis=1)] for at in (np.floor(place), np.ceil(place))
        )
        found.append(below + (above - below) * (place % 1))
    return found


def _of_blur(smooth: Sequence[Float32[ndarray, "row column"]], factor: int) -> list[ndarray]:
    """Maximum, deviation, mean slope a pixel and high percentile of smoothed slices of one size."""
    padded = np.stack(
        [cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_REPLICATE) for plane in smooth]
    )
    down, across = (
        padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1],
        padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2],
    )
    slope = np.sqrt(down * down + across * across).reshape(len(smooth), -1).mean(axis=1) / (
        2 * factor
    )
    flat = padded[:, 1:-1, 1:-1].reshape(len(smooth), -1)
    upto = np.cumsum(_counts((flat * (FINE / (1.0 + 1e-6))).astype(np.int32), FINE + 1), axis=1)
    high = ((upto < HIGH * flat.shape[1]).sum(axis=1) + 0.5) / FINE
    return [flat.max(axis=1), flat.std(axis=1), slope, high]
