"""What lies of cases in arrays and tables, taken out in place: arrays of shards and features keep
their rows, so that those of others stay where the manifests say, and lose what stands in them.
"""

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from mmdiag.storage.colours import COLOURS_FILE, NO_COLOURS, colours_start
from mmdiag.storage.tables import write_parquet

CASE, SUBJECT = "case_id", "subject_id"


def empty_shard(shard: Path, cases: Collection[str]) -> None:
    """Overwrite what a shard holds of some cases, then take them out of its tables."""
    file = shard / "manifest.parquet"
    if not file.is_file():
        return
    manifest = pd.read_parquet(file)
    own = manifest[manifest[CASE].isin(list(cases))]
    names = [name[4:] for name in map(str, manifest.columns) if name.startswith("has_")]
    for name in names:
        _empty_notes(shard / f"{name}.parquet", cases)
        _empty_display(shard, name, cases)
        for row in own[own[f"has_{name}"].astype(bool)].to_dict("records"):
            start, count = int(row[f"start_{name}"]), int(row[f"count_{name}"])
            _empty_rows(shard / f"{name}.npy", start, count)
            colours = int(row.get(colours_start(name), NO_COLOURS))
            if colours != NO_COLOURS:
                _empty_rows(shard / f"{name}{COLOURS_FILE}", colours, count)
    notes = {shard / f"{name}.parquet" for name in names}
    for table in set(shard.glob("*.parquet")) - notes - {file}:
        drop_rows(table, cases)
    drop_rows(file, cases)  # last: a kill before finds all of it again


def empty_features(folder: Path, cases: Collection[str]) -> None:
    """Overwrite features of some cases, then take them out of the tables that say whose they are;
    and what they are found by to be alike.
    """
    for index in folder.glob("*.parquet"):
        table = pd.read_parquet(index)
        for row in table[table[CASE].isin(list(cases))].to_dict("records"):
            _empty_rows(folder / str(row["values"]), int(row["start"]), int(row["count"]))
        drop_rows(index, cases)


def drop_rows(file: Path, cases: Collection[str], subject: str | None = None) -> int:
    """Take the rows of some cases out of a table that names cases; returns how many they were.

    Args:
        subject: Whose they must be, where the table says it: of a table of no known cohort.
    """
    import pyarrow.parquet as pq

    if CASE not in pq.read_schema(file).names:
        return 0
    table = pd.read_parquet(file)
    own = table[CASE].astype(str).isin(list(cases))
    if subject is not None and SUBJECT in table:
        own &= table[SUBJECT].astype(str) == subject
    if own.any():
        write_parquet(file, table[~own].reset_index(drop=True))
    return int(own.sum())


def _empty_rows(file: Path, start: int, count: int) -> None:
    """Overwrite rows of an array: not measured, or 0."""
    if not file.is_file():
        return
    array = np.load(file, mmap_mode="r+")
    array[start : start + count] = np.nan if array.dtype.kind == "f" else 0
    array.flush()


def _empty_notes(file: Path, cases: Collection[str]) -> None:
    """Empty notes of some cases; a note is found by its row, so rows stay."""
    if not file.is_file():
        return
    table = pd.read_parquet(file)
    own = table[CASE].isin(list(cases))
    if own.any():
        table.loc[own, [CASE, "text"]] = ""
        for name in ("sections", "spans"):
            if name in table:
                table.loc[own, name] = "[]"
        write_parquet(file, table)


def _empty_display(shard: Path, modality: str, cases: Collection[str]) -> None:
    """Overwrite images as they are looked at."""
    index, content = shard / "display.parquet", shard / f"{modality}-display.bin"
    if not index.is_file() or not content.is_file():
        return
    table = pd.read_parquet(index)
    own = table[table[CASE].isin(list(cases)) & (table["modality"] == modality)]
    with content.open("r+b") as file:
        for row in own.to_dict("records"):
            facts = json.loads(str(row["facts"]))
            for offset, length in zip(facts["offsets"], facts["lengths"], strict=True):
                file.seek(int(row["start"]) + int(offset))
                file.write(bytes(int(length)))
