"""How raw features lie on the disk: in parts, so that adding some costs what they cost, however
many are there.

`cohorts/<name>/features/<modality>-<extractor>.parquet` is the oldest part, those beside it are
`<modality>-<extractor>.<id>.parquet`; a part says which rows of which .npy are whose. Parts of
about one size are joined once there are several, so that there are never many.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Shaped
from numpy import ndarray

from mmdiag.config import digest
from mmdiag.storage.tables import write_parquet
from mmdiag.workspace import atomic_path

Key = tuple[str, str]  # case_id, version
Rows = dict[Key, Shaped[ndarray, "part ..."]]
JOINED, GROWTH = 8, 8  # so many parts are joined whose sizes lie within this factor


def read_parts(folder: Path, name: str, wanted: Collection[Key]) -> Rows:
    """What is stored of some cases.

    Args:
        name: Modality and extractor.
    """
    try:
        return _read(folder, name, wanted)
    except FileNotFoundError:  # another process has just joined parts
        return _read(folder, name, wanted)


def add_part(folder: Path, name: str, added: Rows, current: Collection[Key]) -> None:
    """Store what is new.

    Args:
        current: Cases of the cohort as it is; others are left out where parts are joined.
    """
    _write(folder, name, added)
    by_size: dict[int, list[Path]] = {}
    for part in _parts(folder, name):
        size = len(pd.read_parquet(part, columns=["count"]))
        by_size.setdefault(int(np.log(max(size, 1)) / np.log(GROWTH)), []).append(part)
    for parts in by_size.values():
        if len(parts) >= JOINED:
            _join(folder, name, parts, current)


def _join(folder: Path, name: str, parts: list[Path], current: Collection[Key]) -> None:
    """The joined part is whole before the others go: a kill in between leaves features twice."""
    wanted, known, files = set(current), dict[Key, ndarray](), set[Path]()
    for part in parts:
        index = pd.read_parquet(part)
        known |= _rows_of(folder, index, wanted)
        files |= {part, *(folder / str(values) for values in index["values"].unique())}
    if known:
        files -= {*_write(folder, name, known)}
    for file in sorted(files, key=lambda file: file.suffix == ".npy"):  # what names others first
        file.unlink(missing_ok=True)


def _read(folder: Path, name: str, wanted: Collection[Key]) -> Rows:
    found: Rows = {}
    chosen = set(wanted)
    for part in _parts(folder, name) if chosen else ():
        found |= _rows_of(folder, pd.read_parquet(part), chosen)
    return found


def _rows_of(folder: Path, index: pd.DataFrame, wanted: Collection[Key]) -> Rows:
    found: Rows = {}
    columns = ("case_id", "version", "start", "count", "values")
    arrays: Mapping[str, ndarray] = {}
    for case, version, start, count, values in zip(*(index[c] for c in columns), strict=True):
        if (case, version) in wanted:
            if values not in arrays:
                arrays = {**arrays, values: np.load(folder / values, mmap_mode="r")}
            found[case, version] = arrays[values][start : start + count]
    return found


def _parts(folder: Path, name: str) -> list[Path]:
    first = folder / f"{name}.parquet"
    return [*([first] if first.is_file() else []), *sorted(folder.glob(f"{name}.*.parquet"))]


def _write(folder: Path, name: str, added: Rows) -> tuple[Path, Path]:
    """The values first, then the index that names them: a kill between the two leaves nothing that
    is read.
    """
    arrays = [np.asarray(array) for array in added.values()]
    counts = np.asarray([len(array) for array in arrays])
    part = digest(*("/".join(pair) for pair in added))[:12]
    index, values = folder / f"{name}.{part}.parquet", folder / f"{name}-{part}.npy"
    with atomic_path(values) as temporary, temporary.open("wb") as file:
        np.save(file, np.concatenate(arrays))
    table = pd.DataFrame(list(added), columns=["case_id", "version"]).assign(
        start=np.cumsum(counts) - counts, count=counts, values=values.name
    )
    write_parquet(index, table)
    return index, values
