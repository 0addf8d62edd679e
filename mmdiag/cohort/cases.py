"""`Case`: references to files, no tensors. What was not acquired has no key."""

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from mmdiag.cohort.files import Faulty, Matches
from mmdiag.description import Description, ModalityDescription
from mmdiag.errors import DescriptionError, ReadError
from mmdiag.kinds import KINDS, NOTE, ROW
from mmdiag.readers.tables.form import PLAIN, TableForm, form_of
from mmdiag.readers.tables.keys import key_columns, template_columns
from mmdiag.sandbox.tables import key_counts, read_any_table, table_header
from mmdiag.spelling import column_hint

OPEN_KEY = re.compile(r"\}[*?\[]")  # a path template in which anything may follow a key
TRANSPOSED = (
    "its columns are called as cases are: transpose it, so that it has a row a case, or save it as "
    "GCT, whose columns are cases"
)
GLOB = re.compile(r"[*?\[]")
BESIDE = (".tbi", ".csi", ".idx", ".md5", ".sha256")  # an index or a checksum of the file itself


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
        faults: Modality whose files may not be read -> a reason code and what was found.
    """

    case_id: str
    subject_id: str
    as_of: datetime | None
    sources: Mapping[str, Source]
    site: str | None = None
    faults: Mapping[str, Faulty] = field(default_factory=dict)


# modality and files of a table -> the keys of each file
Tables = dict[tuple[str, tuple[Path, ...]], list[Mapping[str, int]]]


def find_cases(description: Description, table: pd.DataFrame) -> list[Case]:
    """Resolve every path template of a cohort; `table` is what `read_cases` gave.

    Raises:
        DescriptionError: A folder or a table that no case can do without is not there, or a path
            of the case table leads out of the root.
    """
    found, matches = [], Matches(description.root)
    tables: Tables = {}
    for modality in description.modalities.values():
        _require_place(matches, modality, description.file.name, table["case_id"].tolist())
    for row in table.to_dict("records"):
        sources: dict[str, Source | None] = {}
        faults: dict[str, Faulty] = {}
        for name, modality in description.modalities.items():
            try:
                sources[name] = _source(matches, tables, modality, row)
            except ReadError as fault:
                faults[name] = fault.code, fault.detail
        found.append(
            Case(
                case_id=row["case_id"],
                subject_id=row["subject_id"],
                as_of=None if pd.isna(row["as_of"]) else pd.Timestamp(row["as_of"]).to_pydatetime(),
                sources={name: source for name, source in sources.items() if source is not None},
                site=None if pd.isna(row["site"]) else row["site"],
                faults=faults,
            )
        )
    return found


def patient_identifiers(description: Description, table: pd.DataFrame) -> dict[str, list[str]]:
    """What identifies the person of each case, from the columns or the file that the description
    names; to be masked in notes, never to be written.
    """
    people: dict[str, list[str]] = {str(case_id): [] for case_id in table["case_id"]}
    for name in description.identifiers:
        if name.endswith(".csv"):
            cells = _identifiers_file(
                description.root / name, (description.root / name).stat().st_mtime_ns
            )
            for case_id in people:
                people[case_id] += cells.get(case_id, ())
            continue
        for case_id, value in zip(table["case_id"], table[f"column_{name}"], strict=True):
            if value is not None and not pd.isna(value):
                people[str(case_id)].append(str(value))
    return people


@lru_cache(maxsize=4)
def _identifiers_file(file: Path, modified_ns: int) -> dict[str, list[str]]:
    del modified_ns
    found: dict[str, list[str]] = {}
    table = read_any_table(file)
    for case_id, value in zip(table["case_id"], table["value"], strict=True):
        found.setdefault(str(case_id), []).append(str(value))
    return found


def is_transposed(header: Sequence[str], keys: Sequence[str]) -> bool:
    """Whether at least half of the cases are columns of a table instead of rows."""
    return 2 * len(set(header) & set(keys)) >= len(keys) > 1


def _require_place(
    matches: Matches, modality: ModalityDescription, where: str, keys: Sequence[str]
) -> None:
    """A misspelt folder, table or key would read as 'not acquired' for every case."""
    heading, fixed = f"[modalities.{modality.name}] of {where}", fixed_part(modality.path)
    shared = modality.key and not template_columns(modality.path)
    files = _tables(matches, modality, heading) if shared else None
    if not (matches.root / fixed).exists() or files == ():
        raise DescriptionError(
            f"The path of {heading} must be there, {modality.path!r} is not: correct it, or take "
            "the section out if nobody has this modality (of a cohort that is only scored let it "
            "lead to an empty folder, or to a table without a row of theirs: a model asks for it)."
        )
    if files is None:
        return
    wanted, form = key_columns(str(modality.key)), form_of(modality)
    headers = [_header(file, file.stat().st_mtime_ns, form) for file in files]
    if not any(set(wanted) <= set(header) for header in headers):
        columns = [name for header in headers for name in header]
        lacking = next((column for column in wanted if column not in columns), wanted[0])
        cure = f"{TRANSPOSED}." if is_transposed(columns, keys) else column_hint(lacking, columns)
        raise DescriptionError(
            f"The key of {heading} must be a column of its table, {lacking!r} is none of "
            f"{modality.path}: {cure}"
        )


def _tables(matches: Matches, modality: ModalityDescription, heading: str) -> tuple[Path, ...]:
    """The tables that all cases share: one that may not be read is wrong use."""
    try:
        return matches.of(modality.path)
    except ReadError as fault:
        raise DescriptionError(
            f"The path of {heading} must lead to regular files below the root, {fault.detail} "
            f"({fault.code}): put the table itself there."
        ) from None


def fixed_part(path: str) -> Path:
    """The folders of a path template before its first slot or glob."""
    parts = Path(path).parts
    stop = next((i for i, part in enumerate(parts) if re.search(r"[{*?\[]", part)), len(parts))
    return Path(*parts[:stop])


def path_of(modality: ModalityDescription, row: Mapping[Any, Any]) -> str | None:
    """The path of one case, as a glob; None where a column that it is made of is empty.

    Args:
        row: The case's row of what `read_cases` gave.
    """
    path = modality.path
    for slot, column in _slots(path):
        value = row[column]
        if not isinstance(value, str) and (value is None or pd.isna(value)):
            return None
        path = path.replace(slot, _escaped(str(value)))
    return path


def _escaped(value: str) -> str:
    """What stands for itself in a glob; most values do, and are seen to without a pattern."""
    return value if value.replace("-", "").isalnum() else glob.escape(value)


@lru_cache(maxsize=256)
def _slots(path: str) -> tuple[tuple[str, str], ...]:
    """The slots of a path template, each with the column of the case table that fills it."""
    return tuple((f"{{{name}}}", f"column_{name}") for name in template_columns(path))


def files_of(
    matches: Matches, path: str, case_id: str, modality: ModalityDescription
) -> tuple[Path, ...]:
    """The files of a path that `path_of` gave.

    Raises:
        DescriptionError: What the case table says of it leads out of the root.
        ReadError: As `Matches.of`.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or not parts or not path.isprintable():
        raise DescriptionError(
            f"A path must lie below the root, that of {modality.name} of case {case_id!r} does "
            "not: correct the columns that it is made of."
        )
    return matches.of(path)


def _source(
    matches: Matches, tables: Tables, modality: ModalityDescription, row: Mapping[Any, Any]
) -> Source | None:
    path, case_id = path_of(modality, row), str(row["case_id"])
    if path is None:
        return None
    files = files_of(matches, path, case_id, modality)
    _require_own(matches.root, files, path, modality)
    if modality.key and not any(case_id in keys for keys in _keys(tables, modality, files)):
        return None
    return (
        Source(
            modality=modality.name,
            kind=modality.kind,
            files=files,
            key=case_id if modality.key else None,
        )
        if files
        else None
    )


def _require_own(
    root: Path, files: tuple[Path, ...], path: str, modality: ModalityDescription
) -> None:
    """See that what a path led to is of this case, and is one where only one would be read.

    Raises:
        ReadError: `key_goes_on`, `several_files`.
    """
    if OPEN_KEY.search(modality.path) and "**" not in path:
        for place, part in enumerate(Path(path).parts):
            before = GLOB.split(part, maxsplit=1)[0]
            for name in (file.relative_to(root).parts[place:][:1] for file in files):
                if name and _goes_on(name[0], before):
                    raise ReadError("key_goes_on", "a file's name goes on where the key ends")
    if modality.key is None and KINDS[modality.kind].layout in (NOTE, ROW):
        told = [file for file in files if not file.name.lower().endswith(BESIDE)]
        if len(told) > 1:
            raise ReadError("several_files", f"{len(told)} files")


def _goes_on(name: str, before: str) -> bool:
    """Whether a name has a digit behind a key that ends with one."""
    rest = name[len(before) :]
    return name.startswith(before) and before[-1:].isdigit() and rest[:1].isdigit()


def _keys(
    tables: Tables, modality: ModalityDescription, files: tuple[Path, ...]
) -> list[Mapping[str, int]]:
    """As `keys_of`, of each file of a table, looked up once for all cases."""
    if (modality.name, files) not in tables:
        tables[modality.name, files] = [
            keys_of(file, str(modality.key), file.stat().st_mtime_ns, form_of(modality))
            for file in files
        ]
    return tables[modality.name, files]


@lru_cache(maxsize=64)
def keys_of(file: Path, key: str, modified_ns: int, form: TableForm = PLAIN) -> Mapping[str, int]:
    """The case keys that a table has rows for, and how many; empty where it has no such column.
    `modified_ns` makes a changed file be read again.
    """
    del modified_ns
    return key_counts(file, key, form)


@lru_cache(maxsize=64)
def _header(file: Path, modified_ns: int, form: TableForm) -> tuple[str, ...]:
    del modified_ns
    return table_header(file, form)
