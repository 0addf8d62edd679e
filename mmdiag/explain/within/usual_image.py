"""What is usual at each place of an image: the cells of other patients that are of middling
brightness there.

Whole images of others would not do: each has something unusual of its own, such as a lesion, and
its lack would be named wherever theirs lies.
"""

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

from mmdiag.explain.within.cells import Cells
from mmdiag.prepare.slices.colour import luminance


def usual_stacks(
    stack: UInt8[ndarray, "slice row column *colour"],
    others: list[UInt8[ndarray, "_ row column *colour"]],
    cells: Cells,
    count: int,
    seed: int = 0,
) -> list[UInt8[ndarray, "slice row column *colour"]]:
    """Stacks of usual cells, with soft edges between those of different patients.

    Args:
        stack: Of the case; what lies in no cell is its own.
        others: Stacks of other patients, at least one.
        count: So many; they differ in which of the middling patients stands where.
    """
    generator = np.random.default_rng(seed)
    aligned = [
        other[np.linspace(0, len(other) - 1, len(stack)).round().astype(int)] for other in others
    ]
    middling = _middling(np.stack([_brightness(other, cells) for other in aligned]))
    found = []
    for _ in range(count):
        drawn = generator.integers(len(middling), size=len(cells.slice))
        who = middling[drawn, np.arange(len(drawn))]
        found.append(_composed(stack, aligned, cells, who))
    return found


def _middling(brightness: Float[ndarray, "other cell"]) -> Int[ndarray, "middling cell"]:
    """Of each cell the patients of the middle third."""
    count = len(brightness)
    order = np.argsort(brightness, axis=0, kind="stable")
    found: ndarray = order[count // 3 : count - count // 3]
    return found


def _brightness(
    stack: UInt8[ndarray, "slice row column *colour"], cells: Cells
) -> Float[ndarray, "cell"]:
    """The mean grey level of each cell."""
    grey = stack if stack.ndim == 3 else luminance(stack)
    rows, columns = cells.edges(0), cells.edges(1)
    sums = np.add.reduceat(grey.astype(float), rows[:-1], axis=1)
    sums = np.add.reduceat(sums, columns[:-1], axis=2)
    area = np.outer(np.diff(rows), np.diff(columns)).clip(min=1)
    means = (sums / area).reshape(len(stack), -1)
    found: ndarray = means[cells.slice, cells.place]
    return found


def _composed(
    stack: UInt8[ndarray, "slice row column *colour"],
    aligned: list[UInt8[ndarray, "slice row column *colour"]],
    cells: Cells,
    who: Int[ndarray, "cell"],
) -> UInt8[ndarray, "slice row column *colour"]:
    found = stack.copy()
    for number, own in enumerate(stack):
        here = np.flatnonzero(cells.slice == number)
        patients = np.unique(who[here])
        plane = own.astype(np.float32)
        shares = cells.covered(here, who[here] == patients[:, None])
        for patient, share in zip(patients, shares, strict=True):
            weight = share[..., None] if own.ndim == 3 else share
            plane += weight * (aligned[patient][number].astype(np.float32) - own)
        found[number] = np.rint(plane).clip(0, 255).astype(np.uint8)
    return found
