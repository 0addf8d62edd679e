"""`Case`: references to files, no tensors. What was not acquired has no key."""

import glob
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from mmdiag.case_table import encoding_of, key_values, template_columns
from mmdiag.description import Description, ModalityDescription


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where one modality of one case lies.

    Args:
        files: Its files, sorted; for a table that all cases share, that table.
        key: The case's key within the table.
    """

    modality: str
    kind: str
    files: tuple[Path, ...]
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case of a cohort.

    Args:
        subject_id: All cases of a person share one split.
        as_of: Nothing recorded later may be read.
        sources: Modality -> where it lies; not acquired = no key.
    """

    case_id: str
    subject_id: str
    as_of: datetime | None
    sources: Mapping[str, Source]
    site: str | None = None


def find_cases(description: Description, table: pd.DataFrame) -> list[Case]:
    """Resolve every path template of a cohort; `table` is what `read_cases` gave."""
    found, matches = [], Matches(description.root)
    for row in table.to_dict("records"):
        columns = {str(key).removeprefix("column_"): value for key, value in row.items() if str(key).startswith("column_")}
        sources = {name: _source(matches, modality, columns, str(row["case_id"])) for name, modality in description.modalities.items()}
        found.append(
            Case(
                case_id=row["case_id"],
                subject_id=row["subject_id"],
                as_of=None if pd.isna(row["as_of"]) else pd.Timestamp(row["as_of"]).to_pydatetime(),
                sources={name: source for name, source in sources.items() if source is not None},
                site=None if pd.isna(row["site"]) else row["site"],
            )
        )
    return found


def _source(matches: "Matches", modality: ModalityDescription, columns: Mapping[str, Any], case_id: str) -> Source | None:
    path = modality.path
    for column in template_columns(path):
        if columns[column] is None or pd.isna(columns[column]):
            return None
        path = path.replace(f"{{{column}}}", glob.escape(str(columns[column])))
    files = matches.of(path)
    if modality.key and not any(case_id in keys_of(file, modality.key, file.stat().st_mtime_ns) for file in files):
        return None
    return Source(modality=modality.name, kind=modality.kind, files=files, key=case_id if modality.key else None) if files else None


class Matches:
    """Files below a cohort's root, each pattern looked up once."""

    def __init__(self, root: Path) -> None:
        self.root, self.known = root, dict[str, tuple[Path, ...]]()

    def of(self, pattern: str) -> tuple[Path, ...]:
        """The files that a pattern stands for, sorted; a folder stands for all files below it. A pattern does not lead out of the root."""
        if pattern not in self.known:
            found: list[Path] = []
            for path in sorted(self.root.glob(pattern)):
                if path.resolve().is_relative_to(self.root):
                    found += sorted(child for child in path.rglob("*") if child.is_file()) if path.is_dir() else [path]
            self.known[pattern] = tuple(found)
        return self.known[pattern]


@lru_cache(maxsize=64)
def keys_of(file: Path, key: str, modified_ns: int) -> frozenset[str]:
    """The case keys that a table has a row for; empty where it has no such column. `modified_ns` makes a changed file be read again."""
    del modified_ns
    try:
        wanted = template_columns(key) or [key]
        if file.suffix == ".parquet":
            table = pd.read_parquet(file, columns=wanted).astype(str)
        else:
            separator = "\t" if file.name.removesuffix(".gz").endswith((".tsv", ".txt")) else ","
            table = pd.read_csv(file, usecols=wanted, dtype=str, sep=separator, keep_default_na=False, encoding=encoding_of(file))
    except ValueError:
        return frozenset()
    return frozenset(key_values(table, key).dropna())
