"""Tables of the OMOP CDM become a cohort: units are never mixed, a date is the end of its day, and
CSV and Parquet say the same.
"""

import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from warehouse_builders import cases_of, total, write_cases, write_rows

from mmdiag.errors import UsageError
from mmdiag.readers.events.omop import read_omop
from mmdiag.warehouse.fetch import fetch_events
from mmdiag.warehouse.summary import summarise

HB, GRAMS, MOLES, POSITIVE, LESS, EQUAL = 3000963, 8713, 8753, 45884084, 4171756, 4172703
MEASURED = (
    "measurement_id",
    "person_id",
    "measurement_concept_id",
    "measurement_date",
    "measurement_datetime",
    "value_as_number",
    "value_as_concept_id",
    "unit_concept_id",
    "unit_source_value",
    "operator_concept_id",
)


def measured(
    person: Any,
    when: Any,
    number: Any,
    unit: Any = GRAMS,
    *,
    concept: Any = HB,
    clock: Any = None,
    value: Any = None,
    source: Any = None,
    operator: Any = None,
) -> tuple[Any, ...]:
    """A row of MEASUREMENT."""
    return (1, person, concept, when, clock, number, value, unit, source, operator)


ROWS = (
    measured(1, "2024-02-01", 10.0),
    measured(1, "2024-02-03", 14.0, clock="2024-02-03 10:00:00"),
    measured(1, "2024-02-04", 8.5, MOLES),
    measured(2, "2024-02-01", 12.0),
    measured(9, "2024-02-01", 7.0),
)


def fetched(tmp_path: Path, *rows: tuple[Any, ...], **options: Any) -> tuple[dict, pd.DataFrame]:
    """What is answered for three cases of 10 February, and the table by case."""
    folder = tmp_path / "omop"
    if rows:
        write_rows(folder / "measurement.csv", MEASURED, rows)
    dates = [(case, person, "2024-02-10") for case, person in (("a", 1), ("b", 2), ("c", 3))]
    cases = write_cases(tmp_path / "cases.csv", dates)
    answer = fetch_events("omop", folder, cases, tmp_path / "out", **options)
    table = pd.read_parquet(tmp_path / "out" / "events.parquet").set_index("case_id")
    return answer, table


def test_omop_tables_are_fetched(tmp_path: Path, mmdiag_call: Callable[..., Any]) -> None:
    folder = tmp_path / "omop"
    write_rows(folder / "MEASUREMENT.csv", [name.upper() for name in MEASURED], ROWS)
    write_rows(
        folder / "Condition_Occurrence.csv",
        ("person_id", "condition_concept_id", "condition_start_date"),
        [(1, 320128, "2024-01-05"), (2, 320128, None)],
    )
    write_rows(
        folder / "observation.csv",
        ("person_id", "observation_concept_id", "observation_date", "value_as_concept_id"),
        [(2, 4275495, "2024-01-05", POSITIVE)],
    )
    concepts = [(HB, "Haemoglobin"), (GRAMS, "gram per decilitre"), (320128, "Hypertension")]
    names = ("concept_id", "concept_name", "domain_id")
    write_rows(folder / "CONCEPT.csv", names, [(*one, "x") for one in concepts], "\t")
    cases = write_cases(tmp_path / "cases.csv", [("a", 1, "2024-02-10"), ("b", 2, "2024-02-10")])
    out = tmp_path / "out"
    done = mmdiag_call("fetch", "omop", folder, "--subjects", cases, "--out", out, "--json")
    assert done.returncode == 3, done.stderr  # a condition without a date
    answer = json.loads(done.stdout)
    assert answer["events"] == {
        "measurement": {"in": 5, "used": 4, "left_out": {"not_a_subject": 1}},
        "observation": {"in": 1, "used": 1, "left_out": {}},
        "condition_occurrence": {"in": 2, "used": 1, "left_out": {"no_time": 1}},
    }
    said = pd.read_csv(out / "codes.csv", index_col="code")["description"].to_dict()
    assert said[f"measurement/{HB}/{GRAMS}"] == "Haemoglobin, gram per decilitre"
    assert said["condition/320128"] == "Hypertension"
    table = pd.read_parquet(out / "events.parquet").set_index("case_id")
    assert table[f"observation/4275495={POSITIVE}.count"].tolist() == [0, 1]
    assert table.loc["a", "condition/320128.days_since"] == pytest.approx(35, abs=1e-4)


def test_values_of_different_units_are_never_mixed(tmp_path: Path) -> None:
    _, table = fetched(
        tmp_path,
        *ROWS,
        measured(1, "2024-02-01", 100.0, 0, source="g/L"),
        measured(1, "2024-02-01", 0.1, None, source=" g/mL "),
        measured(1, "2024-02-01", 55.0, None),
    )
    means = {
        name.removesuffix(".mean").removeprefix(f"measurement/{HB}"): value
        for name, value in table.loc["a"].items()
        if name.endswith(".mean")
    }
    assert means == pytest.approx(
        {f"/{GRAMS}": 12, f"/{MOLES}": 8.5, "/unit:g/L": 100, "/unit:g/mL": 0.1, "": 55}
    )


def test_every_event_is_used_or_left_out_for_its_reason(tmp_path: Path) -> None:
    rows = (
        *ROWS,
        ROWS[0],
        measured(1, "2024-02-01", 5.0, operator=LESS),
        measured(1, "2024-02-01", 5.0, operator=EQUAL),
        measured(1, "2024-02-01", "high"),
        measured(1, "2024-02-01", "inf"),
        measured(1, "2024-02-01", "1e39"),
        measured(1, "2024-02-01", 5.0, concept=0),
        measured(1, None, 5.0),
        measured(1, "01.02.2024", 5.0),
        measured("x7", "2024-02-01", 5.0),
        measured(1, "2024-02-10", 5.0),
        measured(1, "2024-02-01", None, value=POSITIVE),
    )
    answer, table = fetched(tmp_path, *rows)
    (row,) = answer["events"].values()
    assert row["left_out"] == {
        "not_a_subject": 1,
        "after_as_of": 1,
        "duplicate": 1,
        "comparator": 1,
        "no_subject": 1,
        "no_code": 1,
        "no_time": 2,
        "not_a_number": 2,
        "out_of_range": 1,
    }
    assert row["in"] == len(rows) == total(row)
    assert table.loc["a", f"measurement/{HB}/{GRAMS}.count"] == 3
    assert table.loc["a", f"measurement/{HB}={POSITIVE}.count"] == 1


@pytest.mark.parametrize(
    ("day", "clock", "as_of", "used"),
    [
        ("2024-03-01", None, "2024-03-02", True),
        ("2024-03-02", None, "2024-03-02", False),
        ("2024-03-02", None, "2024-03-02T23:59:59", False),
        ("2024-03-02", None, "2024-03-03", True),
        ("2024-03-02", "2024-03-02T00:00:00", "2024-03-02T12:00:00", False),  # time not known
        ("2024-03-02", "2024-03-02T11:59:59", "2024-03-02T12:00:00", True),
        ("2024-03-02", "2024-03-02 12:00:00", "2024-03-02T12:00:00", False),
        ("2024-03-04", "2024-03-02 11:00:00", "2024-03-02T12:00:00", False),  # the later day
        (None, "2024-03-02 11:00:00", "2024-03-02T12:00:00", True),
        ("2024-03-02", "2024-03-02T13:30:00+02:00", "2024-03-02T12:00:00Z", True),
        ("2024-03-02", "2024-03-02T13:30:00+02:00", "2024-03-02T12:00:00", False),  # by its clock
        ("2024-03-02", "2024-03-02T14:00:00+02:00", "2024-03-02T12:00:00Z", False),
        (None, None, "2024-03-02T12:00:00", False),
    ],
)
def test_a_date_is_the_end_of_its_day(
    tmp_path: Path, day: str | None, clock: str | None, as_of: str, used: bool
) -> None:
    file = write_rows(tmp_path / "m.csv", MEASURED, [measured(1, day, 1.0, clock=clock)])
    found = summarise(
        read_omop(file, {1}, "measurement"), cases_of(("c", 1, as_of)), least_share=0.0
    )
    assert (len(found.codes) == 1) == used


START = datetime(2024, 3, 2, 12)
MOMENTS = st.tuples(
    st.sampled_from((-50, -26, -24, -14, -6, -2, -1, 0, 1, 2, 6, 14, 24, 26)),  # hours
    st.sampled_from((-1, 0, 1)),  # microseconds
    st.sampled_from((None, 0, 2, -5, 14)),  # the zone
)


def moment(drawn: tuple[int, int, int | None]) -> datetime:
    hours, microseconds, zone = drawn
    found = START + timedelta(hours=hours, microseconds=microseconds)
    return found if zone is None else found.replace(tzinfo=timezone(timedelta(hours=zone)))


def is_before(event: datetime, as_of: datetime) -> bool:
    """Strictly: in UTC; where one has no zone, on both readings of it."""
    clocks = event.replace(tzinfo=None) < as_of.replace(tzinfo=None)
    one, other = ((x if x.tzinfo else x.replace(tzinfo=UTC)) for x in (event, as_of))
    mixed = (event.tzinfo is None) != (as_of.tzinfo is None)
    return one < other and (clocks or not mixed)


@settings(max_examples=60)
@given(st.lists(MOMENTS, min_size=1, max_size=12), st.lists(MOMENTS, min_size=1, max_size=4))
def test_exactly_what_was_recorded_before_as_of_is_used(
    tmp_path_factory: Any, events: list[Any], dates: list[Any]
) -> None:
    times, limits = [moment(one) for one in events], [moment(one) for one in dates]
    known = [  # midnight is a day whose time is not known
        time + timedelta(days=1, microseconds=-1) if time.time() == datetime.min.time() else time
        for time in times
    ]
    rows = [
        measured(1, None, float(place), concept=1000 + place, clock=time.isoformat())
        for place, time in enumerate(times)
    ]
    file = write_rows(tmp_path_factory.mktemp("omop") / "m.csv", MEASURED, rows)
    cases = cases_of(*((f"c{place}", 1, one.isoformat()) for place, one in enumerate(limits)))
    table = summarise(read_omop(file, {1}, "measurement"), cases, 0.0).table
    for place, time in enumerate(known):
        column = f"measurement/{1000 + place}/{GRAMS}.count"
        expected = [int(is_before(time, limit)) for limit in limits]
        found = table[column].tolist() if column in table else [0] * len(limits)
        assert found == expected


def test_parquet_and_csv_say_the_same(tmp_path: Path) -> None:
    rows = [*ROWS, measured(2, "2024-02-05", None, None, clock="2024-02-05 11:30:00")]
    _, person, concept, day, clock, number, _, unit, source, _ = map(list, zip(*rows, strict=True))
    clocks = [text and datetime.fromisoformat(text) for text in clock]
    typed = pa.table(
        {
            "person_id": pa.array(person, pa.int32()),
            "measurement_concept_id": pa.array(concept),
            "measurement_date": pa.array(map(date.fromisoformat, day), pa.date32()),
            "Measurement_DateTime": pa.array(clocks, pa.timestamp("ns")),
            "value_as_number": pa.array(number, pa.float64()).cast(pa.decimal128(20, 4)),
            "unit_concept_id": pa.array(unit, pa.float64()),
            "unit_source_value": pa.array(source, pa.string()),
        }
    )
    # as Spark writes a table: a folder of its parts
    parts = tmp_path / "omop" / "measurement.parquet"
    parts.mkdir(parents=True)
    parquet.write_table(typed.slice(0, 2), parts / "part-0.parquet")
    parquet.write_table(typed.slice(2), parts / "part-1.parquet")
    (parts / "_SUCCESS").touch()
    from_parquet = fetched(tmp_path)
    folder = tmp_path / "other"
    folder.mkdir()
    from_csv = fetched(folder, *rows)
    assert from_parquet[0]["events"] == from_csv[0]["events"]
    pd.testing.assert_frame_equal(from_parquet[1], from_csv[1])
    assert np.isfinite(from_csv[1].loc["b", f"measurement/{HB}.days_since"])


def test_a_table_without_rows_has_no_events(tmp_path: Path) -> None:
    header = ("person_id", "condition_concept_id", "condition_start_date")
    write_rows(tmp_path / "omop" / "condition_occurrence.csv", header, [])
    answer, _ = fetched(tmp_path, *ROWS)
    assert answer["events"]["condition_occurrence"] == {"in": 0, "used": 0, "left_out": {}}
    assert answer["events"]["measurement"]["used"] == 4


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "omop").mkdir()
    os.mkfifo(tmp_path / "omop" / "measurement.csv")
    with pytest.raises(UsageError, match=r"measurement\.csv is a pipe"):
        fetched(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("person.csv", "person_id\n1\n", "An OMOP export has a table measurement"),
        ("measurement.csv", "person_id,x\n1,2\n", "has no measurement_concept_id: export it"),
        (
            "measurement.csv",
            "person_id,measurement_concept_id\n1,2\n",
            "has the column measurement_date, measurement.csv has none",
        ),
        (
            "measurement.csv",
            "person_id,measurement_concept_id,measurement_date\n1,2,2024-01-01\n1,Doe\n",
            "measurement.csv breaks this in line 3",
        ),
        ("measurement.parquet", "PAR1 Jane Doe", "measurement.parquet is no Parquet file"),
    ],
)
def test_what_is_no_omop_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / "omop").mkdir()
    (tmp_path / "omop" / name).write_text(text)
    with pytest.raises(UsageError, match=said.replace(".", r"\.")) as refusal:
        fetched(tmp_path)
    assert "Doe" not in str(refusal.value) and not (tmp_path / "out").exists()
