"""What a DICOM series says of how it is looked at: its name, its windows, and between which
positions in the patient its slices lie.
"""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Integer
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.header import Header
from mmdiag.readers.dicom.volume import SliceFile
from mmdiag.readers.imaging.display import DisplaySlices, chosen_slices
from mmdiag.readers.imaging.pose import LETTERS, Turn

MOST_WINDOWS = 4


def begin_display(
    read: Sequence[SliceFile],
    order: Integer[ndarray, "slice"],
    turn: Turn,
    *,
    inverted: bool,
    colour: bool,
) -> DisplaySlices:
    """An empty display stack, which decoding fills.

    Args:
        order: Numbers of the frames, slice after slice in the pose of the store.
        turn: Of each slice.
    """
    pixels = read[0].pixels
    chosen = order[chosen_slices(len(order), pixels.rows * pixels.columns)]
    positions = {int(number): position for position, number in enumerate(chosen)}
    return DisplaySlices(positions, turn, inverted, colour)


def said_of_display(
    read: Sequence[SliceFile], order: Integer[ndarray, "slice"], turn: Turn
) -> dict[str, Any]:
    """`series` (its description as it is written), `windows` (the lowest and highest value of each,
    in the units of the file) and `ends_mm` (positions of the first and the last slice along the
    axis of the patient that slices go along; none where nobody says it).
    """
    planes = [(file.header, plane) for file in read for plane in file.planes]
    first, middle, last = (int(order[place]) for place in (0, len(order) // 2, -1))
    axis = next((a for a, pair in enumerate(LETTERS) if turn.orientation[:1] in pair), 0)
    ends = [planes[number][1].position for number in (first, last)]
    placed = turn.in_plane and len(turn.orientation) == 3 and all(ends)
    return {
        "series": planes[middle][0].text("SeriesDescription"),
        "windows": windows_of(planes[middle][0]),
        "ends_mm": [position[axis] for position in ends] if placed else [],
    }


def windows_of(header: Header) -> list[list[float]]:
    """The windows that a file asks for, as the values that become black and white; those without a
    meaning are left out.

    Reference:
        DICOM PS3.3 C.11.2.1.2 (Window Center and Window Width).
    """
    try:
        centres, widths = header.numbers("WindowCenter"), header.numbers("WindowWidth")
    except ReadError:  # what is shown is no reason to refuse what is read
        return []
    found = [
        [centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2]
        for centre, width in zip(centres, widths, strict=False)
        if width > 1
    ]
    return found[:MOST_WINDOWS]
