"""A FHIR export as a cohort folder: case table, notes, measurements, the list of imaging studies,
and a cohort.toml to edit.

Case and subject keys are keyed pseudonyms, because a FHIR id may be a medical record number. What
names a patient goes into one file that only its
owner can read, for the masking of notes.
"""

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdiag.errors import UsageError
from mmdiag.exchange.fhir.accounting import WHY, Account
from mmdiag.exchange.fhir.attachments import note_of
from mmdiag.exchange.fhir.cases import CASE_UNITS, FhirCase, make_cases
from mmdiag.exchange.fhir.json import read_export
from mmdiag.exchange.own_folder import SUMMARY, require_own_folder
from mmdiag.exchange.pacs.inbox import FOLDER
from mmdiag.workspace import atomic_path, write_bytes, write_text

OLDEST = 89  # years; above, a year of birth names a person (45 CFR 164.514)
NO_IMAGES = (
    "SR",
    "KO",
    "PR",
    "DOC",
    "SEG",
    "REG",
    "AU",
    "ECG",
    "FID",
    "PLAN",
    "RTSTRUCT",
    "RTPLAN",
    "RTDOSE",
    "RTRECORD",
    "SMR",
    "TEXTUREMAP",
)
Pseudonym = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Note:
    """A note to write: its suffix, such as `.txt`, and its bytes."""

    suffix: str
    content: bytes


def fetch_fhir(
    export: Path, out: Path, pseudonym: Pseudonym, *, case: str = "report"
) -> dict[str, Any]:
    """Turn an export into a cohort folder; a repeat replaces all but a cohort.toml that is there.

    Args:
        export: A bundle (.json), an .ndjson file, or a folder of them.
        out: Folder; created if missing.
        pseudonym: Kind (`patient` or `case`) and value -> a keyed pseudonym, which names files.
        case: What one case is: `report`, `study` or `patient`.

    Returns:
        Counts of what was written, and of every resource by outcome.

    Raises:
        UsageError: The export is not FHIR JSON or holds no case, or `out` holds something else.
    """
    _require_own_folder(out, case)
    cases, exported = make_cases(read_export(export), case)
    if not cases:
        raise UsageError(_no_case(case, exported.account))
    keys = {one.key: _folder_name(pseudonym("case", one.key)) for one in cases}
    subjects = {
        one.patient.number: _folder_name(pseudonym("patient", one.patient.number)) for one in cases
    }
    reports, documents = _notes(cases, exported.account)
    _write_notes(out / "notes", {keys[key]: note for key, note in reports.items()})
    _write_notes(out / "documents", {keys[key]: note for key, note in documents.items()})
    columns = _write_values(out / "observations.csv", cases, keys)
    imaging = _write_tables(out, cases, keys, subjects)
    if not (out / "cohort.toml").exists():
        kinds = _suffixes(reports), _suffixes(documents), bool(columns)
        write_text(out / "cohort.toml", _cohort_toml(out, *kinds, imaging))
    answer = {
        "cases": len(cases),
        "subjects": len(set(subjects.values())),
        "notes": len(reports),
        "documents": len(documents),
        "columns": len(columns),
        "imaging": {
            "studies": len({row[1] for row in imaging}),
            "series": sum(bool(row[2]) for row in imaging),
        },
        "several_units": {
            code: sorted(units) for code, units in exported.units.items() if len(units) > 1
        },
        "resources": exported.account.table(),
    }
    write_text(out / SUMMARY, json.dumps(answer, indent=1))
    return answer


def _require_own_folder(out: Path, case: str) -> None:
    if case not in CASE_UNITS:
        raise UsageError(f"A case is one of {', '.join(CASE_UNITS)}, found {case!r}: choose one.")
    require_own_folder(out)
    write_text(out / SUMMARY, "{}")  # a run that is cut short can be repeated


def _write_tables(
    out: Path, cases: Sequence[FhirCase], keys: Mapping[str, str], subjects: Mapping[str, str]
) -> list[list[Any]]:
    """identifiers.csv, cases.csv and imaging.csv; answers with the rows of the last."""
    names = [
        [keys[case.key], " ".join(value.split())]
        for case in cases
        for value in case.patient.identifiers
    ]
    _write_private(out / "identifiers.csv", ["case_id", "value"], names)
    rows = [
        [
            keys[case.key],
            subjects[case.patient.number],
            case.when.last_day.isoformat(),
            case.patient.sex,
            _birth_year(case),
        ]
        for case in cases
    ]
    _write_table(out / "cases.csv", ["case_id", "subject_id", "as_of", "sex", "birth_year"], rows)
    imaging = [
        [keys[case.key], study.uid, uid, kind, count]
        for case in cases
        for study in case.studies
        for uid, kind, count in study.series or (("", "", None),)
    ]
    _write_table(
        out / "imaging.csv",
        ["case_id", "study_uid", "series_uid", "modality", "instances"],
        imaging,
    )
    return imaging


def _no_case(case: str, account: Account) -> str:
    kinds = {
        "report": "DiagnosticReport",
        "study": "ImagingStudy",
        "patient": "DiagnosticReport or ImagingStudy",
    }
    return (
        f"A cohort has a case, this export has no {kinds[case]} that can be one "
        f"({_reasons(account)}): correct the export, or choose another --case."
    )


def _reasons(account: Account) -> str:
    found = sorted(
        {
            why
            for row in account.table().values()
            for why in row["left_out"]
            if why in WHY and why not in ("type_not_read", "no_case")
        }
    )
    return f"left out: {', '.join(found)}" if found else "nothing was left out for a fault"


def _folder_name(pseudonym: str) -> str:
    if not FOLDER.fullmatch(pseudonym):
        raise UsageError(
            "A pseudonym is letters, digits, '.', '_' and '-', because it names files; the one "
            "made is not: use a plain prefix."
        )
    return pseudonym


def _birth_year(case: FhirCase) -> str:
    year = case.patient.birth_year
    return str(year) if year is not None and 0 <= case.when.last_day.year - year <= OLDEST else ""


def _notes(cases: Sequence[FhirCase], account: Account) -> tuple[dict[str, Note], dict[str, Note]]:
    """Reports and documents of the cases that have one; a document that says what the report says
    is left out.
    """
    reports: dict[str, Note] = {}
    documents: dict[str, Note] = {}
    read: dict[str, tuple[str, bytes] | None] = {}
    for case in cases:
        report, document = case.report, case.document
        if report is not None:
            found = note_of(report.attachments, account) or _text_note(report.text)
            if found:
                reports[case.key] = Note(*found)
        if document is not None:
            if document.key not in read:
                read[document.key] = note_of(document.attachments, account)
            note = read[document.key]
            if note is None:
                account.leave(document.key, "no_note")
            elif case.key in reports and reports[case.key].content.split() == note[1].split():
                account.leave(document.key, "same_as_report")
            else:
                account.use(document.key)
                documents[case.key] = Note(*note)
    return reports, documents


def _text_note(text: str) -> tuple[str, bytes] | None:
    return (".txt", text.encode("utf-8", "replace")) if text else None


def _write_notes(folder: Path, notes: dict[str, Note]) -> None:
    """Write the notes of this export; those of an older one go."""
    written = {f"{key}{note.suffix}" for key, note in notes.items()}
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in written and path.is_file():
            path.unlink()
    for key, note in notes.items():
        target = folder / f"{key}{note.suffix}"
        if target.is_file() and target.read_bytes() == note.content:
            continue
        write_bytes(target, note.content)


def _write_values(path: Path, cases: Sequence[FhirCase], keys: Mapping[str, str]) -> list[str]:
    """One row a case, one column a code with its unit; empty where it was not measured."""
    columns = sorted({column for case in cases for column in case.values})
    rows = [
        [keys[case.key], *(repr(case.values[c]) if c in case.values else "" for c in columns)]
        for case in cases
        if case.values
    ]
    if columns:
        _write_table(path, ["case_id", *columns], rows)
    else:
        path.unlink(missing_ok=True)
    return columns


def _write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    write_text(path, _csv(header, rows))


def _write_private(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table that only its owner can read, from its first byte on."""
    with atomic_path(path) as temporary:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:
            file.write(_csv(header, rows))


def _csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def _suffixes(notes: dict[str, Note]) -> set[str]:
    return {note.suffix for note in notes.values()}


def _cohort_toml(
    out: Path,
    reports: set[str],
    documents: set[str],
    values: bool,
    imaging: Sequence[Sequence[Any]],
) -> str:
    """The description of what was written."""
    kinds = sorted({row[3] for row in imaging if row[3] and row[3] not in NO_IMAGES}) or (
        [""] if imaging else []
    )
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", out.resolve().name).strip("-.")[:60] or "fhir"
    lines = [
        "# Written by `mmdiag fetch fhir`: read it, correct it, then run `mmdiag ingest "
        "--cohort` with it.",
        "[cohort]",
        f'name = "{name}"',
        'root = "."                           # all paths below are relative to this folder',
        "",
        "[cases]                              # one row a case",
        'table = "cases.csv"',
        'case_id = "case_id"                  # keyed pseudonyms: the same key file gives the '
        "same keys",
        'subject_id = "subject_id"            # all cases of a person share one part of the split',
        'as_of = "as_of"                      # date of the report or study; nothing recorded '
        "later is here",
        'group = ["sex"]                      # for subgroup reports, never inputs of a model',
        'identifiers = "identifiers.csv"      # names, numbers and addresses of the patients, to '
        "mask the notes with; mode 600",
        "",
        "[task]",
        'kind = "binary"                      # without a label the cohort is scored, never '
        "trained on",
        '# label = "..."                      # a column that you add to cases.csv',
        '# positive = "1"',
        "",
        *_sections(reports, documents, values, kinds),
    ]
    return "\n".join(lines)


def _sections(
    reports: set[str], documents: set[str], values: bool, kinds: Sequence[str]
) -> Iterator[str]:
    """One section a modality; `kinds` are DICOM modalities, "" where a study does not say."""
    for heading, folder, suffixes in (
        ("report", "notes", reports),
        ("document", "documents", documents),
    ):
        if suffixes:
            suffix = suffixes.copy().pop() if len(suffixes) == 1 else ".*"
            yield from (
                f"[modalities.{heading}]",
                'kind = "text"',
                f'path = "{folder}/{{case_id}}{suffix}"',
                "",
            )
    if values:
        yield from (
            "[modalities.observations]",
            'kind = "table"',
            'path = "observations.csv"',
            'key = "case_id"',
            "",
        )
    if kinds:
        yield (
            "# The images come from the PACS: mmdiag fetch dicomweb URL --studies imaging.csv "
            "--out dicom"
        )
    for kind in kinds:
        yield from (
            f"[modalities.{kind.lower() or 'image'}]",
            'kind = "image"',
            'path = "dicom/{case_id}"',
        )
        yield (
            f'select = {{ Modality = "{kind}" }}  # one series a case: narrow it, as by '
            'SeriesDescription = "*FLAIR*"'
            if kind
            else "# select = ..."
        )
        yield ""
