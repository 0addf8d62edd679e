"""What an erasure leaves: names in logs, which are masked, models that have learned from a person,
and files that name the person still.
"""

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mmdiag.erasure.contents import CASE, SUBJECT
from mmdiag.erasure.whose import cohort_of_run
from mmdiag.privacy.subject_keys import SubjectKeys, workspace_key
from mmdiag.record.audit import Case
from mmdiag.record.mentions import mentions
from mmdiag.workspace import Workspace

LOGS = ("*.log", "*.log.*", "*.txt")
NUMBERS = (".npy", ".npz", ".bin", ".safetensors")  # nothing in them is a name
MASK = b"#"
COHORTS, RUNS = "cohorts", "runs"  # folders of a workspace, whose files are of one cohort each
KEPT_BY_US = ("explanations", "bundles", "pretrained")
LEDGER = "ledger.db"


def mask_logs(workspace: Workspace, found: re.Pattern[str]) -> None:
    """Overwrite keys in the logs where they stand: who appends to one goes on."""
    pattern = re.compile(found.pattern.encode())
    for file in sorted({one for glob in LOGS for one in workspace.logs.glob(glob)}):
        content = file.read_bytes()
        with file.open("r+b") as written:
            for match in pattern.finditer(content):
                written.seek(match.start())
                written.write(MASK * (match.end() - match.start()))


def learned_from(workspace: Workspace, subject_id: str) -> list[str] | None:
    """The models of the workspace that have learned from a person; None where the key is missing
    that tells.
    """
    key = workspace_key(workspace.path)
    told = {
        folder.name: _holds(folder, subject_id, key)
        for folder in sorted([*workspace.bundles.glob("b-*"), *workspace.pretrained.glob("p-*")])
    }
    if None in told.values():
        return None
    return [name for name, holds in told.items() if holds]


def still_named(workspace: Workspace, cases: Collection[Case], subject_id: str) -> list[str]:
    """Files in which a person is named, as what was written into the workspace by `--out`. The
    ledger, explanations and bundles are none; in a cohort and its runs a case is named by its key
    there, which may be another person's elsewhere.
    """
    cohorts = {name: {case for of, case in cases if of == name} for name, _ in cases}
    everywhere = {case for _, case in cases}
    named = []
    for file in sorted(workspace.path.rglob("*")):
        if not file.is_file() or file.is_symlink() or file.suffix in NUMBERS:
            continue
        place, *below = file.relative_to(workspace.path).parts
        if place in KEPT_BY_US or file.name.startswith(LEDGER):
            continue
        keys = everywhere
        if place in (COHORTS, RUNS) and below:
            cohort = below[0] if place == COHORTS else cohort_of_run(workspace.runs / below[0])
            keys = cohorts.get(cohort, set())
        if keys and _names(file, frozenset({subject_id, *keys})):
            named.append(str(file.relative_to(workspace.path)))
    return named


def _names(file: Path, keys: frozenset[str]) -> bool:
    """Whether a file holds a key: in its name, its bytes or its table."""
    found = mentions(keys)
    if found.search(file.name) or re.search(found.pattern.encode(), file.read_bytes()):
        return True
    return _in_table(file, keys, found)


def _in_table(file: Path, keys: frozenset[str], found: re.Pattern[str]) -> bool:
    """Whether a Parquet file names a person: in its keys, or in its words."""
    if file.suffix != ".parquet":
        return False
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid):
        return False
    for name in table.column_names:
        column = table.column(name)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            continue
        cells = pd.unique(column.to_pandas().dropna())
        if name in (CASE, SUBJECT) and not keys.isdisjoint(cells):
            return True
        if name not in (CASE, SUBJECT) and any(found.search(str(cell)) for cell in cells):
            return True
    return False


def _holds(folder: Path, subject_id: str, key: bytes | None) -> bool | None:
    """Whether a model has learned from a person; None where that cannot be told."""
    told = [keys.holds(subject_id, key) for keys in _subject_keys(folder)]
    if any(told):
        return True
    return None if None in told else False


def _subject_keys(folder: Path) -> Iterator[SubjectKeys]:
    """All keyed hashes of subjects that files of a folder hold."""
    for file in folder.rglob("*.json"):
        yield from _inside(json.loads(file.read_text(encoding="utf-8")))


def _inside(value: Any) -> Iterator[SubjectKeys]:
    if isinstance(value, dict):
        if {"salt", "keys"} <= set(value):
            yield SubjectKeys.from_json(value)
            return
        for item in value.values():
            yield from _inside(item)
    elif isinstance(value, list):
        for item in value:
            yield from _inside(item)
