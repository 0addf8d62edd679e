"""What a model must beat: a plain late fusion, the cohort's prevalence, a model that sees only
which modalities are there, and of survival what a group alone says.
"""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int
from numpy import ndarray
from sklearn.linear_model import LogisticRegression

from mmdiag.cohort.labels import label_values, with_horizon
from mmdiag.evaluation.horizon import chance_by
from mmdiag.evaluation.verdict import BASELINE
from mmdiag.experiment.late_fusion import late_fusion
from mmdiag.experiment.run import RunData

PREVALENCE, AVAILABILITY = f"{BASELINE}prevalence", f"{BASELINE}availability"


def baselines(
    data: RunData, part: pd.Series, held_out: Bool[ndarray, "case"], facts: pd.DataFrame
) -> list[pd.DataFrame]:
    """Predictions of each baseline for the held-out cases.

    Args:
        part: Part of the split of each case.
        held_out: Which cases are evaluated.
        facts: What is known of them, one row each: keys and labels.

    Returns:
        For each baseline the rows of `facts` with `model`, `part` and the probability columns.
    """
    task = data.store.task
    rival = late_fusion(data, part, held_out, facts)
    if task.survival:
        known, horizon = data.cases.iloc[data.labelled], with_horizon(data.cases, task).horizon
        time, event = known["time"].to_numpy(float), known["event"].to_numpy(float)
        chance = chance_by(horizon, time, event)
        constant = facts.assign(model=PREVALENCE, part="", probability=chance)
        groups = by_group(data.cases, data.labelled, part, held_out, facts, horizon)
        return [rival, constant, *groups]
    columns = task.probability_columns
    shares = _prevalence(data, len(columns))
    constant = facts.assign(model=PREVALENCE, part="", **dict(zip(columns, shares, strict=True)))
    if task.multilabel:
        return [rival, constant]
    predicted = _by_availability(data, part, held_out, len(columns))
    answers = {column: predicted[held_out, i] for i, column in enumerate(columns)}
    return [rival, constant, facts.assign(model=AVAILABILITY, part="", **answers)]


def _prevalence(data: RunData, answers: int) -> list[float]:
    """Share of the positive class, or of each class or label, among the labelled cases."""
    values = label_values(data.cases, data.store.task)[data.labelled]
    if data.store.task.multilabel:
        return [float(share) for share in np.nanmean(values, axis=0)]
    if answers == 1:
        return [float(np.mean(values))]
    return [float(np.mean(values == number)) for number in range(answers)]


def _by_availability(
    data: RunData, part: pd.Series, held_out: Bool[ndarray, "case"], answers: int
) -> np.ndarray:
    """Probabilities (case, answer) of a logistic regression on which modalities are there, fitted
    outside of each part.
    """
    labels = data.cases["label"].to_numpy(float)
    present = np.stack([data.store.present(name) for name in data.store.modalities], axis=1)
    present = present.astype(float)
    predicted = np.zeros((len(data.cases), answers))
    for name in sorted(part[held_out].unique()):
        inside = held_out & (part == name).to_numpy()
        others = [row for row in data.taught if part.iloc[row] != name]
        chances = np.zeros((int(inside.sum()), max(answers, 2)))
        known, classes = labels[others].astype(int), np.unique(labels[others].astype(int))
        if len(classes) > 1:  # of a class that none of the others has nothing is said
            model = LogisticRegression().fit(present[others], known)
            chances[:, classes] = model.predict_proba(present[inside])
        else:
            chances[:, classes] = 1.0
        predicted[inside] = chances[:, 1:] if answers == 1 else chances
    return predicted


def by_group(
    cases: pd.DataFrame,
    labelled_rows: Int[ndarray, "labelled"],
    part: pd.Series,
    held_out: Bool[ndarray, "case"],
    facts: pd.DataFrame,
    horizon: float,
) -> list[pd.DataFrame]:
    """What a group column alone says of survival, such as the kind of cancer: events a time of the
    group's other cases, as a chance by the horizon.
    """
    labelled = np.zeros(len(cases), dtype=bool)
    labelled[labelled_rows] = True
    groups = [name for name in map(str, cases) if name.startswith("group_")]
    found = []
    for column in (name for name in groups if cases[name].notna().any()):
        group, rate = cases[column].fillna("").astype(str), np.zeros(len(cases))
        for name in sorted(part[held_out].unique()):
            others = cases[labelled & (part != name).to_numpy()]
            sums = others.groupby(group[others.index])[["event", "time"]].sum()
            overall = float(sums["event"].sum() / sums["time"].sum())
            inside = held_out & (part == name).to_numpy()
            rates = sums["event"] / sums["time"].clip(lower=1e-9)
            rate[inside] = group[inside].map(rates).fillna(overall)
        chance = 1 - np.exp(-rate[held_out] * horizon)
        model = f"{BASELINE}{column.removeprefix('group_')}"
        found.append(facts.assign(model=model, part="", probability=chance))
    return found
