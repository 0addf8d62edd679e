"""Which columns of a table moved the answer: the linear members' and the trees' by their values,
the networks' through what is fitted of them.
"""

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mmdiag.explain.within.probe import Explanation, Probe
from mmdiag.inference.columns import align
from mmdiag.prepare.blocks.preparation import COLUMNS
from mmdiag.prepare.preparation import Preparation
from mmdiag.readers.tables.categories import known_categories
from mmdiag.storage.store import Store

MOST = 1000  # columns that are kept, those that add most; what others add has no place
MOST_GROUPS = 20
LEAST = 1e-7


def explain_table(probe: Probe, store: Store, name: str, row: int) -> Explanation:
    """The value of each column, in the order of how much it adds; beside it `z`, its deviation from
    the training mean, and `percentile`, where the case stands in the cohort.
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
