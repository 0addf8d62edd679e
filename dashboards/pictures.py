"""Slices as pictures: a display window, and over it the effect of each region."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Shaped, UInt8
from numpy import ndarray
from PIL import Image

from mmdiag.explain.parts import Part

SIDE = 420  # pixels of the longer side on the page
RAISES, LOWERS = (213, 94, 0), (0, 114, 178)  # Okabe and Ito's vermilion and blue
STRONGEST = 0.65  # opacity of the largest effect of the stack


def window_of(stack: UInt8[ndarray, "slice row column *colour"]) -> tuple[int, int]:
    """The grey values to begin with: all but the darkest and the brightest half percent of what is
    not background; of colours all, which are shown as they are.
    """
    if stack.ndim == 4:
        return 0, 255
    inside = stack[stack > 0]
    if not inside.size:
        return 0, 255
    low, high = np.percentile(inside, [0.5, 99.5])
    return int(min(low, high - 1)), int(max(high, 1))


def shown(
    plane: UInt8[ndarray, "row column *colour"], low: int, high: int
) -> Float32[ndarray, "height width 3"]:
    """One slice, grey or in colour, as an RGB picture of at most SIDE pixels, values 0..1."""
    scaled = np.clip((plane.astype(np.float32) - low) / max(high - low, 1), 0, 1)
    scale = SIDE / max(plane.shape[:2])
    size = (max(1, round(plane.shape[1] * scale)), max(1, round(plane.shape[0] * scale)))
    picture = (
        np.asarray(
            Image.fromarray((255 * scaled).astype(np.uint8)).resize(
                size, Image.Resampling.BILINEAR
            ),
            np.float32,
        )
        / 255
    )
    return picture if picture.ndim == 3 else picture[..., None].repeat(3, axis=2)


def overlaid(
    picture: Float32[ndarray, "height width 3"],
    effects: Float32[ndarray, "slice row column"],
    number: int,
    body: Bool[ndarray, "row column"],
) -> Float32[ndarray, "height width 3"]:
    """Orange where a region supports the outcome, blue where it opposes it, as strong as its share
    of the largest effect in the stack; nothing outside of the body.

    Args:
        picture: Slice `number` of the stack, of any size.
        effects: Of each pixel the value of the region that it lies in.
        body: Which pixels of the slice show the body.
    """
    strength = effects[number] / max(float(np.abs(effects).max()), 1e-9)
    wide = _spread(strength, picture.shape) * _spread(body, picture.shape)
    colour = np.where(wide > 0, np.asarray(RAISES) / 255, np.asarray(LOWERS) / 255)
    alpha = STRONGEST * np.abs(wide)
    mixed: ndarray = picture * (1 - alpha) + colour * alpha
    return mixed.astype(np.float32)


def effects_of(
    parts: Sequence[Part], stack: UInt8[ndarray, "slice row column *colour"]
) -> Float32[ndarray, "slice row column"]:
    """Of each pixel of a stack the value of the region that it lies in; of none 0."""
    found = np.zeros(stack.shape[:3], np.float32)
    for part in parts:
        rows = slice(part["row"], part["row"] + part["height"])
        columns = slice(part["column"], part["column"] + part["width"])
        found[part["slice"], rows, columns] = part["value"]
    return found


def _spread(
    cells: Shaped[ndarray, "row column"], shape: tuple[int, ...]
) -> Shaped[ndarray, "height width 1"]:
    """A plane at the size of a picture, each of its pixels as it is."""
    rows = np.arange(shape[0]) * cells.shape[0] // shape[0]
    columns = np.arange(shape[1]) * cells.shape[1] // shape[1]
    return cells[np.ix_(rows, columns)][..., None]
