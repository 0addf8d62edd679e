"""A MEDS folder becomes a cohort: every event is used or left out for a reason, nothing at or after
a case's date comes out, and the columns are those that pandas computes.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from warehouse_builders import cases_of, total, write_cases, write_meds

from mmdiag.errors import UsageError
from mmdiag.ingest.inspect import inspect
from mmdiag.readers.events.meds import read_meds
from mmdiag.warehouse.fetch import fetch_events
from mmdiag.warehouse.summary import OUTCOMES, column_name, summarise

NOON = datetime(2024, 3, 2, 12)
HB, NA, DIAGNOSIS = "LAB//hb//g/dL", "LAB//na", "DX//I10"


def day(number: int, hour: int = 9) -> datetime:
    return datetime(2024, 2, number, hour)


EVENTS = (
    (1, None, "GENDER//F"),
    (1, day(1), HB, 10.0),
    (1, day(3), HB, 14.0),
    (1, day(3), DIAGNOSIS),
    (1, day(20), HB, 99.0),
    (2, day(1), HB, 12.0),
    (2, day(2), NA, 140.0),
    (9, day(1), HB, 7.0),
)


def fetched(tmp_path: Path, *rows: tuple[Any, ...], **options: Any) -> tuple[dict, pd.DataFrame]:
    """What is answered, and the table by case."""
    folder = write_meds(tmp_path / "meds", rows or EVENTS, names={HB: "Haemoglobin"})
    cases = tmp_path / "cases.csv"
    if not cases.exists():
        write_cases(
            cases,
            [("a", 1, "2024-02-10", "yes"), ("b", 2, "2024-02-10", ""), ("c", 3, "2024-02-10", "")],
            "label",
        )
    answer = fetch_events("meds", folder, cases, tmp_path / "out", **options)
    table = pd.read_parquet(tmp_path / "out" / "events.parquet").set_index("case_id")
    return answer, table


def test_a_meds_folder_is_fetched_and_ingested(
    tmp_path: Path, mmdiag_call: Callable[..., Any]
) -> None:
    folder = write_meds(tmp_path / "meds", EVENTS, names={HB: "Haemoglobin, mass"})
    cases = write_cases(
        tmp_path / "cases.csv",
        [("a", 1, "2024-02-10", "yes"), ("b", 2, "2024-02-10", "no"), ("c", 2, "2024-02-02", "")],
        "label",
    )
    out = tmp_path / "cohort"
    done = mmdiag_call("fetch", "meds", folder, "--subjects", cases, "--out", out, "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["command"], answer["cases"]) == (0, "fetch meds", 3)
    assert answer["meds_version"] == "0.4.0" and answer["static"] == 1
    assert (out / "cases.csv").read_text() == cases.read_text()
    codes = pd.read_csv(out / "codes.csv", index_col="code")
    assert codes.loc[HB, "description"] == "Haemoglobin, mass"
    assert "1 events have no time (static)" in (out / "cohort.toml").read_text()
    command = ("ingest", "--cohort", out / "cohort.toml", "--workspace", tmp_path / "w", "--json")
    ingested = mmdiag_call(*command)
    assert ingested.returncode == 0, ingested.stderr
    found = json.loads(ingested.stdout)
    assert found["cases"]["accepted"] == 3
    assert found["modalities"]["events"]["present"] == 3
    tables = [out / name for name in ("cases.csv", "codes.csv", "events.parquet")]
    assert [one["verdict"] for one in inspect(tables)] == ["accepted"] * 3


def test_columns_have_the_known_values(tmp_path: Path) -> None:
    answer, table = fetched(tmp_path)
    hb = {name: table[f"{HB}.{name}"].tolist() for name in ("latest", "mean", "least", "greatest")}
    assert {name: values[:2] for name, values in hb.items()} == {
        "latest": [14.0, 12.0],
        "mean": [12.0, 12.0],
        "least": [10.0, 12.0],
        "greatest": [14.0, 12.0],
    }
    assert table[f"{HB}.count"].tolist() == [2, 1, 0]
    assert table.loc["a", f"{HB}.days_since"] == pytest.approx(6 + 15 / 24)
    assert table.loc["c"].filter(like=".count").eq(0).all()
    assert table.loc["c"].drop(table.filter(like=".count").columns).isna().all()
    assert table[f"{DIAGNOSIS}.count"].tolist() == [1, 0, 0]
    assert f"{DIAGNOSIS}.latest" not in table
    assert table["GENDER//F.count"].tolist() == [1, 0, 0]
    assert "GENDER//F.days_since" not in table  # it has no time
    assert answer["subjects_without_events"] == 1
    assert answer["cases_without_events"] == ["c"]
    assert answer["events"] == {
        "data": {"in": 8, "used": 6, "left_out": {"not_a_subject": 1, "after_as_of": 1}}
    }


def test_codes_that_few_subjects_have_are_left_out_and_counted(tmp_path: Path) -> None:
    answer, table = fetched(tmp_path, least_share=2 / 3)
    assert {name.rsplit(".", 1)[0] for name in table} == {HB}
    assert (answer["codes"], answer["rare_codes"]) == (1, 3)
    assert answer["events"]["data"]["left_out"]["rare"] == 3
    assert answer["static"] == 0
    text = (tmp_path / "out" / "cohort.toml").read_text()
    assert "1 codes that at least 0.667 of the subjects have" in text


def test_every_event_is_used_or_left_out_for_a_reason(tmp_path: Path) -> None:
    rows = (
        *EVENTS,
        (1, day(1), HB, 10.0),  # there before
        (1, day(1), HB, 10.0, "venous"),  # another one
        (1, day(4), HB, float("inf")),
        (1, day(4), HB, float("nan")),
        (1, day(4), " ", 1.0),
        (1, day(4), None, 1.0),
        (None, day(4), HB, 1.0),
    )
    answer, table = fetched(tmp_path, *rows)
    (row,) = answer["events"].values()
    assert row["left_out"] == {
        "not_a_subject": 1,
        "after_as_of": 1,
        "duplicate": 1,
        "no_subject": 1,
        "no_code": 2,
        "not_finite": 2,
    }
    assert row["in"] == len(rows) == total(row)
    assert table.loc["a", f"{HB}.count"] == 3


def test_what_is_wrong_with_events_makes_exit_code_3(
    tmp_path: Path, mmdiag_call: Callable[..., Any]
) -> None:
    folder = write_meds(tmp_path / "meds", [*EVENTS, (1, day(1), HB, float("nan"))])
    cases = write_cases(tmp_path / "cases.csv", [("a", 1, "2024-02-10")])
    done = mmdiag_call("fetch", "meds", folder, "--subjects", cases, "--out", tmp_path / "out")
    assert done.returncode == 3
    assert "1 not finite" in done.stdout and "1 of them have no time" in done.stdout


@st.composite
def random_events(draw: st.DrawFn) -> tuple[list[tuple[Any, ...]], list[tuple[str, int, str]]]:
    """Events and cases whose times often are the same."""
    hours = st.integers(-40, 40)
    numbers = st.none() | st.floats(-1000, 1000, width=32)
    events = draw(
        st.lists(
            st.tuples(
                st.integers(1, 4), st.none() | hours, st.sampled_from(("A", "B", "C//d e")), numbers
            ),
            min_size=1,
            max_size=30,
        )
    )
    timed = [
        (subject, None if hour is None else NOON + timedelta(hours=hour), code, number)
        for subject, hour, code, number in events
    ]
    subjects = draw(st.lists(st.tuples(st.integers(1, 4), hours), min_size=1, max_size=6))
    cases = [
        (f"c{place}", subject, (NOON + timedelta(hours=hour)).isoformat())
        for place, (subject, hour) in enumerate(subjects)
    ]
    return timed, cases


@settings(max_examples=40)
@given(random_events())
def test_pandas_computes_the_same_columns(tmp_path_factory: Any, made: Any) -> None:
    rows, cases = made
    folder = write_meds(tmp_path_factory.mktemp("meds"), rows)
    subjects = {subject for _, subject, _ in cases}
    events = read_meds(folder / "data" / "train" / "0.parquet", subjects)
    found = summarise(events, cases_of(*cases), 0.5)
    expected = oracle(rows, cases, 0.5)
    columns = found.table.set_index("case_id").astype(float)
    assert set(columns) == set(expected)
    for name in expected:
        np.testing.assert_allclose(columns[name], expected[name], rtol=1e-5, atol=1e-3)
    kept = {subject in subjects for subject, *_ in rows}
    assert len(events.subject) + events.left_out.get("not_a_subject", 0) == len(rows)
    assert len(found.outcome) == len(events.subject) and kept


def oracle(
    rows: list[tuple[Any, ...]], cases: list[tuple[str, int, str]], share: float
) -> pd.DataFrame:
    """The same columns by a loop over cases and codes."""
    frame = pd.DataFrame(rows, columns=["subject", "time", "code", "number"])
    frame = frame.astype({"time": "datetime64[us]", "number": "float64"}).drop_duplicates()
    result: dict[str, dict[str, float]] = {case: {} for case, *_ in cases}
    having: dict[str, set[int]] = {}
    for case, subject, as_of in cases:
        mine = frame[frame["subject"] == subject]
        mine = mine[mine["time"].isna() | (mine["time"] < pd.Timestamp(as_of))]
        for code, of_code in mine.groupby("code"):
            having.setdefault(str(code), set()).add(subject)
            ordered = of_code.sort_values("time", kind="stable", na_position="first")
            numbers, times = ordered["number"].dropna(), ordered["time"].dropna()
            said = result[case]
            said[f"{code}.count"] = len(of_code)
            if len(times):
                since = (pd.Timestamp(as_of) - times.max()).total_seconds()
                said[f"{code}.days_since"] = since / 86400
            if len(numbers):
                said[f"{code}.latest"] = numbers.iloc[-1]
                said[f"{code}.mean"] = numbers.mean()
                said[f"{code}.least"] = numbers.min()
                said[f"{code}.greatest"] = numbers.max()
    wide = pd.DataFrame.from_dict(result, orient="index", dtype=float)
    wide.columns = wide.columns.astype(object)
    n_subjects = len({subject for _, subject, _ in cases})
    kept = {code for code, who in having.items() if len(who) / n_subjects >= share}
    wide = wide[[name for name in wide if name.rsplit(".", 1)[0] in kept]]
    counts = [name for name in wide if name.endswith(".count")]
    wide[counts] = wide[counts].fillna(0)
    names = {
        name: f"{column_name(name.rsplit('.', 1)[0])}.{name.rsplit('.', 1)[1]}" for name in wide
    }
    return wide.rename(columns=names)


STEPS = (-86_400_000_000, -3_600_000_000, -1, 0, 1, 3_600_000_000)  # microseconds
ZONES = (None, "+00:00", "+02:00", "-05:00")


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(STEPS), min_size=1, max_size=8),
    st.sampled_from((None, "UTC", "+02:00", "-05:00")),
    st.sampled_from(ZONES),
    st.integers(-14, 14),
)
def test_nothing_at_or_after_as_of_comes_out(
    tmp_path_factory: Any, steps: list[int], zone: str | None, as_of_zone: str | None, hours: int
) -> None:
    as_of = pd.Timestamp(f"{(NOON + timedelta(hours=hours)).isoformat()}{as_of_zone or ''}")
    limit = as_of if as_of.tzinfo else as_of.tz_localize("UTC")
    times = [limit + pd.Timedelta(microseconds=step) for step in steps]
    rows = [(1, one.to_pydatetime().replace(tzinfo=None), f"E{n}") for n, one in enumerate(times)]
    if zone is None:
        rows = [
            (1, one.tz_convert("UTC").tz_localize(None), f"E{n}") for n, one in enumerate(times)
        ]
    else:
        rows = [(1, one.tz_convert("UTC"), f"E{n}") for n, one in enumerate(times)]
    folder = write_meds(tmp_path_factory.mktemp("meds"), rows, time=pa.timestamp("us", zone))
    events = read_meds(folder / "data" / "train" / "0.parquet", {1})
    found = summarise(events, cases_of(("c", 1, as_of.isoformat())), 0.0)
    used = [OUTCOMES[outcome] == "used" for outcome in found.outcome]
    before = [one < limit for one in times]
    if (zone is None) != (as_of_zone is None):  # on the clock of the one that has a zone, too
        offset = (as_of if as_of.tzinfo else times[0].tz_convert(zone)).utcoffset()
        assert offset is not None
        clocks = [one + (offset if zone is not None else -offset) for one in times]
        before = [early and clock < limit for early, clock in zip(before, clocks, strict=True)]
    assert used == before
    assert set(found.table.columns[1:]) >= {f"E{n}.count" for n, one in enumerate(before) if one}
    assert not {f"E{n}.count" for n, one in enumerate(before) if not one} & set(found.table.columns)


@pytest.mark.parametrize(
    ("time", "as_of", "used"),
    [
        (datetime(2024, 3, 2, 11, 59, 59, 999_999), "2024-03-02T12:00:00", True),
        (datetime(2024, 3, 2, 12), "2024-03-02T12:00:00", False),
        (datetime(2024, 3, 2, 12), "2024-03-02T14:00:00+02:00", False),
        (datetime(2024, 3, 2, 11, 59), "2024-03-02T14:00:00+02:00", True),
        (datetime(2024, 3, 2, 10), "2024-03-02T09:00:00-05:00", False),  # 14:00 in UTC
        (datetime(2024, 3, 2, 8, 59), "2024-03-02T09:00:00-05:00", True),
        (datetime(2024, 3, 1, 23, 59, 59), "2024-03-02", True),
        (datetime(2024, 3, 2), "2024-03-02", False),  # the day may have just begun
        (None, "2024-03-02", True),
    ],
)
def test_an_event_is_used_where_it_is_certainly_before(
    tmp_path: Path, time: datetime | None, as_of: str, used: bool
) -> None:
    folder = write_meds(tmp_path / "meds", [(1, time, "A", 1.0)])
    events = read_meds(folder / "data" / "train" / "0.parquet", {1})
    found = summarise(events, cases_of(("c", 1, as_of)), 0.0)
    assert [OUTCOMES[outcome] == "used" for outcome in found.outcome] == [used]


def test_a_subject_that_no_int64_holds_is_nobody(tmp_path: Path) -> None:
    rows = [(1, day(1), HB, 1.0), (2**63 + 5, day(1), HB, 2.0)]
    folder = write_meds(tmp_path / "meds", rows, subject_id=pa.uint64())
    events = read_meds(folder / "data" / "train" / "0.parquet", {1})
    assert events.number.tolist() == [1.0] and events.left_out == {"no_subject": 1}


def test_each_case_of_a_subject_has_its_own_date(tmp_path: Path) -> None:
    cases = [("late", 1, "2024-02-25"), ("early", 1, "2024-02-02"), ("first", 1, "2024-01-01")]
    write_cases(tmp_path / "cases.csv", cases)
    answer, table = fetched(tmp_path)
    assert table[f"{HB}.count"].to_dict() == {"late": 3, "early": 1, "first": 0}
    assert table["GENDER//F.count"].tolist() == [1, 1, 1]
    assert answer["events"]["data"]["left_out"] == {"not_a_subject": 3}


def test_names_of_columns_are_safe_and_differ() -> None:
    codes = ["A", "a b", "a\tb", "a*b", "a[b]", "x" * 90, "x" * 91, "{case_id}", "\u0430"]
    names = [column_name(code) for code in codes]
    assert len(set(names)) == len(codes) and names[0] == "A"
    assert not any(set(name) & set("*?[]{}\t ") for name in names)
    assert all(name.isascii() and len(name) < 100 for name in names)


def test_a_large_file_is_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmdiag.readers.events import batches

    rows = [(1 + n % 3, day(1) + timedelta(minutes=n), HB, float(n)) for n in range(50)]
    folder = write_meds(tmp_path / "meds", rows)
    file = folder / "data" / "train" / "0.parquet"
    whole = read_meds(file, {1, 2})
    monkeypatch.setattr(batches, "ROWS", 7)
    part = read_meds(file, {1, 2})
    assert all(np.array_equal(part.arrays()[k], whole.arrays()[k]) for k in whole.arrays())
    assert (part.read, part.left_out) == (50, {"not_a_subject": 16})


def test_two_shards_share_their_codes(tmp_path: Path) -> None:
    write_meds(tmp_path / "meds", [(3, day(1), NA, 1.0), (3, day(1), HB, 2.0)], shard="test/0")
    _, table = fetched(tmp_path)
    assert table.loc["c", f"{HB}.latest"] == 2.0 and table.loc["b", f"{NA}.latest"] == 140.0


def torn(folder: Path) -> None:
    file = folder / "data" / "train" / "0.parquet"
    file.write_bytes(file.read_bytes()[:-40])


def torn_within(folder: Path) -> None:
    file = folder / "data" / "train" / "0.parquet"
    content = bytearray(file.read_bytes())
    content[4:60] = b"\xff" * 56
    file.write_bytes(bytes(content))


def without_code(folder: Path) -> None:
    parquet.write_table(
        pa.table({"subject_id": [1], "time": [day(1)]}), folder / "data" / "train" / "0.parquet"
    )


def text_subjects(folder: Path) -> None:
    write_meds(folder, [("Jane Doe", day(1), HB, 1.0)], subject_id=pa.string())


def text_times(folder: Path) -> None:
    write_meds(folder, [(1, "2024-02-01", HB, 1.0)], time=pa.string())


def text_values(folder: Path) -> None:
    write_meds(folder, [(1, day(1), HB, "13.5")], numeric_value=pa.string())


def no_data(folder: Path) -> None:
    (folder / "data").rename(folder / "other")


def bad_metadata(folder: Path) -> None:
    (folder / "metadata" / "dataset.json").write_text('{"meds_version": ')


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (torn, "0.parquet is no Parquet file"),
        (torn_within, "0.parquet is no Parquet file"),
        (without_code, "0.parquet has no code: export it by the standard"),
        (text_subjects, "subject_id of events holds whole numbers, that of 0.parquet has the type"),
        (text_times, "time of events holds timestamps, that of 0.parquet has the type string"),
        (text_values, "numeric_value of events holds numbers, that of 0.parquet has the type"),
        (no_data, "A MEDS folder has data/ with .parquet files"),
        (bad_metadata, "metadata of MEDS are one JSON object, dataset.json is not"),
    ],
)
def test_what_is_no_meds_is_refused(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    folder = write_meds(tmp_path / "meds", EVENTS)
    spoil(folder)
    cases = write_cases(tmp_path / "cases.csv", [("a", 1, "2024-02-10")])
    with pytest.raises(UsageError, match=said.replace(".", r"\.")) as refusal:
        fetch_events("meds", folder, cases, tmp_path / "out")
    assert "Doe" not in str(refusal.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("a", 1, "2024-02-10"), ("a", 2, "2024-02-10")], "repeats keys in 1 rows"),
        ([("a", 1, "2024-02-10"), ("b", "Doe", "2024-02-10")], "whole number .* in line 3"),
        ([("a", "007", "2024-02-10")], "whole number .* without zeros before it, .* in line 2"),
        ([("a", 1, "")], "as_of must be an ISO date .* in line 2"),
        ([("a", 1, "10.02.2024 Doe")], "as_of must be an ISO date .* in line 2"),
        ([("../a", 1, "2024-02-10")], "could be no path"),
        ([("a", 1, "2020-02-10")], r"no code of .* \(left out: after_as_of, not_a_subject\)"),
    ],
)
def test_wrong_cases_are_refused_without_a_value(
    tmp_path: Path, rows: list[tuple[Any, ...]], said: str
) -> None:
    folder = write_meds(tmp_path / "meds", [event for event in EVENTS if event[1]])
    cases = write_cases(tmp_path / "cases.csv", rows)
    with pytest.raises(UsageError, match=said) as refusal:
        fetch_events("meds", folder, cases, tmp_path / "out")
    assert "Doe" not in str(refusal.value) and not (tmp_path / "out").exists()


def test_a_missing_column_of_the_cases_is_named(tmp_path: Path) -> None:
    folder = write_meds(tmp_path / "meds", EVENTS)
    (tmp_path / "cases.csv").write_text("case_id,subject_id,asof\na,1,2024-02-10\n")
    with pytest.raises(UsageError, match=r"cases\.csv has no as_of: did you mean 'asof'"):
        fetch_events("meds", folder, tmp_path / "cases.csv", tmp_path / "out")


def test_a_repeat_replaces_all_but_the_description(tmp_path: Path) -> None:
    fetched(tmp_path)
    description = tmp_path / "out" / "cohort.toml"
    description.write_text("# mine\n" + description.read_text())
    answer, _ = fetched(tmp_path, *EVENTS[:3])
    assert description.read_text().startswith("# mine")
    assert json.loads((tmp_path / "out" / "fetched.json").read_text()) == answer
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        fetch_events("meds", tmp_path / "meds", tmp_path / "cases.csv", tmp_path / "other")
