"""Charts: DataFrame in, chart out, nothing else. Colours by Okabe and Ito; a modality keeps its colour on every page."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

ACCENT = "#0072B2"
MODALITY_COLOURS = ("#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
NEUTRAL = "#8A9099"
FRAME = 84  # pixels of title and axis, which Streamlit counts into the height
TOWARDS, AWAY = "#D55E00", "#0072B2"  # signed values: orange for, blue against


def colours(models: Sequence[str], modalities: Sequence[str]) -> alt.Scale:
    """One colour a model: the accent for the fused one, its own for each modality, grey for baselines."""
    known = dict(zip(modalities, MODALITY_COLOURS, strict=False)) | {"fused": ACCENT}
    return alt.Scale(domain=list(models), range=[known.get(model, NEUTRAL) for model in models])


def forest(table: pd.DataFrame, modalities: Sequence[str], title: str, axis: str, reference: float | None = None) -> alt.Chart:
    """Value and interval of each row of `model, value, low, high, n`."""
    models = table["model"].tolist()
    base = alt.Chart(table).encode(y=alt.Y("model:N", sort=models, title=None, axis=alt.Axis(labelLimit=190, labelOverlap=False)))
    colour = alt.Color("model:N", scale=colours(models, modalities), legend=None)
    tooltip = ["model", alt.Tooltip("value", format=".3f"), alt.Tooltip("low", format=".3f"), alt.Tooltip("high", format=".3f"), "n"]
    layers = [
        base.mark_rule(strokeWidth=2.5).encode(
            x=alt.X("low:Q", title=axis, scale=alt.Scale(zero=False)), x2="high:Q", color=colour, tooltip=tooltip
        ),
        base.mark_point(filled=True, size=90, opacity=1).encode(x="value:Q", color=colour, tooltip=tooltip),
        base.mark_text(align="center", dx=0, dy=-11, fontSize=11, color=NEUTRAL).encode(x="value:Q", text=alt.Text("label:N")),
    ]
    if reference is not None:
        layers.insert(0, alt.Chart(pd.DataFrame({"x": [reference]})).mark_rule(strokeDash=[4, 4], color=NEUTRAL).encode(x="x:Q"))
    return _titled(alt.layer(*layers), title, 34 * len(table) + 20)


def roc(points: pd.DataFrame, modalities: Sequence[str], title: str) -> alt.Chart:
    """Curves of `model, false_positive_rate, true_positive_rate`."""
    models = list(dict.fromkeys(points["model"]))
    curve = alt.Chart(points).mark_line(interpolate="step-after", strokeWidth=2).encode(
        x=alt.X("false_positive_rate:Q", title="1 - specificity", scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("true_positive_rate:Q", title="sensitivity", scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("model:N", scale=colours(models, modalities), title=None, legend=alt.Legend(orient="bottom-right", fillColor="white", padding=4)),
        opacity=alt.condition(alt.datum.model == "fused", alt.value(1.0), alt.value(0.75)),
        order="order:Q",
    )  # fmt: skip
    chance = alt.Chart(pd.DataFrame({"x": [0, 1], "y": [0, 1]})).mark_line(strokeDash=[4, 4], color=NEUTRAL).encode(x="x:Q", y="y:Q")
    return _titled(chance + curve, title, 320)


def calibration(bins: pd.DataFrame, title: str) -> alt.VConcatChart:
    """Observed against predicted share, of `predicted, observed, low, high, n`, with the counts below."""
    x = alt.X("predicted:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    ideal = alt.Chart(pd.DataFrame({"x": [0, 1], "y": [0, 1]})).mark_line(strokeDash=[4, 4], color=NEUTRAL).encode(x="x:Q", y="y:Q")
    base = alt.Chart(bins).encode(x=x, tooltip=[alt.Tooltip("predicted", format=".0%"), alt.Tooltip("observed", format=".0%"), "n"])
    band = base.mark_rule(color=ACCENT, strokeWidth=2).encode(y=alt.Y("low:Q", title="observed", axis=alt.Axis(format="%")), y2="high:Q")
    dots = base.mark_point(filled=True, size=80, color=ACCENT, opacity=1).encode(y=alt.Y("observed:Q", scale=alt.Scale(domain=[0, 1])))
    below = alt.X("predicted:Q", title="predicted", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    counts = base.mark_bar(color=NEUTRAL, size=14).encode(x=below, y=alt.Y("n:Q", title="cases"))
    upper = alt.layer(ideal, band, dots).properties(height=230, title=_title(title))
    return alt.vconcat(upper, counts.properties(height=60), spacing=4)


def curves(table: pd.DataFrame, title: str) -> alt.Chart:
    """Training and validation loss of the fused fits by epoch."""
    long = table.melt(["fit", "epoch"], ["train_loss", "valid_loss"], "loss", "value")
    long["loss"] = long["loss"].map({"train_loss": "training", "valid_loss": "validation"})
    chart = alt.Chart(long).mark_line(opacity=0.8).encode(
        x=alt.X("epoch:Q", title="epoch"), y=alt.Y("value:Q", title="loss", scale=alt.Scale(zero=False)), detail="fit:N",
        color=alt.Color("loss:N", title=None, scale=alt.Scale(domain=["training", "validation"], range=[NEUTRAL, ACCENT]), legend=alt.Legend(orient="top-right")),
    )  # fmt: skip
    return _titled(chart, title, 260)


def contributions(table: pd.DataFrame, modalities: Sequence[str], title: str) -> alt.Chart:
    """Signed bars of `modality, value, text`, on the log-odds scale."""
    reach = max(1.0, float(np.nanmax(np.abs(table["value"].fillna(0)))) * 1.35)
    base = alt.Chart(table).encode(y=alt.Y("modality:N", sort=list(modalities), title=None))
    bars = base.mark_bar(height=16).encode(
        x=alt.X("value:Q", title="← away · log-odds · towards →", scale=alt.Scale(domain=[-reach, reach])),
        color=alt.condition("datum.value > 0", alt.value(TOWARDS), alt.value(AWAY)),
    )
    right = (
        base.transform_filter("datum.value >= 0 || !isValid(datum.value)")
        .mark_text(align="left", dx=5)
        .encode(x=alt.X("place:Q"), text="text:N")
    )
    left = base.transform_filter("datum.value < 0").mark_text(align="right", dx=-5).encode(x=alt.X("place:Q"), text="text:N")
    zero = alt.Chart(pd.DataFrame({"x": [0]})).mark_rule(color=NEUTRAL).encode(x="x:Q")
    text = [layer.encode(color=alt.value(NEUTRAL)) for layer in (right, left)]
    return _titled(alt.layer(bars, zero, *text), title, 34 * len(table) + 10)


def matrix(table: pd.DataFrame, modalities: Sequence[str], title: str) -> alt.Chart:
    """The K x K attention of `row, column, value`."""
    base = alt.Chart(table).encode(
        x=alt.X("column:N", sort=list(modalities), title="looked at", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("row:N", sort=list(modalities), title="looks"),
    )
    cells = base.mark_rect(stroke="white").encode(color=alt.Color("value:Q", scale=alt.Scale(scheme="viridis", domain=[0, 1]), legend=None))
    text = base.mark_text(fontSize=12).encode(
        text=alt.Text("value:Q", format=".2f"), color=alt.condition("datum.value > 0.55", alt.value("black"), alt.value("white"))
    )
    return _titled(cells + text, title, 36 * len(modalities) + 30)


def ranked(table: pd.DataFrame, title: str) -> alt.Chart:
    """Signed horizontal bars of `name, weight`, the largest first."""
    chart = alt.Chart(table).mark_bar(height=11).encode(
        x=alt.X("weight:Q", title="← away · log-odds · towards →"),
        y=alt.Y("name:N", sort=table["name"].tolist(), title=None, axis=alt.Axis(labelLimit=190, labelOverlap=False)),
        color=alt.condition("datum.weight > 0", alt.value(TOWARDS), alt.value(AWAY)),
        tooltip=[column for column in ("name", "weight", "z", "percentile") if column in table],
    )  # fmt: skip
    return _titled(chart, title, 22 * len(table) + 10)


def dots(patterns: pd.DataFrame, modalities: Sequence[str], title: str) -> alt.HConcatChart:
    """Which modalities cases have: a row a pattern (`pattern, count`, and a column of bool a modality), dots for what is there, bars for how many."""
    order = patterns["pattern"].tolist()
    long = patterns.melt(["pattern", "count"], list(modalities), "modality", "there")
    height = 26 * len(patterns) + 10
    y = alt.Y("pattern:N", sort=order, axis=None)
    there = alt.Chart(long).mark_circle(size=150, opacity=1).encode(
        x=alt.X("modality:N", sort=list(modalities), title=None, axis=alt.Axis(labelAngle=0, orient="top")), y=y,
        color=alt.condition("datum.there", alt.value(ACCENT), alt.value("#D5D8DD")), tooltip=["modality", "there", "count"],
    )  # fmt: skip
    bars = alt.Chart(patterns).mark_bar(height=14, color=NEUTRAL).encode(x=alt.X("count:Q", title="cases"), y=y)
    counts = bars.mark_text(align="left", dx=4, color=NEUTRAL).encode(text="count:Q")
    return alt.hconcat(
        there.properties(width=90 * len(modalities), height=height), alt.layer(bars, counts).properties(width=320, height=height)
    ).properties(title=_title(title))


def _title(text: str) -> alt.TitleParams:
    return alt.TitleParams(text, anchor="start", fontSize=14, fontWeight=600, offset=10)


def _titled(chart: alt.Chart | alt.LayerChart, text: str, height: int) -> alt.Chart:
    titled: alt.Chart = chart.properties(title=_title(text), height=height + FRAME)
    return titled
