"""A signed map as a list of parts over an image, and where the body is in it."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from dashboards import texts
from mmdiag.evaluation.verdict import LOG_ODDS
from mmdiag.explain.parts import Part
from mmdiag.explain.tissue import tissue_mask
from mmdiag.storage.display.stack import DisplayStack

FULL = 98  # percent of the parts have less than the full colour
LEAST_FULL = 0.1  # of the largest effect has less, too: noise is never as strong as it


def overlay(
    parts: Sequence[Part],
    stack: UInt8[ndarray, "slice row column *colour"],
    display: DisplayStack | None,
    outcome: str,
    scale: str = LOG_ODDS,
) -> dict[str, Any]:
    """What the viewer is told of a map.

    Args:
        parts: In rows and columns of the array.
        stack: The array.
        display: What is shown of it; None = the array itself.
        outcome: What a positive value raises.
        scale: In what values are given.

    Returns:
        `parts` in rows and columns of what is shown, `largest` and `full` (the largest effect, and
        that from which on the colour is full, so that one cell does not pale all others), `lowers`
        and `raises` (the names of both ends), `scale`, `read` (the shown slice of each slice of the
        array), and the body: `mask`, a bit a pixel, of `mask_rows` and `mask_columns`.
    """
    top, left, height, width = 0, 0, *stack.shape[1:3]
    shown: Sequence[Part] = parts
    read = list(range(len(stack)))
    if display is not None:
        top, left, height, width = display.facts["array_inside"]
        read, shown = display.facts["array_slices"], display.parts_of_array(parts)
    body = tissue_mask(stack)[:, top : top + height, left : left + width]
    lowers, raises = texts.ends(outcome)
    effects = np.abs([part["value"] for part in shown]) if shown else np.zeros(1)
    return {
        "parts": list(shown),
        "largest": float(effects.max()),
        "full": float(max(np.percentile(effects, FULL), LEAST_FULL * effects.max())),
        "lowers": lowers,
        "raises": raises,
        "scale": scale,
        "read": read,
        "mask": base64.b64encode(np.packbits(body).tobytes()).decode(),
        "mask_rows": height,
        "mask_columns": width,
    }
