"""A person taken out of an ingested cohort: its arrays and tables, its split, what was decided and
what was counted.
"""

import json
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mmdiag.erasure.contents import CASE, drop_rows, empty_features, empty_shard
from mmdiag.ingest.overrides import forget
from mmdiag.storage.counts import FILE as COUNTS
from mmdiag.storage.turns import turn
from mmdiag.workspace import Workspace, write_text

OF_PLANS = ("versions", "digests", "refused", "waived")


def take_out_of_cohort(
    workspace: Workspace,
    name: str,
    cases: Collection[str],
    subject_id: str,
    refused: Collection[tuple[str, str]],
    waiting: Callable[[], object],
) -> dict[str, Any]:
    """Take a person's cases out of a cohort, which is held alone meanwhile; doing it again changes
    nothing.

    Args:
        refused: Case and modality ("" = the whole case) of what is in quarantine.
        waiting: Called once where another process holds the cohort.

    Returns:
        What the cohort counted less than before, as `counts.json` has it.
    """
    folder = workspace.cohort(name)
    if not folder.is_dir():
        return {}
    with turn(workspace, name, waiting):
        less = _counted(folder, cases, refused)
        remove_unfinished(folder)
        for shard in sorted((folder / "shards").glob("[!.]*")):
            empty_shard(shard, cases)
        empty_features(folder / "features", cases)
        for file in sorted(folder.glob("*.parquet")):
            drop_rows(file, cases)
        _drop_keys(folder / "split.json", ("part",), {subject_id})
        for file in folder.glob("rows_*.json"):  # made anew: with a key less, a row had no hash
            file.unlink()
        for file in sorted((folder / "plans").glob("*.json")):
            _drop_keys(file, OF_PLANS, cases)
        shown = {
            f"{case}.{modality}.txt" if modality else f"{case}.txt" for case, modality in refused
        }
        for file in sorted((folder / "quarantine").glob("*/*.txt")):
            if file.name in shown:
                file.unlink()
        _count_less(folder / COUNTS, less)
    forget(workspace, name, cases)
    return less


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder that is held alone."""
    for left in sorted((folder / "shards").glob(".shard-*")):
        shutil.rmtree(left)
    for left in sorted(folder.rglob(".*.tmp")):
        left.unlink()


def count_less(counts: Mapping[str, Any], less: Mapping[str, int]) -> dict[str, Any]:
    """Counts less what was taken out; what is no count stays."""
    taken = {name: max(int(counts[name]) - n, 0) for name, n in less.items() if name in counts}
    return {**counts, **taken}


def _counted(
    folder: Path, cases: Collection[str], refused: Collection[tuple[str, str]]
) -> dict[str, Any]:
    """What the counts of a cohort owe to some cases."""
    file = folder / "cases.parquet"
    table = pd.read_parquet(file) if file.is_file() else pd.DataFrame({CASE: []})
    own = table[table[CASE].isin(list(cases))]
    apart = {case for case, modality in refused if not modality} - set(own[CASE])
    labelled = pd.Series(False, index=own.index)
    for label in {"label", "time"} & set(own.columns):
        labelled |= own[label].notna()
    modalities = {}
    for column in (str(c) for c in own.columns if str(c).startswith("has_")):
        name, present = column.removeprefix("has_"), int(own[column].astype(bool).sum())
        bad = {case for case, modality in refused if modality == name}
        lost = len(bad & set(own[CASE]))
        absent = len(own) - present - lost
        modalities[name] = {"present": present, "absent": absent, "quarantined": len(bad)}
    of_cases = {"in": len(own) + len(apart), "accepted": len(own), "quarantined": len(apart)}
    return {"cases": of_cases | {"labelled": int(labelled.sum())}, "modalities": modalities}


def _count_less(file: Path, less: Mapping[str, Any]) -> None:
    if not file.is_file():
        return
    counts = json.loads(file.read_text())
    counts["cases"] = count_less(counts["cases"], less["cases"])
    counts["modalities"] = {
        name: count_less(found, less["modalities"].get(name, {}))
        for name, found in counts["modalities"].items()
    }
    write_text(file, json.dumps(counts, indent=1))


def _drop_keys(file: Path, names: Collection[str], keys: Collection[str]) -> None:
    """Take keys out of some objects of a JSON file."""
    if not file.is_file():
        return
    facts = json.loads(file.read_text())
    kept = {
        name: {key: value for key, value in facts[name].items() if key not in keys}
        for name in names
        if name in facts
    }
    if any(len(kept[name]) < len(facts[name]) for name in kept):
        write_text(file, json.dumps({**facts, **kept}, indent=1))
