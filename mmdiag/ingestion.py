"""Ingestion: plan what is new, read it shard by shard, commit. Each step may be killed and run again: no case is lost, none is there twice.

plan          which cases are new or changed; a case's version is the SHA-256 of its files and rows and of how its modalities are described
ingest_shard  one part of a plan: read, hold against the contracts, write a folder that appears whole or not at all
commit        the shards' manifests become cases.parquet, and the ledger learns what was accepted and what was refused
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.case_table import class_names, read_cases
from mmdiag.cases import Case, find_cases
from mmdiag.contracts import hold, packaged_contract
from mmdiag.description import Description, read_description
from mmdiag.errors import ContractError, DescriptionError
from mmdiag.ledger import Ledger
from mmdiag.readers.tables import KEY, read_text_table
from mmdiag.shards import QUARANTINE_COLUMNS, numbers_of, write_shard
from mmdiag.workspace import Workspace, atomic_path, write_text

SHARD_CASES = 64


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """What a cohort holds after ingestion, in the form of interface.md 3; `new` counts case versions that the ledger had not seen."""

    cohort: dict[str, str]
    cases: dict[str, int]
    modalities: dict[str, dict[str, Any]]


def plan(description: Description, workspace: Workspace, *, shard_cases: int = SHARD_CASES) -> list[Path]:
    """Write a plan for each shard of cases that are new or changed.

    Returns:
        Paths of the plans; the same state of the files gives the same plans.

    Raises:
        ContractError: The case table breaks a rule of severity block.
    """
    table = read_cases(description)
    refused = _hold_case_table(table)
    folder = workspace.cohort(description.name)
    cases = find_cases(description, table)
    _fix_columns(folder, description, cases)
    versions = _versions(description, cases, refused)
    with atomic_path(_made(folder) / "versions.parquet") as temporary:
        pd.DataFrame({"case_id": list(versions), "version": list(versions.values())}).to_parquet(temporary, index=False)
    known = _known(folder)
    fresh = [case.case_id for case in cases if (case.case_id, versions[case.case_id]) not in known]
    parts = [fresh[start : start + shard_cases] for start in range(0, len(fresh), shard_cases)]
    return [_write_plan(folder, description, part, versions, refused) for part in parts]


def ingest_shard(plan_file: Path) -> None:
    """Carry out one plan; carrying it out again changes nothing."""
    planned = json.loads(plan_file.read_text())
    target = plan_file.parent.parent / "shards" / plan_file.stem
    if target.is_dir():
        return
    description = read_description(Path(planned["description"]))
    table = read_cases(description)
    wanted = planned["versions"]
    cases = find_cases(description, table[table["case_id"].isin(list(wanted))])
    write_shard(target, description, cases, wanted, frozenset(table["subject_id"]), planned["refused"])


def commit(description: Description, workspace: Workspace, ledger: Ledger) -> IngestSummary:
    """Make the shards the cohort: cases.parquet, description.json, and the ledger's record of every verdict."""
    folder = workspace.cohort(description.name)
    table = read_cases(description)
    versions = pd.read_parquet(folder / "versions.parquet")
    manifest = _current(_union(folder, "manifest.parquet"), versions)
    quarantine = _current(_union(folder, "quarantine.parquet"), versions)
    facts = table[[c for c in table.columns if not c.startswith("column_")]]
    cases = facts.merge(manifest[manifest["verdict"] == "accepted"].drop(columns="verdict"), on="case_id", how="inner")
    cohort_hash = _write_cohort(folder, description, table, cases)
    seen = ledger.verdicts(description.name)
    before = set(zip(seen["case_id"], seen["version"], strict=True))
    new = sum(pair not in before for pair in zip(manifest["case_id"], manifest["version"], strict=True))
    summary = _summary(description, cohort_hash, table, manifest, cases, quarantine, new)
    _record(ledger, description, summary, table, manifest, quarantine, _union(folder, "contracts.parquet"))
    return summary


def _hold_case_table(table: pd.DataFrame) -> dict[str, str]:
    """Case -> the rule that its row breaks, of severity quarantine.

    Raises:
        ContractError: A rule of severity block is broken.
    """
    held = table[["case_id", "subject_id", *(["time"] if table["time"].notna().any() else [])]]
    contract = packaged_contract("cases")
    contract = replace(contract, rules=tuple(rule for rule in contract.rules if not rule.column or rule.column in held.columns))
    refused: dict[str, str] = {}
    for result in hold(held, contract):
        if not result.passed and result.severity == "block":
            raise ContractError(
                f"The case table must hold its contract, {result.column} breaks '{result.rule}': {result.why} Correct the table."
            )
        if not result.passed and result.severity == "quarantine":
            refused |= {str(table["case_id"].iloc[row]): f"cases: {result.column} {result.rule}" for row in result.failed_rows}
    return refused


def _fix_columns(folder: Path, description: Description, cases: Sequence[Case]) -> None:
    """The columns of a table modality are those of the first ingestion: arrays of later shards must line up."""
    for name, modality in description.modalities.items():
        files = sorted({file for case in cases if name in case.sources for file in case.sources[name].files})
        if modality.kind != "table" or not files:
            continue
        path, columns = folder / f"columns_{name}.json", [str(c) for c in numbers_of(files, modality).values.columns]
        if path.is_file() and json.loads(path.read_text()) != columns:
            raise DescriptionError(
                f"The columns of {name} are those of its first ingestion, the table now has others: give the cohort another name in {description.file.name}."
            )
        write_text(path, json.dumps(columns))


def _versions(description: Description, cases: Sequence[Case], refused: Mapping[str, str]) -> dict[str, str]:
    hashes: dict[Path, str] = {}
    rows: dict[str, Mapping[str, str]] = {}
    described = description.hash()
    versions = {}
    for case in cases:
        parts = [described, case.case_id, case.subject_id, refused.get(case.case_id, "")]
        for name, source in sorted(case.sources.items()):
            if source.key is None:
                parts += [name, *(f"{file.name}:{_file_hash(file, hashes)}" for file in source.files)]
            else:
                if name not in rows:
                    files = sorted({file for other in cases if name in other.sources for file in other.sources[name].files})
                    rows[name] = _row_hashes(files, str(description.modalities[name].key))
                parts += [name, rows[name].get(source.key, "")]
        versions[case.case_id] = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]
    return versions


def _file_hash(file: Path, known: dict[Path, str]) -> str:
    if file not in known:
        with file.open("rb") as content:
            known[file] = hashlib.file_digest(content, "sha256").hexdigest()
    return known[file]


def _row_hashes(files: Sequence[Path], key: str) -> dict[str, str]:
    table = read_text_table(files, key)
    hashed = pd.util.hash_pandas_object(table.astype(str), index=False)
    return {str(case): ",".join(format(int(h), "x") for h in group) for case, group in hashed.groupby(table[KEY])}


def _known(folder: Path) -> set[tuple[str, str]]:
    manifest = _union(folder, "manifest.parquet")
    return set(zip(manifest["case_id"], manifest["version"], strict=True)) if len(manifest) else set()


def _union(folder: Path, name: str) -> pd.DataFrame:
    parts = [pd.read_parquet(path) for path in sorted((folder / "shards").glob(f"*/{name}")) if not path.parent.name.startswith(".")]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=QUARANTINE_COLUMNS)


def _current(table: pd.DataFrame, versions: pd.DataFrame) -> pd.DataFrame:
    """Rows of the versions that the cohort now has, each once."""
    kept = table.merge(versions, on=["case_id", "version"], how="inner")
    return kept.drop_duplicates(["case_id"] + (["modality", "code"] if "modality" in kept else []))


def _write_plan(
    folder: Path, description: Description, part: Sequence[str], versions: Mapping[str, str], refused: Mapping[str, str]
) -> Path:
    planned = {
        "description": str(description.file),
        "versions": {case_id: versions[case_id] for case_id in part},
        "refused": {case_id: refused[case_id] for case_id in part if case_id in refused},
    }
    content = json.dumps(planned, indent=1)
    path = folder / "plans" / f"{hashlib.sha256(content.encode()).hexdigest()[:16]}.json"
    write_text(path, content)
    return path


def _write_cohort(folder: Path, description: Description, table: pd.DataFrame, cases: pd.DataFrame) -> str:
    task = asdict(description.task) | {"classes": list(class_names(description, table))}
    labels = cases[["case_id", "subject_id", "version", "label", "time", "event"]].sort_values("case_id")
    digest = hashlib.sha256((description.hash() + labels.to_csv(index=False)).encode()).hexdigest()
    with atomic_path(folder / "cases.parquet") as temporary:
        cases.to_parquet(temporary, index=False)
    described = {
        "name": description.name,
        "task": task,
        "modalities": {name: m.kind for name, m in description.modalities.items()},
        "hash": f"sha256:{digest}",
    }
    write_text(folder / "description.json", json.dumps(described, indent=1))
    return f"sha256:{digest}"


def _summary(
    description: Description,
    cohort_hash: str,
    table: pd.DataFrame,
    manifest: pd.DataFrame,
    cases: pd.DataFrame,
    quarantine: pd.DataFrame,
    new: int,
) -> IngestSummary:
    labelled = (cases["label"].notna() | (cases["time"].notna() & cases["event"].notna())).sum()
    counts = {
        "in": len(table),
        "accepted": len(cases),
        "quarantined": int((manifest["verdict"] == "refused").sum()),
        "new": new,
        "labelled": int(labelled),
    }
    modalities = {}
    for name, modality in description.modalities.items():
        bad = quarantine.loc[quarantine["modality"] == name, "case_id"]
        present, lost = int(cases[f"has_{name}"].sum()), int(cases["case_id"].isin(bad).sum())
        modalities[name] = {"kind": modality.kind, "present": present, "absent": len(cases) - present - lost, "quarantined": len(bad)}
    return IngestSummary({"name": description.name, "hash": cohort_hash}, counts, modalities)


def _record(
    ledger: Ledger,
    description: Description,
    summary: IngestSummary,
    table: pd.DataFrame,
    manifest: pd.DataFrame,
    quarantine: pd.DataFrame,
    contracts: pd.DataFrame,
) -> None:
    names = list(description.modalities)
    verdicts = manifest[["case_id", "version", "verdict"]].merge(table[["case_id", "subject_id"]], on="case_id")
    has = manifest.set_index("case_id")[[f"has_{name}" for name in names]].to_numpy()
    verdicts["modalities"] = [json.dumps([name for name, there in zip(names, row, strict=True) if there]) for row in has]
    ledger.record_cohort(description.name, summary.cohort["hash"], asdict(description.task), dict(summary.modalities), dict(summary.cases))
    ledger.record_verdicts(description.name, verdicts)
    ledger.record_quarantine(description.name, quarantine.drop(columns="version"))
    if len(contracts):
        grouped = contracts.groupby(["contract", "rule", "column", "severity", "why"], sort=False, as_index=False)[
            ["checked", "failed"]
        ].sum()
        ledger.record_contracts(description.name, grouped.astype({"checked": np.int64, "failed": np.int64}))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
