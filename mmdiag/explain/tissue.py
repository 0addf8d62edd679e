"""Where the body is in a stack of slices: what a heat map may shade, and which slice shows most.

The background is what is as dark as the frame of the pictures, or of the one value that fills it
(padding), and reaches the frame: lungs and ventricles are dark, too, but lie inside.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Integer, UInt8
from numpy import ndarray

DARK = 40  # a frame whose darkest pixels are brighter shows tissue up to its edge
NOISE = (6, 16)  # grey values that a background may vary by, at least and at most
AIR = 0.2  # of the way from a stack's dark to its bright: darker is air and its noise
FILLED = 0.3  # share of the frame that one value must fill to be padding
SPECK = 0.02  # of the largest part of a slice: what is smaller is noise or a letter


def tissue_mask(
    stack: UInt8[ndarray, "slice row column *colour"],
) -> Bool[ndarray, "slice row column"]:
    """Which pixels show the body; all of them where no background is to be told.

    Args:
        stack: Slices as they are stored, grey or in colour.
    """
    grey = stack if stack.ndim == 3 else stack.max(axis=3)
    background = _background(grey)
    return np.stack([_body(plane, away) for plane, away in zip(grey, background, strict=True)])


def most_tissue(stack: UInt8[ndarray, "slice row column *colour"]) -> int:
    """The slice that shows most of the body; of several alike the one nearest to the middle."""
    area = tissue_mask(stack).sum(axis=(1, 2))
    best = np.flatnonzero(area == area.max())
    return int(best[np.abs(best - (len(area) - 1) / 2).argmin()])


def cells_with_tissue(
    stack: UInt8[ndarray, "slice row column *colour"],
    cells: tuple[int, int, int],
    least: float = 0.0,
) -> Bool[ndarray, "cut cell_row cell_column"]:
    """Which cells of a coarse grid over a stack hold a pixel of the body.

    Args:
        cells: Slices, rows and columns of the grid.
        least: Share of a cell's pixels that the body must have; all cells that hold a pixel of it
            where none has so many.
    """
    mask = tissue_mask(stack)
    numbers = np.zeros(mask.shape, dtype=np.int64)
    for axis, (size, count) in enumerate(zip(mask.shape, cells, strict=True)):
        place = (np.arange(size) * count // size).reshape(
            [-1 if a == axis else 1 for a in range(3)]
        )
        numbers = numbers * count + place
    held, pixels = (
        np.bincount(numbers.ravel(), weights=weights, minlength=int(np.prod(cells)))
        for weights in (mask.ravel().astype(float), None)
    )
    touched: ndarray = held > 0
    full = touched & (held >= least * pixels)
    found: ndarray = (full if full.any() else touched).reshape(cells)
    return found


def _background(grey: UInt8[ndarray, "slice row column"]) -> Bool[ndarray, "slice row column"]:
    """What is as the frame is: as dark, or of its one value."""
    frame = np.concatenate(
        [side.ravel() for side in (grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1])]
    )
    count = np.bincount(frame, minlength=256)
    value = int(count.argmax())
    found = grey == value if count[value] >= FILLED * len(frame) else np.zeros(grey.shape, bool)
    darkest = float(np.percentile(frame, 5))
    if darkest <= DARK:
        near = frame[frame <= darkest + NOISE[1]]
        spread = 4 * 1.4826 * float(np.median(np.abs(near - np.median(near))))
        noise = float(np.median(near)) + float(np.clip(spread, *NOISE))
        found |= grey <= max(noise, _air(grey))
    return found


def _air(grey: UInt8[ndarray, "slice row column"]) -> float:
    """Up to which value air shows in slices through a body; a projection has none that is as dark
    as its lungs.
    """
    if len(grey) == 1:
        return 0.0
    threshold, _ = cv2.threshold(grey.reshape(len(grey), -1), 0, 255, cv2.THRESH_OTSU)
    bright = grey > threshold
    if not bright.any() or bright.all():
        return 0.0
    low, high = float(grey[~bright].mean()), float(grey[bright].mean())
    return low + AIR * (high - low)


def _body(
    plane: UInt8[ndarray, "row column"], away: Bool[ndarray, "row column"]
) -> Bool[ndarray, "row column"]:
    """All but the background that reaches the frame, and but specks; nothing of an even slice."""
    if plane.min() == plane.max():
        return np.zeros(plane.shape, bool)
    _, parts = cv2.connectedComponents(away.astype(np.uint8), connectivity=4)
    frame = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    body = ~(away & np.isin(parts, frame))
    return _without_specks(body)


def _without_specks(body: Bool[ndarray, "row column"]) -> Bool[ndarray, "row column"]:
    number, parts = cv2.connectedComponents(body.astype(np.uint8), connectivity=4)
    area: Integer[ndarray, "part"] = np.bincount(parts.ravel(), minlength=number)
    area[0] = 0
    kept: ndarray = (area >= max(SPECK * area.max(), 1))[parts]
    return kept
