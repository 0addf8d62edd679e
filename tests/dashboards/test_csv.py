"""CSV for people: no cell is a formula, and numbers stay numbers."""

import csv
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import said
from published_example import NAME, publish
from repository import ROOT

from dashboards.tables import csv_of

CELLS = st.text(alphabet="=+-@\t\r\n ,;\"'a1\u00a0\ufeff\uff1d\uff0b", max_size=8)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=4), CELLS)
def test_no_text_begins_like_a_formula_and_all_of_it_is_kept(cells, name):
    table = pd.DataFrame(cells, columns=[name, "other"])
    read = list(csv.reader(io.StringIO(csv_of(table), newline="")))
    assert len(read) == len(cells) + 1
    for shown, cell in zip(
        [cell for row in read for cell in row],
        [name, "other", *(cell for row in cells for cell in row)],
        strict=True,
    ):
        assert shown in (cell, f"'{cell}")
        assert not shown.lstrip(" \u00a0\ufeff").startswith(tuple("=+-@\t\r\n\uff1d\uff0b"))


def test_numbers_stay_numbers():
    table = pd.DataFrame({"value": [-0.5, 1.0], "n": [-3, 4], "text": ["-0.5", "1"]})
    read = pd.read_csv(io.StringIO(csv_of(table)))
    assert read["value"].tolist() == [-0.5, 1.0] and read["n"].tolist() == [-3, 4]
    assert read["text"].tolist() == ["'-0.5", "1"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_each_character_that_starts_a_formula_is_escaped(start):
    shown = next(
        iter(
            list(csv.reader(io.StringIO(csv_of(pd.DataFrame({"a": [f"{start}1"]})), newline="")))[
                1:
            ]
        )
    )
    assert shown == [f"'{start}1"]


def test_every_csv_of_the_dashboard_goes_through_the_escaping_and_streamlits_own_is_off():
    sources = [path.read_text() for path in (ROOT / "dashboards").rglob("*.py")]
    assert sum(text.count("to_csv(") for text in sources) == 1
    assert sum(text.count("download_button(") for text in sources) == 1
    config = (ROOT / "dashboards" / ".streamlit" / "config.toml").read_text()
    assert "disableDataExport = true" in config
    from dashboards.app import FIXED

    assert FIXED["client.disableDataExport"] is True


def test_titles_that_are_named_like_columns_of_ours_have_their_page(page, tmp_path):
    import json

    workspace = publish(tmp_path / "w", cases=12).workspace
    file = workspace.cohort(NAME) / "description.json"
    titles = {"flair": "count", "t1gd": "pattern", "report": "state", "ecg": "modality"}
    file.write_text(json.dumps({**json.loads(file.read_text()), "titles": titles}))
    text = said(page(workspace.path, "cohort"))
    assert "could not be drawn" not in text
