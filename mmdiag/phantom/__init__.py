"""A synthetic cohort with a known, switchable signal: real DICOM files, notes and genomics, and the
truth beside them.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.errors import UsageError
from mmdiag.phantom import faults, genomics, latent
from mmdiag.phantom.cohort_file import cohort_toml
from mmdiag.phantom.identifiers import header_of, make_person, sentence_of
from mmdiag.phantom.images import Box, Head, Study, write_study
from mmdiag.phantom.notes import FINDINGS, write_note

SITES = {"A": 1.0, "B": 0.7, "C": 0.85}  # site -> the scanner's gain; site C stores JPEG 2000
PATTERNS = ("random", "by-site")
SECOND_CASES = 0.05  # share of cases that are a second one of the subject before
BLANK_NOTES = 0.3  # share of the missing notes that are blank files


def write_phantom(
    out: Path,
    *,
    cases: int,
    seed: int,
    signal: str = "additive",
    missing: float = 0.0,
    pattern: str = "random",
    broken: int = 0,
    identifiers: bool = False,
    distractors: bool = False,
    progress: Callable[..., None] | None = None,
) -> dict[str, Any]:
    """Write a phantom cohort; the same options give the same bytes.

    Args:
        out: Folder; an older phantom in it is replaced.
        signal: Where the label's signal lies: `additive`, `interaction`, `redundant`,
            `one-modality` (the image) or `none`.
        missing: Share of modalities that were not acquired.
        pattern: `random`: each modality of each case by itself; `by-site`: sites lack modalities to
            different degrees.
        broken: Cases with one planted fault each.
        identifiers: Plant names, ids, dates of birth, telephone numbers and addresses.
        distractors: Plant what carries nothing of the outcome: bright spots beside a dark lesion,
            and as many sentences as findings.

    Returns:
        What truth/truth.json holds.

    Raises:
        UsageError: An unknown signal or pattern.
    """
    _check(signal, pattern)
    _empty(out)
    generator = np.random.default_rng([seed, cases, latent.SIGNALS.index(signal)])
    drawn = latent.draw(cases, signal, generator)
    table = _case_table(cases, seed, generator)
    table["label"] = (generator.random(cases) < latent.probability(drawn.u, signal)).astype(int)
    present = _present(cases, missing, pattern, table["site"].to_numpy(), generator)
    people = [make_person(i, generator) for i in range(cases)] if identifiers else []
    heads = _write_images(
        out, table, drawn.u[:, 0], present[:, 0], people, seed, distractors, progress
    )
    _write_notes(out, table, drawn.findings, present[:, 1], people, distractors, generator)
    values = genomics.expression(drawn.u[:, 2], generator)
    expression = genomics.expression_table(table["case_id"].tolist(), values)[present[:, 2]]
    planted = faults.choose(broken, present, generator)
    for case, code in planted:
        expression = faults.plant(out, table["case_id"].iloc[case], code, expression, generator)
    _write_tables(out, table, expression)
    name = _name(cases, seed, signal, missing, pattern, broken, identifiers, distractors)
    (out / "cohort.toml").write_text(cohort_toml(name))
    _write_case_truth(out, table, drawn.u, signal, planted)
    boxes = _write_boxes(out, heads, distractors)
    return _write_truth(out, _truth(seed, signal, present, people, generator) | boxes)


def _check(signal: str, pattern: str) -> None:
    if signal not in latent.SIGNALS or pattern not in PATTERNS:
        raise UsageError(
            f"A phantom's signal is one of {', '.join(latent.SIGNALS)} and its pattern of "
            f"{', '.join(PATTERNS)}, found {signal!r}, {pattern!r}: choose one."
        )


def _empty(out: Path) -> None:
    """The folders of a phantom, without what an older one left."""
    for name in ("dicom", "notes", "truth"):
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir(parents=True)


def _write_tables(out: Path, table: pd.DataFrame, expression: pd.DataFrame) -> None:
    expression.to_csv(out / "genomics.csv", index=False)
    table.to_csv(out / "cases.csv", index=False)
    (out / "pathways.gmt").write_text(genomics.gmt())


def _name(
    cases: int,
    seed: int,
    signal: str,
    missing: float,
    pattern: str,
    broken: int,
    identifiers: bool,
    distractors: bool,
) -> str:
    parts = [f"phantom-{signal}-{cases}-{seed}"]
    parts += [f"m{round(100 * missing)}"] if missing else []
    parts += [pattern] if pattern != "random" else []
    parts += [f"b{broken}"] if broken else []
    parts += ["ids"] if identifiers else []
    return "-".join([*parts, "distractors"] if distractors else parts)


def _case_table(cases: int, seed: int, generator: np.random.Generator) -> pd.DataFrame:
    case_ids = [f"P{cases}S{seed}-{i:04d}" for i in range(cases)]
    second = generator.random(cases) < SECOND_CASES
    subjects = [
        f"S{cases}S{seed}-{i - 1 if second[i] and i and not second[i - 1] else i:04d}"
        for i in range(cases)
    ]
    first = date(2024, 1, 1)
    return pd.DataFrame(
        {
            "case_id": case_ids,
            "subject_id": subjects,
            "study_date": [
                (first + timedelta(days=int(d))).isoformat()
                for d in generator.integers(0, 365, size=cases)
            ],
            "site": generator.choice(list(SITES), size=cases),
            "sex": generator.choice(["F", "M"], size=cases),
            "age_band": generator.choice(["18-39", "40-64", "65+"], size=cases),
        }
    )


def _present(
    cases: int, missing: float, pattern: str, sites: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    rate = np.full((cases, 3), missing)
    if pattern == "by-site":
        rate *= np.stack([np.where(sites == site, 2.0, 0.5) for site in SITES], axis=1)
    present: np.ndarray = generator.random((cases, 3)) >= np.clip(rate, 0, 0.95)
    empty = ~present.any(axis=1)
    present[empty, generator.integers(0, 3, size=int(empty.sum()))] = True
    return present


def _write_images(
    out: Path,
    table: pd.DataFrame,
    u: np.ndarray,
    present: np.ndarray,
    people: list[dict[str, str]],
    seed: int,
    distractors: bool,
    progress: Callable[..., None] | None,
) -> dict[str, Head]:
    heads = {}
    for i, row in enumerate(table.astype(str).to_dict("records")):
        if present[i]:
            case_id, site = row["case_id"], row["site"]
            study = Study(
                case_id,
                row["subject_id"],
                date.fromisoformat(row["study_date"]),
                site,
                SITES[site],
                site == "C",
            )
            heads[case_id] = write_study(
                out / "dicom" / case_id,
                study,
                float(u[i]),
                np.random.default_rng([seed, len(table), i]),
                header_of(people[i]) if people else None,
                distractors=distractors,
            )
        if progress:
            progress("phantom", i + 1, len(table))
    return heads


def _write_notes(
    out: Path,
    table: pd.DataFrame,
    findings: np.ndarray,
    present: np.ndarray,
    people: list[dict[str, str]],
    distractors: bool,
    generator: np.random.Generator,
) -> None:
    for i, case_id in enumerate(table["case_id"]):
        note = write_note(findings[i], generator, distractors=distractors)
        blank = generator.random() < BLANK_NOTES
        if present[i]:
            (out / "notes" / f"{case_id}.txt").write_text(
                (sentence_of(people[i]) if people else "") + note, encoding="utf-8"
            )
        elif blank:
            (out / "notes" / f"{case_id}.txt").write_text(" \n\n", encoding="utf-8")


def _write_case_truth(
    out: Path,
    table: pd.DataFrame,
    u: np.ndarray,
    signal: str,
    planted: list[tuple[int, str]],
) -> None:
    added = latent.contributions(u, signal)
    truth = table[["case_id"]].copy()
    for k, name in enumerate(latent.MODALITIES):
        truth[f"latent_{name}"] = u[:, k]
        truth[f"contribution_{name}"] = added[:, k]
    truth["logit"] = added.sum(axis=1)
    truth["probability"] = latent.probability(u, signal)
    truth["fault"] = ""
    for case, code in planted:
        truth.loc[case, "fault"] = code
    truth.to_parquet(out / "truth" / "cases.parquet", index=False)


def _write_boxes(out: Path, heads: dict[str, Head], distractors: bool) -> dict[str, Any]:
    """Where the lesions lie, and the distractors; returns the names of their files."""
    lesions = [_row_of(case, head.lesion) for case, head in heads.items()]
    pd.DataFrame(lesions).to_parquet(out / "truth" / "lesions.parquet", index=False)
    found = {"voxel_boxes": "lesions.parquet"}
    if distractors:
        others = [_row_of(case, box) for case, head in heads.items() for box in head.distractors]
        pd.DataFrame(others).to_parquet(out / "truth" / "distractors.parquet", index=False)
        found["distractor_boxes"] = "distractors.parquet"
    return found


def _row_of(case_id: str, box: Box) -> dict[str, Any]:
    ends = {
        f"{axis}_{end}": reach[n]
        for axis, reach in asdict(box).items()
        for n, end in enumerate(("from", "to"))
    }
    return {"case_id": case_id, **ends}


def _write_truth(out: Path, truth: dict[str, Any]) -> dict[str, Any]:
    (out / "truth" / "truth.json").write_text(json.dumps(truth, indent=1, sort_keys=True))
    return truth


def _truth(
    seed: int,
    signal: str,
    present: np.ndarray,
    people: list[dict[str, str]],
    generator: np.random.Generator,
) -> dict[str, Any]:
    best, by_pattern = (
        latent.best_auroc(signal, present, generator) if signal != "none" else (0.5, {})
    )
    names = genomics.gene_names()
    informative = [
        name
        for p in genomics.INFORMATIVE
        for name in names[p * genomics.GENES : (p + 1) * genomics.GENES]
    ]
    return {
        "signal": signal,
        "seed": seed,
        "best_auroc": round(best, 4),
        "best_auroc_by_pattern": {name: round(value, 4) for name, value in by_pattern.items()},
        "informative_genes": informative if signal not in ("none", "one-modality") else [],
        "informative_pathways": [genomics.pathway_name(p) for p in genomics.INFORMATIVE],
        "informative_words": [word for _, word in FINDINGS],
        "identifiers": sorted({value for person in people for value in person.values()}),
    }
