"""Rows of tables of some cases: of a table that all cases share, or of one file a case."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.cohort.cases import Case, Source
from mmdiag.description import ModalityDescription
from mmdiag.errors import ReadError
from mmdiag.ingest.read import Found, Reading, Wait, stamp_of
from mmdiag.readers.genomics.vcf import is_vcf
from mmdiag.readers.tables.modality import read_case_tables, read_modality
from mmdiag.readers.tables.numbers import NumericTable
from mmdiag.sandbox.pool import Sandbox, shared_sandbox

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
    modality: ModalityDescription, sources: Mapping[str, Source], root: Path
) -> NumericTable:
    """The numbers of all cases, whose columns become those of the cohort.

    Args:
        sources: Case -> where its row lies.
    """
    if modality.key:
        files = sorted({file for source in sources.values() for file in source.files})
        return numbers_of(files, modality, root)
    return case_numbers({k: source.files[0] for k, source in sources.items()}, modality, root)


def _table_of(reading: Reading, pool: Sandbox, cases: Sequence[Case], name: str) -> NumericTable:
    """The numbers of some cases: rows of the table that all share, or one file a case; columns are
    those of the cohort.
    """
    sources = {case.case_id: case.sources[name] for case in cases}
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
    return _numbers(tuple(files), stamp_of(files), described, root)


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
