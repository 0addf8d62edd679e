"""One shard: read the sources of some cases, validate what was found against the contracts, and
write a folder that appears whole or not at all.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.cohort.cases import Case
from mmdiag.contracts.contract import packaged_contract
from mmdiag.contracts.rules import RuleResult
from mmdiag.contracts.validate import as_table, validate
from mmdiag.description import Description
from mmdiag.ingest.read import Found, Refusal, read_sources
from mmdiag.ingest.reports import TableReport
from mmdiag.kinds import KINDS, NOTE, PARTS
from mmdiag.reasons import REASONS
from mmdiag.storage.colours import COLOURS_FILE, NO_COLOURS, colours_start, shows_colour
from mmdiag.storage.display.spool import DisplaySpool
from mmdiag.storage.recordings import write_recordings

QUARANTINE_COLUMNS = [
    "case_id",
    "version",
    "modality",
    "code",
    "rule",
    "detail",
    "file_sha256",
    "cure",
]
FINGERPRINT_COLUMNS = [
    "case_id",
    "version",
    "modality",
    "pixel_sha256",
    "perceptual",
    "text_sha256",
    "n_masked",
]
NOT_VALIDATED = ("pixel_sha256", "perceptual", "text_sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlan:
    """What one shard is asked to read.

    Args:
        versions: Case -> version.
        digests: Case -> modality -> hash of its files.
        failing_rule: Case -> the rule that its row in the case table breaks: it is refused unread.
        overridden: Case -> (modality, reason code) pairs that a person accepted.
    """

    versions: Mapping[str, str]
    digests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    failing_rule: Mapping[str, str] = field(default_factory=dict)
    overridden: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)

    def is_overridden(self, case_id: str, modality: str, code: str) -> bool:
        """Whether a person accepted what this code refuses."""
        return any((modality, code) == tuple(pair) for pair in self.overridden.get(case_id, ()))


def write_shard(
    folder: Path,
    description: Description,
    cases: Sequence[Case],
    planned: ShardPlan,
    subjects: frozenset[str],
    identifiers: Mapping[str, Sequence[str]],
    columns: Mapping[str, Sequence[str]],
    reports: Mapping[str, TableReport] | None = None,
) -> None:
    """Read, validate and write one shard; does nothing where the folder is there.

    Args:
        subjects: Subjects of the whole cohort: a file that names another one of them lies in the
            wrong place.
        identifiers: Case -> what identifies its person, to be masked in its notes.
        columns: Table modality -> the columns of the cohort.
        reports: Table modality -> how its tables were read.

    Writes `<modality>.npy` (images one after the other, table rows) or `<modality>.parquet`
    (notes), `<modality>-colours.npy` (channels of images that are kept in colour),
    `<modality>-display.bin` and display.parquet (images as they are to be looked at),
    manifest.parquet (verdict and places of every case), quarantine.parquet, fingerprints.parquet,
    contracts.parquet, of images poses.parquet, and of signals recordings.parquet.
    """
    if folder.is_dir():
        return
    asked = [case for case in cases if case.case_id not in planned.failing_rule]
    with DisplaySpool(folder.parent) as displays:
        found, refused = read_sources(
            description,
            asked,
            subjects,
            identifiers,
            planned.is_overridden,
            columns,
            displays,
            reports=reports,
        )
        results = validate_sources(description, found, refused, planned)
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".shard-", dir=folder.parent))
        try:
            _write_tables(
                temporary, folder.name, description, cases, planned, found, refused, results
            )
            displays.write(temporary, planned.versions, found)
            _appear(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _appear(temporary: Path, folder: Path) -> None:
    """Bring what was written to the disk, then give the folder its name."""
    for file in temporary.iterdir():
        with file.open("rb") as written:
            os.fsync(written.fileno())
    try:
        temporary.replace(folder)
    except OSError:
        if not folder.is_dir():  # else another ingestion wrote the same plan meanwhile
            raise
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Bring a rename to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def validate_sources(
    description: Description,
    found: dict[tuple[str, str], Found],
    refused: dict[tuple[str, str], Refusal],
    planned: ShardPlan,
) -> list[RuleResult]:
    """Validate what was read against the contracts; a source that breaks a rule of severity
    quarantine or block is refused, unless a person accepted it.
    """
    results: list[RuleResult] = []
    for kind in KINDS.values():
        facts = [
            one.facts
            for (_, modality), one in found.items()
            if description.modalities[modality].kind == kind.name
        ]
        if not facts:
            continue
        table = pd.DataFrame(facts).drop(columns=list(NOT_VALIDATED), errors="ignore")
        for result in validate(table, packaged_contract(kind.contract)):
            results.append(result)
            if result.severity == "warn" or result.passed:
                continue
            for row in result.failed_rows or table.index:
                key = (str(table["case_id"].iloc[row]), str(table["modality"].iloc[row]))
                if not planned.is_overridden(*key, "contract"):
                    found.pop(key, None)
                    refused.setdefault(
                        key,
                        Refusal("contract", f"{result.contract}: {result.column} {result.rule}"),
                    )
    return results


def _write_tables(
    folder: Path,
    name: str,
    description: Description,
    cases: Sequence[Case],
    planned: ShardPlan,
    found: Mapping[tuple[str, str], Found],
    refused: Mapping[tuple[str, str], Refusal],
    results: Sequence[RuleResult],
) -> None:
    _write_arrays(folder, name, description, cases, planned, found).to_parquet(
        folder / "manifest.parquet", index=False
    )
    _quarantine(cases, planned, found, refused).to_parquet(
        folder / "quarantine.parquet", index=False
    )
    prints = [{"version": planned.versions[case], **one.facts} for (case, _), one in found.items()]
    pd.DataFrame(prints).reindex(columns=FINGERPRINT_COLUMNS).astype("string").to_parquet(
        folder / "fingerprints.parquet", index=False
    )
    as_table(results).to_parquet(folder / "contracts.parquet", index=False)
    poses = [
        {
            "case_id": case_id,
            "version": planned.versions[case_id],
            "modality": modality,
            **one.extra["pose"],
            "left_out": ", ".join(one.extra.get("left_out", ())),
        }
        for (case_id, modality), one in found.items()
        if "pose" in one.extra
    ]
    if poses:
        pd.DataFrame(poses).to_parquet(folder / "poses.parquet", index=False)
    write_recordings(
        folder,
        (
            {
                "case_id": case_id,
                "version": planned.versions[case_id],
                "modality": modality,
                **one.extra["recording"],
                "seconds": one.facts["seconds"],
                "longest_s": description.modalities[modality].seconds,
            }
            for (case_id, modality), one in found.items()
            if "recording" in one.extra
        ),
    )


def _write_arrays(
    folder: Path,
    name: str,
    description: Description,
    cases: Sequence[Case],
    planned: ShardPlan,
    found: Mapping[tuple[str, str], Found],
) -> pd.DataFrame:
    rows: dict[str, dict[str, Any]] = {
        case.case_id: {"case_id": case.case_id, "version": planned.versions[case.case_id]}
        for case in cases
    }
    for modality, described in description.modalities.items():
        contents = [
            (case.case_id, found[case.case_id, modality])
            for case in cases
            if (case.case_id, modality) in found
        ]
        start, layout = 0, KINDS[described.kind].layout
        for case in cases:
            rows[case.case_id] |= {
                f"has_{modality}": False,
                f"shard_{modality}": "",
                f"start_{modality}": 0,
                f"count_{modality}": 0,
            }
        for case_id, one in contents:
            count = len(one.content) if layout == PARTS else 1
            rows[case_id] |= {
                f"has_{modality}": True,
                f"shard_{modality}": name,
                f"start_{modality}": start,
                f"count_{modality}": count,
            }
            start += count
        _write_content(folder, modality, layout, contents)
        if "colour" in KINDS[described.kind].keys:
            for case_id, first in _write_colours(folder, modality, contents).items():
                plain = bool(found[case_id, modality].extra.get("in_colour"))
                rows[case_id] |= {colours_start(modality): first, shows_colour(modality): plain}
    table = pd.DataFrame(list(rows.values()))
    has = table[[f"has_{modality}" for modality in description.modalities]].any(axis=1)
    table["verdict"] = np.where(has, "accepted", "refused")
    return table


def _write_content(
    folder: Path, modality: str, layout: str, contents: Sequence[tuple[str, Found]]
) -> None:
    if layout == NOTE:
        rows = [
            (
                case_id,
                one.content,
                json.dumps(one.extra.get("sections", [])),
                json.dumps(one.extra.get("spans", [])),
            )
            for case_id, one in contents
        ]
        pd.DataFrame(rows, columns=["case_id", "text", "sections", "spans"]).to_parquet(
            folder / f"{modality}.parquet", index=False
        )
    elif contents:
        arrays = [one.content for _, one in contents]
        np.save(
            folder / f"{modality}.npy",
            np.concatenate(arrays) if layout == PARTS else np.stack(arrays),
        )


def _write_colours(
    folder: Path, modality: str, contents: Sequence[tuple[str, Found]]
) -> dict[str, int]:
    """Write the channels of the images that have any; case -> the first row of its own, or
    `NO_COLOURS`.
    """
    starts, arrays, start = dict[str, int](), [], 0
    for case_id, one in contents:
        colours = one.extra.get("colours")
        starts[case_id] = NO_COLOURS if colours is None else start
        if colours is not None:
            arrays.append(colours)
            start += len(colours)
    if arrays:
        np.save(folder / f"{modality}{COLOURS_FILE}", np.concatenate(arrays))
    return starts


def _quarantine(
    cases: Sequence[Case],
    planned: ShardPlan,
    found: Mapping[tuple[str, str], Found],
    refused: Mapping[tuple[str, str], Refusal],
) -> pd.DataFrame:
    everything = dict(refused)
    kept = {case_id for case_id, _ in found}
    for case in cases:
        if case.case_id in planned.failing_rule:
            everything[case.case_id, ""] = Refusal("contract", planned.failing_rule[case.case_id])
        elif case.case_id not in kept:
            fact = (
                f"{len(case.sources) + len(case.faults)} of its modalities were refused or blank"
                if case.sources or case.faults
                else "none was found"
            )
            everything[case.case_id, ""] = Refusal("no_modality", fact)
    rows = [
        (
            case_id,
            planned.versions[case_id],
            modality,
            one.code,
            rule_of(one.code, one.detail),
            one.detail,
            planned.digests.get(case_id, {}).get(modality, ""),
            REASONS[one.code].cure,
        )
        for (case_id, modality), one in sorted(everything.items(), key=lambda pair: pair[0])
    ]
    return pd.DataFrame(rows, columns=QUARANTINE_COLUMNS)


def rule_of(code: str, detail: str) -> str:
    """The rule that a refusal stands for: of a contract, the rule itself."""
    return REASONS[code].rule if code != "contract" else detail
