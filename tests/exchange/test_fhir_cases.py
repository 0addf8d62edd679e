"""What of a FHIR export is in a case: its patient's, in time, in one unit; the rest is left out
with a reason.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fhir_builders import (
    left_out,
    observation,
    patient,
    report,
    rows,
    study,
)


@pytest.mark.parametrize(
    ("when", "as_of", "kept"),
    [
        ("2024-03-02", "2024-03-02", True),
        ("2024-03-03", "2024-03-02", False),
        ("2024-03-02T23:30:00-05:00", "2024-03-02", True),  # the same day on its own clock
        ("2024-03-02T10:00:00Z", "2024-03-02T09:59:59Z", False),
        ("2024-03-02T10:00:00+02:00", "2024-03-02T09:00:00Z", True),
        ("2024", "2024-03-02", False),  # could be later
        ("2023", "2024-03-02", True),
        ("2024-02-30", "2024-03-02", False),  # no such day
    ],
)
def test_nothing_that_may_be_later_than_the_case_is_taken(
    when: str, as_of: str, kept: bool, fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    found = fetch(patient(), report(when=as_of), observation("o1", 13.5, when=when))
    assert (
        found["resources"]["Observation"]["used"]
        == kept
        == (tmp_path / "cohort" / "observations.csv").exists()
    )


def test_the_latest_value_before_the_case_is_taken_each_time(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    values = [observation(f"o{day}", float(day), when=f"2024-03-{day:02}") for day in (9, 1, 5)]
    found = fetch(
        patient(),
        report("a", when="2024-03-06"),
        report("b", when="2024-03-10"),
        report("c", when="2024-02-01"),
        *values,
    )
    dates = {row["case_id"]: row["as_of"] for row in rows(tmp_path, "cases.csv")}
    taken = {
        dates[row["case_id"]]: row["loinc_718-7_g/dL"] for row in rows(tmp_path, "observations.csv")
    }
    assert taken == {"2024-03-06": "5.0", "2024-03-10": "9.0"}
    assert left_out(found, "Observation") == {"superseded": 1}


def test_a_code_in_several_units_is_reported_and_not_converted(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    from mmdiag.exchange.fhir.accounting import refused

    mixed = [
        observation("o1", 13.5),
        observation("o2", 135, unit="g/L", when="2024-02-01"),
        observation("o3", 4.1, unit="mmol/L", code="2823-3"),
    ]
    found = fetch(patient(), report(), *mixed)
    assert list(rows(tmp_path, "observations.csv")[0]) == ["case_id", "loinc_2823-3_mmol/L"]
    assert (
        left_out(found, "Observation") == {"several_units": 2} and refused(found["resources"]) == 2
    )
    assert found["several_units"] == {"loinc_718-7": ["g/L", "g/dL"]}


def test_components_of_an_observation_are_columns(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    parts = [
        {
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "valueQuantity": {"value": value, "code": "mm[Hg]"},
        }
        for code, value in (("8480-6", 120), ("8462-4", 80))
    ]
    pressure = observation("o1", 0, code="85354-9", component=parts)
    del pressure["valueQuantity"]
    fetch(patient(), report(), pressure)
    (row,) = rows(tmp_path, "observations.csv")
    assert {name: value for name, value in row.items() if name != "case_id"} == {
        "loinc_8462-4_mm[Hg]": "80.0",
        "loinc_8480-6_mm[Hg]": "120.0",
    }


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"valueQuantity": {"value": 5, "code": "g/dL", "comparator": "<"}}, "comparator"),
        ({"valueQuantity": None, "valueString": "high"}, "not_a_number_value"),
        ({"valueQuantity": {"value": "13.5", "code": "g/dL"}}, "not_a_number_value"),
        ({"valueQuantity": {"value": 5, "unit": 'g"\n=cmd'}}, "no_code"),
        ({"code": {"coding": [{"system": "x", "code": "../../etc"}]}}, "no_code"),
        ({"status": "entered-in-error"}, "not_final"),
        ({"subject": {"reference": "Patient/2"}}, "no_patient"),
        ({"subject": {"reference": "http://elsewhere/fhir/Patient/1"}}, "no_patient"),
        (
            {
                "subject": {"reference": "#inside"},
                "contained": [{"resourceType": "Patient", "id": "inside"}],
            },
            "no_patient",
        ),
        ({"effectiveDateTime": "yesterday"}, "no_date"),
        ({"id": None}, "no_id"),
    ],
)
def test_a_measurement_that_cannot_be_used_is_left_out_with_its_reason(
    value: dict[str, Any], why: str, fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    found = fetch(patient(), report(), observation("o1", 13.5) | value)
    assert left_out(found, "Observation") == {why: 1}
    assert not (tmp_path / "cohort" / "observations.csv").exists()


def test_a_study_of_another_patient_never_reaches_the_case_that_names_it(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    found = fetch(
        patient(),
        patient("2"),
        report(imagingStudy=[{"reference": "ImagingStudy/s1"}]),
        study(of="2"),
    )
    assert rows(tmp_path, "imaging.csv") == []
    assert left_out(found, "ImagingStudy") == {"other_patient": 1}


def test_two_servers_in_one_bundle_do_not_share_their_patients(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    entries = [
        {
            "fullUrl": f"http://{host}/fhir/{resource['resourceType']}/{resource['id']}",
            "resource": resource,
        }
        for host in ("a", "b")
        for resource in (patient(gender={"a": "male", "b": "female"}[host]), report(text=host))
    ]
    # of which of the two?
    entries.append({"fullUrl": "urn:uuid:9", "resource": observation("o1", 13.5)})
    found = fetch(
        text=json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})
    )
    assert left_out(found, "Observation") == {"no_patient": 1}
    cases = rows(tmp_path, "cases.csv")
    said = {
        row["sex"]: (tmp_path / "cohort" / "notes" / f"{row['case_id']}.txt").read_text()
        for row in cases
    }
    assert said == {"male": "a", "female": "b"}
