"""The files of a warehouse: those of a MEDS folder, or of an OMOP export.

Reference:
    MEDS 0.4: data/**/*.parquet, metadata/codes.parquet, metadata/dataset.json.
    OMOP CDM 5.4: a table a file (or a folder of its parts), named in any letter case.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mmdiag.errors import ReadError, UsageError
from mmdiag.readers.documents.strict_json import NotStrict, parse_json
from mmdiag.readers.events.omop import NO_CONCEPT, TABLES
from mmdiag.regular_files import read_regular
from mmdiag.sandbox.tables import event_names

ENDINGS: Final = (".parquet", ".csv", ".tsv", ".csv.gz", ".tsv.gz")
LARGEST_METADATA: Final = 4_000_000  # bytes of dataset.json
CONCEPTS: Final = re.compile(r"(?<=[/=])\d+")


@dataclass(frozen=True, slots=True)
class EventSource:
    """Where the events lie.

    Args:
        standard: `meds` or `omop`.
        folder: As the user named it.
        files: Each file and which table it is part of.
        names: Files that say what codes are called.
        facts: What the answer says of the source.
    """

    standard: str
    folder: Path
    files: tuple[tuple[Path, str], ...]
    names: tuple[Path, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def described(self, codes: Collection[str]) -> dict[str, str]:
        """Code -> what it is called, for those of some codes of which that is known.

        Raises:
            DescriptionError: The file that says so is torn, or lacks a column.
        """
        if not codes:
            return {}
        if self.standard == "meds":
            return self._named("code", "description", codes)
        concepts = {code: CONCEPTS.findall(code.split("/unit:")[0]) for code in codes}
        wanted = {one for ids in concepts.values() for one in ids if one != str(NO_CONCEPT)}
        named = self._named("concept_id", "concept_name", wanted)
        found = {
            code: ", ".join(named[one] for one in ids if one in named)
            for code, ids in concepts.items()
        }
        return {code: said for code, said in found.items() if said}

    def _named(self, key: str, name: str, codes: Collection[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for file in self.names:
            found = event_names(file, key, name, codes) | found
        return found


def meds_source(folder: Path) -> EventSource:
    """The files of a MEDS folder.

    Raises:
        UsageError: It is none, or its dataset.json is no JSON.
    """
    data, metadata = folder / "data", folder / "metadata"
    files = sorted(
        path
        for path in (data.rglob("*.parquet") if data.is_dir() else ())
        if not path.name.startswith(".")
    )
    if not files:
        raise UsageError(
            f"A MEDS folder has data/ with .parquet files, {folder} has none: name the folder "
            "that holds data/ and metadata/."
        )
    codes = metadata / "codes.parquet"
    return EventSource(
        "meds",
        folder,
        tuple((path, "data") for path in files),
        (codes,) if codes.exists() else (),
        _dataset(metadata / "dataset.json"),
    )


def omop_source(folder: Path) -> EventSource:
    """The tables of an OMOP export.

    Raises:
        UsageError: It has none of those that are read.
    """
    found = {table: [*_parts(folder, table)] for table in (*TABLES, "concept")}
    files = tuple((path, table) for table in TABLES for path in found[table])
    if not files:
        raise UsageError(
            f"An OMOP export has a table {', '.join(TABLES)} as .csv or .parquet, {folder} has "
            "none: name the folder that holds them."
        )
    return EventSource("omop", folder, files, tuple(found["concept"]))


def _dataset(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        size = file.stat().st_size
        body = parse_json(read_regular(file).decode("utf-8-sig")) if size < LARGEST_METADATA else 0
    except (ReadError, NotStrict, UnicodeDecodeError):
        body = None
    if not isinstance(body, dict):
        raise UsageError(
            f"The metadata of MEDS are one JSON object, {file.name} is not: export it again, or "
            "take it out."
        )
    version = body.get("meds_version")
    return {"meds_version": version} if isinstance(version, str) and len(version) < 20 else {}


def _parts(folder: Path, table: str) -> Iterator[Path]:
    """The file of a table, or the files of the folder that it is."""
    for path in sorted(folder.iterdir()):
        ending = _ending(path)
        if path.name[: len(path.name) - len(ending)].lower() != table:
            continue
        if path.is_dir():
            yield from (
                part
                for part in sorted(path.iterdir())
                if _ending(part) and not part.name.startswith((".", "_"))
            )
        elif ending:
            yield path


def _ending(path: Path) -> str:
    """The ending of a table's name, as it is written; empty where it is none."""
    name = path.name.lower()
    found = max((end for end in ENDINGS if name.endswith(end)), key=len, default="")
    return path.name[len(path.name) - len(found) :]
