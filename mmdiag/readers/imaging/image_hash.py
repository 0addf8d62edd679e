"""Hashes of an image: an exact one of its grey levels, and a perceptual one that survives another
scale, window or compression.

Reference:
    Zauner 2010, Implementation and benchmarking of perceptual image hash functions (difference
    hash).
"""

import hashlib
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, Integer, UInt8
from numpy import ndarray

ROWS, COLUMNS = 16, 9  # cells, each compared with its right neighbour: 128 bits a picture


def exact_hash(stack: UInt8[ndarray, "slice row column"], low: float, high: float) -> str:
    """SHA-256 of the grey levels as the store keeps them, and of the values of the file that are
    black and white: a picture that is brighter by a constant is not the same one, but nearly.
    """
    digest = hashlib.sha256(np.ascontiguousarray(stack).data)
    digest.update(f"{stack.shape} {low:.9g} {high:.9g}".encode())
    return digest.hexdigest()


def perceptual_hash(stack: UInt8[ndarray, "slice row column"]) -> str:
    """256 bits as hexadecimal digits: of the middle slice and of the brightest projection, whether
    each cell is brighter than its right neighbour.
    """
    planes = (stack[len(stack) // 2], stack.max(axis=0)) if len(stack) > 1 else (stack[0],)
    bits = [_brighter(_cells(plane)) for plane in planes]
    return bits[0].hex() + bits[-1].hex()


def _brighter(cells: Float[ndarray, "cell_row cell_column"]) -> bytes:
    """A bit a cell: whether it is brighter than its right neighbour."""
    return np.packbits(cells[:, 1:] > cells[:, :-1]).tobytes()


def _cells(plane: UInt8[ndarray, "row column"]) -> Float[ndarray, "cell_row cell_column"]:
    """Mean of each cell of a grid over the picture."""
    corners, areas = _grid(*plane.shape)
    up_to = cv2.integral(plane)[corners]
    means: ndarray = (up_to[1:, 1:] - up_to[:-1, 1:] - up_to[1:, :-1] + up_to[:-1, :-1]) / areas
    return means


@lru_cache(maxsize=8)
def _grid(
    height: int, width: int
) -> tuple[tuple[ndarray, ...], Integer[ndarray, "cell_row cell_column"]]:
    """Corners of the cells, and pixels in each."""
    rows, columns = (
        np.arange(number + 1) * side // number
        for side, number in ((height, ROWS), (width, COLUMNS))
    )
    return np.ix_(rows, columns), np.maximum(np.diff(rows)[:, None] * np.diff(columns)[None], 1)
