"""`Cells`: the cells of a grid over a stack of slices that lie on the body."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8
from numpy import ndarray

from mmdiag.explain.tissue import cells_with_tissue

ON_BODY = (
    0.1  # of a cell's pixels: one that holds a sliver of skin is air, and would be named alone
)
SOFT = 4  # a cell's edge is blurred by its side over this


@dataclass(frozen=True, slots=True)
class Cells:
    """Some cells of a grid.

    Args:
        shape: Rows and columns of a slice, pixels.
        grid: Cells a side.
        slice, place: Of each cell its slice, and its number in the grid, by rows.
    """

    shape: tuple[int, int]
    grid: int
    slice: Int[ndarray, "cell"]
    place: Int[ndarray, "cell"]

    def edges(self, axis: int) -> Int[ndarray, "edge"]:
        """Pixels at which cells begin and end."""
        return _edges(self.shape[axis], self.grid)

    def parts(self, values: Float[ndarray, "cell"]) -> list[dict[str, Any]]:
        """The cells that have a value, each as a rectangle of pixels."""
        rows, columns = self.edges(0), self.edges(1)
        found = []
        for number, place, value in zip(
            self.slice.tolist(), self.place.tolist(), values.tolist(), strict=True
        ):
            r, c = divmod(place, self.grid)
            if value:
                found.append(
                    {
                        "slice": number,
                        "row": int(rows[r]),
                        "column": int(columns[c]),
                        "height": int(rows[r + 1] - rows[r]),
                        "width": int(columns[c + 1] - columns[c]),
                        "value": value,
                    }
                )
        return found

    def covered(
        self, which: Int[ndarray, "chosen"], states: Bool[ndarray, "state chosen"]
    ) -> Float32[ndarray, "state row column"]:
        """How far each pixel belongs to the cells of a state; edges are soft, and neighbours add up
        to 1.

        Args:
            which: Numbers of the cells of one slice.
            states: Which of them are meant.
        """
        pixels = self.shape[0] * self.shape[1]
        masks = _masks(self.shape, self.grid)[self.place[which]].reshape(len(which), pixels)
        found: ndarray = (states.astype(np.float32) @ masks).clip(0, 1)
        return found.reshape(len(states), *self.shape)

    def spread(
        self, values: Float[ndarray, "slice cell_row cell_column"]
    ) -> Float[ndarray, "cell"]:
        """Values of another grid over the same slices: each is shared by the cells that it lies
        over, by their area; what lies over none of these is left out.
        """
        down, across = (_overlap(values.shape[1 + axis], self.grid) for axis in (0, 1))
        found = np.zeros(len(self.slice))
        for number, plane in enumerate(values):
            here = np.flatnonzero(self.slice == number)
            row, column = np.divmod(self.place[here], self.grid)
            shares = np.einsum("nr,nc->nrc", down[row], across[column])
            whole = shares.sum(axis=0)
            each = np.divide(plane, whole, out=np.zeros_like(whole), where=whole > 0)
            found[here] = np.einsum("nrc,rc->n", shares, each)
        return found


@lru_cache(maxsize=4)
def _masks(shape: tuple[int, int], grid: int) -> Float32[ndarray, "place row column"]:
    """How far each pixel belongs to each cell of a grid."""
    rows, columns = (_edges(length, grid) for length in shape)
    blur = max(shape) / grid / SOFT
    masks = []
    for r in range(grid):
        for c in range(grid):
            mask = np.zeros(shape, dtype=np.float32)
            mask[rows[r] : rows[r + 1], columns[c] : columns[c + 1]] = 1
            masks.append(cv2.GaussianBlur(mask, (0, 0), blur, borderType=cv2.BORDER_REFLECT))
    return np.stack(masks)


def _edges(length: int, grid: int) -> Int[ndarray, "edge"]:
    edges: ndarray = np.linspace(0, length, grid + 1).round().astype(int)
    return edges


def cells_of(stack: UInt8[ndarray, "slice row column *colour"], grid: int) -> Cells:
    """The cells of a grid over a stack that lie on the body, not beside it."""
    touched = cells_with_tissue(stack, (len(stack), grid, grid), ON_BODY).reshape(len(stack), -1)
    where = np.nonzero(touched)
    return Cells((stack.shape[1], stack.shape[2]), grid, where[0], where[1])


def _overlap(theirs: int, ours: int) -> Float[ndarray, "ours theirs"]:
    """Share of each of their cells along an axis that lies in each of ours."""
    edges = np.arange(theirs + 1) / theirs
    own = np.arange(ours + 1) / ours
    low = np.maximum(own[:-1, None], edges[None, :-1])
    high = np.minimum(own[1:, None], edges[None, 1:])
    share: ndarray = np.maximum(high - low, 0.0) * theirs
    return share
