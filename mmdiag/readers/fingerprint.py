"""What two images must share to be the same picture: a hash of the grey levels, and one that survives another scale, window or compression.

Reference:
    Zauner 2010, Implementation and benchmarking of perceptual image hash functions (difference hash).
"""

import hashlib

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

GRID = 16  # rows and columns that are compared with their neighbours: 256 bits a picture


def exact_hash(stack: UInt8[ndarray, "slice row column"]) -> str:
    """SHA-256 of the grey levels as the store keeps them."""
    return hashlib.sha256(np.ascontiguousarray(stack).tobytes() + str(stack.shape).encode()).hexdigest()


def perceptual_hash(stack: UInt8[ndarray, "slice row column"]) -> str:
    """256 bits as hexadecimal digits: of the middle slice and of the brightest projection, whether each cell is brighter than its right neighbour."""
    bits = []
    for plane in (stack[len(stack) // 2], stack.max(axis=0)):
        small = cv2.resize(plane.astype(np.float32), (GRID // 2 + 1, GRID), interpolation=cv2.INTER_AREA)
        bits.append((np.diff(small, axis=1) > 0).ravel())
    return np.packbits(np.concatenate(bits)).tobytes().hex()
