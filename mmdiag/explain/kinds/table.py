"""Which columns of a table moved the answer: the linear members' and the trees' by their values,
the networks' through what is fitted of them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from mmdiag.explain.within.probe import Explanation, Probe
from mmdiag.inference.columns import align
from mmdiag.prepare.blocks.preparation import COLUMNS
from mmdiag.prepare.preparation import Preparation
from mmdiag.readers.tables.categories import known_categories
from mmdiag.storage.store import Store

MOST = 1000  # columns that are kept, those that add most; what others add has no place
MOST_GROUPS = 20
MOST_AMONG = 20  # columns whose values are told by outcome
FEWEST = 5  # cases of an outcome, of which a distribution says something
LEAST = 1e-7


def explain_table(probe: Probe, store: Store, name: str, row: int) -> Explanation:
    """The value of each column, in the order of how much it adds; beside it `z`, its deviation from
    the training mean, `percentile`, where the case stands in the cohort, and of the first ones
    `among`, where the cases of each outcome do, and `place`, where it stands among them.
    """
    preparation, found = probe.bundle.preparations[name], probe.attribution(name)
    assert preparation.summary is not None and found is not None
    table = align(store, name, preparation).values
    values = table[row]
    if preparation.categories:
        values = known_categories(values, preparation.columns, preparation.categories)
    z = preparation.summary.standardise(values[None])[0].astype(float)
    value = found.slopes[COLUMNS] * z
    if found.columns is not None:
        value = value + found.columns[: len(z)]
    measured = np.isfinite(values)
    value = value + measured * (found.presence / max(int(measured.sum()), 1))
    order = np.argsort(-np.abs(value), kind="stable")[:MOST]
    kept = [int(i) for i in order if abs(value[i]) >= LEAST]
    parts = [
        {"name": preparation.columns[i], "value": value[i], "z": round(float(z[i]), 3), **place}
        for i, place in zip(kept, _percentiles(table, row, kept), strict=True)
    ]
    for part, among in zip(parts, _among(store, table[:, kept[:MOST_AMONG]], row), strict=False):
        part.update(among)
    words = {one for members in preparation.categories.values() for one in members}
    for part in parts:
        if part["name"] in words:  # a category is that of a case or is not: it has no place
            part["percentile"] = None
            for known in ("among", "place"):
                part.pop(known, None)
    return Explanation(parts, _groups(preparation, value), found.contribution, found.gap)


def _groups(preparation: Preparation, value: Float[ndarray, "column"]) -> list[dict[str, Any]]:
    """Named groups by the sum of their columns, the largest first."""
    if not preparation.groups or preparation.detail is None:
        return []
    shares = preparation.detail.components.reshape(len(value), len(preparation.groups), -1)
    sums = value @ (np.abs(shares).sum(axis=2) > 0)
    order = np.argsort(-np.abs(sums), kind="stable")[:MOST_GROUPS]
    return [{"name": preparation.groups[i], "value": float(sums[i])} for i in order]


def _percentiles(
    table: Float[ndarray, "case column"], row: int, columns: list[int]
) -> list[dict[str, float | None]]:
    """Percentage of the cohort's measured values that are smaller than the case's."""
    cohort = table[:, columns]
    with np.errstate(invalid="ignore"):
        below = np.where(np.isfinite(cohort), cohort < cohort[row], np.nan)
        share = np.nansum(below, axis=0) / np.maximum(np.isfinite(cohort).sum(axis=0), 1)
    measured = np.isfinite(cohort[row])
    return [
        {"percentile": round(100 * float(s), 1) if m else None}
        for s, m in zip(share, measured, strict=True)
    ]


def _among(store: Store, table: Float[ndarray, "case column"], row: int) -> list[dict[str, Any]]:
    """Where 10, 50 and 90 % of the cases of each outcome stand in each column, in percent of the
    cohort, and where the case does, on the same scale: in the middle of those with its value;
    without the subject that is asked about. Nothing where outcomes are no classes.
    """
    cases, classes = store.cases, store.task.classes
    if "label" not in cases or not classes:
        return []
    others = (cases["subject_id"] != cases["subject_id"].iloc[row]).to_numpy()
    label = cases["label"].to_numpy(dtype=float)
    found: list[dict[str, Any]] = []
    for values in table.T:
        among: dict[str, Any] = dict(_of_outcomes(values, label, others, classes))
        if among and np.isfinite(values[row]):
            among["place"] = round(float(_places(values, others)[row]), 1)
        found.append(among)
    return found


def _places(
    values: Float[ndarray, "case"], others: Bool[ndarray, "case"]
) -> Float[ndarray, "case"]:
    """Where each value stands among those of some cases, in percent; equal ones in their middle."""
    ordered = np.sort(values[others & np.isfinite(values)])
    below, upto = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    found: ndarray = 50 * (below + upto) / max(len(ordered), 1)
    return found


def _of_outcomes(
    values: Float[ndarray, "case"],
    label: Float[ndarray, "case"],
    others: Bool[ndarray, "case"],
    classes: Sequence[str],
) -> dict[str, dict[str, list[float]]]:
    known, place = others & np.isfinite(values), _places(values, others)
    found = {}
    for number, name in enumerate(classes):
        own = place[known & (label == number)]
        if len(own) >= FEWEST:
            found[name] = [round(float(at), 1) for at in np.quantile(own, (0.1, 0.5, 0.9))]
    return {"among": found} if found else {}
