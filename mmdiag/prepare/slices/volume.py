"""A stack of slices, resampled to the one size that a 3D network is given."""

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from mmdiag.encoders.backbone import VOLUME


def to_volume(
    stack: UInt8[ndarray, "slice row column *colour"],
) -> UInt8[ndarray, "depth height width *colour"]:
    """Resample a stack: areas within a slice, and linearly between slices."""
    depth, height, width = VOLUME
    planes = np.stack(
        [cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA) for plane in stack]
    ).astype(np.float32)
    place = np.linspace(0, len(planes) - 1, depth)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, len(planes) - 1)
    share = (place - below).astype(np.float32).reshape(-1, *(1,) * (planes.ndim - 1))
    volume: ndarray = np.rint(planes[below] * (1 - share) + planes[above] * share).astype(np.uint8)
    return volume
