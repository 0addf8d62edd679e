"""A bundle is judged on the labelled cases of a cohort whose subjects it did not learn from.
Nothing of it is recorded among the predictions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int, Real, Shaped
from numpy import ndarray

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.label_cells import described_task
from mmdiag.cohort.labels import label_values, labelled
from mmdiag.description import Description
from mmdiag.errors import UsageError
from mmdiag.evaluation.calibration import calibration
from mmdiag.evaluation.judged import TOO_FEW, Judged
from mmdiag.evaluation.subgroups import by_subgroup
from mmdiag.evaluation.verdict import FUSED, interval, metric_name
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.score import answer_rows, by_bundle_columns, said_of
from mmdiag.inference.shift import abstained_by_reason, new_sites, shift_of, usual_halves
from mmdiag.privacy.subject_keys import workspace_key
from mmdiag.progress import Progress
from mmdiag.record.model_task import require_same_question
from mmdiag.spelling import place_among
from mmdiag.storage.store import Store
from mmdiag.task import Task
from mmdiag.workspace import Workspace

RULE = "A bundle is judged on labelled cases of subjects that it did not learn from"
SPLIT = "validation"
NUMBERS = ("value", "low", "high", "n")


def require_judgeable(bundle: Bundle, description: Description, workspace: Workspace) -> None:
    """See, before anything of a cohort is read or written, whether a bundle could be judged on it.

    Raises:
        UsageError: It has another task, no label, or none of a subject that the bundle did not
            learn from.
    """
    table = read_cases(description)
    task = described_task(description, table)
    _require_task(bundle.task, task)
    if bundle.cohort["name"] == description.name:
        require_same_question(bundle.task, task, bundle.id, description.name)
    known = labelled(table, task.kind)
    if not known.any():
        raise UsageError(
            f"{RULE}, the cohort {description.name} has no label: name one under [task] in "
            f"{description.file.name}, or use `mmdiag score`."
        )
    seen = _seen(bundle, table["subject_id"][known], key_of(bundle, workspace))
    if seen.all():
        raise UsageError(_all_seen(description.name, int(known.sum())))


def validate(
    bundle: Bundle,
    description: Description,
    workspace: Workspace,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge a bundle on an ingested cohort.

    Returns:
        What docs/interface.md 3 says of `validate --json`, but for the counts of the ingestion.

    Raises:
        UsageError: None of the accepted cases can be judged on.
    """
    store, key = Store.open(workspace, description.name), key_of(bundle, workspace)
    known = labelled(store.cases, store.task.kind)
    seen = np.zeros(len(known), dtype=bool)
    seen[known] = _seen(bundle, store.cases["subject_id"][known], key)
    rows = np.flatnonzero(known & ~seen)
    if not len(rows):
        raise UsageError(_none_left(description.name, int(known.sum())))
    table = answer_rows(bundle, store, rows.tolist(), key, progress)
    judged = _judged(bundle, store, rows, table)
    can_be_told = bundle.learned_from("", key) is not None
    columns = said_of(by_bundle_columns(bundle, store))
    return _answer(bundle, store, rows, table, judged) | {
        **({"columns": columns} if columns else {}),
        "bundle": {"id": bundle.id, "path": str(bundle.folder)},
        "unseen": len(rows),
        "seen": int(seen.sum()) if can_be_told else None,
    }


def key_of(bundle: Bundle, workspace: Workspace) -> bytes | None:
    """The key by which a bundle's subjects are known: that of this workspace, else of the one in
    which the bundle lies.
    """
    key = workspace_key(workspace.path)
    inside = bundle.folder is not None and bundle.folder.parent.name == "bundles"
    if bundle.folder is None or not inside or bundle.trained_on.readable(key):
        return key
    return workspace_key(bundle.folder.parent.parent)


def _answer(
    bundle: Bundle,
    store: Store,
    rows: Int[ndarray, "judged"],
    table: pd.DataFrame,
    judged: Judged,
) -> dict[str, Any]:
    resamples = bundle.config.evaluation.resamples
    facts = {
        "model": FUSED,
        "fusion": bundle.config.fusion,
        "modalities": list(bundle.kinds),
        "split": SPLIT,
    }
    told = None
    if judged.task.kind == "binary":
        told = calibration(
            judged.label, judged.probability, subject=judged.subject, resamples=resamples
        )
    metrics = [facts | row for row in _told_here(judged.measure(resamples), told)]
    availability = _by_availability(judged, table["modalities"].tolist(), resamples)
    groups = by_subgroup(judged, _groups(store, rows), resamples)
    return {
        "metrics": metrics,
        "calibration": told,
        "by_availability": _told_here(availability, told),
        "by_subgroup": _told_here(groups, told),
        "abstained": abstained_by_reason(table),
        "shift": shift_of(table, usual_halves(bundle.folder)),
        "new_sites": new_sites(store.cases["site"].iloc[rows], bundle.folder),
        "sentence": _sentence(bundle, judged, metrics),
    }


def _told_here(rows: list[dict[str, Any]], told: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The calibration error is told once: less its bias, where that is known."""
    return [row for row in rows if told is None or row["metric"] != "ece"]


def _sentence(bundle: Bundle, judged: Judged, metrics: Sequence[dict[str, Any]]) -> str:
    """How the model fares here, beside how it was judged when it was made."""
    primary = judged.task.metric
    here = next((row for row in metrics if row["metric"] == primary), None)
    count = f"{len(judged.probability)} labelled cases of {len(np.unique(judged.subject))} subjects"
    if here is None:
        return f"{metric_name(primary)} does not exist on these {count}: they are all of one kind."
    own = _own_figure(bundle, primary)
    before = f" When it was made, it was judged with {interval(own)}." if own else ""
    few = "" if judged.enough else f" {TOO_FEW}"
    figure = f"{metric_name(primary)} {interval(here)}{_of_classes(judged)}"
    return f"On {count} it reaches {figure}.{before}{few}"


def _of_classes(judged: Judged) -> str:
    """Which classes or labels a mean over them is of, where some have no case, or no other one."""
    task, there = judged.task, len(judged.averaged)
    if task.multilabel and there < len(task.labels):
        told = f"the {there} of its {len(task.labels)} labels that differ between these cases"
    elif task.kind == "multiclass" and there < len(task.classes):
        told = f"the {there} of its {len(task.classes)} classes that these cases have"
    else:
        return ""
    return f", the mean over {told}"


def _own_figure(bundle: Bundle, metric: str) -> dict[str, Any] | None:
    """How the card says that the model was judged; a stranger may have written anything there."""
    rows = bundle.card_facts.get("metrics")
    for row in rows if isinstance(rows, list) else ():
        named = isinstance(row, dict) and (row.get("model"), row.get("metric")) == (FUSED, metric)
        if named and all(isinstance(row.get(key), int | float) for key in NUMBERS):
            return dict(row)
    return None


def _judged(
    bundle: Bundle, store: Store, rows: Int[ndarray, "judged"], table: pd.DataFrame
) -> Judged:
    cases, task = store.cases.iloc[rows], bundle.task
    probability = table[task.probability_columns].to_numpy(float)
    stratum = None
    if task.survival:
        told = [values for values in _groups(store, rows).values() if (values != "").any()]
        stratum = told[0] if told else None
    return Judged(
        task,
        _labels(cases, store.task, task),
        probability if probability.shape[1] > 1 else probability[:, 0],
        cases["subject_id"].to_numpy(),
        cases["time"].to_numpy(float),
        cases["event"].to_numpy(float),
        stratum=stratum,
    )


def _labels(cases: pd.DataFrame, theirs: Task, task: Task) -> Real[ndarray, "case *label"]:
    """The labels of some cases, numbered as the bundle numbers its classes or labels; one that the
    cohort does not tell is unknown.
    """
    if task.multilabel:
        columns = [f"label_{name}" for name in task.labels]
        return cases.reindex(columns=columns).to_numpy(float)
    values = label_values(cases, theirs)
    if task.kind != "multiclass":
        return values
    number = [place_among(name, task.classes) for name in theirs.classes]
    found: ndarray = np.asarray(number, dtype=float)[values.astype(int)]
    return found


def _by_availability(
    judged: Judged, modalities: Sequence[Sequence[str]], resamples: int
) -> list[dict[str, Any]]:
    patterns = np.asarray(["+".join(names) for names in modalities])
    rows: list[dict[str, Any]] = []
    for pattern in np.unique(patterns):
        named = {"availability": str(pattern), "modalities": str(pattern).split("+")}
        found = judged.measure_part(patterns == pattern, resamples)
        rows += [{**named, **row} for row in found]
    return rows


def _groups(store: Store, rows: Int[ndarray, "judged"]) -> dict[str, Shaped[ndarray, "judged"]]:
    """Site and group columns of some cases; "" = unknown."""
    cases = store.cases.iloc[rows]
    names = ["site", *(name for name in map(str, cases) if name.startswith("group_"))]
    return {
        name.removeprefix("group_"): cases[name].fillna("").to_numpy(str)
        for name in names
        if name in cases
    }


def _seen(bundle: Bundle, subjects: "pd.Series[str]", key: bytes | None) -> Bool[ndarray, "case"]:
    """Which cases are of a subject that the bundle is known to have learned from."""
    return np.asarray([bool(bundle.learned_from(name, key)) for name in subjects], dtype=bool)


def _require_task(own: Task, theirs: Task) -> None:
    """Is what the cohort's labels say what the bundle answers?"""
    rule = "A bundle is judged on labels of its own task"
    cure = "describe the same task under [task], or choose another bundle."
    if own.kind != theirs.kind:
        raise UsageError(f"{rule}, which is {own.kind}, the cohort's is {theirs.kind}: {cure}")
    if own.multilabel and not set(theirs.labels) <= set(own.labels):
        raise UsageError(f"{rule}, the cohort has other columns under labels: {cure}")
    unknown = sum(place_among(name, own.classes) is None for name in theirs.classes)
    if own.kind == "multiclass" and unknown:
        raise UsageError(f"{rule}, {unknown} of the cohort's classes are not among them: {cure}")


def _all_seen(cohort: str, count: int) -> str:
    return (
        f"{RULE}, of the cohort {cohort} it learned from all {count}: describe other cases; how it "
        "was judged when it was made is in its card.md."
    )


def _none_left(cohort: str, count: int) -> str:
    if count:
        return (
            f"{RULE}, of the cohort {cohort} it learned from all {count} that were accepted and "
            "have a label: describe other cases, or see `mmdiag quarantine list`."
        )
    return (
        f"{RULE}, all of the cohort {cohort} are in quarantine: `mmdiag quarantine list` says why "
        "and what to do about it."
    )
