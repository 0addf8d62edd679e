"""Texture of a slice: statistics of grey-level co-occurrence, at several distances, averaged over
directions.
"""

import numpy as np
from jaxtyping import Float64, UInt8
from numpy import ndarray

LEVELS = 16
DISTANCES_PX = (1, 2, 4, 8)
# rows down, columns across: 0, 45, 90 and 135 degrees, each both ways
DIRECTIONS = (
    (0, 1),
    (1, 1),
    (1, 0),
    (1, -1),
)


def plane_texture(plane: UInt8[ndarray, "row column"]) -> list[float]:
    """Contrast, difference, homogeneity, energy, entropy and correlation of neighbours at each
    distance.

    Reference:
        Haralick 1973, Textural features for image classification.
    """
    levels = (plane.astype(np.int64) * LEVELS) // 256
    features: list[float] = []
    for distance in DISTANCES_PX:
        pairs = sum(
            (
                co_occurrence(levels, (rows * distance, columns * distance), LEVELS)
                for rows, columns in DIRECTIONS
            ),
            np.zeros((LEVELS, LEVELS)),
        )
        features += _describe(pairs)
    return features


def co_occurrence(
    levels: ndarray, step: tuple[int, int], count: int
) -> Float64[ndarray, "level level"]:
    """How often two levels are `step` (rows, columns) apart, each pair counted both ways.

    Args:
        levels: Whole numbers below `count`.
    """
    rows, columns = levels.shape
    down, across = step
    first = levels[
        max(-down, 0) : max(rows - max(down, 0), 0),
        max(-across, 0) : max(columns - max(across, 0), 0),
    ]
    second = levels[max(down, 0) :, max(across, 0) :][: first.shape[0], : first.shape[1]]
    counts = (
        np.bincount((first * count + second).ravel(), minlength=count * count)
        .reshape(count, count)
        .astype(np.float64)
    )
    both: ndarray = counts + counts.T
    return both


def _describe(pairs: Float64[ndarray, "level level"]) -> list[float]:
    total = pairs.sum()
    if total == 0:  # the slice is smaller than the distance
        return [0.0] * 6
    share = pairs / total
    i, j = np.indices(share.shape)
    mean = float((share * i).sum())
    variance = float((share * (i - mean) ** 2).sum())
    known = share[share > 0]
    correlation = float((share * (i - mean) * (j - mean)).sum()) / variance if variance > 0 else 1.0
    return [
        float((share * (i - j) ** 2).sum()),
        float((share * np.abs(i - j)).sum()),
        float((share / (1 + (i - j) ** 2)).sum()),
        float((share**2).sum()),
        float(-(known * np.log2(known)).sum()),
        correlation,
    ]
