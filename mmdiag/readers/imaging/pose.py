"""The one pose that volumes are stored in, however they were acquired and written.

Axial: slices from the feet to the head, rows from front to back, columns from the patient's right
to the left. Coronal: slices from front to back, rows from head to feet, columns from right to left.
Sagittal: slices from left to right, rows from head to feet, columns from front to back. These are
the ways in which images are looked at, and each is a right-handed frame, as DICOM's is: an image
that is turned never becomes its mirror image.

Slices stay the planes in which a volume was acquired where its voxels are much longer across them;
a volume of about cubic voxels comes as axial slices from every kind of file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

Number = TypeVar("Number", int, float)
# Axes of the patient as in DICOM: x to the left, y to the back, z to the head (PS3.3 C.7.6.2.1.1)
LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
# Slice axis -> where slices, rows and columns go
STANDARD = {2: "HPL", 1: "PFL", 0: "RFP"}
AXIAL = 2
MUCH_LONGER = 2.02  # times both other sides of a voxel; twice is not yet


@dataclass(frozen=True, slots=True)
class Pose:
    """How an image lies in the patient.

    Args:
        orientation: As `Turn.orientation`; of a projection where rows and columns go; empty where
            nobody says it.
        side: Of a paired part of the body, L, R or B (both), or U (unpaired); empty where nobody
            says it.
        shape: Slices, rows and columns before any resampling.
        lengths_mm: Of a voxel along slices, rows and columns; NaN where nobody says it.
    """

    orientation: str
    side: str
    shape: tuple[int, int, int]
    lengths_mm: tuple[float, float, float]

    def stored(self, size: int, slices: int) -> dict[str, str | float]:
        """What the store keeps of it.

        Args:
            size: Pixels along the longest side.
            slices: That were kept.
        """
        apart = self.lengths_mm[0]
        if 1 < slices < self.shape[0]:
            apart *= (self.shape[0] - 1) / (slices - 1)
        longest = max(
            count * length
            for count, length in zip(self.shape[1:], self.lengths_mm[1:], strict=True)
        )
        return {
            "orientation": self.orientation,
            "side": self.side,
            "slice_mm": apart,
            "pixel_mm": longest / size,
        }


@dataclass(frozen=True, slots=True)
class Turn:
    """How the axes of an array become slice, row and column of the store.

    Args:
        axes: Axis of the array that becomes each of them.
        backward: Whether it is gone through from its end.
        orientation: Where slices, rows and columns go afterwards, a letter each: L, R, A, P, H (to
            the head) or F (to the feet).
    """

    axes: tuple[int, int, int] = (0, 1, 2)
    backward: tuple[bool, bool, bool] = (False, False, False)
    orientation: str = ""

    @property
    def in_plane(self) -> bool:
        """Whether slices stay slices."""
        return self.axes[0] == 0

    def __call__(self, volume: Shaped[ndarray, "a b c"]) -> Shaped[ndarray, "slice row column"]:
        """The array in the pose of the store, as a view."""
        ends = tuple(slice(None, None, -1 if back else None) for back in self.backward)
        turned: ndarray = volume.transpose(self.axes)[ends]
        return turned

    def along(self, axes: tuple[Number, Number, Number]) -> tuple[Number, Number, Number]:
        """What is said of the array's axes, in the order of slice, row and column."""
        return axes[self.axes[0]], axes[self.axes[1]], axes[self.axes[2]]


def turn_of(
    directions: Float[ndarray, "axis xyz"],
    spacings: Sequence[float],
    *,
    acquired: int | None = None,
    fixed: bool = False,
) -> Turn:
    """How an array is brought to the pose of the store.

    Args:
        directions: Where each of its three axes goes in the patient, x to the left, y to the back,
            z to the head; of any length but 0.
        spacings: Length of its voxels along each axis in mm.
        acquired: The axis along which its slices were acquired, where that is known.
        fixed: Whether slices must stay what they are: a single one, or one after unequal gaps.
    """
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    nearest = max(
        permutations(range(3)),
        key=lambda along: sum(abs(unit[axis, along[axis]]) for axis in range(3)),
    )
    across = nearest.index(AXIAL)
    if acquired is not None and (fixed or acquired == across):
        across = acquired
    else:
        longest = int(np.argmax(spacings))
        others = [float(length) for axis, length in enumerate(spacings) if axis != longest]
        if spacings[longest] > MUCH_LONGER * max(others):
            across = longest
    orientation = STANDARD[nearest[across]]
    axes, backward = [], []
    for letter in orientation:
        along = next(axis for axis, pair in enumerate(LETTERS) if letter in pair)
        axis = nearest.index(along)
        axes.append(axis)
        backward.append(bool((unit[axis, along] > 0) != (letter == LETTERS[along][0])))
    return Turn((axes[0], axes[1], axes[2]), (backward[0], backward[1], backward[2]), orientation)


def turn_of_projection(rows: str, columns: str) -> Turn:
    """How a projection, such as a chest film, is brought upright: to the feet downwards, and seen
    from the front with the patient's left on the right.

    Args:
        rows, columns: Where a row goes from left to right, and a column downwards, as
            PatientOrientation (0020,0020) says it; only its first letters count.

    Returns:
        The turn; one that leaves all as it is where this is no plane along the body.
    """
    first = (columns[:1], rows[:1])  # of the row axis, of the column axis
    wanted: list[str] = []
    for letters in ("HF", "LR", "AP"):
        wanted += [letter for letter in first if letter and letter in letters]
    if len(wanted) != 2 or wanted[0] not in "HF" or first[0] == first[1]:
        return Turn(orientation="".join(first))
    turned = first[0] not in "HF"
    down, sideways = (first[1], first[0]) if turned else first
    axes = (0, 2, 1) if turned else (0, 1, 2)
    mirrored = sideways == "R"
    return Turn(
        axes,
        (False, down == "H", mirrored),
        "F" + ("L" if sideways in "LR" else sideways),
    )
