"""One shard: read the sources of some cases, hold what was found against the contracts, and write a folder that appears whole or not at all."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.cases import Case, Source
from mmdiag.contracts import RuleResult, hold, packaged_contract
from mmdiag.description import Description, ModalityDescription
from mmdiag.errors import ReadError
from mmdiag.readers.dicom import read_series
from mmdiag.readers.notes import clean_note, read_note
from mmdiag.readers.pictures import read_nifti, read_picture, to_stored
from mmdiag.readers.tables import KEY, NumericTable, read_numbers, read_text_table
from mmdiag.reasons import REASONS

PICTURES = (".png", ".jpg", ".jpeg")
NIFTI = (".nii", ".nii.gz")
CONTRACT_OF = {"image": "images", "text": "notes", "table": "tables"}
QUARANTINE_COLUMNS = ["case_id", "version", "modality", "code", "rule", "detail", "file_sha256", "cure"]


@dataclass(frozen=True, slots=True)
class Found:
    """One source that was read: its content, and the facts that its contract judges."""

    content: Any
    facts: dict[str, Any]


@dataclass(slots=True)
class Shard:
    """What was read of some cases, before it is written."""

    found: dict[tuple[str, str], Found] = field(default_factory=dict)
    refused: dict[tuple[str, str], tuple[str, str, str]] = field(default_factory=dict)  # (case, modality) -> code, detail, file hash


def read_shard(description: Description, cases: Sequence[Case], subjects: frozenset[str]) -> Shard:
    """Read every source of some cases; what cannot be read is refused by itself, and its case keeps the rest.

    Args:
        subjects: Subjects of the whole cohort: a file that names another one of them lies in the wrong place.
    """
    shard = Shard()
    for case in cases:
        for name, source in case.sources.items():
            try:
                found = _read(description.modalities[name], case, source, subjects)
            except ReadError as refusal:
                shard.refused[case.case_id, name] = (refusal.code, refusal.detail, _sha256(source))
            else:
                if found is not None:
                    shard.found[case.case_id, name] = found
    return shard


def _read(modality: ModalityDescription, case: Case, source: Source, subjects: frozenset[str]) -> Found | None:
    facts: dict[str, Any] = {"case_id": case.case_id, "modality": modality.name}
    if modality.kind == "image":
        return _image(modality, case, source, subjects, facts)
    if modality.kind == "text":
        return _note(modality, source, facts)
    return _row(modality, source, facts)


def _image(modality: ModalityDescription, case: Case, source: Source, subjects: frozenset[str], facts: dict[str, Any]) -> Found | None:
    suffix = "".join(source.files[0].suffixes[-2:]).lower() if len(source.files) == 1 else ""
    spacing, gap, hounsfield = (float("nan"), float("nan")), float("nan"), False
    if suffix.endswith(PICTURES):
        volume = read_picture(source.files[0])
    elif suffix.endswith(NIFTI):
        volume = read_nifti(source.files[0])
    else:
        series = read_series(source.files, modality.select)
        if series is None:
            return None
        if series.patient_id in subjects - {case.subject_id, case.case_id}:
            raise ReadError("patient_mismatch", "its files name another subject of the cohort")
        volume, spacing, gap, hounsfield = series.volume, series.spacing_mm, series.gap_mm, series.modality == "CT"
    stored = to_stored(volume, modality.size, modality.slices, hounsfield=hounsfield)
    facts |= {
        "n_slices": len(volume), "height": volume.shape[1], "width": volume.shape[2], "low": stored.low, "high": stored.high,
        "spacing_row_mm": spacing[0], "spacing_column_mm": spacing[1], "slice_gap_mm": gap, "share_black": float((stored.stack < 5).mean()),
    }  # fmt: skip
    return Found(stored.stack, facts)


def _note(modality: ModalityDescription, source: Source, facts: dict[str, Any]) -> Found | None:
    if source.key is None:
        text = read_note(source.files[0])
    else:
        notes = _notes_table(source.files, _stamp(source.files), str(modality.key), str(modality.column))
        if len(notes[source.key]) > 1 and modality.rows == "refuse":
            raise ReadError("duplicate_row", f"{len(notes[source.key])} notes")
        text = clean_note(notes[source.key][0].encode(), source.files[0].name)
    if text is None:
        return None
    printable = sum(c.isprintable() or c in "\n\t" for c in text) / len(text)
    return Found(text, facts | {"n_characters": len(text), "n_words": len(text.split()), "share_printable": printable})


def _row(modality: ModalityDescription, source: Source, facts: dict[str, Any]) -> Found | None:
    table = numbers_of(source.files, modality)
    key = str(source.key)
    if key in table.refused:
        raise ReadError(*table.refused[key])
    row = table.values.loc[key].to_numpy(dtype=np.float32)
    missing = int(np.isnan(row).sum())
    if missing == len(row):
        return None  # a row without a value: not measured
    facts |= {
        "n_values": len(row),
        "n_missing": missing,
        "share_missing": missing / len(row),
        "low": float(np.nanmin(row)),
        "high": float(np.nanmax(row)),
    }
    return Found(row, facts)


def numbers_of(files: Sequence[Path], modality: ModalityDescription) -> NumericTable:
    """A table modality's numbers, read once a process."""
    return _numbers(tuple(files), _stamp(files), str(modality.key), modality.columns, modality.exclude, modality.rows)


@lru_cache(maxsize=8)
def _numbers(
    files: tuple[Path, ...], stamp: tuple[int, ...], key: str, columns: tuple[str, ...], exclude: tuple[str, ...], rows: str
) -> NumericTable:
    del stamp  # only there so that a changed file is read again
    return read_numbers(files, key, columns, exclude, rows)


@lru_cache(maxsize=8)
def _notes_table(files: tuple[Path, ...], stamp: tuple[int, ...], key: str, column: str) -> Mapping[str, tuple[str, ...]]:
    del stamp
    table = read_text_table(files, key)
    return {str(case): tuple(map(str, rows)) for case, rows in table.groupby(KEY)[column]}


def _stamp(files: Sequence[Path]) -> tuple[int, ...]:
    return tuple(file.stat().st_mtime_ns for file in files)


def _sha256(source: Source) -> str:
    if source.key is not None:
        return ""
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in source.files if file.is_file())).hexdigest()


def judge(shard: Shard, description: Description) -> list[RuleResult]:
    """Hold what was read against the contracts; a source that breaks a rule of severity quarantine or block is refused."""
    results: list[RuleResult] = []
    for kind, name in CONTRACT_OF.items():
        facts = [found.facts for (_, modality), found in shard.found.items() if description.modalities[modality].kind == kind]
        if not facts:
            continue
        table = pd.DataFrame(facts)
        for result in hold(table, packaged_contract(name)):
            results.append(result)
            if result.severity == "warn" or result.passed:
                continue
            for row in result.failed_rows or table.index:
                key = (str(table["case_id"].iloc[row]), str(table["modality"].iloc[row]))
                shard.found.pop(key, None)
                shard.refused.setdefault(key, ("contract", f"{result.contract}: {result.column} {result.rule}", ""))
    return results


def write_shard(
    folder: Path,
    description: Description,
    cases: Sequence[Case],
    versions: Mapping[str, str],
    subjects: frozenset[str],
    broken: Mapping[str, str],
) -> None:
    """Read, judge and write one shard; does nothing where the folder is there.

    Args:
        versions: Case -> version.
        subjects: Subjects of the whole cohort.
        broken: Case -> the rule that its row in the case table breaks: it is refused unread.

    Writes `<modality>.npy` (images one after the other, table rows) or `<modality>.parquet` (notes), manifest.parquet (verdict and places of every
    case), quarantine.parquet and contracts.parquet.
    """
    if folder.is_dir():
        return
    shard = read_shard(description, [case for case in cases if case.case_id not in broken], subjects)
    results = judge(shard, description)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".shard-", dir=folder.parent))
    try:
        manifest = _write_arrays(temporary, folder.name, description, cases, versions, shard)
        manifest.to_parquet(temporary / "manifest.parquet", index=False)
        _quarantine(cases, versions, shard, broken).to_parquet(temporary / "quarantine.parquet", index=False)
        contracts = [asdict(result) | {"failed": len(result.failed_rows) if not result.passed else 0} for result in results]
        columns = ["contract", "rule", "column", "severity", "why", "checked", "failed"]
        pd.DataFrame(contracts, columns=columns).to_parquet(temporary / "contracts.parquet", index=False)
        for file in temporary.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        temporary.chmod(0o755)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_arrays(
    folder: Path, name: str, description: Description, cases: Sequence[Case], versions: Mapping[str, str], shard: Shard
) -> pd.DataFrame:
    rows: dict[str, dict[str, Any]] = {case.case_id: {"case_id": case.case_id, "version": versions[case.case_id]} for case in cases}
    for modality, described in description.modalities.items():
        contents = [
            (case.case_id, shard.found[case.case_id, modality].content) for case in cases if (case.case_id, modality) in shard.found
        ]
        start = 0
        for case in cases:
            rows[case.case_id] |= {f"has_{modality}": False, f"shard_{modality}": "", f"start_{modality}": 0, f"count_{modality}": 0}
        for case_id, content in contents:
            count = len(content) if described.kind == "image" else 1
            rows[case_id] |= {f"has_{modality}": True, f"shard_{modality}": name, f"start_{modality}": start, f"count_{modality}": count}
            start += count
        _write_content(folder, modality, described.kind, contents)
    table = pd.DataFrame(list(rows.values()))
    table["verdict"] = np.where(table[[f"has_{modality}" for modality in description.modalities]].any(axis=1), "accepted", "refused")
    return table


def _write_content(folder: Path, modality: str, kind: str, contents: Sequence[tuple[str, Any]]) -> None:
    if kind == "text":
        pd.DataFrame(contents, columns=["case_id", "text"]).to_parquet(folder / f"{modality}.parquet", index=False)
    elif contents:
        arrays = [content for _, content in contents]
        np.save(folder / f"{modality}.npy", np.concatenate(arrays) if kind == "image" else np.stack(arrays))


def _quarantine(cases: Sequence[Case], versions: Mapping[str, str], shard: Shard, broken: Mapping[str, str]) -> pd.DataFrame:
    refused = dict(shard.refused)
    kept = {case_id for case_id, _ in shard.found}
    for case in cases:
        if case.case_id in broken:
            refused[case.case_id, ""] = ("contract", broken[case.case_id], "")
        elif case.case_id not in kept:
            refused[case.case_id, ""] = (
                "no_modality",
                f"{len(case.sources)} of its modalities were refused or blank" if case.sources else "none was found",
                "",
            )
    rows = [
        (
            case_id,
            versions[case_id],
            modality,
            code,
            REASONS[code].rule if code != "contract" else detail,
            detail,
            sha256,
            REASONS[code].cure,
        )
        for (case_id, modality), (code, detail, sha256) in sorted(refused.items())
    ]
    return pd.DataFrame(rows, columns=QUARANTINE_COLUMNS)
