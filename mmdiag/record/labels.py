"""Labels as the record keeps them: one JSON text a case, with classes by their names, so that a
class that is added moves nothing.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.cohort.labels import labelled
from mmdiag.spelling import place_among
from mmdiag.storage.ledger import Ledger
from mmdiag.task import Task


def json_labels(cases: pd.DataFrame, task: Task) -> dict[str, str]:
    """Case -> its label as JSON, of all cases that have one.

    Args:
        cases: The case table: case_id, label, time, event, label_<name>.
    """
    known = cases[labelled(cases, task.kind)]
    if not len(known):
        return {}
    names = ["label"]  # few values, and each is written many times
    if task.survival:
        names = ["time", "event"]
    elif task.multilabel:
        names = [f"label_{name}" for name in task.labels]
    cells = list(zip(*(known[name].astype(float).tolist() for name in names), strict=True))
    text = {one: json.dumps(_plain(one, task)) for one in dict.fromkeys(cells)}
    return {str(case): text[one] for case, one in zip(known["case_id"], cells, strict=True)}


def label_columns(values: list[str], task: Task) -> pd.DataFrame:
    """What `json_labels` wrote, as columns of a case table again; NaN = unknown."""
    columns = ["label", "time", "event", *(f"label_{name}" for name in task.labels)]
    rows = [_columns(json.loads(value), task) for value in values]
    return pd.DataFrame(rows, columns=columns).astype(float)


def class_number(task: Task, name: str) -> int | None:
    """The number of a class by a spelling of its name: which one is the most frequent may change;
    None where the task has no such class.
    """
    return place_among(str(name), task.classes)


def labels_before(folder: Path, ledger: Ledger, cohort: str) -> frozenset[str]:
    """Cases that had a label before labels were stamped: those of the cohort that an earlier
    version committed. When theirs were first seen is not known, and nothing that was predicted
    counts as predicted before.
    """
    file = folder / "cases.parquet"
    if ledger.labels_stamped(cohort) or cohort not in set(ledger.cohorts()["name"]):
        return frozenset()
    if not file.is_file():
        return frozenset()
    cases = pd.read_parquet(file)
    columns = [c for c in ("label", "time") if c in cases]
    return frozenset(cases.loc[cases[columns].notna().any(axis=1), "case_id"].map(str))


def _plain(cells: tuple[float, ...], task: Task) -> Any:
    if task.survival:
        return list(cells)
    if task.multilabel:
        found = zip(task.labels, cells, strict=True)
        return {name: None if np.isnan(value) else value for name, value in found}
    return task.classes[int(cells[0])] if task.kind == "multiclass" else cells[0]


def _columns(value: Any, task: Task) -> dict[str, float]:
    if task.survival:
        return {"time": value[0], "event": value[1]}
    if task.multilabel:
        given = {
            f"label_{name}": float("nan") if value.get(name) is None else value[name]
            for name in task.labels
        }
        return {"label": 1.0, **given}
    if task.kind == "multiclass":
        number = class_number(task, value)
        return {"label": float("nan") if number is None else float(number)}
    return {"label": value}
