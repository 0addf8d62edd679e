"""What the modalities add leads from what is known of nobody to the answer, on one axis."""

import numpy as np
import pandas as pd
import pytest

from dashboards import texts
from dashboards.charts.case import contributions

NAMES = ["FLAIR", "Report", "Genes"]
VALUES = [0.8, np.nan, -1.7]


def rows_of(ends):
    """The bars and the marks that are drawn, and the axis that they lie on."""
    table = pd.DataFrame(
        {"modality": NAMES, "value": VALUES, "text": ["+0.80", "not acquired", "-1.70"]}
    )
    drawn = contributions(table, NAMES, "title", "Progression", ends).to_dict()
    rows = [row for rows in drawn["datasets"].values() for row in rows]
    bars = {row["row"]: (row["start"], row["stop"]) for row in rows if "stop" in row}
    marks = {row["row"]: (row["start"], row["text"]) for row in rows if "text" in row} | {}
    axis = drawn["layer"][0]["encoding"]["x"]["scale"]["domain"]
    return bars, {name: marks[name] for name in marks if name not in NAMES}, axis


def test_each_bar_begins_where_the_one_before_it_ends():
    ends = {texts.BASE: (0.25, "56 %"), texts.THIS_CASE: (-0.65, "34 %")}
    bars, marks, axis = rows_of(ends)
    assert list(bars) == NAMES and bars["FLAIR"] == pytest.approx((0.25, 1.05))
    assert bars["Report"][0] == bars["Report"][1] == bars["FLAIR"][1]
    assert bars["Genes"] == pytest.approx((1.05, marks[texts.THIS_CASE][0]))
    assert marks == ends
    assert axis[0] < -0.65 and axis[1] > 1.05


def test_an_answer_that_is_withheld_has_no_end():
    _, marks, _ = rows_of({texts.BASE: (0.25, "56 %")})
    assert list(marks) == [texts.BASE]


def test_without_a_beginning_bars_begin_at_nothing():
    bars, marks, _ = rows_of({})
    assert bars["FLAIR"] == pytest.approx((0.0, 0.8)) and not marks


def test_a_place_is_read_as_the_share_that_it_stands_for():
    assert texts.log_odds(-1000.0, share=True) == "< 1 %"
    assert texts.log_odds(0.0, share=True) == "50 %" and texts.log_odds(1.2, share=False) == "+1.20"
