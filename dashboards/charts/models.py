"""Charts of models beside each other: metrics with intervals, ROC, calibration, learning curves."""

import json
from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from dashboards.charts.style import ACCENT, FUSED_NAME, NEUTRAL, TEXT, Layered, colours, titled

HALF_A_FIGURE = 0.33  # of the width of a chart, on a narrow screen


def forest(
    table: pd.DataFrame,
    modalities: Sequence[str],
    title: str,
    axis: str,
    reference: float | None = None,
) -> Layered:
    """Value and interval of each row of `model, value, low, high, n`."""
    models = table["model"].tolist()
    low, high = _with_room(table, reference)
    wide = alt.Scale(domain=[low, high], nice=False, zero=False)
    margin = HALF_A_FIGURE * (high - low)
    inside = table["value"].clip(low + margin, high - margin)  # figures end where the chart does
    base = alt.Chart(table.assign(inside=inside)).encode(
        y=alt.Y(
            "model:N", sort=models, title=None, axis=alt.Axis(labelLimit=190, labelOverlap=False)
        )
    )
    colour = alt.Color("model:N", scale=colours(models, modalities), legend=None)
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
            x=alt.X("inside:Q", scale=wide), text=alt.Text("label:N")
        ),
    ]
    if reference is not None:
        layers.insert(
            0,
            alt.Chart(pd.DataFrame({"x": [reference]}))
            .mark_rule(strokeDash=[4, 4], color=NEUTRAL)
            .encode(x=alt.X("x:Q", scale=wide)),
        )
    return titled(alt.layer(*layers), title, 34 * len(table) + 20)


def _with_room(table: pd.DataFrame, reference: float | None) -> tuple[float, float]:
    """Ends of a scale with some room for the figures over the points."""
    least, most = float(table["low"].min()), float(table["high"].max())
    if reference is not None:
        least = min(least, reference)
    room = 0.3 * max(most - least, 0.1)
    values = table["value"]
    return min(least, float(values.min()) - room), max(most, float(values.max()) + room)


def roc(
    points: pd.DataFrame, modalities: Sequence[str], title: str, names: Mapping[str, str]
) -> Layered:
    """Curves of `model, false_positive_rate, true_positive_rate`.

    Args:
        names: Model -> its text in the legend.
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
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X(
                "false_positive_rate:Q", title="1 - specificity", scale=alt.Scale(domain=[0, 1])
            ),
            y=alt.Y("true_positive_rate:Q", title="sensitivity", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color(
                "model:N", scale=colours(models, modalities), title=None, legend=legend
            ),
            opacity=alt.condition(alt.datum.model == FUSED_NAME, alt.value(1.0), alt.value(0.75)),
            order="order:Q",
        )
    )
    chance = (
        alt.Chart(pd.DataFrame({"x": [0, 1], "y": [0, 1]}))
        .mark_line(strokeDash=[4, 4], color=NEUTRAL)
        .encode(x="x:Q", y="y:Q")
    )
    return titled(chance + curve, title, 320)


def calibration(bins: pd.DataFrame, title: str) -> Layered:
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
    label = (
        alt.Chart(pd.DataFrame({"x": [0.0]}))
        .mark_text(text="n =", align="left", dx=2, color=TEXT, fontSize=11)
        .encode(x="x:Q", y=alt.datum(-0.08))
    )
    return titled(alt.layer(ideal, band, dots, counts, label), title, 260)


def curves(table: pd.DataFrame, title: str) -> Layered:
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
                legend=alt.Legend(orient="bottom-left"),
            ),
        )
    )
    return titled(chart, title, 260)
