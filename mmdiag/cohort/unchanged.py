"""Whether anything of a cohort has changed since it was last ingested: told by times, sizes and
numbers on the disk of all files below the folders that it names, before one of them is read. What
cannot be told counts as changed.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdiag.application_root import application_root
from mmdiag.description import Description, ModalityDescription
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import write_text

FILE = "looked.json"
PROGRAM = Path(__file__).resolve().parents[1]  # another version may read the same files otherwise
SETTLED_NS = 2_000_000_000  # a file that changed less than this ago may change again unseen
OF_PATTERNS = frozenset("{*?[")
KEPT = ("cases.parquet", "description.json", "versions.parquet", "decisions.json")

Wanted = Mapping[str, Sequence[str]] | None


def look(description: Description, folder: Path, wanted: Wanted) -> str | None:
    """What the cohort's files are now, as one hash; None where that cannot be told, because a
    folder is a link or a file has only just changed.

    Args:
        folder: The cohort's folder in the workspace.
        wanted: The columns that a bundle reads, as of `mmdiag.ingest.plan.plan`.
    """
    found = hashlib.sha256(os.fsencode(description.file))
    asked = None if wanted is None else {name: list(columns) for name, columns in wanted.items()}
    found.update(json.dumps(asked, sort_keys=True).encode())
    newest = 0
    files = (description.file, description.table, folder / "decisions.json")
    try:
        for path, stat in (*_stats(files), *_below(description), *_stats(_own())):
            newest = max(newest, stat.st_mtime_ns)
            found.update("\x1f".join(map(str, (path, *identity_of(stat)))).encode() + b"\x1e")
    except OSError:  # a link, or gone while it was looked at
        return None
    return found.hexdigest() if time.time_ns() - newest > SETTLED_NS else None


def identity_of(stat: os.stat_result) -> tuple[int, int, int, int]:
    """By what a file is known again without being read: its size and the time of its content, and,
    since files that are exchanged keep both, its number on the disk and the time of any change.
    """
    return stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_ctime_ns


def recall(
    description: Description, folder: Path, seen: str | None, ledger: Ledger
) -> dict[str, Any] | None:
    """What the last ingestion answered, where it found just this and left the cohort as it is, and
    the ledger knows of it; else None.

    Args:
        seen: What `look` gave.
    """
    file = folder / FILE
    if seen is None or not file.is_file():
        return None
    known = json.loads(file.read_text())
    summary: dict[str, Any] | None = known["found"].get(seen)
    if summary is None or known["left"] != _left(folder):
        return None
    cohorts = ledger.cohorts()
    recorded = cohorts.loc[cohorts["name"] == description.name, "hash"].tolist()
    if recorded != [summary["cohort"]["hash"]]:
        return None
    counts = {name: count for name, count in summary["cases"].items() if name != "gone"}
    return summary | {"cases": counts | {"new": 0}}


def remember(folder: Path, seen: str | None, summary: dict[str, Any]) -> None:
    """Keep what an ingestion found.

    Args:
        seen: What `look` gave before it.
    """
    file, left = folder / FILE, _left(folder)
    known = json.loads(file.read_text()) if file.is_file() else {}
    found = known.get("found", {}) if known.get("left") == left else {}
    if seen is not None:
        found[seen] = summary
    write_text(file, json.dumps({"left": left, "found": found}))


def _left(folder: Path) -> str:
    """What an ingestion left in the workspace, as one hash."""
    shards = sorted(shard.name for shard in (folder / "shards").glob("[!.]*"))
    kept = _stats(folder / name for name in KEPT)
    facts = [(Path(file).name, s.st_size, s.st_mtime_ns) for file, s in kept]
    return hashlib.sha256(json.dumps([shards, facts]).encode()).hexdigest()


def _own() -> list[Path]:
    """What reads a cohort: this program and its contracts."""
    contracts = (application_root() / "data_contracts").glob("*.yaml")
    return [*sorted(contracts), *sorted(PROGRAM.rglob("*.py"))]


def _below(description: Description) -> Iterator[tuple[str, os.stat_result]]:
    """All files that a modality's paths may lead to: more than belong to the cases, never less."""
    folders, files = set[Path](), set[Path]()
    named = [text for m in description.modalities.values() for text in _texts(m)]
    named += [name for name in description.identifiers if name.endswith(".csv")]
    for text in named:
        parts = Path(text).parts
        fixed = [part for part in parts if not OF_PATTERNS & set(part)]
        plain = len(fixed) == len(parts)
        first = next((n for n, part in enumerate(parts) if OF_PATTERNS & set(part)), len(parts))
        place = description.root.joinpath(*parts[:first])
        (files if plain and not place.is_dir() else folders).add(place)
    yield from _stats(sorted(files))
    for folder in sorted(folders):
        if not any(other in folder.parents for other in folders):
            yield from _walk(os.fspath(folder))


def _texts(modality: ModalityDescription) -> list[str]:
    """Everything of a modality's section that may be a path."""
    return [modality.path, *filter(None, (modality.gene_names, modality.gene_sets))]


def _walk(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """The files below a folder.

    Raises:
        OSError: One of its folders is a link, behind which nothing is seen.
    """
    if not Path(folder).exists():
        return
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_symlink() and entry.is_dir():
                raise OSError
            if entry.is_dir():
                yield from _walk(entry.path)
            else:
                yield entry.path, entry.stat()


def _stats(files: Iterable[Path]) -> Iterator[tuple[str, os.stat_result]]:
    for file in files:
        if file.is_file():
            yield os.fspath(file), file.stat()
