"""Read the sources of some cases, each file in the sandbox: what cannot be read is refused by
itself, and its case keeps the rest. How a kind is read: `read_images`, `read_notes` ...
"""

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmdiag.cohort.cases import Case
from mmdiag.description import Description
from mmdiag.errors import ReadError
from mmdiag.ingest.reports import TableReport
from mmdiag.kinds import KINDS
from mmdiag.regular_files import without_file_names
from mmdiag.sandbox.pool import Outcome, Sandbox, shared_sandbox
from mmdiag.storage.display.spool import DisplaySpool

IsOverridden = Callable[[str, str, str], bool]  # (case, modality, code) -> did a person accept it?


@dataclass(frozen=True, slots=True)
class Found:
    """One source that was read: its content, the facts that its contract is about, and what else is
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


Wait = Callable[[], Found | None]  # waits for what was asked; None = blank


@dataclass(slots=True)
class Reading:
    """What is being read of some cases.

    Args:
        identifiers: Case -> what identifies its person, to be masked in notes.
        patients: Case -> modality -> patient id, which is never written.
        columns: Table modality -> the columns of the cohort.
        displays: Takes what is looked at of each image.
        reports: Table modality -> what `ingest.reports` keeps of how it was read.
    """

    description: Description
    subjects: frozenset[str]
    is_overridden: IsOverridden
    columns: Mapping[str, Sequence[str]]
    displays: DisplaySpool
    found: dict[tuple[str, str], Found] = field(default_factory=dict)
    refused: dict[tuple[str, str], Refusal] = field(default_factory=dict)
    identifiers: dict[str, list[str]] = field(default_factory=dict)
    patients: dict[str, dict[str, str]] = field(default_factory=dict)
    reports: Mapping[str, TableReport] = field(default_factory=dict)


def read_sources(
    description: Description,
    cases: Sequence[Case],
    subjects: frozenset[str],
    identifiers: Mapping[str, Sequence[str]],
    is_overridden: IsOverridden,
    columns: Mapping[str, Sequence[str]],
    displays: DisplaySpool,
    sandbox: Sandbox | None = None,
    reports: Mapping[str, TableReport] | None = None,
) -> tuple[dict[tuple[str, str], Found], dict[tuple[str, str], Refusal]]:
    """Read every source of some cases, kind by kind: images and signals first, because their
    headers say what to mask in the notes of the same case.

    Args:
        subjects: Subjects of the whole cohort: a file that names another one of them lies in the
            wrong place.
        identifiers: Case -> what identifies its person, from the case table.
        is_overridden: Whether a person accepted what a code refuses.
        columns: Table modality -> the columns of the cohort.
        displays: Takes what is looked at of each image, as soon as it is read.
        reports: Table modality -> what `ingest.reports` keeps of how it was read.

    Returns:
        What was found and what was refused, by case and modality; a source that is blank is in
        neither.
    """
    pool = sandbox or shared_sandbox()
    reading = Reading(
        description,
        subjects,
        is_overridden,
        columns,
        displays,
        identifiers={case.case_id: list(identifiers.get(case.case_id, ())) for case in cases},
        reports=reports or {},
    )
    for case in cases:
        for name, (code, detail) in case.faults.items():
            reading.refused[case.case_id, name] = Refusal(code, detail)
    for kind in KINDS.values():
        names = [name for name, m in description.modalities.items() if m.kind == kind.name]
        waiting: dict[str, dict[str, Wait]] = {}
        for name in names:
            having = [case for case in cases if name in case.sources]
            waiting[name] = dict(kind.read(reading, pool, having, name)) if having else {}
        for name in names:  # in the order in which they were asked for, so that few answers wait
            for case in cases:
                if case.case_id in waiting[name]:
                    _receive(reading, case, name, waiting[name].pop(case.case_id))
    return reading.found, reading.refused


def _receive(reading: Reading, case: Case, name: str, wait: Wait) -> None:
    try:
        found = wait()
    except ReadError as refusal:
        detail = _without_names(reading.description, case, name, refusal.detail)
        reading.refused[case.case_id, name] = Refusal(refusal.code, detail)
    else:
        if found is not None:
            reading.found[case.case_id, name] = found


def _without_names(description: Description, case: Case, name: str, detail: str) -> str:
    """What was found, without names of files that may be a person's; one that belongs to all cases
    is the user's own.
    """
    source, path = case.sources[name], description.modalities[name].path
    words = re.split(r"\{[^{}]*\}|[/*?]", path)
    files = () if path in map(str, _below(description.root, source.files)) else source.files
    return without_file_names(detail, files, (case.case_id, *words))


def _below(root: Path, files: Sequence[Path]) -> list[Path]:
    return [file.relative_to(root) for file in files if file.is_relative_to(root)]


def require_recorded(
    reading: Reading,
    case: Case,
    name: str,
    recorded: str,
    open_dates: Sequence[Sequence[str]] = (),
) -> None:
    """Nothing recorded after `as_of` may be read; both are compared as days, each on its own clock.

    Args:
        recorded: ISO date of the last day on which it may have been recorded; empty = unknown.
        open_dates: Pairs of ISO dates of which one is meant: the later one counts, unless the
            other is `as_of` itself.
    """
    if case.as_of is None:
        return
    as_of = f"{case.as_of:%Y-%m-%d}"
    unsure = any(max(days) > as_of and as_of not in days for days in open_dates)
    if not (recorded > as_of or unsure) or reading.is_overridden(case.case_id, name, "after_as_of"):
        return
    fact = (
        "it is dated after the case's as_of"
        if recorded > as_of
        else "one reading of its date, with day and month exchanged, lies after the case's as_of"
    )
    raise ReadError("after_as_of", fact)


def require_patient(reading: Reading, case: Case, name: str, patient: str) -> None:
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


def refusal(code: str, detail: str) -> "Future[Outcome]":
    """The outcome of a source that is refused without being read."""
    answer: Future[Outcome] = Future()
    answer.set_result(Outcome(code=code, detail=detail))
    return answer


def stamp_of(files: Sequence[Path]) -> tuple[int, ...]:
    """When files changed last, so that what was read of them is read again."""
    return tuple(file.stat().st_mtime_ns for file in files)
