"""Charts of one case: its answer among the others, contributions, attention, signals."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Int16
from numpy import ndarray

from dashboards.charts.style import (
    ACCENT,
    LOWERS,
    NEUTRAL,
    RAISES,
    REFUSED,
    TEXT,
    Layered,
    colours,
    titled,
)
from dashboards.texts import both_ends
from mmdiag.evaluation.verdict import LOG_ODDS
from mmdiag.readers.signals.stored import is_missing

BINS = 500  # of a drawn signal: one a pixel and a half
AXIS = 44  # pixels of the name of an axis
CELL = 74  # pixels of a name under a matrix
LINE = 13  # pixels of a further line of such a name
SHORT = 11  # letters of a name that stands there in one line
NAMES = alt.Axis(labelLimit=150, labelOverlap=False)  # Vega would leave out every second one
BENEATH = alt.Axis(
    labelAngle=0,
    orient="bottom",
    labelLimit=CELL,
    labelOverlap=False,
    labelExpr=f"length(datum.label) > {SHORT} ? split(datum.label, ' ') : datum.label",
)
MARGIN = 0.3  # of the width of all bars, beside them: for what is written there
SIGNED = alt.Axis(tickCount=5, titleFontSize=11)  # its title names both ends
# where long names take half of the width, so that the title reaches below them and is not cut
SIGNED_AT_END = alt.Axis(tickCount=5, titleFontSize=11, titleAnchor="end")
STRONGEST = 0.45  # opacity of the window with the largest effect


def strip(
    others: Sequence[float], value: float, title: str, threshold: float | None = None
) -> Layered:
    """One probability among those of the other cases: a tick a case, a dot for this one, and a line
    from which an answer is positive, where there is one.
    """
    x = alt.X(
        "x:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%", grid=False, values=[0, 0.25, 0.5, 0.75, 1]),
    )
    ticks = (
        alt.Chart(pd.DataFrame({"x": list(others)}))
        .mark_tick(color=NEUTRAL, opacity=0.55, thickness=1.5, size=16)
        .encode(x=x)
    )
    dot = (
        alt.Chart(pd.DataFrame({"x": [value]}))
        .mark_point(filled=True, size=170, color=ACCENT, opacity=1)
        .encode(x=x)
    )
    if threshold is None:
        return titled(ticks + dot, title, 0)
    line = (
        alt.Chart(pd.DataFrame({"x": [threshold], "text": [f"threshold {threshold:.0%}"]}))
        .mark_rule(color=TEXT, strokeDash=[3, 2], strokeWidth=1.5)
        .encode(x=x, tooltip="text:N")
    )
    return titled(ticks + line + dot, title, 0)


def contributions(
    table: pd.DataFrame,
    modalities: Sequence[str],
    title: str,
    outcome: str,
    ends: Mapping[str, tuple[float, str]],
    scale_of: str = LOG_ODDS,
) -> Layered:
    """From what is known of nobody to the answer, on one axis: a bar a modality, each beginning
    where the one before it ends.

    Args:
        table: `modality, value, text`; no value = a modality that the case lacks.
        outcome, scale_of: What a positive value raises, and in what.
        ends: Name of the first row and, where there is an answer, of the last -> its place, and
            how it is read.
    """
    names = list(ends)
    steps, at = [], next(iter(ends.values()), (0.0, ""))[0]
    for name, value, text in table[["modality", "value", "text"]].itertuples(index=False):
        stop = at if pd.isna(value) else at + value
        steps.append({"row": name, "start": at, "stop": stop, "text": text})
        at = stop
    marks = [{"row": name, "start": x, "text": text} for name, (x, text) in ends.items()]
    places = [place for step in steps for place in (step["start"], step["stop"])]
    places += [mark["start"] for mark in marks]
    low, high = min(places, default=0.0), max(places, default=0.0)
    room = max(high - low, 1.0) * MARGIN
    scale = alt.Scale(domain=[low - room, high + room], nice=False)
    order = [*names[:1], *modalities, *names[1:]]
    base = alt.Chart(pd.DataFrame(steps, columns=["row", "start", "stop", "text"])).encode(
        y=alt.Y("row:N", sort=order, scale=alt.Scale(domain=order), title=None, axis=NAMES)
    )
    x = alt.X("start:Q", title=both_ends(outcome, scale_of), scale=scale, axis=SIGNED)
    bars = base.mark_bar(height=16).encode(
        x=x,
        x2="stop:Q",
        color=alt.condition("datum.stop > datum.start", alt.value(RAISES), alt.value(LOWERS)),
    )
    own = base.mark_square(size=70, opacity=1).encode(
        x=alt.datum(low - room * 0.97),
        color=alt.Color("row:N", scale=colours(list(modalities), modalities), legend=None),
    )
    right = base.transform_filter("datum.stop >= datum.start").mark_text(align="left", dx=5)
    left = base.transform_filter("datum.stop < datum.start").mark_text(align="right", dx=-5)
    text = [one.encode(x="stop:Q", text="text:N", color=alt.value(TEXT)) for one in (right, left)]
    end = alt.Chart(pd.DataFrame(marks, columns=["row", "start", "text"])).encode(
        y=alt.Y("row:N", sort=order), x="start:Q"
    )
    shown = [
        end.mark_tick(color=ACCENT, thickness=3, size=18),
        end.mark_text(align="left", dx=6).encode(text="text:N", color=alt.value(TEXT)),
    ]
    zero = alt.Chart(pd.DataFrame({"x": [0.0]})).mark_rule(color=NEUTRAL).encode(x="x:Q")
    layers = [bars, own, *text, *shown, *([zero] if low - room <= 0 <= high + room else [])]
    return titled(alt.layer(*layers), title, 26 * len(order))


def matrix(table: pd.DataFrame, modalities: Sequence[str], title: str) -> Layered:
    """The K x K attention of `row, column, value, refused`; a dashed cell belongs to a modality
    that was not acquired, an orange one with a cross to one that is in quarantine.
    """
    base = alt.Chart(table).encode(
        x=alt.X(
            "column:N",
            sort=list(modalities),
            title="key modality",
            axis=BENEATH,
        ),
        y=alt.Y("row:N", sort=list(modalities), title="query modality", axis=NAMES),
    )
    present = base.transform_filter("isValid(datum.value)")
    empty = base.transform_filter("!isValid(datum.value) && !datum.refused").mark_rect(
        fillOpacity=0, stroke=NEUTRAL, strokeDash=[3, 3], strokeWidth=0.7
    )
    refused = base.transform_filter("!isValid(datum.value) && datum.refused")
    crossed = refused.mark_point(shape="cross", angle=45, size=60, color=REFUSED, strokeWidth=1.5)
    cells = present.mark_rect().encode(
        color=alt.Color("value:Q", scale=alt.Scale(scheme="viridis", domain=[0, 1]), legend=None)
    )
    text = present.mark_text(fontSize=12).encode(
        text=alt.Text("value:Q", format=".2f"),
        color=alt.condition("datum.value > 0.55", alt.value("black"), alt.value("white")),
    )
    height = 28 * len(modalities) + AXIS + _beneath(modalities)
    return titled(alt.layer(cells, empty, crossed, text), title, height)


def interactions(table: pd.DataFrame, modalities: Sequence[str], title: str) -> Layered:
    """The K x K interactions of `row, column, value`, signed."""
    reach = max(float(table["value"].abs().max()), 1e-6)
    base = alt.Chart(table).encode(
        x=alt.X(
            "column:N",
            sort=list(modalities),
            title=None,
            axis=BENEATH,
        ),
        y=alt.Y("row:N", sort=list(modalities), title=None, axis=NAMES),
    )
    cells = (
        base.mark_rect()
        .encode(
            color=alt.condition("datum.value > 0", alt.value(RAISES), alt.value(LOWERS)),
            opacity=alt.Opacity(
                "size:Q", scale=alt.Scale(domain=[0, reach], range=[0, 0.7]), legend=None
            ),
        )
        .transform_calculate(size="abs(datum.value)")
    )
    text = base.mark_text(fontSize=12).encode(
        text=alt.Text("value:Q", format="+.2f"),
        color=alt.condition(
            f"abs(datum.value) > {0.5 * reach}", alt.value("white"), alt.value(TEXT)
        ),
    )
    return titled(alt.layer(cells, text), title, 28 * len(modalities) + _beneath(modalities))


def _beneath(names: Sequence[str]) -> int:
    """Pixels of the further lines of the names under a matrix: a word a line where one is long."""
    return LINE * max((name.count(" ") for name in names if len(name) > SHORT), default=0)


def ranked(table: pd.DataFrame, title: str, outcome: str, scale_of: str = LOG_ODDS) -> Layered:
    """Signed horizontal bars of `text, value`, the largest first."""
    chart = (
        alt.Chart(table)
        .mark_bar(height=11)
        .encode(
            x=alt.X("value:Q", title=both_ends(outcome, scale_of), axis=SIGNED_AT_END),
            y=alt.Y(
                "text:N",
                sort=table["text"].tolist(),
                title=None,
                axis=alt.Axis(labelLimit=240, labelOverlap=False),
            ),
            color=alt.condition("datum.value > 0", alt.value(RAISES), alt.value(LOWERS)),
            tooltip=[column for column in ("name", "value", "z", "percentile") if column in table],
        )
    )
    return titled(chart, title, 22 * len(table) + 10)


def among(table: pd.DataFrame, names: Sequence[str], classes: Sequence[str], title: str) -> Layered:
    """Where a case stands among the others in some columns, outcome classes apart.

    Args:
        table: `column, outcome, low, middle, high` in percent of the cohort, and `own`: the case.
        names: Of the columns, from above.
    """
    y = alt.Y("column:N", sort=list(names), title=None, axis=alt.Axis(labelLimit=240))
    apart = alt.YOffset("outcome:N", sort=list(classes))
    base = alt.Chart(table).encode(y=y)
    x = alt.X("low:Q", title="percent of the cohort below", scale=alt.Scale(domain=[0, 100]))
    shade = alt.Opacity(
        "outcome:N",
        scale=alt.Scale(domain=list(classes), range=np.linspace(0.35, 0.8, len(classes)).tolist()),
        legend=alt.Legend(title=None, orient="top"),
    )
    reach = base.mark_bar(height=5, color=NEUTRAL).encode(
        x=x, x2="high:Q", yOffset=apart, opacity=shade
    )
    middle = base.mark_tick(color=TEXT, thickness=2, size=9).encode(x="middle:Q", yOffset=apart)
    own = base.mark_point(shape="diamond", filled=True, size=80, color=ACCENT, opacity=1).encode(
        x="own:Q"
    )
    return titled(alt.layer(reach, middle, own), title, 26 * len(names) + AXIS)


def signal(
    samples: Int16[ndarray, "time channel"],
    rate_hz: float | None,
    windows: Sequence[Mapping[str, Any]],
    title: str,
) -> Layered:
    """The channels of a signal under each other, each scaled to its own largest value, over windows
    shaded by their effect.

    Args:
        rate_hz: Samples a second; None = not recorded, then the axis counts samples.
        windows: `start_s, end_s, value`; a positive value raises the outcome. Drawn only where the
            rate is known.
    """
    channels = samples.shape[1]
    axis = "time (s)" if rate_hz else "sample (rate not recorded)"
    length = len(samples) / (rate_hz or 1.0)
    x = alt.X("x:Q", title=axis, scale=alt.Scale(domain=[0, length], nice=False))
    y = alt.Y(
        "y:Q", axis=None, scale=alt.Scale(domain=[0.5 - channels, 0.5], nice=False, zero=False)
    )
    lines = (
        alt.Chart(envelope(samples, rate_hz or 1.0))
        .mark_line(strokeWidth=1, color=TEXT)
        .encode(x=x, y=y, detail="channel:N", order="x:Q")
    )
    texts = [
        f"channel {number}{' (missing)' if missing else ''}"
        for number, missing in enumerate(is_missing(samples).tolist(), 1)
    ]
    names = pd.DataFrame({"x": 0.0, "y": 0.38 - np.arange(channels), "text": texts})
    labels = (
        alt.Chart(names).mark_text(align="left", dx=4, color=TEXT).encode(x=x, y=y, text="text:N")
    )
    # what lies behind comes first, and brings the scales along
    shaded = [_shaded(windows, channels, x, y)] if windows and rate_hz else []
    return titled(alt.layer(*shaded, lines, labels), title, 56 * channels)


def envelope(samples: Int16[ndarray, "time channel"], rate_hz: float) -> pd.DataFrame:
    """`channel, x, y`: the least and the largest sample of each bin, so that no peak is lost;
    channel k lies around -k. A channel that is missing has none.
    """
    edges = np.unique(np.linspace(0, len(samples), min(BINS, len(samples)) + 1).astype(int))
    starts = edges[:-1]
    parts = []
    for channel in np.flatnonzero(~is_missing(samples)).tolist():
        values = samples[:, channel].astype(np.float64)
        scaled = 0.42 * values / max(np.abs(values).max(), 1.0) - channel
        low, high = np.minimum.reduceat(scaled, starts), np.maximum.reduceat(scaled, starts)
        times = np.stack([starts, (starts + edges[1:]) / 2], axis=1).ravel() / rate_hz
        both = np.stack([low, high], axis=1).ravel()
        parts.append(pd.DataFrame({"channel": channel + 1, "x": times, "y": both}))
    return pd.concat(parts, ignore_index=True)


def _shaded(windows: Sequence[Mapping[str, Any]], channels: int, x: alt.X, y: alt.Y) -> alt.Chart:
    table = pd.DataFrame(list(windows))
    largest = max(float(table["value"].abs().max()), 1e-9)
    table = table.assign(
        x=table["start_s"],
        y=0.5 - channels,
        top=0.5,
        opacity=STRONGEST * table["value"].abs() / largest,
    )
    windows_drawn: alt.Chart = (
        alt.Chart(table)
        .mark_rect()
        .encode(
            x=x,
            x2="end_s:Q",
            y=y,
            y2="top:Q",
            color=alt.condition("datum.value > 0", alt.value(RAISES), alt.value(LOWERS)),
            opacity=alt.Opacity("opacity:Q", scale=None),
            tooltip=[alt.Tooltip(name, format=".3f") for name in ("start_s", "end_s", "value")],
        )
    )
    return windows_drawn
