"""Notes of some cases: each is masked in the sandbox, where it is read."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import lru_cache, partial
from pathlib import Path

from mmdiag.cohort.cases import Case
from mmdiag.ingest.read import Found, Reading, Wait, refusal, require_recorded, stamp_of
from mmdiag.readers.tables.form import TableForm, form_of
from mmdiag.readers.tables.unite import KEY
from mmdiag.sandbox.functions import SECONDS_A_NOTE
from mmdiag.sandbox.pool import Outcome, Sandbox
from mmdiag.sandbox.tables import read_text_table

NOTE, NOTE_TEXT = "note", "note_text"


def read_notes(
    reading: Reading, pool: Sandbox, cases: Sequence[Case], name: str
) -> Mapping[str, Wait]:
    """Ask for the notes of a modality."""
    return {
        case.case_id: partial(_take, reading, case, name, _ask(reading, pool, case, name))
        for case in cases
    }


def _ask(reading: Reading, pool: Sandbox, case: Case, name: str) -> "Future[Outcome]":
    source = case.sources[name]
    terms = list(dict.fromkeys(reading.identifiers[case.case_id]))
    if source.key is None:
        return pool.submit(
            NOTE, seconds=SECONDS_A_NOTE, file=str(source.files[0]), subject_terms=terms
        )
    modality = reading.description.modalities[name]
    notes = _notes_table(
        source.files,
        stamp_of(source.files),
        str(modality.key),
        str(modality.column),
        form_of(modality),
    )[str(source.key)]
    if len(notes) > 1 and modality.rows == "refuse":
        return refusal("duplicate_row", f"{len(notes)} notes")
    return pool.submit(
        NOTE_TEXT,
        seconds=SECONDS_A_NOTE,
        text=notes[0],
        name=source.files[0].name,
        subject_terms=terms,
    )


def _take(reading: Reading, case: Case, name: str, answer: "Future[Outcome]") -> Found | None:
    reply, _ = answer.result().value()
    if reply is None:
        return None
    require_recorded(reading, case, name, str(reply["written"] or ""), reply["open_dates"])
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


@lru_cache(maxsize=8)
def _notes_table(
    files: tuple[Path, ...], stamp: tuple[int, ...], key: str, column: str, form: TableForm
) -> Mapping[str, tuple[str, ...]]:
    del stamp
    table = read_text_table(files, key, [column], form)
    return {str(case): _different(rows) for case, rows in table.groupby(KEY)[column]}


def _different(rows: Iterable[str]) -> tuple[str, ...]:
    """The notes of a case, each once; a row without one adds none."""
    found = dict.fromkeys(map(str, rows))
    return tuple(note for note in found if note.strip()) or ("",)
