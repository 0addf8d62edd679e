"""The figures over the points of a chart of models end where the chart does."""

import pandas as pd
import pytest

from dashboards.charts.models import HALF_A_FIGURE, forest


@pytest.mark.parametrize("reference", [None, 0.5])
def test_the_figures_of_the_best_and_the_worst_stay_inside(reference):
    table = pd.DataFrame(
        {
            "model": ["best", "middle", "worst"],
            "value": [0.93, 0.7, 0.51],
            "low": [0.9, 0.6, 0.5],
            "high": [0.95, 0.8, 0.52],
            "n": 160,
            "label": "0.93 (0.90 to 0.95), n = 160",
        }
    )
    chart = forest(table, [], "title", "AUROC", reference).to_dict()
    encodings = [layer["encoding"] for layer in chart["layer"]]
    text = next(one for one in encodings if "text" in one)
    low, high = text["x"]["scale"]["domain"]
    drawn = [
        row[text["x"]["field"]]
        for rows in chart["datasets"].values()
        for row in rows
        if "model" in row
    ]
    half = HALF_A_FIGURE * (high - low)
    assert min(drawn) >= low + half - 1e-9 and max(drawn) <= high - half + 1e-9
    assert drawn == sorted(drawn, reverse=True)
