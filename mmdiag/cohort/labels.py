"""Labels of a cohort's cases: which cases have one, their values, and what parts of a split have
alike shares of.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from mmdiag.errors import UsageError
from mmdiag.task import Task


def labelled(cases: pd.DataFrame, kind: str) -> np.ndarray:
    """Which cases have the label, or the time and event, that the task asks for."""
    if kind == "survival":
        return (cases["time"].notna() & cases["event"].notna()).to_numpy()
    return cases["label"].notna().to_numpy()


def label_values(cases: pd.DataFrame, task: Task) -> np.ndarray:
    """The label of each case, (case,); of a task with several labels (case, label). NaN =
    unknown.
    """
    if task.multilabel:
        return cases[[f"label_{name}" for name in task.labels]].to_numpy(float)
    return cases["label"].to_numpy(float)


def with_labels(cases: pd.DataFrame, given: Mapping[str, int]) -> pd.DataFrame:
    """The cases with the number of a class given to some that have no label."""
    known = cases["label"].astype(float)
    return cases.assign(label=known.fillna(cases["case_id"].map(given).astype(float)))


def stratum_of(cases: pd.DataFrame, task: Task) -> pd.Series:
    """What parts of a split have alike shares of: the label, the event, or of several labels the
    one that divides the cases most evenly.
    """
    if not task.multilabel:
        return cases["event" if task.survival else "label"]
    values = label_values(cases, task)
    shares = np.nanmean(values, axis=0)
    even = values[:, int(np.argmin(np.abs(shares - 0.5)))]
    return pd.Series(np.where(np.isnan(even), 0.0, even), index=cases.index).where(
        cases["label"].notna()
    )


def with_horizon(cases: pd.DataFrame, task: Task) -> Task:
    """A task whose probability means something: of a survival that names no horizon, of the event
    within the median time of the events of all labelled cases, so that every model of a run is
    asked the same.
    """
    if not task.survival or task.horizon:
        return task
    known = cases[labelled(cases, task.kind)]
    events = known.loc[known["event"] > 0, "time"]
    times = events if len(events) else known["time"]
    return dataclasses.replace(task, horizon=float(times.median()) if len(times) else 0.0)


def require_horizon(cases: pd.DataFrame, task: Task) -> None:
    """See whether the labelled cases tell what happens by the horizon that a task names.

    Raises:
        UsageError: None of them was followed so far, or none has its event by then.
    """
    if not task.survival or not task.horizon:
        return
    known = cases[labelled(cases, task.kind)]
    early = known["time"] <= task.horizon
    if known["time"].max() < task.horizon:
        fact = "none was followed so far"
        cure = "name an earlier one"
    elif not (early & (known["event"] > 0)).any():
        fact, cure = "none has the event by then", "name a later one"
    else:
        return
    raise UsageError(
        "What is predicted by a horizon must be known of some labelled cases, horizon = "
        f"{task.horizon:g} and {fact}: {cure}, in the unit of the times."
    )
