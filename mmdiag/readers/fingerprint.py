"""What two images must share to be the same picture: a hash of the grey levels, and one that survives another scale, window or compression.

Reference:
    Zauner 2010, Implementation and benchmarking of perceptual image hash functions (difference hash).
"""

import hashlib

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

ROWS, COLUMNS = 16, 9  # cells, each compared with its right neighbour: 128 bits a picture


def exact_hash(stack: UInt8[ndarray, "slice row column"]) -> str:
    """SHA-256 of the grey levels as the store keeps them."""
    return hashlib.sha256(np.ascontiguousarray(stack).tobytes() + str(stack.shape).encode()).hexdigest()


def perceptual_hash(stack: UInt8[ndarray, "slice row column"]) -> str:
    """256 bits as hexadecimal digits: of the middle slice and of the brightest projection, whether each cell is brighter than its right neighbour."""
    planes = (stack[len(stack) // 2], stack.max(axis=0)) if len(stack) > 1 else (stack[0],)
    bits = [(np.diff(_cells(plane), axis=1) > 0).ravel() for plane in planes]
    return np.packbits(np.concatenate([bits[0], bits[-1]])).tobytes().hex()


def _cells(plane: UInt8[ndarray, "row column"]) -> Float[ndarray, "cell_row cell_column"]:
    """Mean of each cell of a grid over the picture."""
    rows, columns = (np.linspace(0, side, number + 1).astype(int) for side, number in zip(plane.shape, (ROWS, COLUMNS), strict=True))
    sums = np.add.reduceat(np.add.reduceat(plane, rows[:-1], axis=0, dtype=np.uint32), columns[:-1], axis=1)
    means: ndarray = sums / (np.diff(rows)[:, None] * np.diff(columns)[None])
    return means
