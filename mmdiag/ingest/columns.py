"""The columns of a cohort's table modalities: all shards of a version have the same ones, and where
they change, every case is read again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdiag.cohort.cases import Case, Source
from mmdiag.cohort.presence import Meeting
from mmdiag.description import Description, ModalityDescription
from mmdiag.ingest.reports import TableReport, read_report, write_report
from mmdiag.kinds import KINDS
from mmdiag.readers.tables.numbers import NumericTable
from mmdiag.workspace import write_text

ASKED = "wanted"  # in the state of columns that a bundle asked for
# in the state of columns that nobody names: those of a person, of earlier versions, are left out
OF_PEOPLE = "people 1"


def fix_columns(
    folder: Path,
    description: Description,
    cases: Sequence[Case],
    met: Mapping[str, Meeting],
    wanted: Mapping[str, Sequence[str]],
) -> str:
    """Find the columns of each table modality and keep them, and what became of its tables, beside
    the cohort. Tables are read before anything is written.

    Args:
        met: How cases and modalities met.
        wanted: Table modality -> columns that are numbers whatever their cells hold.

    Returns:
        What the versions of all cases depend on: "" where the columns are those of the first
        ingestion.
    """
    found: dict[str, tuple[str, NumericTable | None]] = {}
    for name, modality in description.modalities.items():
        own = {case.case_id: case.sources[name] for case in cases if name in case.sources}
        columns = KINDS[modality.kind].columns
        if columns is None or not own:
            continue
        asked = tuple(wanted.get(name, ()))
        now = _state(modality, own, asked)
        state = folder / f"columns_{name}.state"
        known = state.is_file() and state.read_text() == now
        table = None if known else columns(modality, own, description.root, asked)
        found[name] = now, table
    folder.mkdir(parents=True, exist_ok=True)
    for name in description.modalities:
        report = read_report(folder, name)
        now, table = found.get(name, ("", None))
        if table is not None:
            report = report.of_table(table, wanted.get(name, ()))
            _keep(folder, name, now, table)
        _report(folder, name, report.of_keys(met[name]))
    return "".join(_changed(folder, name) for name in found)


def _state(modality: ModalityDescription, own: Mapping[str, Source], asked: tuple[str, ...]) -> str:
    """What the columns depend on; where each case has a file of its own, the first files alone."""
    files = sorted({file for source in own.values() for file in source.files})
    seen = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files] if modality.key else []
    more: list[Any] = [dict(modality.options)] if modality.options else []
    more += [(ASKED, asked)] if asked else []
    more += [] if modality.columns else [OF_PEOPLE]
    return hashlib.sha256(repr([seen, modality, *more]).encode()).hexdigest()


def _keep(folder: Path, name: str, now: str, table: NumericTable) -> None:
    path, first = folder / f"columns_{name}.json", folder / f"first_columns_{name}.json"
    columns = [str(column) for column in table.values.columns]
    if path.is_file() and not first.is_file() and json.loads(path.read_text()) != columns:
        write_text(first, path.read_text())
    if table.genes is not None:
        write_text(folder / f"genes_{name}.json", json.dumps(table.genes, indent=1))
    write_text(path, json.dumps(columns))
    write_text(folder / f"columns_{name}.state", now)


def _changed(folder: Path, name: str) -> str:
    """The columns of a modality where they are no longer those of its first ingestion."""
    path, first = folder / f"columns_{name}.json", folder / f"first_columns_{name}.json"
    if not first.is_file() or first.read_text() == path.read_text():
        return ""
    return f"{name}:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def _report(folder: Path, name: str, report: TableReport) -> None:
    if report != read_report(folder, name) or report != TableReport():
        write_report(folder, name, report)
