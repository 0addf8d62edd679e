"""Ingestion: plan what is new, read it shard by shard, commit. Each step may be killed and run
again: no case is lost, none is there twice.

plan          which cases are new or changed; a case's version is the hash of its files and rows and
of how its modalities are described
ingest_shard  one part of a plan: read, validate against the contracts, write a folder that appears
whole or not at all
commit        the shards' manifests become cases.parquet, and the ledger learns what was accepted
and what was refused
"""

import gc
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pandas as pd

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.cases import Case, find_cases, patient_identifiers
from mmdiag.cohort.presence import meet
from mmdiag.contracts.internal_tables import validate_case_table
from mmdiag.description import Description, read_description
from mmdiag.errors import DescriptionError
from mmdiag.ingest.case_versions import Versions, case_versions
from mmdiag.ingest.columns import fix_columns
from mmdiag.ingest.embeddings.read import EMBEDDING
from mmdiag.ingest.embeddings.width import find_widths, keep_widths
from mmdiag.ingest.overrides import Decisions, read_decisions
from mmdiag.ingest.reports import read_report
from mmdiag.ingest.shard import ShardPlan, write_shard
from mmdiag.readers.dicom.header import known_keyword
from mmdiag.storage.tables import read_parts, write_parquet
from mmdiag.workspace import Workspace, write_text

P = ParamSpec("P")
R = TypeVar("R")
SHARD_CASES = 256
SHARD_BYTES = 2**29  # of files of embeddings


def _uncollected(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function make its many small objects without a search for cycles among them, which
    there are none of: of 50 000 cases that search is a fifth of the time.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        was = gc.isenabled()
        gc.disable()
        try:
            return function(*args, **kwargs)
        finally:
            if was:
                gc.enable()

    return call


@_uncollected
def plan(
    description: Description,
    workspace: Workspace,
    *,
    shard_cases: int = SHARD_CASES,
    wanted: Mapping[str, Sequence[str]] | None = None,
) -> list[Path]:
    """Write a plan for each shard of cases that are new or changed.

    Args:
        wanted: Table modality -> the columns that a bundle reads, for cases that are to be scored:
            a modality may then be absent for all of them. None = for cases to learn from.

    Returns:
        Paths of the plans; the same state of the files gives the same plans.

    Raises:
        ContractError: The case table breaks a rule of severity block.
        DescriptionError: A modality is there for no case, or a table is not what it should be.
    """
    _require_keywords(description)
    table = read_cases(description)
    failing_rule = validate_case_table(table)[1]
    cases = find_cases(description, table)
    met = meet(description, table, cases, absent=wanted is not None)
    folder = workspace.cohort(description.name)
    widths = find_widths(folder, description, cases)
    fixed = fix_columns(folder, description, cases, met, wanted or {})
    keep_widths(folder, widths)
    decisions = read_decisions(folder)
    notes = {
        case.case_id: failing_rule.get(case.case_id, "") + decisions.text_of(case.case_id) + fixed
        for case in cases
    }
    versions = case_versions(folder, description, cases, notes)
    write_parquet(
        folder / "versions.parquet",
        pd.DataFrame({"case_id": list(versions.of), "version": list(versions.of.values())}),
    )
    known = _known(folder)
    fresh = [
        case.case_id for case in cases if (case.case_id, versions.of[case.case_id]) not in known
    ]
    return [
        _write_plan(folder, description, part, versions, failing_rule, decisions)
        for part in _parts(fresh, _bytes(description, cases), shard_cases)
    ]


def ingest_shard(plan_file: Path) -> None:
    """Carry out one plan; carrying it out again changes nothing."""
    planned = json.loads(plan_file.read_text())
    target = plan_file.parent.parent / "shards" / plan_file.stem
    if target.is_dir():
        return
    description = read_description(Path(planned["description"]))
    table = read_cases(description)
    row_of = {case_id: row for row, case_id in enumerate(table["case_id"])}
    asked = ShardPlan(
        versions=planned["versions"],
        digests=planned["digests"],
        failing_rule=planned["refused"],
        overridden=planned["waived"],
    )
    gone = sorted(set(asked.versions) - set(row_of))
    if gone:
        raise DescriptionError(
            f"The case table must stay as it is while it is ingested, {description.table.name} "
            f"has lost {gone[:5]}: run again."
        )
    rows = table.iloc[[row_of[case_id] for case_id in asked.versions]]
    write_shard(
        target,
        description,
        find_cases(description, rows),
        asked,
        frozenset(table["subject_id"]),
        patient_identifiers(description, rows),
        _columns(target.parent.parent),
        {name: read_report(target.parent.parent, name) for name in description.modalities},
    )


def _bytes(description: Description, cases: Sequence[Case]) -> dict[str, int]:
    """What each case keeps in memory of embeddings, which may be large, until its shard is written:
    by the size of its own files.
    """
    names = [n for n, m in description.modalities.items() if m.kind == EMBEDDING and not m.key]
    return {
        case.case_id: sum(
            file.stat().st_size
            for name in names
            if name in case.sources
            for file in case.sources[name].files
        )
        for case in cases
    }


def _parts(fresh: Sequence[str], sizes: Mapping[str, int], shard_cases: int) -> list[Sequence[str]]:
    """Cases in their order, in parts of so many and not too many bytes."""
    parts, start, total = [], 0, 0
    for place, case_id in enumerate(fresh):
        full = place - start >= shard_cases or total + sizes[case_id] > SHARD_BYTES
        if full and place > start:
            parts.append(fresh[start:place])
            start, total = place, 0
        total += sizes[case_id]
    return [*parts, fresh[start:]] if len(fresh) > start else parts


def _require_keywords(description: Description) -> None:
    """A misspelt keyword would select nothing and read as 'not acquired'."""
    for modality in description.modalities.values():
        for keyword in modality.select:
            if not known_keyword(keyword):
                raise DescriptionError(
                    f"A key of select under [modalities.{modality.name}] of "
                    f"{description.file.name} must be a DICOM keyword, {keyword!r} is none: "
                    "correct it, for example SeriesDescription."
                )


def _columns(folder: Path) -> dict[str, list[str]]:
    """Table modality -> its columns."""
    return {
        path.stem.removeprefix("columns_"): json.loads(path.read_text())
        for path in folder.glob("columns_*.json")
    }


def _known(folder: Path) -> set[tuple[str, str]]:
    """(case, version) of what shards hold."""
    manifests = sorted((folder / "shards").glob("[!.]*/manifest.parquet"))
    held = read_parts(manifests, ["case_id", "version"], only=True)
    return set(zip(held["case_id"].tolist(), held["version"].tolist(), strict=True))


def _write_plan(
    folder: Path,
    description: Description,
    part: Sequence[str],
    versions: Versions,
    refused: Mapping[str, str],
    decisions: Decisions,
) -> Path:
    planned: dict[str, Any] = {
        "description": str(description.file),
        "versions": {case_id: versions.of[case_id] for case_id in part},
        "digests": {case_id: dict(versions.digests[case_id]) for case_id in part},
        "refused": {case_id: refused[case_id] for case_id in part if case_id in refused},
        "waived": {
            case_id: decisions.overridden(case_id)
            for case_id in part
            if decisions.overridden(case_id)
        },
    }
    content = json.dumps(planned, indent=1)
    path = folder / "plans" / f"{hashlib.sha256(content.encode()).hexdigest()[:16]}.json"
    write_text(path, content)
    return path
