"""Commit: the shards' manifests become the cohort, what leaks is refused, and the ledger learns
every verdict. Doing it again changes nothing.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.kept_together import TOGETHER, split_units
from mmdiag.cohort.label_cells import count_classes, described_task
from mmdiag.cohort.presence import require_content
from mmdiag.contracts.internal_tables import validate_case_table
from mmdiag.contracts.validate import as_table
from mmdiag.description import Description
from mmdiag.errors import MmdiagError
from mmdiag.ingest.embeddings.width import made_by
from mmdiag.ingest.overrides import read_decisions
from mmdiag.ingest.quarantine_folder import show_quarantine
from mmdiag.ingest.reports import cohort_facts, new_and_gone, read_report
from mmdiag.ingest.shard import FINGERPRINT_COLUMNS, QUARANTINE_COLUMNS, rule_of
from mmdiag.kinds import KINDS, NOTE, ROW
from mmdiag.leakage.audit import audit_leakage
from mmdiag.leakage.label_columns import CHOSEN
from mmdiag.reasons import REASONS
from mmdiag.record.labels import json_labels, labels_before
from mmdiag.storage.colours import in_colour, said_of_colour, with_colour_columns
from mmdiag.storage.counts import write_counts
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.recordings import said_of_recordings
from mmdiag.storage.store import read_rows
from mmdiag.storage.tables import read_parts, write_parquet
from mmdiag.workspace import Workspace, write_text

CONTRACT_COLUMNS = ["contract", "rule", "column", "severity", "why", "checked", "failed"]


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """What a cohort holds after ingestion, in the form of docs/interface.md 3; `new` counts case
    versions that the ledger had not seen, `gone` cases that it had and the case table has not.
    """

    cohort: dict[str, Any]
    cases: dict[str, int]
    classes: list[dict[str, Any]]
    modalities: dict[str, dict[str, Any]]
    leaks: list[dict[str, str]]


@dataclass(slots=True)
class _Shards:
    """What the shards hold of the cohort as it is now.

    Args:
        table: The case table.
        manifest: One row a case: verdict, and where its modalities lie.
        quarantine: One row a refusal.
        contracts: One row a rule.
        fingerprints: One row a source that was read: hashes, and how many identifiers were masked
            in a note.
    """

    table: pd.DataFrame
    manifest: pd.DataFrame
    quarantine: pd.DataFrame
    contracts: pd.DataFrame
    fingerprints: pd.DataFrame


def commit(
    description: Description, workspace: Workspace, ledger: Ledger, *, absent: bool = False
) -> IngestSummary:
    """Make the shards the cohort: cases.parquet, description.json, the quarantine's folder, and the
    ledger's record of every verdict.

    Args:
        absent: Whether a modality may be absent for every case, as in a batch to score.

    Raises:
        ContractError: The cohort leaks its label, or breaks another rule of severity block.
        DescriptionError: A modality is there for no case.
    """
    folder = workspace.cohort(description.name)
    shards = _gather(folder, description)
    if not absent:
        require_content(description, shards.manifest, set(shards.quarantine["modality"]))
    leaks = _refuse_leaks(folder, description, shards)
    _refuse_incomplete(description, shards)
    facts = shards.table[[c for c in shards.table.columns if not c.startswith("column_")]]
    cases = facts.merge(
        shards.manifest[shards.manifest["verdict"] == "accepted"].drop(columns="verdict"),
        on="case_id",
        how="inner",
    )
    # in which order rows stand is no information, and nothing that is drawn may depend on it
    cases = with_colour_columns(cases.sort_values("case_id", ignore_index=True))
    known_before = labels_before(folder, ledger, description.name)
    cohort_hash = _write_cohort(folder, description, shards.table, cases, leaks)
    new, gone = new_and_gone(ledger.seen(description.name), shards.manifest)
    summary = _summary(description, cohort_hash, shards, cases, new, leaks)
    write_counts(folder, summary.cases, summary.modalities)
    coloured = in_colour(cases, description.option("colour"))
    for name, counts in summary.modalities.items():
        counts |= read_report(folder, name).answer() | said_of_colour(cases, name, coloured)
        counts |= said_of_recordings(folder, cases, name)
    _record(ledger, description, summary, shards, known_before, gone)
    if gone:
        summary.cases["gone"] = gone
    show_quarantine(folder / "quarantine", shards.quarantine)
    return summary


def _gather(folder: Path, description: Description) -> _Shards:
    versions = pd.read_parquet(folder / "versions.parquet")
    table = read_cases(description)
    manifest = _current(_union(folder, "manifest.parquet", []), versions)
    missing = len(table) - len(manifest)
    if missing:
        raise MmdiagError(
            f"Every case has a verdict before a cohort is committed, {missing} of {len(table)} "
            "have none: run the same command again."
        )
    contracts = pd.concat(
        [
            as_table(validate_case_table(table)[0]),
            _union(folder, "contracts.parquet", CONTRACT_COLUMNS),
        ],
        ignore_index=True,
    )
    quarantine = _current(_union(folder, "quarantine.parquet", QUARANTINE_COLUMNS), versions)
    prints = _current(_union(folder, "fingerprints.parquet", FINGERPRINT_COLUMNS), versions)
    return _Shards(table, manifest, quarantine, contracts, prints)


def _union(folder: Path, name: str, columns: Sequence[str]) -> pd.DataFrame:
    return read_parts(sorted((folder / "shards").glob(f"[!.]*/{name}")), columns)


def _current(table: pd.DataFrame, versions: pd.DataFrame) -> pd.DataFrame:
    """Rows of the versions that the cohort now has, each once."""
    kept = table.merge(versions, on=["case_id", "version"], how="inner")
    return kept.drop_duplicates([key for key in ("case_id", "modality", "code") if key in kept])


def _refuse_leaks(folder: Path, description: Description, shards: _Shards) -> list[dict[str, str]]:
    """Hold the cohort as a whole against the rules on leakage; a modality that leaks is taken from
    its case, unless a person accepted it. Returns what is only warned of.

    Raises:
        ContractError: A rule of severity block is broken.
    """
    facts = shards.table[["case_id", "subject_id", "site", "as_of", "label", "time", "event"]]
    cases = facts.merge(shards.manifest, on="case_id", how="inner")
    notes, tables = {}, {}
    for name, modality in description.modalities.items():
        layout = KINDS[modality.kind].layout
        if layout == NOTE:
            notes[name] = dict(zip(*read_rows(folder, cases, name), strict=True))
        elif layout == ROW and (folder / f"columns_{name}.json").is_file():
            keys, rows = read_rows(folder, cases, name)
            columns = json.loads((folder / f"columns_{name}.json").read_text())
            tables[name] = pd.DataFrame(
                np.asarray(rows, dtype=np.float32).reshape(len(keys), len(columns)),
                index=keys,
                columns=columns,
            )
            chosen = read_report(folder, name).categories.values()
            tables[name].attrs[CHOSEN] = {column for group in chosen for column in group}
    task = described_task(description, shards.table)
    found = audit_leakage(
        cases, shards.fingerprints, notes, tables, task, description.task.label_patterns
    )
    found.raise_if_blocked()
    decisions = read_decisions(folder)
    refused = [one for one in found.refused if (one[1], one[2]) not in decisions.overridden(one[0])]
    _take_away(shards, refused)
    shards.contracts = pd.concat([shards.contracts, as_table(found.results)], ignore_index=True)
    return [asdict(leak) for leak in found.leaks]


def _take_away(shards: _Shards, refused: Sequence[tuple[str, str, str, str]]) -> None:
    """Take modalities from cases: (case, modality, code, detail); a case that has none left is
    quarantined.
    """
    if not refused:
        return
    place = {
        case_id: row
        for row, case_id in zip(shards.manifest.index, shards.manifest["case_id"], strict=True)
    }
    version = dict(zip(shards.manifest["case_id"], shards.manifest["version"], strict=True))
    rows = []
    for case_id, modality, code, detail in refused:
        shards.manifest.loc[place[case_id], f"has_{modality}"] = False
        rows.append(
            (
                case_id,
                version[case_id],
                modality,
                code,
                rule_of(code, detail),
                detail,
                "",
                REASONS[code].cure,
            )
        )
    has = shards.manifest[[c for c in shards.manifest.columns if c.startswith("has_")]].any(axis=1)
    for case_id in shards.manifest.loc[
        ~has & (shards.manifest["verdict"] == "accepted"), "case_id"
    ]:
        rows.append(
            (
                case_id,
                version[case_id],
                "",
                "no_modality",
                REASONS["no_modality"].rule,
                "all that it had was refused",
                "",
                REASONS["no_modality"].cure,
            )
        )
    shards.manifest["verdict"] = np.where(has, shards.manifest["verdict"], "refused")
    shards.quarantine = pd.concat(
        [shards.quarantine, pd.DataFrame(rows, columns=QUARANTINE_COLUMNS)], ignore_index=True
    )


def _refuse_incomplete(description: Description, shards: _Shards) -> None:
    """Where the description asks for it, a case of which one modality is refused is refused as a
    whole.
    """
    if description.incomplete == "keep":
        return
    partly = sorted(
        set(shards.quarantine.loc[shards.quarantine["modality"] != "", "case_id"])
        & set(shards.manifest.loc[shards.manifest["verdict"] == "accepted", "case_id"])
    )
    version = dict(zip(shards.manifest["case_id"], shards.manifest["version"], strict=True))
    reason = REASONS["incomplete"]
    rows = [
        (
            case_id,
            version[case_id],
            "",
            "incomplete",
            reason.rule,
            "one of its modalities is refused",
            "",
            reason.cure,
        )
        for case_id in partly
    ]
    shards.manifest.loc[shards.manifest["case_id"].isin(partly), "verdict"] = "refused"
    shards.quarantine = pd.concat(
        [shards.quarantine, pd.DataFrame(rows, columns=QUARANTINE_COLUMNS)], ignore_index=True
    )


def _write_cohort(
    folder: Path,
    description: Description,
    table: pd.DataFrame,
    cases: pd.DataFrame,
    leaks: list[dict[str, str]],
) -> str:
    has = [f"has_{name}" for name in description.modalities]
    several = [f"label_{name}" for name in description.task.labels]
    named = ["case_id", "subject_id", "version", "label", "time", "event", *several, *has]
    labels = cases[named].sort_values("case_id")
    if TOGETHER in cases:  # by its first subject: numbers change with every case that is added
        labels["unit"] = split_units(cases)
    digest = hashlib.sha256((description.hash() + labels.to_csv(index=False)).encode()).hexdigest()
    write_parquet(folder / "cases.parquet", cases)
    described = {
        "name": description.name,
        "task": _task_facts(description, table),
        "titles": {name: m.title for name, m in description.modalities.items() if m.title},
        "modalities": {name: m.kind for name, m in description.modalities.items()},
        "units": {name: m.units for name, m in description.modalities.items() if m.units},
        "rates_hz": {
            name: m.store_hz
            for name, m in description.modalities.items()
            if "store_hz" in KINDS[m.kind].keys
        },
        "embeddings": made_by(folder, description),
        "assays": {name: m.assay for name, m in description.modalities.items() if m.assay},
        "leaks": leaks,
        "in_colour": in_colour(cases, description.option("colour")),
        "columns": {
            name: json.loads(file.read_text())
            for name in description.modalities
            if (file := folder / f"columns_{name}.json").is_file()
        },
        "categories": {
            name: read_report(folder, name).categories for name in description.modalities
        },
        "hash": f"sha256:{digest}",
    }
    write_text(folder / "description.json", json.dumps(described, indent=1))
    return f"sha256:{digest}"


def _task_facts(description: Description, table: pd.DataFrame) -> dict[str, Any]:
    """What was described of the task, and its classes as the case table has them."""
    task = described_task(description, table)
    return asdict(description.task) | {
        "classes": list(task.classes),
        "class_names": dict(task.class_names),
    }


def _summary(
    description: Description,
    cohort_hash: str,
    shards: _Shards,
    cases: pd.DataFrame,
    new: int,
    leaks: list[dict[str, str]],
) -> IngestSummary:
    labelled = (cases["label"].notna() | (cases["time"].notna() & cases["event"].notna())).sum()
    counts = {
        "in": len(shards.table),
        "accepted": len(cases),
        "quarantined": int((shards.manifest["verdict"] == "refused").sum()),
        "new": new,
        "labelled": int(labelled),
    }
    modalities = {}
    for name, modality in description.modalities.items():
        bad = shards.quarantine.loc[
            shards.quarantine["modality"] == name, "case_id"
        ].drop_duplicates()
        present, lost = int(cases[f"has_{name}"].sum()), int(cases["case_id"].isin(bad).sum())
        modalities[name] = {
            "kind": modality.kind,
            "present": present,
            "absent": len(cases) - present - lost,
            "quarantined": len(bad),
        }
        if KINDS[modality.kind].layout == NOTE:
            masked = shards.fingerprints.loc[shards.fingerprints["modality"] == name, "n_masked"]
            modalities[name]["masked"] = int(pd.to_numeric(masked).fillna(0).sum())
    return IngestSummary(
        cohort_facts(description, cohort_hash),
        counts,
        count_classes(description, shards.table, set(cases["case_id"])),
        modalities,
        leaks,
    )


def _record(
    ledger: Ledger,
    description: Description,
    summary: IngestSummary,
    shards: _Shards,
    known_before: frozenset[str],
    gone: int,
) -> None:
    names = list(description.modalities)
    verdicts = shards.manifest[["case_id", "version", "verdict"]].merge(
        shards.table[["case_id", "subject_id"]], on="case_id"
    )
    has = (
        shards.manifest.set_index("case_id")
        .loc[verdicts["case_id"], [f"has_{name}" for name in names]]
        .to_numpy()
    )
    verdicts["modalities"] = [
        json.dumps([name for name, there in zip(names, row, strict=True) if there]) for row in has
    ]
    ledger.record_cohort(
        description.name,
        summary.cohort["hash"],
        asdict(description.task),
        dict(summary.modalities),
        dict(summary.cases),
        json_labels(shards.table, described_task(description, shards.table)),
        known_before,
        gone,
    )
    ledger.record_verdicts(description.name, verdicts)
    ledger.record_quarantine(description.name, shards.quarantine.drop(columns="version"))
    if len(shards.contracts):
        grouped = shards.contracts.groupby(
            ["contract", "rule", "column", "severity", "why"], sort=False, as_index=False
        )[["checked", "failed"]].sum()
        ledger.record_contracts(
            description.name, grouped.astype({"checked": np.int64, "failed": np.int64})
        )
