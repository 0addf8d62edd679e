"""as_of as tables and databases write it: dates and date-times, with and without zones."""

from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdiag.cohort.as_of import moment_of
from mmdiag.cohort.case_table import read_cases
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError

OFFSETS = st.integers(-14 * 4, 14 * 4).map(lambda quarters: timedelta(minutes=15 * quarters))
TOML = """[cohort]
name = "zones"
[cases]
table = "{table}"
case_id = "case_id"
as_of = {as_of}
[modalities.report]
kind = "text"
path = "{{case_id}}.txt"
"""


def as_of(folder: Path, table: str, column: str = '"as_of"') -> list[str]:
    (folder / "cohort.toml").write_text(TOML.format(table=table, as_of=column))
    cases = read_cases(read_description(folder / "cohort.toml"))
    return [f"{moment:%Y-%m-%d %H:%M}" for moment in cases["as_of"]]


@given(st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31)), OFFSETS)
def test_a_date_time_in_any_iso_form_is_read_on_its_own_clock(moment, offset):
    zoned = moment.replace(tzinfo=timezone(offset))
    for form in (
        zoned.isoformat(),
        zoned.isoformat(sep=" "),
        f"{zoned.isoformat()}[Europe/Berlin]",
        f"{moment.isoformat()}Z",
        f" {moment.isoformat()} UTC ",
        moment.isoformat(),
    ):
        assert moment_of(form) == pd.Timestamp(moment), form
    assert moment_of(f"{zoned:%Y%m%dT%H%M%S%z}") == pd.Timestamp(moment.replace(microsecond=0))
    assert moment_of(f"{moment:%Y-%m-%d}") == moment_of(f"{moment:%Y%m%d}")


@pytest.mark.parametrize(
    "text",
    [
        *("02/03/2024", "2024-03", "2024", "2024-02-30", "2024-03-02T25:00", "soon", ""),
        "2024-03-02T10:00[America/New_York]",  # 15:00 in UTC, which is not known here
    ],
)
def test_what_names_no_day_is_no_as_of(text):
    assert moment_of(text) is None


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (["2024-03-02T10:00:00Z"] * 2, ["2024-03-02 10:00"] * 2),
        (
            ["2024-03-02T23:30:00+02:00", "2024-11-02T00:15:00+01:00"],  # both sides of the summer
            ["2024-03-02 23:30", "2024-11-02 00:15"],
        ),
        (["2024-03-02", "2024-03-02 10:00:00-05:00"], ["2024-03-02 00:00", "2024-03-02 10:00"]),
    ],
)
def test_a_column_may_mix_dates_and_date_times_with_zones(tmp_path, cells, read):
    lines = ["case_id,as_of", *(f"c{number},{cell}" for number, cell in enumerate(cells))]
    (tmp_path / "cases.csv").write_text("\n".join(lines) + "\n")
    assert as_of(tmp_path, "cases.csv") == read


@pytest.mark.parametrize(
    "column",
    [
        pd.to_datetime(["2024-03-02 10:00", "2024-11-02 10:00"]).tz_localize("Europe/Berlin"),
        pd.to_datetime(["2024-03-02 10:00", "2024-11-02 10:00"]).tz_localize("UTC"),
        pd.to_datetime(["2024-03-02 10:00", "2024-11-02 10:00"]),
    ],
)
def test_a_parquet_column_of_date_times_is_read_as_the_same_text_would_be(tmp_path, column):
    pd.DataFrame({"case_id": ["c1", "c2"], "as_of": column}).to_parquet(tmp_path / "cases.parquet")
    assert as_of(tmp_path, "cases.parquet") == ["2024-03-02 10:00", "2024-11-02 10:00"]


def test_a_parquet_column_of_dates_is_read(tmp_path):
    frame = pd.DataFrame({"case_id": ["c1", "c2"], "as_of": [date(2024, 3, 2), None]})
    frame.to_parquet(tmp_path / "cases.parquet")
    (tmp_path / "cohort.toml").write_text(TOML.format(table="cases.parquet", as_of='"as_of"'))
    found = read_cases(read_description(tmp_path / "cohort.toml"))["as_of"]
    assert found[0] == pd.Timestamp(2024, 3, 2) and pd.isna(found[1])


@pytest.mark.parametrize(
    "one", ['"2024-03-02T10:00:00+02:00"', '"2024-03-02"', "2024-03-02T10:00:00Z", "2024-03-02"]
)
def test_one_date_for_all_may_have_a_zone(tmp_path, one):
    (tmp_path / "cases.csv").write_text("case_id\nc1\nc2\n")
    assert {found[:10] for found in as_of(tmp_path, "cases.csv", one)} == {"2024-03-02"}


def test_another_form_is_refused_with_its_lines(tmp_path):
    (tmp_path / "cases.csv").write_text("case_id,as_of\nc1,2024-03-02\nc2,02/03/2024\n")
    with pytest.raises(DescriptionError, match=r"as_of must be ISO dates .* in line 3"):
        as_of(tmp_path, "cases.csv")
