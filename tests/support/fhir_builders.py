"""FHIR resources as a hospital would export them, whole by default and bent by their arguments."""

import base64
import csv
import json
from pathlib import Path
from typing import Any

KEY = b"k" * 32  # of pseudonyms


def patient(number: str = "1", **more: Any) -> dict[str, Any]:
    name = [{"family": f"Osterhagen{number}", "given": ["Wilhelmina"]}]
    return {
        "resourceType": "Patient",
        "id": number,
        "gender": "female",
        "birthDate": "1960-05-17",
        "name": name,
        **more,
    }


def attachment(content: bytes, kind: str = "text/plain", **more: Any) -> dict[str, Any]:
    return {"contentType": kind, "data": base64.b64encode(content).decode(), **more}


def report(
    number: str = "r1",
    of: str = "1",
    when: str = "2024-03-02",
    text: str = "No oedema.",
    **more: Any,
) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport",
        "id": number,
        "status": "final",
        "subject": {"reference": f"Patient/{of}"},
        "effectiveDateTime": when,
        "presentedForm": [attachment(text.encode())],
        **more,
    }


def study(
    number: str = "s1",
    of: str = "1",
    when: str = "2024-03-02T09:00:00Z",
    uid: str = "1.2.3",
    **more: Any,
) -> dict[str, Any]:
    return {
        "resourceType": "ImagingStudy",
        "id": number,
        "status": "available",
        "subject": {"reference": f"Patient/{of}"},
        "started": when,
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
        "series": [{"uid": f"{uid}.1", "modality": {"code": "MR"}, "numberOfInstances": 7}],
        **more,
    }


def observation(
    number: str,
    value: Any,
    of: str = "1",
    when: str = "2024-03-01",
    unit: str = "g/dL",
    code: str = "718-7",
    **more: Any,
) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": number,
        "status": "final",
        "subject": {"reference": f"Patient/{of}"},
        "effectiveDateTime": when,
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "valueQuantity": {"value": value, "code": unit},
        **more,
    }


def document(
    number: str = "d1",
    of: str = "1",
    when: str = "2024-02-01T08:00:00Z",
    text: str = "Known asthma.",
    **more: Any,
) -> dict[str, Any]:
    content = [{"attachment": attachment(text.encode())}]
    return {
        "resourceType": "DocumentReference",
        "id": number,
        "status": "current",
        "subject": {"reference": f"Patient/{of}"},
        "date": when,
        "content": content,
        **more,
    }


def bundle(*resources: dict[str, Any]) -> str:
    return json.dumps(
        {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": resource} for resource in resources],
        }
    )


def rows(tmp_path: Path, name: str) -> list[dict[str, str]]:
    """A table of the cohort that was fetched."""
    with (tmp_path / "cohort" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def left_out(found: dict[str, Any], kind: str) -> dict[str, int]:
    """Reason -> resources of a type that were left out for it; every one is accounted for."""
    row = found["resources"][kind]
    assert row["in"] == row["used"] + sum(row["left_out"].values())
    return dict(row["left_out"])
