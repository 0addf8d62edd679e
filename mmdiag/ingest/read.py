"""Read the sources of some cases, each file in the sandbox: what cannot be read is refused by
itself, and its case keeps the rest.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.cohort.cases import Case, Source
from mmdiag.description import Description, ModalityDescription
from mmdiag.errors import ReadError
from mmdiag.readers.genomics.vcf import is_vcf
from mmdiag.readers.tables.cohort_tables import KEY, read_text_table
from mmdiag.readers.tables.modality import read_case_tables, read_modality
from mmdiag.readers.tables.numbers import NumericTable
from mmdiag.sandbox.pool import Outcome, Sandbox, shared_sandbox

IMAGE, NOTE, NOTE_TEXT, CASE_TABLE, SIGNAL = "image", "note", "note_text", "case_table", "signal"
SECONDS_A_NOTE = 60.0  # to read it and to mask it, which takes a second for 100 000 characters
SECONDS_A_FILE = 0.5  # added to a request's time for every file after the first
Waives = Callable[[str, str, str], bool]  # (case, modality, code) -> whether a person accepted it


@dataclass(frozen=True, slots=True)
class Found:
    """One source that was read: its content, the facts that its contract judges, and what else is
    stored beside it.
    """

    content: Any
    facts: dict[str, Any]
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a source was refused: a key of `mmdiag.reasons.REASONS`, and what was found, without any
    patient's value.
    """

    code: str
    detail: str = ""


@dataclass(slots=True)
class _Reading:
    """What is being read of some cases."""

    description: Description
    subjects: frozenset[str]
    waives: Waives
    columns: Mapping[str, Sequence[str]]
    found: dict[tuple[str, str], Found] = field(default_factory=dict)
    refused: dict[tuple[str, str], Refusal] = field(default_factory=dict)
    people: dict[str, list[str]] = field(default_factory=dict)
    patients: dict[str, dict[str, str]] = field(
        default_factory=dict
    )  # case -> modality -> patient id, which is never written


def read_sources(
    description: Description,
    cases: Sequence[Case],
    subjects: frozenset[str],
    people: Mapping[str, Sequence[str]],
    waives: Waives,
    columns: Mapping[str, Sequence[str]],
    sandbox: Sandbox | None = None,
) -> tuple[dict[tuple[str, str], Found], dict[tuple[str, str], Refusal]]:
    """Read every source of some cases: images first, because their headers say what to mask in the
    notes of the same case.

    Args:
        subjects: Subjects of the whole cohort: a file that names another one of them lies in the
            wrong place.
        people: Case -> what identifies its person, from the case table.
        waives: Whether a person accepted what a code refuses.
        columns: Table modality -> the columns of its first ingestion.

    Returns:
        What was found and what was refused, by case and modality; a source that is blank is in
        neither.
    """
    pool = sandbox or shared_sandbox()
    reading = _Reading(
        description,
        subjects,
        waives,
        columns,
        people={case.case_id: list(people.get(case.case_id, ())) for case in cases},
    )
    for kind, ask, take in (
        ("image", _ask_image, _take_image),
        ("text", _ask_note, _take_note),
        ("signal", _ask_signal, _take_signal),
    ):
        asked = [
            (case, name, ask(reading, pool, case, name, source))
            for case in cases
            for name, source in case.sources.items()
            if source.kind == kind
        ]
        for case, name, answer in asked:
            _settle(reading, case, name, partial(take, reading, case, name, answer))
    for name in (
        name for name, modality in description.modalities.items() if modality.kind == "table"
    ):
        having = {case.case_id: case.sources[name] for case in cases if name in case.sources}
        if not having:
            continue
        table = _table_of(reading, pool, name, having)
        for case in (case for case in cases if case.case_id in having):
            key = having[case.case_id].key or case.case_id
            _settle(reading, case, name, partial(_row, table, case, name, key))
    return reading.found, reading.refused


def _settle(reading: _Reading, case: Case, name: str, take: Callable[[], Found | None]) -> None:
    try:
        found = take()
    except ReadError as refusal:
        reading.refused[case.case_id, name] = Refusal(refusal.code, refusal.detail)
    else:
        if found is not None:
            reading.found[case.case_id, name] = found


def _ask_image(
    reading: _Reading, pool: Sandbox, case: Case, name: str, source: Source
) -> "Future[Outcome]":
    modality = reading.description.modalities[name]
    waived = reading.waives(case.case_id, name, "burned_in")
    return pool.submit(
        IMAGE,
        seconds=pool.seconds + SECONDS_A_FILE * (len(source.files) - 1),
        files=[str(file) for file in source.files],
        select=dict(modality.select),
        size=modality.size,
        slices=modality.slices,
        window=modality.window,
        burned_in="accept" if waived else modality.burned_in,
    )


def _take_image(
    reading: _Reading, case: Case, name: str, answer: "Future[Outcome]"
) -> Found | None:
    reply, arrays = answer.result().value()
    if reply is None:
        return None
    _require_patient(reading, case, name, str(reply["patient_id"]))
    reading.people[case.case_id] += [str(part) for part in reply["identifiers"]]
    _require_recorded(reading, case, name, str(reply["recorded"]))
    return Found(arrays["stack"], {"case_id": case.case_id, "modality": name, **reply["facts"]})


def _ask_signal(
    reading: _Reading, pool: Sandbox, _: Case, name: str, source: Source
) -> "Future[Outcome]":
    modality = reading.description.modalities[name]
    if len(source.files) > 1:
        refused: Future[Outcome] = Future()
        refused.set_result(Outcome(code="signal_channels", detail=f"{len(source.files)} files"))
        return refused
    return pool.submit(
        SIGNAL,
        file=str(source.files[0]),
        channels=list(modality.channels),
        rate_hz=modality.rate_hz,
        store_hz=modality.store_hz,
        longest_s=modality.seconds,
        full_scale=modality.full_scale,
    )


def _take_signal(_: _Reading, case: Case, name: str, answer: "Future[Outcome]") -> Found:
    reply, arrays = answer.result().value()
    return Found(arrays["samples"], {"case_id": case.case_id, "modality": name, **reply["facts"]})


def _require_patient(reading: _Reading, case: Case, name: str, patient: str) -> None:
    """Files name the case's own subject or nobody of the cohort, and all of a case the same
    person.
    """
    if not patient:
        return
    if patient in reading.subjects - {case.subject_id, case.case_id}:
        raise ReadError("patient_mismatch", "its files name another subject of the cohort")
    others = reading.patients.setdefault(case.case_id, {})
    if any(other != patient for other in others.values()):
        raise ReadError(
            "patient_mismatch", f"its files name another patient than those of {next(iter(others))}"
        )
    others[name] = patient


def _require_recorded(reading: _Reading, case: Case, name: str, recorded: str) -> None:
    """Nothing recorded after `as_of` may be read; both are compared as days."""
    digits = recorded.replace("-", "")[:8]
    later = (
        case.as_of is not None
        and len(digits) == 8
        and digits.isdigit()
        and digits > f"{case.as_of:%Y%m%d}"
    )
    if later and not reading.waives(case.case_id, name, "after_as_of"):
        raise ReadError("after_as_of", "it is dated after the case's as_of")


def _ask_note(
    reading: _Reading, pool: Sandbox, case: Case, name: str, source: Source
) -> "Future[Outcome]":
    own = list(dict.fromkeys(reading.people[case.case_id]))
    if source.key is None:
        return pool.submit(
            NOTE, seconds=SECONDS_A_NOTE, file=str(source.files[0]), subject_terms=own
        )
    modality = reading.description.modalities[name]
    notes = _notes_table(
        source.files, _stamp(source.files), str(modality.key), str(modality.column)
    )[str(source.key)]
    if len(notes) > 1 and modality.rows == "refuse":
        refused: Future[Outcome] = Future()
        refused.set_result(Outcome(code="duplicate_row", detail=f"{len(notes)} notes"))
        return refused
    return pool.submit(
        NOTE_TEXT,
        seconds=SECONDS_A_NOTE,
        text=notes[0],
        name=source.files[0].name,
        subject_terms=own,
    )


def _take_note(reading: _Reading, case: Case, name: str, answer: "Future[Outcome]") -> Found | None:
    reply, _ = answer.result().value()
    if reply is None:
        return None
    _require_recorded(reading, case, name, str(reply["written"] or ""))
    text = str(reply["text"])
    plain = " ".join(text.lower().split())
    facts = {
        "case_id": case.case_id,
        "modality": name,
        "n_characters": len(text),
        "n_words": len(text.split()),
        "share_printable": sum(c.isprintable() or c in "\n\t" for c in text) / len(text),
        "n_sections": len(reply["sections"]),
        "encoding": reply["encoding"],
        "format": reply["format"],
        "n_masked": len(reply["spans"]),
        "text_sha256": hashlib.sha256(plain.encode()).hexdigest(),
    }
    return Found(text, facts, {"sections": reply["sections"], "spans": reply["spans"]})


def _table_of(
    reading: _Reading, pool: Sandbox, name: str, sources: Mapping[str, Source]
) -> NumericTable:
    """The numbers of some cases: rows of the table that all share, or one file a case; columns are
    those of the cohort.
    """
    modality = reading.description.modalities[name]
    if modality.key:
        return numbers_of(next(iter(sources.values())).files, modality, reading.description.root)
    table = case_numbers(
        {case_id: source.files[0] for case_id, source in sources.items()},
        modality,
        reading.description.root,
        pool,
    )
    columns = list(reading.columns[name])
    filled = table.values.reindex(columns=columns)
    unseen = [column for column in columns if column not in table.values]
    if unseen and all(is_vcf(source.files[0]) for source in sources.values()):
        filled[unseen] = np.float32(0)  # a gene that no variant of these cases lies in
    return NumericTable(filled, table.refused)


def _row(table: NumericTable, case: Case, name: str, key: str) -> Found | None:
    if key in table.refused:
        raise ReadError(*table.refused[key])
    row = table.values.loc[key].to_numpy(dtype=np.float32)
    missing = int(np.isnan(row).sum())
    if missing == len(row):
        return None  # a row without a value: not measured
    facts = {
        "case_id": case.case_id,
        "modality": name,
        "n_values": len(row),
        "n_missing": missing,
        "share_missing": missing / len(row),
        "low": float(np.nanmin(row)),
        "high": float(np.nanmax(row)),
    }
    return Found(row, facts)


def case_numbers(
    files: Mapping[str, Path],
    modality: ModalityDescription,
    root: Path,
    pool: Sandbox | None = None,
) -> NumericTable:
    """A table modality's numbers where each case has a file of its own, each read in the
    sandbox.
    """
    sandbox = pool or shared_sandbox()
    described = {**asdict(modality), "select": dict(modality.select)}
    answers = {
        file: sandbox.submit(CASE_TABLE, file=str(file), modality=described)
        for file in files.values()
    }

    def read(file: Path, _: ModalityDescription) -> pd.Series:
        facts, arrays = answers[file].result().value()
        return pd.Series(arrays["values"], index=facts["columns"], dtype=np.float32)

    return read_case_tables(files, modality, root, read)


def numbers_of(files: Sequence[Path], modality: ModalityDescription, root: Path) -> NumericTable:
    """The numbers of a table modality that all cases share, read once a process."""
    described = json.dumps({**asdict(modality), "select": dict(modality.select)}, sort_keys=True)
    return _numbers(tuple(files), _stamp(files), described, root)


@lru_cache(maxsize=8)
def _numbers(
    files: tuple[Path, ...], stamp: tuple[int, ...], described: str, root: Path
) -> NumericTable:
    del stamp  # only there so that a changed file is read again
    facts: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in json.loads(described).items()
    }
    return read_modality(files, ModalityDescription(**facts), root)


@lru_cache(maxsize=8)
def _notes_table(
    files: tuple[Path, ...], stamp: tuple[int, ...], key: str, column: str
) -> Mapping[str, tuple[str, ...]]:
    del stamp
    table = read_text_table(files, key)
    return {str(case): tuple(map(str, rows)) for case, rows in table.groupby(KEY)[column]}


def _stamp(files: Sequence[Path]) -> tuple[int, ...]:
    return tuple(file.stat().st_mtime_ns for file in files)
