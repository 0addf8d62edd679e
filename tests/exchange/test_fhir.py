"""A FHIR export becomes a cohort: what is in it, what is left out and why, and that nothing hostile
gets further than the account.
"""

import base64
import csv
import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fhir_builders import attachment, bundle, document, observation, patient, report, study

KEY = b"k" * 32


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Writes an export and fetches it into tmp_path/cohort."""
    from mmdiag.exchange.fhir.export import fetch_fhir
    from mmdiag.privacy.pseudonyms import pseudonym

    def run(*resources: dict[str, Any], text: str | None = None, **options: Any) -> dict[str, Any]:
        export = tmp_path / "export.json"
        export.write_text(text if text is not None else bundle(*resources))
        return fetch_fhir(export, tmp_path / "cohort", partial(pseudonym, KEY), **options)

    return run


def rows(tmp_path: Path, name: str) -> list[dict[str, str]]:
    with (tmp_path / "cohort" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def left_out(found: dict[str, Any], kind: str) -> dict[str, int]:
    row = found["resources"][kind]
    assert row["in"] == row["used"] + sum(row["left_out"].values())
    return dict(row["left_out"])


def test_a_bundle_becomes_a_cohort_that_can_be_read(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    from mmdiag.cohort.case_table import read_cases
    from mmdiag.description import read_description

    found = fetch(
        patient(),
        report(imagingStudy=[{"reference": "ImagingStudy/s1"}]),
        study(when="2024-03-02"),
        observation("o1", 13.5),
        document(),
    )
    (case,) = rows(tmp_path, "cases.csv")
    assert (case["as_of"], case["sex"], case["birth_year"]) == ("2024-03-02", "female", "1960")
    assert rows(tmp_path, "observations.csv") == [
        {"case_id": case["case_id"], "loinc_718-7_g/dL": "13.5"}
    ]
    assert rows(tmp_path, "imaging.csv") == [
        {
            "case_id": case["case_id"],
            "study_uid": "1.2.3",
            "series_uid": "1.2.3.1",
            "modality": "MR",
            "instances": "7",
        }
    ]
    assert (tmp_path / "cohort" / "notes" / f"{case['case_id']}.txt").read_text() == "No oedema."
    assert (
        tmp_path / "cohort" / "documents" / f"{case['case_id']}.txt"
    ).read_text() == "Known asthma."
    assert all(row["used"] == row["in"] for row in found["resources"].values())
    description = read_description(tmp_path / "cohort" / "cohort.toml")
    assert {name: modality.kind for name, modality in description.modalities.items()} == {
        "report": "text",
        "document": "text",
        "observations": "table",
        "mr": "image",
    }
    assert read_cases(description)["subject_id"].tolist() == [case["subject_id"]]


def test_ndjson_gives_what_the_bundle_gives(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    from mmdiag.exchange.fhir.export import fetch_fhir
    from mmdiag.privacy.pseudonyms import pseudonym

    resources = [patient(), patient("2"), report(), report("r2", "2"), observation("o1", 13.5)]
    folder = tmp_path / "bulk"
    folder.mkdir()
    for kind in ("Patient", "DiagnosticReport", "Observation"):
        lines = [json.dumps(resource) for resource in resources if resource["resourceType"] == kind]
        (folder / f"{kind}.ndjson").write_text("\n".join(lines) + "\n")
    assert fetch_fhir(folder, tmp_path / "other", partial(pseudonym, KEY)) == fetch(*resources)
    for name in ("cases.csv", "observations.csv", "identifiers.csv"):
        assert (tmp_path / "other" / name).read_text() == (tmp_path / "cohort" / name).read_text()


def test_names_and_numbers_are_in_one_file_that_others_cannot_read(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    fetch(
        patient(
            "MRN-77301",
            telecom=[{"value": "+1 555 0100"}],
            address=[{"line": ["12 Elm Street"], "city": "Springfield", "postalCode": "01101"}],
            contact=[{"name": {"family": "Osterhagen-Ruiz", "given": ["Theo"]}}],
        ),
        report(of="MRN-77301"),
    )
    private = tmp_path / "cohort" / "identifiers.csv"
    assert private.stat().st_mode & 0o777 == 0o600
    values = {row["value"] for row in rows(tmp_path, "identifiers.csv")}
    names = {
        "OsterhagenMRN-77301",
        "Wilhelmina",
        "Wilhelmina OsterhagenMRN-77301",
        "Theo Osterhagen-Ruiz",
    }
    assert values >= names | {
        "+1 555 0100",
        "12 Elm Street",
        "Springfield",
        "01101",
        "1960-05-17",
        "MRN-77301",
    }
    for path in (tmp_path / "cohort").rglob("*"):
        said = str(path.relative_to(tmp_path)) + (
            path.read_text() if path.is_file() and path != private else ""
        )
        assert not [value for value in values if value in said], path


def test_a_medical_record_number_names_the_subject_where_there_is_one(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    from mmdiag.privacy.pseudonyms import pseudonym

    fetch(
        patient(
            identifier=[
                {"type": {"coding": [{"code": "MR"}]}, "value": "4711"},
                {"value": "policy"},
            ]
        ),
        report(),
    )
    assert rows(tmp_path, "cases.csv")[0]["subject_id"] == pseudonym(KEY, "patient", "4711")


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
    entries.append(
        {"fullUrl": "urn:uuid:9", "resource": observation("o1", 13.5)}
    )  # of which of the two?
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


def test_a_case_can_be_a_study_or_a_patient(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    order = {"basedOn": [{"reference": "ServiceRequest/9"}]}
    export = [
        patient(),
        report("r1", when="2024-01-05", text="old"),
        report("r2", when="2024-03-02", text="new", **order),
        study("s1", when="2024-03-02T08:00:00Z", **order),
        study("s2", uid="1.2.4", when="2024-01-01"),
    ]
    fetch(*export, case="study")
    assert [
        row["as_of"] for row in sorted(rows(tmp_path, "cases.csv"), key=lambda row: row["as_of"])
    ] == ["2024-01-01", "2024-03-02"]
    assert [path.read_text() for path in (tmp_path / "cohort" / "notes").iterdir()] == ["new"]
    found = fetch(*export, case="patient")
    assert [row["as_of"] for row in rows(tmp_path, "cases.csv")] == ["2024-03-02"]
    assert [path.read_text() for path in (tmp_path / "cohort" / "notes").iterdir()] == ["new"]
    assert left_out(found, "DiagnosticReport") == {"superseded": 1}


@pytest.mark.parametrize(
    ("forms", "suffix", "content"),
    [
        (
            [attachment("Größe 3 cm".encode("latin-1"), "text/plain; charset=ISO-8859-1")],
            ".txt",
            "Größe 3 cm".encode(),
        ),
        (
            [
                attachment(
                    b"<p>No&nbsp;<b>oedema</b>.</p><script>x()</script><p>End</p>", "text/html"
                )
            ],
            ".txt",
            b"No oedema.\n\nEnd",
        ),
        ([attachment(b"{\\rtf1 No oedema.}", "application/rtf")], ".rtf", b"{\\rtf1 No oedema.}"),
        (
            [attachment(b"%PDF-1.7 ...", "application/pdf"), attachment(b"plain", "text/plain")],
            ".txt",
            b"plain",
        ),
        ([attachment(b"one"), attachment(b"two")], ".txt", b"one\n\ntwo"),
        ([attachment(b"<ClinicalDocument/>", "application/xml")], ".xml", b"<ClinicalDocument/>"),
        (
            [
                attachment(
                    b"x" * 90 + b"\n",
                    hash=base64.b64encode(hashlib.sha1(b"x" * 90 + b"\n").digest()).decode(),
                    size=91,
                )
            ],
            ".txt",
            b"x" * 90 + b"\n",
        ),
    ],
)
def test_an_attachment_becomes_a_note(
    forms: list[dict[str, Any]],
    suffix: str,
    content: bytes,
    fetch: Callable[..., dict[str, Any]],
    tmp_path: Path,
) -> None:
    fetch(patient(), report(presentedForm=forms))
    (note,) = (tmp_path / "cohort" / "notes").iterdir()
    assert (note.suffix, note.read_bytes()) == (suffix, content)


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"contentType": "text/plain", "url": "file:///etc/passwd"}, "link_only"),
        ({"contentType": "text/plain", "data": "not base64!"}, "not_base64"),
        (attachment(b"hello", "application/pdf"), "wrong_type"),
        (attachment(b"MZ", "application/x-msdownload"), "wrong_type"),
        (attachment(b"hello", size=4), "wrong_hash"),
        (attachment(b"hello", hash="AAAA"), "wrong_hash"),
        (attachment(b"hello", "text/plain; charset=rot13"), "wrong_type"),
        ({"contentType": "text/plain", "data": "A" * (30 * 2**20)}, "too_large"),
    ],
)
def test_an_attachment_that_is_not_what_it_says_is_left_out_and_the_conclusion_taken(
    form: dict[str, Any], why: str, fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    found = fetch(patient(), report(presentedForm=[form], conclusion="Normal."))
    assert [path.read_text() for path in (tmp_path / "cohort" / "notes").iterdir()] == ["Normal."]
    assert left_out(found, "Attachment") == {why: 1}


def test_a_document_that_repeats_the_report_is_left_out(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    found = fetch(patient(), report(text="No oedema."), document(text="No\noedema."))
    assert left_out(found, "DocumentReference") == {"same_as_report": 1} and not list(
        (tmp_path / "cohort").glob("documents/*")
    )


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('{"resourceType": "Bundle", "type": "collection", "type": "history"}', "duplicate_key"),
        ('{"resourceType": "Bundle", "type": "collection", "x": NaN}', "not_a_number"),
        ('{"resourceType": "Bundle", "type": "collection", "x": 1e999}', "not_a_number"),
        ('{"resourceType": "Bundle", "x": ' + "[" * 5000 + "]" * 5000 + "}", "too_deep"),
        ('{"resourceType": "Bundle", "x": ' + "9" * 5000 + "}", "not_json"),
        ('{"resourceType": "Bundle"', "not_json"),
        ('{"resourceType": "Bundle", "x": "' + "a" * 50_000, "not_json"),
        ('{"resourceType": "Bundle", "type": "history"}', "history"),
        ("[]", "has no DiagnosticReport"),
        (bundle(patient()), "has no DiagnosticReport"),
    ],
)
def test_a_file_that_is_no_bundle_is_refused_and_nothing_is_written(
    text: str, rule: str, fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    from mmdiag.errors import UsageError

    with pytest.raises(UsageError, match=rule):
        fetch(text=text)
    assert {path.name for path in (tmp_path / "cohort").glob("*")} <= {"fetched.json"}


def test_a_broken_line_of_ndjson_costs_that_line_only(tmp_path: Path) -> None:
    from mmdiag.exchange.fhir.export import fetch_fhir
    from mmdiag.privacy.pseudonyms import pseudonym

    lines = [
        json.dumps(patient()),
        '{"resourceType": "Patient", "id"',
        '{"id": "1", "id": "2", "resourceType": "Patient"}',
        "[]",
        json.dumps(report()),
    ]
    (tmp_path / "all.ndjson").write_text("\n".join(lines))
    found = fetch_fhir(tmp_path / "all.ndjson", tmp_path / "cohort", partial(pseudonym, KEY))
    assert found["cases"] == 1 and left_out(found, "unknown") == {
        "duplicate_key": 1,
        "not_fhir": 1,
        "not_json": 1,
    }


def test_a_resource_that_is_there_twice_with_two_contents_is_not_used(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    twice = [
        observation("o1", 13.5),
        observation("o1", 13.5),
        observation("o2", 4),
        observation("o2", 5),
    ]
    found = fetch(
        patient(),
        report(),
        *twice,
        {"resourceType": "Condition", "id": "c"},
        {"resourceType": "<script>"},
    )
    assert left_out(found, "Observation") == {"conflicting": 2, "duplicate": 1}
    assert left_out(found, "Condition") == {"type_not_read": 1} and left_out(found, "unknown") == {
        "not_fhir": 1
    }


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        7,
        "text",
        [],
        {},
        [None],
        [[]],
        {"reference": 7},
        {"coding": "x"},
        {"value": {}},
        [{"attachment": 3}],
        True,
    ],
)
def test_no_json_type_in_any_place_breaks_the_reading(
    wrong: Any, fetch: Callable[..., dict[str, Any]]
) -> None:
    broken = []
    for make in (patient, report, study, document, partial(observation, "o1", 1)):
        whole = make()
        broken += [
            whole | {"id": f"{make}-{name}"[-40:], name: wrong}
            for name in sorted(set(whole) - {"resourceType"})
        ]
    found = fetch(patient(), report("kept"), *broken)
    assert found["cases"] >= 1
    assert (
        sum(row["in"] for kind, row in found["resources"].items() if kind != "Attachment")
        == len(broken) + 2
    )


def test_a_repeat_replaces_the_data_and_keeps_the_description_that_was_edited(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    fetch(patient(), report(), report("r2", text="second"))
    (tmp_path / "cohort" / "cohort.toml").write_text("# mine")
    before = {path.name for path in (tmp_path / "cohort" / "notes").iterdir()}
    fetch(patient(), report())
    after = {path.name for path in (tmp_path / "cohort" / "notes").iterdir()}
    assert len(before) == 2 and len(after) == 1 and after < before
    assert (tmp_path / "cohort" / "cohort.toml").read_text() == "# mine"


def test_a_folder_with_other_files_is_left_alone(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    from mmdiag.errors import UsageError

    (tmp_path / "cohort").mkdir()
    (tmp_path / "cohort" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        fetch(patient(), report())


def test_a_year_of_birth_that_names_a_very_old_person_is_left_out(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    fetch(patient(birthDate="1930-01-01"), report())
    assert rows(tmp_path, "cases.csv")[0]["birth_year"] == ""


def test_the_command_answers_with_counts_and_exit_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmdiag.cli import boundary, cli

    monkeypatch.setenv("MMDIAG_KEY_FILE", str(tmp_path / "key"))
    (tmp_path / "good.json").write_text(bundle(patient(), report()))
    (tmp_path / "odd.json").write_text(bundle(patient(), report(), report("r2", of="nobody")))
    assert (
        boundary.run(
            cli,
            ["fetch", "fhir", str(tmp_path / "good.json"), "--out", str(tmp_path / "a"), "--json"],
        )
        == 0
    )
    answer = json.loads(capsys.readouterr().out)
    assert (answer["command"], answer["status"], answer["cases"]) == ("fetch fhir", "done", 1)
    assert (
        boundary.run(
            cli, ["fetch", "fhir", str(tmp_path / "odd.json"), "--out", str(tmp_path / "b")]
        )
        == 3
    )
    assert "DiagnosticReport: 1 of 2 used, left out: 1 no patient" in capsys.readouterr().out
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a" / "cases.csv").read_text() == (
        tmp_path / "b" / "cases.csv"
    ).read_text(), "the same key gives the same keys"
