"""A signed map as a list of parts over an image, and where the body is in it."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from dashboards import texts
from mmdiag.explain.drawn import heat_on_tissue
from mmdiag.explain.tissue import tissue_mask
from mmdiag.storage.display.stack import DisplayStack

LEAST = 5e-6  # log-odds: less is not drawn

Part = dict[str, Any]  # slice, row, column, height, width, value


def parts_of_heat(
    heat: Float[ndarray, "cut cell_row cell_column"],
    stack: UInt8[ndarray, "slice row column *colour"],
) -> list[Part]:
    """The cells of a coarse map that lie on the body, as parts of the array that networks read; a
    cell of several slices lies in each of them.
    """
    inside = heat_on_tissue(heat, stack)
    height, width = stack.shape[1] / heat.shape[1], stack.shape[2] / heat.shape[2]
    found: list[Part] = []
    for number in range(len(stack)):
        cells = inside[number * len(heat) // len(stack)]
        for row, column in np.argwhere(np.abs(cells) >= LEAST).tolist():
            place = {"row": row * height, "height": height}
            place |= {"column": column * width, "width": width}
            found.append({"slice": number, **place, "value": float(cells[row, column])})
    return found


def overlay(
    parts: Sequence[Part],
    stack: UInt8[ndarray, "slice row column *colour"],
    display: DisplayStack | None,
    outcome: str,
) -> dict[str, Any]:
    """What the viewer is told of a map.

    Args:
        parts: In rows and columns of the array.
        stack: The array.
        display: What is shown of it; None = the array itself.
        outcome: What a positive value raises.

    Returns:
        `parts` in rows and columns of what is shown, `largest` (log-odds), `lowers` and `raises`
        (the names of both ends), `read` (the shown slice of each slice of the array), and the
        body: `mask`, a bit a pixel, of `mask_rows` and `mask_columns`.
    """
    top, left, height, width = 0, 0, *stack.shape[1:3]
    read, shown = list(range(len(stack))), list(parts)
    if display is not None:
        top, left, height, width = display.facts["array_inside"]
        read, shown = display.facts["array_slices"], display.parts_of_array(parts)
    body = tissue_mask(stack)[:, top : top + height, left : left + width]
    lowers, raises = texts.ends(outcome)
    return {
        "parts": shown,
        "largest": max((abs(part["value"]) for part in shown), default=0.0),
        "lowers": lowers,
        "raises": raises,
        "read": read,
        "mask": base64.b64encode(np.packbits(body).tobytes()).decode(),
        "mask_rows": height,
        "mask_columns": width,
    }
