"""Charts: DataFrame in, chart out, nothing else. Colours by Okabe and Ito; a modality keeps its
colour on every page.
"""

import json
import textwrap
from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

ACCENT = "#0072B2"
MODALITY_COLOURS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
NEUTRAL = "#8A9099"
TEXT = "#767B83"  # as readable on white as on the dark page: 4.2 to 1
TITLE = 58  # characters of a line of a title over half a page
FRAME = 84  # pixels of title and axis, which Streamlit counts into the height
Drawn = alt.Chart | alt.LayerChart | alt.HConcatChart
TOWARDS, AWAY = "#D55E00", "#0072B2"  # signed values: orange for, blue against


def colours(models: Sequence[str], modalities: Sequence[str]) -> alt.Scale:
    """One colour a model: the accent for the fused one, its own for each modality, grey for
    baselines.
    """
    known = dict(zip(modalities, MODALITY_COLOURS, strict=False)) | {"fused": ACCENT}
    return alt.Scale(domain=list(models), range=[known.get(model, NEUTRAL) for model in models])


def forest(
    table: pd.DataFrame,
    modalities: Sequence[str],
    title: str,
    axis: str,
    reference: float | None = None,
) -> alt.Chart:
    """Value and interval of each row of `model, value, low, high, n`."""
    models = table["model"].tolist()
    base = alt.Chart(table).encode(
        y=alt.Y(
            "model:N", sort=models, title=None, axis=alt.Axis(labelLimit=190, labelOverlap=False)
        )
    )
    colour = alt.Color("model:N", scale=colours(models, modalities), legend=None)
    least, most = table["low"].min(), table["high"].max()
    if reference is not None:
        least = min(least, reference)
    room = 0.3 * max(
        most - least, 0.1
    )  # the figures over a point are about half as wide as the chart
    wide = alt.Scale(
        domain=[min(least, table["value"].min() - room), max(most, table["value"].max() + room)],
        nice=False,
        zero=False,
    )
    tooltip = [
        "model",
        alt.Tooltip("value", format=".3f"),
        alt.Tooltip("low", format=".3f"),
        alt.Tooltip("high", format=".3f"),
        "n",
    ]
    layers = [
        base.mark_rule(strokeWidth=2.5).encode(
            x=alt.X("low:Q", title=axis, scale=wide), x2="high:Q", color=colour, tooltip=tooltip
        ),
        base.mark_point(filled=True, size=90, opacity=1).encode(
            x=alt.X("value:Q", scale=wide), color=colour, tooltip=tooltip
        ),
        base.mark_text(align="center", dx=0, dy=-11, fontSize=11, color=TEXT).encode(
            x=alt.X("value:Q", scale=wide), text=alt.Text("label:N")
        ),
    ]
    if reference is not None:
        layers.insert(
            0,
            alt.Chart(pd.DataFrame({"x": [reference]}))
            .mark_rule(strokeDash=[4, 4], color=NEUTRAL)
            .encode(x=alt.X("x:Q", scale=wide)),
        )
    return _titled(alt.layer(*layers), title, 34 * len(table) + 20)


def roc(
    points: pd.DataFrame, modalities: Sequence[str], title: str, names: Mapping[str, str]
) -> alt.Chart:
    """Curves of `model, false_positive_rate, true_positive_rate`.

    Args:
        names: What the legend says of a model.
    """
    models = list(dict.fromkeys(points["model"]))
    legend = alt.Legend(
        orient="bottom-right",
        padding=4,
        labelLimit=260,
        labelExpr=f"{json.dumps(dict(names))}[datum.label] || datum.label",
    )
    curve = (
        alt.Chart(points)
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=alt.X(
                "false_positive_rate:Q", title="1 - specificity", scale=alt.Scale(domain=[0, 1])
            ),
            y=alt.Y("true_positive_rate:Q", title="sensitivity", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color(
                "model:N", scale=colours(models, modalities), title=None, legend=legend
            ),
            opacity=alt.condition(alt.datum.model == "fused", alt.value(1.0), alt.value(0.75)),
            order="order:Q",
        )
    )
    chance = (
        alt.Chart(pd.DataFrame({"x": [0, 1], "y": [0, 1]}))
        .mark_line(strokeDash=[4, 4], color=NEUTRAL)
        .encode(x="x:Q", y="y:Q")
    )
    return _titled(chance + curve, title, 320)


def calibration(bins: pd.DataFrame, title: str) -> alt.Chart:
    """Observed against predicted share, of `predicted, observed, low, high, n`, with the counts
    under them.
    """
    percent = alt.Axis(format="%", values=[0, 0.2, 0.4, 0.6, 0.8, 1])
    x = alt.X("predicted:Q", title="predicted", scale=alt.Scale(domain=[0, 1]), axis=percent)
    scale = alt.Scale(domain=[-0.16, 1], nice=False)
    ideal = (
        alt.Chart(pd.DataFrame({"x": [0, 1], "y": [0, 1]}))
        .mark_line(strokeDash=[4, 4], color=NEUTRAL)
        .encode(x="x:Q", y="y:Q")
    )
    base = alt.Chart(bins).encode(
        x=x,
        tooltip=[
            alt.Tooltip("predicted", format=".0%"),
            alt.Tooltip("observed", format=".0%"),
            "n",
        ],
    )
    band = base.mark_rule(color=ACCENT, strokeWidth=2).encode(
        y=alt.Y("low:Q", title="observed", axis=percent, scale=scale), y2="high:Q"
    )
    dots = base.mark_point(filled=True, size=80, color=ACCENT, opacity=1).encode(
        y=alt.Y("observed:Q", scale=scale)
    )
    counts = base.mark_text(color=TEXT, fontSize=11).encode(y=alt.datum(-0.08), text="n:Q")
    said = (
        alt.Chart(pd.DataFrame({"x": [0.0]}))
        .mark_text(text="n =", align="left", dx=2, color=TEXT, fontSize=11)
        .encode(x="x:Q", y=alt.datum(-0.08))
    )
    return _titled(alt.layer(ideal, band, dots, counts, said), title, 260)


def curves(table: pd.DataFrame, title: str) -> alt.Chart:
    """Training and validation loss of the fused fits by epoch."""
    long = table.melt(["fit", "epoch"], ["train_loss", "valid_loss"], "loss", "value")
    long["loss"] = long["loss"].map({"train_loss": "training", "valid_loss": "validation"})
    chart = (
        alt.Chart(long)
        .mark_line(opacity=0.8)
        .encode(
            x=alt.X("epoch:Q", title="epoch"),
            y=alt.Y("value:Q", title="loss", scale=alt.Scale(zero=False)),
            detail="fit:N",
            color=alt.Color(
                "loss:N",
                title=None,
                scale=alt.Scale(domain=["training", "validation"], range=[NEUTRAL, ACCENT]),
                legend=alt.Legend(orient="top-right"),
            ),
        )
    )
    return _titled(chart, title, 260)


def strip(others: Sequence[float], value: float, title: str) -> alt.Chart:
    """One probability among those of the other cases: a tick a case, a dot for this one."""
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
    return _titled(ticks + dot, title, 0)


def contributions(table: pd.DataFrame, modalities: Sequence[str], title: str) -> alt.Chart:
    """Signed bars of `modality, value, text`, on the log-odds scale."""
    reach = max(1.0, float(np.nanmax(np.abs(table["value"].fillna(0)))) * 1.35)
    base = alt.Chart(table).encode(
        y=alt.Y("modality:N", sort=list(modalities), title=None, axis=alt.Axis(labelLimit=150))
    )
    bars = base.mark_bar(height=16).encode(
        x=alt.X(
            "value:Q",
            title="← away · log-odds · towards →",
            scale=alt.Scale(domain=[-reach, reach]),
            axis=alt.Axis(tickCount=5),
        ),
        color=alt.condition("datum.value > 0", alt.value(TOWARDS), alt.value(AWAY)),
    )
    own = base.mark_square(size=70, opacity=1).encode(
        x=alt.datum(-reach * 0.985),
        color=alt.Color("modality:N", scale=colours(list(modalities), modalities), legend=None),
    )
    right = (
        base.transform_filter("datum.value >= 0 || !isValid(datum.value)")
        .mark_text(align="left", dx=5)
        .encode(x=alt.X("place:Q"), text="text:N")
    )
    left = (
        base.transform_filter("datum.value < 0")
        .mark_text(align="right", dx=-5)
        .encode(x=alt.X("place:Q"), text="text:N")
    )
    zero = alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(color=NEUTRAL).encode(x="x:Q")
    text = [layer.encode(color=alt.value(TEXT)) for layer in (right, left)]
    return _titled(alt.layer(bars, own, zero, *text), title, 26 * len(table))


def matrix(table: pd.DataFrame, modalities: Sequence[str], title: str) -> alt.Chart:
    """The K x K attention of `row, column, value`; a cell without a value belongs to a modality
    that was not acquired.
    """
    base = alt.Chart(table).encode(
        x=alt.X(
            "column:N",
            sort=list(modalities),
            title="looked at",
            axis=alt.Axis(labelAngle=0, orient="bottom"),
        ),
        y=alt.Y("row:N", sort=list(modalities), title="looks", axis=alt.Axis(labelLimit=150)),
    )
    there = base.transform_filter("isValid(datum.value)")
    empty = base.transform_filter("!isValid(datum.value)").mark_rect(
        fillOpacity=0, stroke=NEUTRAL, strokeDash=[3, 3], strokeWidth=0.7
    )
    cells = there.mark_rect().encode(
        color=alt.Color("value:Q", scale=alt.Scale(scheme="viridis", domain=[0, 1]), legend=None)
    )
    text = there.mark_text(fontSize=12).encode(
        text=alt.Text("value:Q", format=".2f"),
        color=alt.condition("datum.value > 0.55", alt.value("black"), alt.value("white")),
    )
    return _titled(alt.layer(cells, empty, text), title, 28 * len(modalities))


def ranked(table: pd.DataFrame, title: str) -> alt.Chart:
    """Signed horizontal bars of `text, weight`, the largest first."""
    chart = (
        alt.Chart(table)
        .mark_bar(height=11)
        .encode(
            x=alt.X("weight:Q", title="← away · log-odds · towards →", axis=alt.Axis(tickCount=5)),
            y=alt.Y(
                "text:N",
                sort=table["text"].tolist(),
                title=None,
                axis=alt.Axis(labelLimit=240, labelOverlap=False),
            ),
            color=alt.condition("datum.weight > 0", alt.value(TOWARDS), alt.value(AWAY)),
            tooltip=[column for column in ("name", "weight", "z", "percentile") if column in table],
        )
    )
    return _titled(chart, title, 22 * len(table) + 10)


def flow(boxes: pd.DataFrame, title: str, ink: str) -> alt.LayerChart:
    """Participant flow: `said, note, main`; main boxes from left to right, what left the flow hangs
    below where it left.

    Args:
        boxes: In order; a row with `main` False belongs under the main box before it.
        ink: Colour of text in the theme that is shown: Vega would write black.
    """
    place = boxes["main"].cumsum() - 1
    steps = int(boxes["main"].sum())
    table = boxes.assign(
        x=place, x2=place + 0.78, mid=place + 0.39, y=np.where(boxes["main"], 0.0, 1.25)
    )
    table = table.assign(y2=table["y"] + 0.95, head=table["y"] + 0.3, foot=table["y"] + 0.68)
    arrows = pd.DataFrame(
        [{"x": k + 0.78, "y": 0.475, "x2": k + 0.98, "y2": 0.475} for k in range(steps - 1)]
        + [
            {"x": row.mid, "y": 0.95, "x2": row.mid, "y2": 1.23}
            for row in table[~table["main"]].itertuples()
        ]
    )
    x = alt.Scale(domain=[0, steps - 0.2], nice=False)
    y = alt.Scale(domain=[0, 2.2 if (~boxes["main"]).any() else 0.95], reverse=True, nice=False)
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
        x="mid:Q", y="head:Q", text="said:N", color=alt.value(ink)
    )
    said = base.mark_text(fontSize=11).encode(
        x="mid:Q", y="foot:Q", text="note:N", color=alt.value(ink)
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
    height = 170 if (~boxes["main"]).any() else 80
    # the frames come first: the layer that comes first brings the scales, and lines without axes
    # draw nothing at all
    return alt.layer(*frames, lines, heads, name, said).properties(
        title=_title(title), height=height
    )


def dots(patterns: pd.DataFrame, modalities: Sequence[str], title: str) -> alt.HConcatChart:
    """Which modalities cases have: a row a pattern (`pattern, count`, and a column of bool a
    modality), dots for what is there, bars for how many.
    """
    order = patterns["pattern"].tolist()
    long = patterns.melt(["pattern", "count"], list(modalities), "modality", "there")
    height = 24 * len(patterns)
    wide = max(64, 7 * max(len(name) for name in modalities) + 14)
    y = alt.Y("pattern:N", sort=order, axis=None)
    x = alt.X(
        "modality:N",
        sort=list(modalities),
        title=None,
        axis=alt.Axis(labelAngle=0, orient="top", labelLimit=wide),
    )
    base = alt.Chart(long).encode(x=x, y=y, tooltip=["modality", "there", "count"])
    there = (
        base.transform_filter("datum.there")
        .mark_circle(size=150, opacity=1)
        .encode(
            color=alt.Color("modality:N", scale=colours(list(modalities), modalities), legend=None)
        )
    )
    missing = base.transform_filter("!datum.there").mark_point(
        size=70, opacity=0.6, strokeWidth=1, color=NEUTRAL
    )
    longest = alt.Scale(domain=[0, int(patterns["count"].max()) * 1.15], nice=False)
    bars = (
        alt.Chart(patterns)
        .mark_bar(height=13, color=NEUTRAL)
        .encode(x=alt.X("count:Q", title="cases", scale=longest, axis=alt.Axis(tickCount=5)), y=y)
    )
    counts = bars.mark_text(align="left", dx=4, color=TEXT).encode(text="count:Q")
    return alt.hconcat(
        alt.layer(there, missing).properties(width=wide * len(modalities), height=height),
        alt.layer(bars, counts).properties(
            width=max(140, 560 - wide * len(modalities)), height=height
        ),
    ).properties(title=_title(title))


def _title(lines: str | list[str]) -> alt.TitleParams:
    return alt.TitleParams(lines, anchor="start", fontSize=14, fontWeight=600, offset=10)


def _titled(chart: alt.Chart | alt.LayerChart, text: str, height: int) -> alt.Chart:
    """A title is wrapped: Vega cuts what is wider than the chart."""
    lines = textwrap.wrap(text, TITLE, break_on_hyphens=False)
    titled: alt.Chart = chart.properties(
        title=_title(lines), height=height + FRAME + 18 * (len(lines) - 1)
    )
    return titled
