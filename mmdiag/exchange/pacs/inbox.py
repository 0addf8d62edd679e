"""The folder that images from a PACS arrive in, named by hashes of their UIDs and written
atomically; and the list of the studies that are wanted.
"""

import csv
import hashlib
import io
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from mmdiag.errors import MmdiagError, UsageError
from mmdiag.workspace import write_bytes

UID = re.compile(r"[0-9]+(\.[0-9]+)*")
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
LONGEST_UID = 64  # characters (PS3.5 9.1)
RESERVE_BYTES = 2**30  # left free on the disk


class DiskNearlyFull(MmdiagError):
    """Writing on would leave less free than the reserve."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One row of a list of studies.

    Args:
        series_uid: None = every series of the study.
        case_id: None = the study belongs to no case yet.
    """

    study_uid: str
    series_uid: str | None = None
    case_id: str | None = None


@dataclass(slots=True)
class Arrivals:
    """A folder that images arrive in: `<case or study>/<series>/<instance>.dcm`, each but the case
    a hash of its UID.

    Args:
        folder: Nothing is written outside it.
        cases: Study UID -> keys of the cases that it belongs to; a study that is not there gets a
            folder of its own.
        reserve_bytes: Left free on the disk.
    """

    folder: Path
    cases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reserve_bytes: int = RESERVE_BYTES
    _lock: Lock = field(default_factory=Lock, repr=False)

    def paths(self, study_uid: str, series_uid: str, instance_uid: str) -> tuple[Path, ...]:
        """Where one image lies: once a case that its study belongs to."""
        homes = self.cases.get(study_uid) or (hashed(study_uid),)
        return tuple(
            self.folder / home / hashed(series_uid) / f"{hashed(instance_uid)}.dcm"
            for home in homes
        )

    def keep(self, content: bytes, paths: Sequence[Path]) -> str:
        """Write one image to the disk, and say whether it is `new`, was `already_there` or has
        `replaced` another one.

        Raises:
            DiskNearlyFull: The disk has no room for it.
        """
        with self._lock:
            self._require_room(len(content))
            states = {path: _state(path, content) for path in paths}
            for path, state in states.items():
                if state != "already_there":
                    write_bytes(path, content)
                    _sync_folder(path.parent)
        return next(
            (state for state in ("new", "replaced") if state in states.values()), "already_there"
        )

    def _require_room(self, size: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free < self.reserve_bytes + size:
            raise DiskNearlyFull(
                f"{self.reserve_bytes // 2**20} MiB of a disk stay free, {self.folder} has less: "
                "free some and run the same command again, it picks up where it stopped."
            )


def hashed(uid: str) -> str:
    """A name for what a UID names: 32 hexadecimal digits."""
    return hashlib.sha256(f"mmdiag {uid}".encode()).hexdigest()[:32]


def is_uid(text: str) -> bool:
    """Whether a text is a DICOM UID.

    Reference:
        DICOM PS3.5 9.1.
    """
    return len(text) <= LONGEST_UID and UID.fullmatch(text) is not None


def wanted_of(file: Path | None, study_uids: Sequence[str] = ()) -> list[Wanted]:
    """The studies of a list, and those that are named one by one.

    Raises:
        UsageError: As `read_wanted`; or a name is no UID.
    """
    if not all(map(is_uid, study_uids)):
        raise UsageError(
            "A study is named by its UID, digits and dots, one that was given is not: copy it "
            "from the archive."
        )
    return [*(read_wanted(file) if file else []), *map(Wanted, study_uids)]


def read_wanted(file: Path) -> list[Wanted]:
    """A table of studies: `study_uid`, and where they are there `series_uid` and `case_id`; `mmdiag
    fetch fhir` writes one as imaging.csv.

    Raises:
        UsageError: It has no column study_uid, or a cell is neither UID nor key.
    """
    wanted = []
    for line, row in enumerate(_rows(file), start=2):
        study, series, case = (
            row.get(name) or "" for name in ("study_uid", "series_uid", "case_id")
        )
        if (
            not is_uid(study)
            or (series and not is_uid(series))
            or (case and not FOLDER.fullmatch(case))
        ):
            raise UsageError(
                "A list of studies holds UIDs, and case keys of letters, digits, '.', '_' and "
                f"'-'; line {line} of {file.name} does not: correct the line."
            )
        wanted.append(Wanted(study, series or None, case or None))
    return wanted


def cases_of(wanted: Iterable[Wanted]) -> dict[str, tuple[str, ...]]:
    """Study UID -> keys of the cases that it belongs to."""
    found: dict[str, dict[str, None]] = {}
    for row in wanted:
        if row.case_id is not None:
            found.setdefault(row.study_uid, {})[row.case_id] = None
    return {study: tuple(cases) for study, cases in found.items()}


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        reader = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"), newline=""))
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error):
        raise UsageError(
            f"A list of studies is a CSV in UTF-8, {file.name} is not: save it again so."
        ) from None
    if "study_uid" not in (reader.fieldnames or ()):
        raise UsageError(
            f"A list of studies has a column study_uid, {file.name} has none: name the column "
            "so, or take an imaging.csv."
        )
    return rows


def _state(path: Path, content: bytes) -> str:
    if not path.is_file():
        return "new"
    same = path.stat().st_size == len(content) and path.read_bytes() == content
    return "already_there" if same else "replaced"


def _sync_folder(folder: Path) -> None:
    """A rename is on the disk once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
