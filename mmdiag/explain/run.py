"""Explain the held-out cases of a run, each once: a file of maps and a file of words and genes a
case.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.errors import UsageError
from mmdiag.evaluation.verdict import answer_of, is_abstained
from mmdiag.experiment.predictions import predictions
from mmdiag.experiment.run import Run, open_data
from mmdiag.explain.case import explain_within
from mmdiag.explain.choice import FULL
from mmdiag.explain.doubtful import to_explain
from mmdiag.explain.drawn import content_spans, drawn_parts
from mmdiag.inference.bundle import Bundle
from mmdiag.kinds import KINDS
from mmdiag.prepare import require_same_features
from mmdiag.prepare.batches import prepare_samples
from mmdiag.progress import Progress
from mmdiag.workspace import atomic_path, write_text

CHUNK = 16


def chunks(run: Run, explain: str = FULL, full_for: int | None = None) -> list[list[str]]:
    """The held-out cases (test, or out of fold) that are to be explained in full and are not yet,
    in parts that a task can take.

    Args:
        explain: Of `mmdiag.explain.choice.CHOICES`; what a run knows of its modalities stands in
            its predictions, so that all but `full` leave nothing to do.
        full_for: So many, the abstained and most uncertain; None = all.
    """
    if explain != FULL:
        return []
    table = _published(run)
    held_out = table[table["role"].isin(["test", "out-of-fold"])]
    todo = [
        case
        for case in to_explain(held_out, explain, full_for)
        if not explanation_path(run.folder, case).with_suffix(".json").is_file()
    ]
    return [todo[start : start + CHUNK] for start in range(0, len(todo), CHUNK)]


def explain(
    run: Run,
    case_ids: Sequence[str],
    progress: Progress | None = None,
    *,
    answers: pd.DataFrame | None = None,
) -> None:
    """Explain some cases with the model that did not learn from them; cases that are explained
    already are left alone.

    Args:
        answers: case_id and bundle_id of the run's predictions; None = as they were published.
    """
    answers = (_published(run) if answers is None else answers).set_index("case_id")
    row_of = {case: row for row, case in enumerate(open_data(run).cases["case_id"])}
    fused = {run.fitted(fit)["bundle_id"]: fit for fit in run.fits if fit.fused}
    for number, case in enumerate(case_ids, start=1):
        target = explanation_path(run.folder, case)
        if not _is_whole(target):
            fit = fused[answers.loc[case, "bundle_id"]]
            bundle, data = _load(run.bundle_folder(fit)), open_data(run, fit.fold)
            sample = prepare_samples(bundle.preparations, data.raws, [row_of[case]])[0]
            found = explain_within(bundle, data.store, row_of[case], sample)
            with atomic_path(target.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
                maps: dict[str, Any] = {f"heat_{name}": heat for name, heat in found.heat.items()}
                np.savez_compressed(file, **maps)
            write_text(
                target.with_suffix(".json"),
                json.dumps({"case_id": case, **found.values}),
            )
        if progress:
            progress(number, len(case_ids), "explained")


def explanation_path(folder: Path, case_id: str) -> Path:
    """Where a case's explanation lies, without its suffix; the name says nothing of the case."""
    return folder / "explanations" / "cases" / hashlib.sha256(case_id.encode()).hexdigest()[:16]


def _is_whole(path: Path) -> bool:
    """Whether both files of an explanation are there and can be read."""
    try:
        json.loads(path.with_suffix(".json").read_text())
        with np.load(path.with_suffix(".npz")) as arrays:
            return all(arrays[name].ndim for name in arrays.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return False


def explain_case(run: Run, case_id: str) -> dict[str, Any]:
    """Everything that is known of one case: answer, contributions, weights, and what each
    modality shows: words, genes, windows of a signal.

    Raises:
        UsageError: The run has no such case.
    """
    table = predictions(run)
    row = table[table["case_id"] == case_id]
    if row.empty:
        raise UsageError(
            f"A case to explain must be one of the run's cases, {case_id} is not: `mmdiag "
            "status` shows the cohort, predictions.parquet its cases."
        )
    explain(run, [case_id], answers=table)
    facts = json.loads(row.drop(columns=["version"]).to_json(orient="records", date_format="iso"))[
        0
    ]
    facts["attention"] = json.loads(facts["attention"]) if facts.get("attention") else None
    path = explanation_path(run.folder, case_id)
    within = json.loads(path.with_suffix(".json").read_text())
    maps = path.with_suffix(".npz")
    explained = {name: values for name, values in within.items() if name in KINDS}
    store, of_case = open_data(run).store, _row_of(run, case_id)
    for name, values in explained.get("text", {}).items():  # kept ones may hold headings
        values["spans"] = content_spans(store.text(name, of_case), values["spans"])
    return {
        "cohort": run.manifest.cohort,
        "answer": answer_of(store.task, facts),
        **facts,
        **explained,
        "drawn": _drawn(run, facts, explained, maps),
        "heat_maps": str(maps.relative_to(run.workspace.path)),
    }


def _drawn(
    run: Run, facts: Mapping[str, Any], explained: Mapping[str, Any], maps: Path
) -> dict[str, dict[str, Any]]:
    """Modality -> what is drawn of it -> how many parts, their sum, and whether that has the sign
    of the contribution.
    """
    store, row = open_data(run).store, _row_of(run, facts["case_id"])
    with np.load(maps) as arrays:
        heat = {name.removeprefix("heat_"): arrays[name] for name in arrays.files}
    found: dict[str, dict[str, Any]] = {}
    for name in facts["modalities"]:
        within = explained.get(store.modalities[name], {}).get(name)
        contribution = float(facts[f"contribution_{name}"])
        for part in drawn_parts(store, row, name, within, heat.get(name), contribution):
            line = part.sentence(store.title(name), percent=not is_abstained(facts))
            found.setdefault(name, {})[part.what] = part.facts() | {"sentence": line}
    return found


def _row_of(run: Run, case_id: str) -> int:
    return int(np.flatnonzero((open_data(run).store.cases["case_id"] == case_id).to_numpy())[0])


def _published(run: Run) -> pd.DataFrame:
    """The predictions as published, where they were; built anew they cost every fit's predictions
    and their hashes.
    """
    published = run.folder / "predictions.parquet"
    return pd.read_parquet(published) if published.is_file() else predictions(run)


@lru_cache(maxsize=8)
def _load(folder: Path) -> Bundle:
    bundle = Bundle.load(folder)
    require_same_features(bundle.config, bundle.preparations)
    return bundle
