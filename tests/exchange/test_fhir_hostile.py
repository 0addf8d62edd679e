"""What is wrong in a FHIR export costs the attachment or resource it is in, and is accounted
for.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fhir_builders import (
    KEY,
    attachment,
    bundle,
    document,
    left_out,
    observation,
    patient,
    report,
    study,
)


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
    assert [path.read_text() for path in (tmp_path / "cohort" / "notes").iterdir()] == [
        "Conclusion:\nNormal."
    ]
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


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (
            attachment("Очаг 14 мм.".encode("cp1251"), "text/plain; charset=windows-1251"),
            "Очаг 14 мм.",
        ),
        (
            attachment(b'<meta charset="iso-8859-2"><p>lo\xbeisko</p>', "text/html"),
            "ložisko",
        ),
        (attachment(b"{\\rtf1 Lesion{\\v x}.}", "text/plain"), "Lesion."),
        (attachment(b"<p>No <del>9</del>effusion.</p>", "text/html"), "No effusion."),
    ],
)
def test_a_document_reads_alike_from_an_export_and_as_a_file(
    form: dict[str, Any], text: str, fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    from mmdiag.readers.text.notes import clean_note, read_note

    resource = document(content=[{"attachment": form}])
    fetch(patient(), report(), resource)
    (fetched,) = (tmp_path / "cohort" / "documents").iterdir()
    as_fetched = read_note(fetched)
    as_file = clean_note(json.dumps(resource).encode(), "n.json")
    assert as_fetched is not None and as_file is not None
    assert as_fetched.text.strip() == as_file.text.strip() == text


def test_a_document_that_another_replaces_is_superseded(
    fetch: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    old = document(content=[{"attachment": attachment(b"old")}]) | {"id": "old"}
    target = {"reference": "DocumentReference/old"}
    new = document(content=[{"attachment": attachment(b"new")}]) | {
        "id": "a-new",
        "relatesTo": [{"code": "replaces", "target": target}],
    }
    found = fetch(patient(), report(), old, new)
    (note,) = (tmp_path / "cohort" / "documents").iterdir()
    assert note.read_text() == "new" and left_out(found, "DocumentReference") == {"superseded": 1}
