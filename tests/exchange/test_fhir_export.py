"""A FHIR export becomes a cohort folder, whose keys are pseudonyms and whose names lie in one
file.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fhir_builders import (
    KEY,
    bundle,
    document,
    left_out,
    observation,
    patient,
    report,
    rows,
    study,
)


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
