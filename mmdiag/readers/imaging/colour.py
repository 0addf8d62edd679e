"""Colour beside the grey levels of an image: three channels, red, green and blue, as the store
keeps them, and whether they say more than grey.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Num, UInt8
from numpy import ndarray

from mmdiag.description.keys import COLOURS
from mmdiag.readers.imaging.resample import shrink, to_stored

AUTO, _, GREY = COLOURS
WHITE = 255.0
# Levels by which channels differ, and the share of pixels that must: tints that a scan or a
# compression leaves, letters and arrows make no picture of a film one in colour.
TINT, SHARE = 16, 0.01


def shows_colour(stack: UInt8[ndarray, "slice row column 3"]) -> bool:
    """Whether an image is one in colour: its channels differ by more than a tint in more than a
    speck.
    """
    spread = stack.max(axis=3) - stack.min(axis=3)
    return bool(np.count_nonzero(spread > TINT) >= SHARE * spread.size)


def shrink_colours(
    plane: Num[ndarray, "row column 3"], size: int | None, *, aspect: float
) -> Float32[ndarray, "new_row new_column 3"]:
    """Each channel brought to size as `shrink` does it."""
    channels = [shrink(plane[..., channel], size, aspect=aspect) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32, copy=False)


def to_stored_colours(
    channels: Sequence[Float32[ndarray, "slice row column"]],
    size: int,
    slices: int,
    *,
    window: tuple[float, float],
    aspect: float,
) -> UInt8[ndarray, "slice size size 3"]:
    """Channels as the store keeps them: the same slices at the same size as the grey levels; one
    window for all three, so that a hue stays a hue.

    Args:
        channels: Red, green and blue.
        window: Values that become 0 and 255.
    """
    stored = [
        to_stored(volume, size, slices, window=window, aspect=aspect).stack for volume in channels
    ]
    return np.stack(stored, axis=-1)
