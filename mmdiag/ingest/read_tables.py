"""Rows of tables of some cases: of a table that all cases share, or of one file a case."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from mmdiag.cohort.cases import Case, Source
from mmdiag.description import ModalityDescription
from mmdiag.errors import ReadError
from mmdiag.ingest.read import Found, Reading, Wait, stamp_of
from mmdiag.ingest.reports import TableReport
from mmdiag.readers.genomics.vcf import is_vcf
from mmdiag.readers.tables.categories import by_name
from mmdiag.readers.tables.modality import CaseRow, read_case_tables
from mmdiag.readers.tables.numbers import NumericTable
from mmdiag.sandbox.pool import Sandbox, shared_sandbox
from mmdiag.sandbox.table_requests import modality_from
from mmdiag.sandbox.tables import approve_columns, modality_fields, read_modality

CASE_TABLE = "case_table"


def read_tables(
    reading: Reading, pool: Sandbox, cases: Sequence[Case], name: str
) -> Mapping[str, Wait]:
    """The rows of a modality."""
    table = _table_of(reading, pool, cases, name)
    return {
        case.case_id: partial(_row, table, case, name, case.sources[name].key or case.case_id)
        for case in cases
    }


def whole_table(
    modality: ModalityDescription,
    sources: Mapping[str, Source],
    root: Path,
    wanted: Sequence[str],
) -> NumericTable:
    """The numbers of all cases, whose columns become those of the cohort.

    Args:
        sources: Case -> where its row lies.
        wanted: Columns that are numbers whatever their cells hold, as those of a bundle are.
    """
    if modality.key:
        files = sorted({file for source in sources.values() for file in source.files})
        return numbers_of(files, modality, root, wanted)
    files_of = {case: source.files[0] for case, source in sources.items()}
    return case_numbers(files_of, modality, root, wanted)


def _table_of(reading: Reading, pool: Sandbox, cases: Sequence[Case], name: str) -> NumericTable:
    """The numbers of some cases: rows of the table that all share, or one file a case; columns are
    those of the cohort.
    """
    sources = {case.case_id: case.sources[name] for case in cases}
    modality, columns = reading.description.modalities[name], list(reading.columns[name])
    root, report = reading.description.root, reading.reports.get(name, TableReport())
    if modality.key:
        table = numbers_of(next(iter(sources.values())).files, modality, root, report.wanted)
        if list(table.values.columns) == columns:
            return table
    else:
        files = {case_id: source.files[0] for case_id, source in sources.items()}
        table = case_numbers(files, modality, root, columns, pool)
    values, _ = by_name(
        table.values.to_numpy(dtype=np.float32),
        list(table.values.columns),
        table.categories,
        columns,
        report.categories,
    )
    filled = pd.DataFrame(values, index=table.values.index, columns=columns)
    unseen = [column for column in columns if column not in table.values]
    if unseen and not modality.key and all(is_vcf(s.files[0]) for s in sources.values()):
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
    wanted: Sequence[str] = (),
    pool: Sandbox | None = None,
) -> NumericTable:
    """A table modality's numbers where each case has a file of its own, each read in the
    sandbox.
    """
    sandbox = pool or shared_sandbox()
    described = modality_fields(modality)
    answers = {
        file: sandbox.submit(CASE_TABLE, file=str(file), modality=described, wanted=list(wanted))
        for file in files.values()
    }

    def read(file: Path, _: ModalityDescription) -> CaseRow:
        facts, arrays = answers[file].result().value()
        numbers = pd.Series(arrays["values"], index=facts["columns"], dtype=np.float32)
        remarks = tuple(facts["remarks"])
        return CaseRow(numbers, facts["words"], facts["why"], facts["annotation"], remarks)

    return read_case_tables(files, modality, root, read, approve_columns)


def numbers_of(
    files: Sequence[Path], modality: ModalityDescription, root: Path, wanted: Sequence[str] = ()
) -> NumericTable:
    """The numbers of a table modality that all cases share, read once a process."""
    described = json.dumps(modality_fields(modality), sort_keys=True)
    return _numbers(tuple(files), stamp_of(files), described, root, tuple(wanted))


@lru_cache(maxsize=8)
def _numbers(
    files: tuple[Path, ...],
    stamp: tuple[int, ...],
    described: str,
    root: Path,
    wanted: tuple[str, ...],
) -> NumericTable:
    del stamp  # only there so that a changed file is read again
    return read_modality(files, modality_from(json.loads(described)), root, wanted)
