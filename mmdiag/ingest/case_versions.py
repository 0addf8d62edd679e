"""What a case consists of now, as one hash: the content of its files, its rows of shared tables,
and how its modalities are described.

A file is read for its hash only where its size, its times or its number on the disk differ from
what was seen before; a shared table only where its file changed.
"""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from pathlib import Path

import pandas as pd

from mmdiag.cohort.cases import Case, Source
from mmdiag.cohort.unchanged import identity_of
from mmdiag.description import Description
from mmdiag.readers.detached import all_data_files
from mmdiag.readers.imaging.raster_nifti import JPEGS, PICTURES
from mmdiag.readers.imaging.research import RESEARCH
from mmdiag.readers.signals.columns import TABLES
from mmdiag.readers.signals.edf import EDF
from mmdiag.readers.signals.wfdb_record import WFDB
from mmdiag.readers.tables.form import form_of
from mmdiag.sandbox.tables import row_hashes
from mmdiag.storage.tables import write_parquet
from mmdiag.workspace import file_sha256, write_bytes, write_text

# a file that changed less than this ago may change again without its time showing it
SETTLED_NS = 2_000_000_000
NIFTI = (".nii", ".nii.gz")
ONE_FILE = (*PICTURES, *NIFTI)
NEWER = (*RESEARCH, *EDF, WFDB)
# in the version of a case with a NIfTI: those that were stored before left was left are read again
POSED = "pose 2"
# in the version of a case with a form that an earlier version could not read
READ_NOW = "forms 1"
# in the version of a case with a picture or a volume among other files, which was no DICOM once
ALONE = "alone 1"
# in the version of a case with a PNG or JPEG: those whose colours were not kept are read again
COLOURED = "colour 1"
# in the version of a case with a note: one that an earlier version of the masking let more pass in
# is read and masked again
MASKED = "mask 4"
# in the version of a case with a document or a JPEG: those of which an earlier version lost or
# garbled a part without a word are read again
DOCUMENTS = (".pdf", ".rtf", ".html", ".htm", ".docx")
WHOLE = "whole 1"
# in the version of a case with a signal in a table: those whose times were not looked at are read
# again
TIMED = "times 1"
Marks = tuple[tuple[int, str], ...]  # each with its place among the marks of a version


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of all cases.

    Args:
        of: Case -> version, 32 hexadecimal digits.
        digests: Case -> modality -> hash of what it consists of there.
    """

    of: Mapping[str, str]
    digests: Mapping[str, Mapping[str, str]]


def case_versions(
    folder: Path, description: Description, cases: Sequence[Case], notes: Mapping[str, str]
) -> Versions:
    """The version of each case.

    Args:
        folder: The cohort's folder in the workspace, which keeps what was seen.
        notes: Case -> further text that its version depends on, such as a rule that its row breaks,
            or a retry.
    """
    files = FileHashes(folder / "files.parquet", description.root)
    parts_of = {
        (case.case_id, name): _with_data_files(source.files)
        for case in cases
        for name, source in case.sources.items()
        if source.key is None
    }
    shared = {s.files for case in cases for s in case.sources.values() if s.key is not None}
    own = {file for found in parts_of.values() for file in found}
    own.update(file for found in shared for file in _with_data_files(found))
    hashes = files.of(sorted(own, key=os.fspath))
    rows = {
        name: _row_hashes(folder, description, cases, name, hashes)
        for name, m in description.modalities.items()
        if m.key
    }
    described, versions, digests = description.hash(), {}, {}
    marks_of = lru_cache(maxsize=1024)(_marks_of)
    for case in cases:
        parts = {
            name: rows[name].get(str(source.key), "")
            if source.key is not None
            else _digest(f"{file.name}:{hashes[file]}" for file in parts_of[case.case_id, name])
            for name, source in sorted(case.sources.items())
        }
        facts = [
            described,
            case.case_id,
            case.subject_id,
            str(case.as_of or ""),
            notes.get(case.case_id, ""),
            *(f"{k}={v}" for k, v in parts.items()),
            *(f"{name}: {code}" for name, (code, _) in sorted(case.faults.items())),
            *_marks(case.sources.values(), marks_of),
        ]
        versions[case.case_id], digests[case.case_id] = _digest(facts)[:32], parts
    return Versions(versions, digests)


def _with_data_files(files: Sequence[Path]) -> list[Path]:
    """The files of a source, and those that hold the numbers of its headers."""
    return list(dict.fromkeys([*files, *all_data_files(files)]))


def _marks_of(kind: str, endings: tuple[str, ...]) -> Marks:
    """The marks of a source, by how its files end."""
    told = DOCUMENTS if kind == "text" else JPEGS
    held = (
        (0, POSED, len(endings) == 1 and endings[0] in NIFTI),
        (1, READ_NOW, any(ending in NEWER for ending in endings)),
        (1, ALONE, kind == "image" and len(endings) > 1 and any(e in ONE_FILE for e in endings)),
        (2, COLOURED, len(endings) == 1 and endings[0] in PICTURES),
        (3, MASKED, kind == "text"),
        (4, WHOLE, any(ending in told for ending in endings)),
        (5, TIMED, kind == "signal" and any(ending in TABLES for ending in endings)),
    )
    return tuple((place, mark) for place, mark, there in held if there)


def _marks(
    sources: Iterable[Source], marks_of: Callable[[str, tuple[str, ...]], Marks] = _marks_of
) -> list[str]:
    """What a version says of forms that earlier versions of the program read otherwise, a kind of
    mark after the other.

    Args:
        marks_of: `_marks_of`, kept by who asks it the same for most cases.
    """
    found = [
        mark
        for source in sources
        for mark in marks_of(source.kind, tuple(_ending(file.name) for file in source.files))
    ]
    return [mark for _, mark in sorted(found, key=itemgetter(0))]


def _ending(name: str) -> str:
    """How the name of a file ends, of what is compressed with what it was before."""
    rest, dot, last = name.lower().rpartition(".")
    return f".{rest.rpartition('.')[2]}.{last}" if last == "gz" else dot and f".{last}"


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


class FileHashes:
    """SHA-256 of files, remembered by path and by what tells a file without reading it. Paths may
    be called after people, so a keyed hash of them is kept.

    Args:
        memory: Parquet that keeps them between two ingestions; the key lies beside it.
        root: Folder that paths are relative to.
    """

    COLUMNS = ("path_key", "size", "changed_ns", "number", "touched_ns", "sha256")

    def __init__(self, memory: Path, root: Path) -> None:
        self.memory, self.root = memory, root
        file = memory.with_suffix(".key")
        if not file.is_file():
            write_bytes(file, secrets.token_bytes(32))
        self.key = file.read_bytes()

    def of(self, files: Sequence[Path]) -> dict[Path, str]:
        """The hash of each file."""
        known = self._read()
        stats = {file: file.stat() for file in files}
        keys = {file: self._key_of(file) for file in files}
        found: dict[Path, str] = {}
        for file, stat in stats.items():
            seen, sha256 = known.get(keys[file], (None, ""))
            if seen == identity_of(stat):
                found[file] = sha256
        fresh = [file for file in files if file not in found]
        if fresh:
            with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
                found.update(zip(fresh, threads.map(file_sha256, fresh, chunksize=16), strict=True))
        if fresh or len(known) != len(files):
            self._write(stats, keys, found)
        return found

    def _key_of(self, file: Path) -> str:
        path = os.fsencode(os.fspath(file).removeprefix(f"{self.root}/"))
        return hashlib.blake2b(path, key=self.key, digest_size=16).hexdigest()

    def _read(self) -> dict[str, tuple[tuple[int, ...], str]]:
        if not self.memory.is_file():
            return {}
        table = pd.read_parquet(self.memory)
        if not set(self.COLUMNS) <= set(table):  # of a version that kept less, or paths
            return {}
        path, *told, sha256 = (table[name].tolist() for name in self.COLUMNS)
        return dict(zip(path, zip(zip(*told, strict=True), sha256, strict=True), strict=True))

    def _write(
        self,
        stats: Mapping[Path, os.stat_result],
        keys: Mapping[Path, str],
        found: Mapping[Path, str],
    ) -> None:
        now = time.time_ns()
        rows = [
            (keys[file], *identity_of(stat), found[file])
            for file, stat in stats.items()
            if now - stat.st_mtime_ns > SETTLED_NS
        ]
        write_parquet(self.memory, pd.DataFrame(rows, columns=list(self.COLUMNS)))


def _row_hashes(
    folder: Path,
    description: Description,
    cases: Sequence[Case],
    name: str,
    hashes: Mapping[Path, str],
) -> dict[str, str]:
    """Case key -> hash of its rows in a shared table; computed where one of the table's files
    changed.
    """
    files = sorted(
        {file for case in cases if name in case.sources for file in case.sources[name].files}
    )
    if not files:
        return {}
    modality = description.modalities[name]
    key, form = str(modality.key), form_of(modality)
    state = _digest(
        [key, *filter(None, (form.delimiter, form.sheet)), *(hashes[file] for file in files)]
    )
    memory = folder / f"rows_{name}.json"
    if memory.is_file():
        known = json.loads(memory.read_text())
        if known["state"] == state:
            rows: dict[str, str] = known["rows"]
            return rows
    rows = row_hashes(files, key, form)
    write_text(memory, json.dumps({"state": state, "rows": rows}))
    return rows
