"""Images from and to a PACS over DICOMweb: found by QIDO, fetched by WADO as the archive stores
them, sent by STOW.

On their way in files are looked at by a linear scan only, and never decoded.

Reference:
    DICOM PS3.18 10.4 (retrieve), 10.5 (store), 10.6 (search).
"""

import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom

from mmdiag.errors import ReadError, UsageError
from mmdiag.exchange.pacs.dicomweb_client import Archive, RetryingArchive
from mmdiag.exchange.pacs.inbox import Arrivals, Wanted

BATCH_BYTES = 64 * 2**20  # of one STOW request
UNREADABLE = (pydicom.errors.InvalidDicomError, OSError, EOFError, ValueError, struct.error)


@dataclass(frozen=True, slots=True)
class Query:
    """Which images are meant; what is given holds together.

    Args:
        wanted: Studies, or single series of them, with the cases that they belong to.
        patient_id: All studies of one patient.
        modality: Only series of this kind, such as MR.
    """

    wanted: Sequence[Wanted] = ()
    patient_id: str | None = None
    modality: str | None = None


@dataclass(slots=True)
class Fetched:
    """What a fetch has done: counts of studies, series, instances by outcome (`new`,
    `already_there`, `refused`), bytes, and refusals by reason code.
    """

    studies: int = 0
    series: int = 0
    instances: Counter[str] = field(default_factory=Counter)
    size_bytes: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def fetch_dicomweb(
    archive: Archive,
    query: Query,
    arrivals: Arrivals,
    *,
    progress: Callable[..., None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Fetched:
    """Fetch every instance that a query means and that is not there yet.

    Args:
        progress: Called with stage, done, total.
        sleep: Waits between attempts, in seconds.

    Raises:
        UsageError: The archive refuses the credentials, or the query names nothing.
        MmdiagError: The archive does not answer; what arrived stays, and a rerun goes on.
        DiskNearlyFull: There is no room for more.
    """
    remote = RetryingArchive(archive, sleep)
    found, fetched = sorted(set(_series(remote, query))), Fetched()
    fetched.studies, fetched.series = len({study for study, _ in found}), len(found)
    for number, (study, series) in enumerate(found):
        if progress:
            progress("fetch", number, len(found), f"{fetched.instances.total()} instances")
        for instance in remote.instances(study, series):
            _fetch(remote, arrivals, (study, series, instance), fetched)
    if progress:
        progress("fetch", len(found), max(len(found), 1), f"{fetched.instances.total()} instances")
    return fetched


def send_dicomweb(
    archive: Archive, files: Iterable[Path], *, sleep: Callable[[float], None] = time.sleep
) -> Counter[str]:
    """Store files in an archive (STOW).

    Returns:
        How many were `sent`, and how many the archive refused or could not be read, by `refused`
        and `unreadable`.

    Raises:
        UsageError: The archive refuses the credentials.
        MmdiagError: The archive does not answer.
    """
    remote, counts = RetryingArchive(archive, sleep), Counter[str]()
    for batch in _batches(files, counts):
        refused = remote.store(batch)
        counts["refused"] += refused
        counts["sent"] += len(batch) - refused
    return counts


def _series(remote: "RetryingArchive", query: Query) -> Iterator[tuple[str, str]]:
    """Study and series UIDs of all that a query means."""
    studies: set[str] | None = None
    if query.patient_id is not None or not query.wanted:
        if query.patient_id is None and query.modality is None:
            raise UsageError(
                "A fetch says which studies it means, this one does not: add --studies, "
                "--study-uid, --patient-id or --modality."
            )
        studies = set(remote.studies(query.patient_id, query.modality))
    for row in query.wanted or [Wanted(study) for study in sorted(studies or ())]:
        if studies is not None and row.study_uid not in studies:
            continue
        if row.series_uid is not None and query.modality is None:
            yield row.study_uid, row.series_uid
            continue
        for series in remote.series(row.study_uid, query.modality):
            if row.series_uid in (None, series):
                yield row.study_uid, series


def _fetch(
    remote: "RetryingArchive", arrivals: Arrivals, uids: tuple[str, str, str], fetched: Fetched
) -> None:
    paths = arrivals.paths(*uids)
    if all(path.is_file() for path in paths):
        fetched.instances["already_there"] += 1
        return
    try:
        content = remote.instance(*uids)
    except ReadError as refusal:
        fetched.instances["refused"] += 1
        fetched.refused[refusal.code] += 1
        return
    fetched.size_bytes += len(content)
    fetched.instances[arrivals.keep(content, paths)] += 1


def _batches(files: Iterable[Path], counts: Counter[str]) -> Iterator[list[Any]]:
    """Data sets of some files, so many at once that a request stays small."""
    batch: list[Any] = []
    size = 0
    for file in files:
        try:
            batch.append(pydicom.dcmread(file))
        except UNREADABLE:
            counts["unreadable"] += 1
            continue
        size += file.stat().st_size
        if size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
