"""What recordings of a cohort are called, lack and are cut to: kept beside the shards, and said."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

RECORDINGS_FILE = "recordings.parquet"  # of a shard
COLUMNS = ("case_id", "version", "modality", "renamed", "missing", "seconds", "longest_s")


def write_recordings(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write what is said of the recordings of a shard; nothing where it has none.

    Args:
        rows: Of each `COLUMNS`: `renamed` (channel -> its name in the file), `missing` (channels),
            and seconds of the recording and of what is stored at most.
    """
    whole = [
        {**row, "renamed": json.dumps(row["renamed"]), "missing": json.dumps(row["missing"])}
        for row in rows
    ]
    if whole:
        table = pd.DataFrame(whole, columns=list(COLUMNS))
        table.to_parquet(folder / RECORDINGS_FILE, index=False)


def said_of_recordings(folder: Path, cases: pd.DataFrame, modality: str) -> dict[str, list[str]]:
    """What people are told of the recordings of a modality: channels that have another name or are
    missing, and what is longer or shorter than what is stored.

    Args:
        folder: The cohort's, with its shards.
        cases: Those that were accepted.
    """
    files = sorted((folder / "shards").glob(f"[!.]*/{RECORDINGS_FILE}"))
    if not files or f"has_{modality}" not in cases:
        return {}
    present = cases.loc[cases[f"has_{modality}"].astype(bool), ["case_id", "version"]]
    table = pd.concat([pd.read_parquet(file) for file in files])
    table = table[table["modality"] == modality].drop_duplicates(["case_id", "version"])
    found = present.merge(table, on=["case_id", "version"])
    renamed = Counter(pair for cell in found["renamed"] for pair in json.loads(cell).items())
    missing = Counter(channel for cell in found["missing"] for channel in json.loads(cell))
    longer = int((found["seconds"] > found["longest_s"] + 0.01).sum())
    shorter = int((found["seconds"] < found["longest_s"] - 0.01).sum())
    of_all = f"of {len(found)} recordings"
    said = [f"{to} is read from {by} in {n} {of_all}" for (to, by), n in sorted(renamed.items())]
    said += [f"{one} is missing in {n} {of_all}, and kept so" for one, n in sorted(missing.items())]
    if longer:
        said.append(f"{longer} {of_all} go on after `seconds`: the rest is not stored")
    if shorter:
        said.append(
            f"{shorter} {of_all} end before `seconds`: they stay shorter, nothing is padded"
        )
    return {"said": said} if said else {}
