"""Labels of a cohort's cases: which cases have one, their values, and what parts of a split have
alike shares of.
"""

import numpy as np
import pandas as pd

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
