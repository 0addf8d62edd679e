"""Raw features of a cohort, made once: what a frozen encoder or a fixed statistic says of a case is
stored beside the cohort.

A case is looked up by key and version, so that a changed file is extracted again and nothing else
is. How they lie on the disk: `mmdiag.prepare.feature_parts`.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from mmdiag.prepare.blocks.terms import Raw
from mmdiag.prepare.extract import Extractor
from mmdiag.prepare.feature_parts import add_part, read_parts
from mmdiag.storage.store import Store

CHUNK = 64  # cases extracted between two reports of progress


def raw_features(
    store: Store,
    modality: str,
    extractor: Extractor,
    *,
    colour: bool | None = None,
    only: Sequence[int] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Raw | None]:
    """Raw features of every case of a cohort, in the order of `store.cases`; None where the
    modality is absent.

    Args:
        colour: Whether images are read in colour; None = as the cohort's are.
        only: Rows that are wanted, all others are None; default: all.
    """
    present = store.present(modality)
    rows = [row for row in (range(len(present)) if only is None else only) if present[row]]
    colour = store.in_colour(modality) if colour is None else colour
    read = partial(store.raw_input, modality, colour=colour)
    if not extractor.key:
        lazy: list[Raw | None] = [None] * len(store.cases)
        for row, array in zip(rows, extractor([read(row) for row in rows]), strict=True):
            lazy[row] = extractor.finished(read(row), array)
        return lazy
    key = f"{extractor.key}-colour" if colour else extractor.key
    folder, name = store.folder / "features", f"{modality}-{key}"
    keys = list(zip(store.cases["case_id"], store.cases["version"], strict=True))
    stored = read_parts(folder, name, [keys[row] for row in rows])
    missing, added = [row for row in rows if keys[row] not in stored], {}
    for start in range(0, len(missing), CHUNK):
        part = missing[start : start + CHUNK]
        for row, array in zip(part, extractor([read(row) for row in part]), strict=True):
            added[keys[row]] = array
        if progress:
            progress(min(start + CHUNK, len(missing)), len(missing), f"features of {modality}")
    if added:
        add_part(folder, name, added, [keys[row] for row in np.flatnonzero(present)])
        stored |= added
    found: list[Raw | None] = [None] * len(keys)
    for row in rows:
        raw_input = read(row) if extractor.finish else None
        found[row] = extractor.finished(raw_input, stored[keys[row]])
    return found
