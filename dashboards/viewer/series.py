"""What the viewer is told of the images of a case: how many slices they have, what their pixels
mean, where they lie in the patient, and which map lies over them.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from dashboards.case_view import View
from dashboards.parts import damaged
from dashboards.published import DamagedFile, reading_display
from dashboards.viewer import overlay
from mmdiag.explain.tissue import most_tissue
from mmdiag.storage.display.stack import DisplayStack

SLICES = "api/slices"  # beside the page
CT_WINDOWS = {  # HU that become black and white
    "Brain": (0, 80),
    "Bone": (-800, 2000),
    "Lung": (-1350, 150),
    "Soft tissue": (-160, 240),
}
AS_STORED = (
    "shown as the network reads it: this workspace was ingested before images were kept as they "
    "were acquired"
)
DAMAGED = "shown as the network reads it: what was kept as it was acquired cannot be read"

Stack = UInt8[ndarray, "slice row column *colour"]


def series_of(view: View, name: str) -> dict[str, Any]:
    """One image of a case, as JSON.

    Raises:
        DamagedFile: Its array cannot be read.
    """
    assert view.row is not None
    stack: Stack = view.stored(name)
    display, said = None, AS_STORED
    try:
        with reading_display(view.store, name, view.row):
            display = view.store.display(name, view.row)
    except DamagedFile as error:
        damaged(error)
        said = DAMAGED
    if display is None:
        facts = {**_as_stored(view, name, stack), "said": said}
    else:
        facts = _as_acquired(display, stack)
    version = str(view.store.cases.iloc[view.row].get("version", ""))
    asked = {"cohort": view.store.folder.name, "case": view.case_id, "modality": name}
    asked |= {"version": version, "of": "array" if display is None else "display"}
    parts = view.parts(name)
    told = {
        "name": name,
        "title": view.names[name],
        "url": f"{SLICES}?{urlencode(asked)}",
        **facts,
    }
    if parts is not None:
        drawn = overlay.overlay(parts, stack, display, view.outcome, view.scale)
        adds_up = view.adds_up(name)
        told["map"] = {**drawn, "lines": [*_strongest(drawn, facts), *filter(None, [adds_up])]}
    return told


def _as_acquired(display: DisplayStack, stack: Stack) -> dict[str, Any]:
    facts = display.facts
    lengths = ("slice_mm", "row_mm", "column_mm", "ends_mm", "orientation", "side", "inverted")
    return {
        "slices": len(display),
        "rows": display.shape[0],
        "columns": display.shape[1],
        "slopes": facts["slopes"],
        "intercepts": facts["intercepts"],
        **{name: facts[name] for name in lengths},
        "series": facts["series"],
        "presets": presets(facts),
        "start": int(facts["array_slices"][most_tissue(stack)]),
        "said": "",
    }


def _as_stored(view: View, name: str, stack: Stack) -> dict[str, Any]:
    """Of the array itself: pixels are grey levels."""
    poses = view.store.poses(name, () if view.row is None else (view.row,))
    pose = poses.iloc[0] if len(poses) else None
    length = _length(pose, "pixel_mm")
    return {
        "slices": len(stack),
        "rows": stack.shape[1],
        "columns": stack.shape[2],
        "slopes": [1],
        "intercepts": [0],
        "slice_mm": _length(pose, "slice_mm"),
        "row_mm": length,
        "column_mm": length,
        "ends_mm": [],
        "orientation": str(pose["orientation"]) if pose is not None else "",
        "side": str(pose["side"]) if pose is not None else "",
        "inverted": False,
        "series": "",
        "presets": [_preset("Grey levels", *window_of(stack))],
        "start": most_tissue(stack),
    }


def presets(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Windows by number: of a CT those of radiology, else the series' own; then the one that the
    network's array was made with. The first of the series' own is the one to begin with.
    """
    own = [tuple(window) for window in facts["windows"]]
    named = [_preset(f"Series {n}" if len(own) > 1 else "Series", *w) for n, w in enumerate(own, 1)]
    low, high = sorted(facts["range"])
    read = [_preset("Full range", low, high if high > low else low + 1)]
    if facts["hounsfield"]:
        organs = [_preset(name, *window) for name, window in CT_WINDOWS.items()]
        found = [*organs, *named, *read]
        first = named[0] if named else organs[-1]
    else:
        found = [*named, *read]
        first = found[0]
    return [{**one, "first": one is first} for one in found]


def window_of(stack: Stack) -> tuple[int, int]:
    """The grey values to begin with: all but the darkest and the brightest half percent of what is
    not background; of colours all, which are shown as they are.
    """
    inside = stack[stack > 0]
    if stack.ndim == 4 or not inside.size:
        return 0, 255
    low, high = np.percentile(inside, [0.5, 99.5])
    return int(min(low, high - 1)), int(max(high, 1))


def _preset(name: str, low: float, high: float) -> dict[str, Any]:
    return {"name": name, "low": float(low), "high": float(high)}


def _length(pose: Any, name: str) -> float | None:
    return float(pose[name]) if pose is not None and np.isfinite(pose[name]) else None


def _strongest(drawn: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """Where the largest effect lies."""
    if not drawn["parts"]:
        return ["No region of this image has an effect on the body."]
    part = max(drawn["parts"], key=lambda part: abs(part["value"]))
    return [f"The largest effect lies in slice {part['slice'] + 1} of {facts['slices']}."]
