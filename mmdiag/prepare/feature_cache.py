"""Raw features of a cohort, made once: what a frozen encoder or a fixed statistic says of a case is
stored beside the cohort.

`cohorts/<name>/features/<modality>-<extractor>.npy` holds the rows of all cases one after the
other, the Parquet of the same name which rows are whose.
A case is looked up by key and version, so that a changed file is extracted again and nothing else
is.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from mmdiag.config import digest
from mmdiag.prepare.blocks.terms import Raw
from mmdiag.prepare.extract import Extractor
from mmdiag.storage.store import Store
from mmdiag.storage.tables import write_parquet
from mmdiag.workspace import atomic_path

CHUNK = 64  # cases extracted between two reports of progress


def raw_features(
    store: Store,
    modality: str,
    extractor: Extractor,
    *,
    colour: bool | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Raw | None]:
    """Raw features of every case of a cohort, in the order of `store.cases`; None where the
    modality is absent.

    Args:
        colour: Whether images are read in colour; None = as the cohort's are.
    """
    rows = np.flatnonzero(store.present(modality)).tolist()
    colour = store.in_colour(modality) if colour is None else colour
    read = partial(store.raw_input, modality, colour=colour)
    if not extractor.key:
        lazy: list[Raw | None] = [None] * len(store.cases)
        for row, array in zip(rows, extractor([read(row) for row in rows]), strict=True):
            lazy[row] = extractor.finished(read(row), array)
        return lazy
    key = f"{extractor.key}-colour" if colour else extractor.key
    stored = _read(store, modality, key)
    keys = list(zip(store.cases["case_id"], store.cases["version"], strict=True))
    missing = [row for row in rows if keys[row] not in stored]
    for start in range(0, len(missing), CHUNK):
        part = missing[start : start + CHUNK]
        for row, array in zip(part, extractor([read(row) for row in part]), strict=True):
            stored[keys[row]] = array
        if progress:
            progress(min(start + CHUNK, len(missing)), len(missing), f"features of {modality}")
    if missing:
        wanted = {keys[row] for row in rows}
        _write(
            store,
            modality,
            key,
            {pair: array for pair, array in stored.items() if pair in wanted},
        )
    found: list[Raw | None] = [None] * len(keys)
    for row in rows:
        raw_input = read(row) if extractor.finish else None
        found[row] = extractor.finished(raw_input, stored[keys[row]])
    return found


def _read(store: Store, modality: str, key: str) -> dict[tuple[str, str], np.ndarray]:
    index = store.folder / "features" / f"{modality}-{key}.parquet"
    if not index.is_file():
        return {}
    table = pd.read_parquet(index)
    values = (
        np.load(store.folder / "features" / str(table["values"].iloc[0]), mmap_mode="r")
        if len(table)
        else np.zeros((0, 1))
    )
    return {
        (case, version): values[start : start + count]
        for case, version, start, count in zip(
            table["case_id"], table["version"], table["start"], table["count"], strict=True
        )
    }


def _write(
    store: Store, modality: str, key: str, stored: dict[tuple[str, str], np.ndarray]
) -> None:
    """The values under a new name first, then the index that names them: a kill between the two
    leaves the old pair.
    """
    arrays: Sequence[np.ndarray] = [np.asarray(array) for array in stored.values()]
    counts = np.asarray([len(array) for array in arrays])
    index = store.folder / "features" / f"{modality}-{key}.parquet"
    before = set(pd.read_parquet(index)["values"]) if index.is_file() else set()
    name = f"{modality}-{key}-{digest(*('/'.join(pair) for pair in stored))[:12]}.npy"
    with atomic_path(index.with_name(name)) as temporary, temporary.open("wb") as file:
        np.save(file, np.concatenate(arrays))
    table = pd.DataFrame(list(stored), columns=["case_id", "version"]).assign(
        start=np.cumsum(counts) - counts, count=counts, values=name
    )
    write_parquet(index, table)
    for old in before - {name}:
        (index.parent / old).unlink(missing_ok=True)
