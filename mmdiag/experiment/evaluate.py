"""Metrics with intervals for every model of a run on the same held-out subjects, and the difference
between the fused model and the best single modality.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool
from numpy import ndarray

from mmdiag.cohort.labels import label_values
from mmdiag.evaluation.interplay import intershap
from mmdiag.evaluation.judged import Judged
from mmdiag.evaluation.metrics import paired_difference
from mmdiag.evaluation.verdict import (
    DIFFERENCE,
    FUSED,
    LATE_FUSION,
    RIVAL_DIFFERENCE,
    at_chance,
)
from mmdiag.experiment.baselines import baselines
from mmdiag.experiment.card.published import publish_bundle
from mmdiag.experiment.fit_id import ALL, TEST
from mmdiag.experiment.predictions import write_predictions
from mmdiag.experiment.run import Run, RunData, open_data
from mmdiag.storage.tables import write_parquet
from mmdiag.task import Task
from mmdiag.workspace import write_text

INTERPLAY = "interplay.json"


def evaluate(run: Run) -> list[dict[str, Any]]:
    """Measure every model of a run; write metrics.parquet, availability.parquet, curves.parquet,
    out_of_fold.parquet, interplay.json and predictions.parquet, and the run's bundle with its card.

    Returns:
        The metrics of docs/interface.md: model, fusion, modalities, split, metric, value, low,
        high, n.
    """
    data = open_data(run)
    task = _asked(run, data)
    held_out = _held_out(run, data)
    write_parquet(run.folder / "out_of_fold.parquet", held_out)
    rows: list[dict[str, Any]] = []
    for model, table in held_out.groupby("model", sort=False):
        facts = {
            "model": str(model),
            "fusion": run.fusion if model == FUSED else None,
            "modalities": _modalities(data, str(model)),
            "split": _split(run),
        }
        of_model = judged(data, table, _told(task, str(model)))
        found = of_model.measure(run.config.evaluation.resamples)
        rows += [{**facts, **metric} for metric in found]
    rows += _difference(run, data, held_out, rows)
    write_parquet(run.folder / "availability.parquet", _by_availability(run, data, held_out, task))
    listed = [json.dumps(row["modalities"]) for row in rows]
    write_parquet(run.folder / "metrics.parquet", pd.DataFrame(rows).assign(modalities=listed))
    curves = [pd.read_parquet(run.fit_folder(fit) / "curve.parquet") for fit in run.fits]
    write_parquet(run.folder / "curves.parquet", pd.concat(curves, ignore_index=True))
    write_text(run.folder / INTERPLAY, json.dumps(_interplay(run, data, held_out, rows), indent=1))
    fused = judged(data, held_out[held_out["model"] == FUSED], task)
    publish_bundle(run, data, fused, held_out, rows, availability_of(run))
    write_predictions(run)
    return rows


def interplay_of(run: Run) -> dict[str, Any] | None:
    """How far the answers of an evaluated run are an interplay of modalities; None of an earlier
    version.
    """
    file = run.folder / INTERPLAY
    return dict(json.loads(file.read_text())) if file.is_file() else None


def metrics_of(run: Run) -> list[dict[str, Any]]:
    """The metrics of an evaluated run."""
    return _records(run.folder / "metrics.parquet")


def availability_of(run: Run) -> list[dict[str, Any]]:
    """The metrics of an evaluated run's fused model on each availability pattern; `value` is None
    where a pattern has too few cases.
    """
    return _records(run.folder / "availability.parquet")


def _records(path: Path) -> list[dict[str, Any]]:
    rows = pd.read_parquet(path).replace({np.nan: None}).to_dict("records")
    return [
        {
            **{str(key): value for key, value in row.items()},
            "modalities": json.loads(row["modalities"]),
        }
        for row in rows
    ]


def _split(run: Run) -> str:
    return "cross-validation" if run.manifest.cross_validated else TEST


def _modalities(data: RunData, model: str) -> list[str]:
    if model == FUSED:
        return list(data.store.modalities)
    return [model] if model in data.store.modalities else []


def _held_out(run: Run, data: RunData) -> pd.DataFrame:
    """One row a held-out case and model: case_id, subject_id, model, label (or time, event),
    probability columns.
    """
    part = data.part
    evaluated = np.zeros(len(data.cases), dtype=bool)
    evaluated[data.labelled] = True
    inside = part.notna() if run.manifest.cross_validated else part == TEST
    evaluated &= inside.to_numpy()
    task = data.store.task
    labels = ["label", "time", "event", *(f"label_{name}" for name in task.labels)]
    facts = data.cases.loc[evaluated, ["case_id", "subject_id", *labels]]
    tables = [
        run.predictions(fit)[["case_id", *task.probability_columns]]
        .merge(facts, on="case_id")
        .assign(model=fit.model, part=fit.fold)
        for fit in run.fits
        if fit.fold != ALL
    ]
    table = pd.concat(tables, ignore_index=True)
    order = {model: number for number, model in enumerate(dict.fromkeys(table["model"]))}
    table = table.sort_values(
        ["model", "case_id"], key=lambda c: c.map(order) if c.name == "model" else c
    )
    return pd.concat([table, *baselines(data, part, evaluated, facts)], ignore_index=True)


def _asked(run: Run, data: RunData) -> Task:
    """The task of a run; of a survival with the horizon of its models, 0 where they have none (as
    those of 0.1).
    """
    config = json.loads((run.bundle_folder(run.final) / "config.json").read_text())
    return dataclasses.replace(data.store.task, horizon=Task.from_facts(config["task"]).horizon)


def _told(task: Task, model: str) -> Task:
    """What a model's probability is of: plain late fusion of survival only ranks."""
    return dataclasses.replace(task, horizon=0.0) if model == LATE_FUSION else task


def judged(data: RunData, table: pd.DataFrame, task: Task) -> Judged:
    """What one model said of held-out cases, and what came out.

    Args:
        table: Rows of out_of_fold.parquet.
        task: The cohort's, with the horizon that the probability is of.
    """
    probability = table[task.probability_columns].to_numpy(float)
    return Judged(
        task,
        label_values(table, task),
        probability if probability.shape[1] > 1 else probability[:, 0],
        table["subject_id"].to_numpy(),
        table["time"].to_numpy(float),
        table["event"].to_numpy(float),
        stratum=_stratum(data, table["case_id"]) if task.survival else None,
        fold=_fold(data, table),
    )


def _by_availability(run: Run, data: RunData, held_out: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Every metric of the fused model on the cases of each availability pattern (`flair+report`),
    in columns like those of metrics.parquet.

    A pattern with too few cases has its n, and no value.
    """
    fused = held_out[held_out["model"] == FUSED]
    every = judged(data, fused, task)
    present = _present(data, fused["case_id"])
    rows = []
    for pattern in np.unique(present, axis=0)[::-1]:
        modalities = np.asarray(list(data.store.modalities))[pattern].tolist()
        facts = {
            "model": FUSED,
            "fusion": run.fusion,
            "modalities": json.dumps(modalities),
            "split": _split(run),
            "availability": "+".join(modalities),
        }
        of_pattern = (present == pattern).all(axis=1)
        found = every.measure_part(of_pattern, run.config.evaluation.resamples)
        rows += [{**facts, **metric} for metric in found]
    return pd.DataFrame(rows).astype(dict.fromkeys(("value", "low", "high"), float))


def _present(data: RunData, case_ids: pd.Series) -> Bool[ndarray, "case modality"]:
    row_of = {case: row for row, case in enumerate(data.cases["case_id"])}
    rows = case_ids.map(row_of).to_numpy()
    return np.stack([data.store.present(name)[rows] for name in data.store.modalities], axis=1)


def _stratum(data: RunData, case_ids: pd.Series) -> np.ndarray | None:
    """Site of each case, else its first group: what a survival model has to know more than; None
    where the cohort has neither.
    """
    groups = (column for column in map(str, data.cases) if column.startswith("group_"))
    for name in ("site", *groups):
        if data.cases[name].notna().any():
            values = data.cases.set_index("case_id")[name].reindex(case_ids)
            return values.fillna("").astype(str).to_numpy()
    return None


def _fold(data: RunData, table: pd.DataFrame) -> np.ndarray:
    """By which fold's model each case is evaluated: ranks compare the answers of one model."""
    return data.split.of(table["subject_id"]).to_numpy()


def _difference(
    run: Run, data: RunData, held_out: pd.DataFrame, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The fused model minus the best single modality, and minus a plain late fusion, on the same
    resamples. The best modality is chosen on the same cases, which favours it.
    """
    metric = data.store.task.metric
    singles = {
        row["model"]: row["value"]
        for row in rows
        if row["metric"] == metric and row["model"] in data.store.modalities
    }
    if not singles:
        return []
    best = max(singles, key=lambda name: singles[name])
    return [
        _less(run, data, held_out, DIFFERENCE, best) | {"modalities": [best]},
        _less(run, data, held_out, RIVAL_DIFFERENCE, LATE_FUSION) | {"modalities": []},
    ]


def _less(run: Run, data: RunData, held_out: pd.DataFrame, name: str, other: str) -> dict[str, Any]:
    """The fused model minus another one."""
    task, metric = data.store.task, data.store.task.metric
    columns = task.probability_columns
    others = held_out[held_out["model"] == other][["case_id", *columns]]
    pair = held_out[held_out["model"] == FUSED].merge(others, on="case_id", suffixes=("", "_best"))
    first, second = (
        pair[[f"{column}{end}" for column in columns]].to_numpy(float) for end in ("", "_best")
    )
    found = _paired(
        run,
        data,
        pair,
        first if len(columns) > 1 else first[:, 0],
        second if len(columns) > 1 else second[:, 0],
    )
    facts = {"model": name, "fusion": run.fusion, "split": _split(run)}
    return {**facts, "metric": metric, **found}


def _paired(
    run: Run, data: RunData, table: pd.DataFrame, first: ndarray, second: ndarray
) -> dict[str, Any]:
    """What one model is better by than another one, on the same resamples of held-out cases."""
    task = data.store.task
    return paired_difference(
        label_values(table, task),
        first,
        second,
        metric=task.metric,
        kind=task.kind,
        subject=table["subject_id"].to_numpy(),
        time=table["time"].to_numpy(float),
        event=table["event"].to_numpy(float),
        fold=_fold(data, table),
        seed=0,
        resamples=run.config.evaluation.resamples,
    )


def _interplay(
    run: Run, data: RunData, held_out: pd.DataFrame, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """How far held-out answers are an interplay of modalities, and whether the model is better than
    its additive part.
    """
    task = data.store.task
    tables = [run.predictions(fit) for fit in run.fits if fit.fused and fit.fold != ALL]
    fused = held_out[held_out["model"] == FUSED]
    why = at_chance(rows)
    found: dict[str, Any] = {"shown": not why, "at_chance": why or None}
    table = fused.merge(pd.concat(tables, ignore_index=True), on="case_id", suffixes=("", "_fit"))
    matrices = [json.loads(m) for m in table.get("interaction", ()) if isinstance(m, str)]
    known = len(matrices) == len(table) > 0
    subject = table["subject_id"].to_numpy()
    found["intershap"] = intershap(np.asarray(matrices), subject=subject) if known else None
    found["additive"] = None
    if "additive_log_odds" not in table or table["additive_log_odds"].isna().any():
        return found
    whole, part = (table[name].to_numpy(float) for name in ("log_odds", "additive_log_odds"))
    less = _paired(run, data, table, whole, part)
    value = next(
        row["value"] for row in rows if row["model"] == FUSED and row["metric"] == task.metric
    )
    found["additive"] = {**less, "whole": value, "part": value - less["value"]}
    return found
