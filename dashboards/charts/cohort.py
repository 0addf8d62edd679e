"""Charts of a cohort: the participant flow, and which modalities cases have."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from dashboards.charts.style import NEUTRAL, TEXT, Layered, colours, title_of
from dashboards.charts.style import REFUSED as REFUSED_COLOUR

PRESENT, REFUSED = "present", "quarantined"
ROOM = 400  # pixels of the dots beside their bars


def flow(boxes: pd.DataFrame, title: str, ink: str) -> Layered:
    """Participant flow: `text, note, main`; main boxes from left to right, what left the flow hangs
    below where it left.

    Args:
        boxes: In order; a row with `main` False belongs under the main box before it. A note has at
            most two lines.
        ink: Colour of text in the theme that is shown: Vega would write black.
    """
    aside = bool((~boxes["main"]).any())
    table = _placed(boxes)
    x = alt.Scale(domain=[0, int(boxes["main"].sum()) - 0.2], nice=False)
    y = alt.Scale(domain=[0, 2.2 if aside else 0.95], reverse=True, nice=False)
    base = alt.Chart(table)
    frames = [
        base.transform_filter(where)
        .mark_rect(fillOpacity=0.06, fill=NEUTRAL, stroke=NEUTRAL, strokeDash=dash, cornerRadius=6)
        .encode(
            x=alt.X("x:Q", axis=None, scale=x),
            x2="x2:Q",
            y=alt.Y("y:Q", axis=None, scale=y),
            y2="y2:Q",
        )
        for where, dash in (("datum.main", [1, 0]), ("!datum.main", [4, 3]))
    ]
    name = base.mark_text(fontSize=15, fontWeight=600).encode(
        x="mid:Q", y="head:Q", text="text:N", color=alt.value(ink)
    )
    note = base.mark_text(fontSize=11, lineBreak="\n", baseline="top").encode(
        x="mid:Q", y="foot:Q", text="note:N", color=alt.value(ink)
    )
    # the frames come first: the layer that comes first brings the scales, and lines without axes
    # draw nothing at all
    return alt.layer(*frames, *_arrows(table), name, note).properties(
        title=title_of(title), height=190 if aside else 90
    )


def _placed(boxes: pd.DataFrame) -> pd.DataFrame:
    """Where each box and its two lines of text stand."""
    left = boxes["main"].cumsum() - 1
    table = boxes.assign(
        x=left, x2=left + 0.78, mid=left + 0.39, y=np.where(boxes["main"], 0.0, 1.25)
    )
    return table.assign(y2=table["y"] + 0.95, head=table["y"] + 0.24, foot=table["y"] + 0.48)


def _arrows(table: pd.DataFrame) -> tuple[alt.Chart, alt.Chart]:
    """Lines and heads, from each main box to the next and down to what left."""
    steps = int(table["main"].sum())
    arrows = pd.DataFrame(
        [{"x": k + 0.78, "y": 0.475, "x2": k + 0.98, "y2": 0.475} for k in range(steps - 1)]
        + [{"x": mid, "y": 0.95, "x2": mid, "y2": 1.23} for mid in table.loc[~table["main"], "mid"]]
    )
    lines = (
        alt.Chart(arrows)
        .mark_rule(color=NEUTRAL, strokeWidth=1.5)
        .encode(x="x:Q", y="y:Q", x2="x2:Q", y2="y2:Q")
    )
    heads = (
        alt.Chart(arrows.assign(turn=np.where(arrows["x"] == arrows["x2"], 180, 90)))
        .mark_point(shape="triangle", size=70, filled=True, color=NEUTRAL, opacity=1)
        .encode(x="x2:Q", y="y2:Q", angle=alt.Angle("turn:Q", scale=None))
    )
    return lines, heads


def dots(patterns: pd.DataFrame, modalities: Sequence[str], title: str) -> alt.HConcatChart:
    """Which modalities cases have: a row a pattern, bars for how many cases have it.

    Args:
        patterns: `pattern, count, modality, state`; a full dot for PRESENT, a cross for REFUSED,
            an empty dot for what was not acquired.
        modalities: In order.
    """
    counts = patterns.drop_duplicates("pattern")[["pattern", "count"]]
    order = counts["pattern"].tolist()
    height = 24 * len(counts)
    longest_name = 7 * max(len(name) for name in modalities) + 14
    wide = max(48, min(longest_name, ROOM // len(modalities)))
    y = alt.Y("pattern:N", sort=order, axis=None)
    x = alt.X(
        "modality:N",
        sort=list(modalities),
        title=None,
        axis=alt.Axis(labelAngle=0, orient="top", labelLimit=wide, labelOverlap=False),
    )
    base = alt.Chart(patterns).encode(x=x, y=y, tooltip=["modality", "state", "count"])
    marks = [
        _state(base, PRESENT)
        .mark_circle(size=150, opacity=1)
        .encode(
            color=alt.Color("modality:N", scale=colours(list(modalities), modalities), legend=None)
        ),
        _state(base, REFUSED).mark_point(
            shape="cross", angle=45, size=90, strokeWidth=1.5, color=REFUSED_COLOUR
        ),
        _state(base, "").mark_point(size=70, opacity=0.6, strokeWidth=1, color=NEUTRAL),
    ]
    longest = alt.Scale(domain=[0, int(counts["count"].max()) * 1.15], nice=False)
    bars = (
        alt.Chart(counts)
        .mark_bar(height=13, color=NEUTRAL)
        .encode(x=alt.X("count:Q", title="cases", scale=longest, axis=alt.Axis(tickCount=5)), y=y)
    )
    numbers = bars.mark_text(align="left", dx=4, color=TEXT).encode(text="count:Q")
    return alt.hconcat(
        alt.layer(*marks).properties(width=wide * len(modalities), height=height),
        alt.layer(bars, numbers).properties(
            width=max(140, 520 - wide * len(modalities)), height=height
        ),
    ).properties(title=title_of(title))


def _state(base: alt.Chart, state: str) -> alt.Chart:
    return base.transform_filter(alt.datum.state == state)
