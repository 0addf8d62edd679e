"""Columns of an input table that hold the label, or all but hold it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Integer
from numpy import ndarray
from scipy.special import gammaln
from scipy.stats import norm, rankdata

PERFECT = 0.499  # |AUROC - 0.5|
NEARLY = 0.47
NEARLY_IN_TIME = 0.95  # rank correlation with the times
FEWEST = 30  # cases, before a perfect order is worth a warning
FEWEST_TIMES = 10  # different times, before a column may be said to equal them
CHANCE = 0.01  # expected number of columns that do it by chance
GLANCE = 64  # rows that tell most columns with many values
BLOCK = 256  # columns ranked at once
CHOSEN = "chosen"  # attribute of a table: the columns that a person named as categories


@dataclass(frozen=True, slots=True)
class Holding:
    """Names of columns.

    Args:
        same: Equal to the label up to renaming, or to the time of a survival task.
        ordered: Separate a class from the rest, or order the times, without a fault.
        nearly: Do so with few faults (AUROC 0.97, rank correlation 0.95), by their values or by
            whether they were measured.
        checked: Columns.
        cases: Cases that were compared.
    """

    same: tuple[str, ...]
    ordered: tuple[str, ...]
    nearly: tuple[str, ...]
    checked: int
    cases: int


def columns_that_hold(table: pd.DataFrame, label: pd.Series) -> Holding:
    """Which columns hold a label of classes.

    Args:
        table: Numbers, indexed by case; NaN = not measured, which is a value like another: it may
            tell the label, too.
        label: Class of each case, indexed by case; NaN = unlabelled.

    A column is named only where hardly any would do so by chance (0.01 expected among all columns
    of the table): few cases, or a rare class, prove nothing. A category that a person named as an
    input (`table.attrs[CHOSEN]`) is not taken for the label itself, it only tells it.
    """
    values, known = _together(table, label)
    classes, place = np.unique(known, return_inverse=True)
    if len(classes) < 2:
        return Holding((), (), (), values.shape[1], len(known))
    members = place[:, None] == np.arange(len(classes))
    if _by_chance(members.sum(axis=0)[None, :], values.shape[1])[0] >= CHANCE:
        return Holding((), (), (), values.shape[1], len(known))
    same = np.asarray([_is_renamed(column, place, len(classes)) for column in values.T], dtype=bool)
    ordered, nearly = np.zeros_like(same), np.zeros_like(same)
    if len(known) >= FEWEST and values.shape[1]:
        reached, by_chance = _separation(values, members)
        ordered = (reached >= PERFECT) & (_chance_where_measured(values, members) < CHANCE) & ~same
        nearly = (reached >= NEARLY) & (by_chance < CHANCE) & ~same & ~ordered
    chosen = np.isin([str(name) for name in table.columns], list(table.attrs.get(CHOSEN, ())))
    ordered, same = ordered | (same & chosen), same & ~chosen
    return Holding(
        _names(table, same),
        _names(table, ordered),
        _names(table, nearly),
        values.shape[1],
        len(known),
    )


def columns_that_hold_times(table: pd.DataFrame, time: pd.Series) -> Holding:
    """Which columns equal the time of a survival task, or order it.

    Args:
        table: Numbers, indexed by case.
        time: Time of each case, indexed by case; NaN = unknown.
    """
    values, known = _together(table, time)
    measured = np.isfinite(values)
    equal = (np.isclose(values, known[:, None], rtol=1e-5, atol=0) | ~measured).all(axis=0)
    different = (
        np.asarray([len(np.unique(known[rows])) for rows in measured.T])
        if values.shape[1]
        else np.zeros(0)
    )
    same = equal & (different >= FEWEST_TIMES)
    ordered, nearly = np.zeros_like(same), np.zeros_like(same)
    candidates = np.flatnonzero(~same & (different >= FEWEST))
    for column in candidates:
        rows = measured[:, column]
        ranks = rankdata(values[rows, column]), rankdata(known[rows])
        if np.ptp(ranks[0]) > 0:
            correlation = abs(np.corrcoef(*ranks)[0, 1])
            ordered[column] = correlation > 2 * PERFECT
            nearly[column] = NEARLY_IN_TIME <= correlation <= 2 * PERFECT
    return Holding(
        _names(table, same),
        _names(table, ordered),
        _names(table, nearly),
        values.shape[1],
        len(known),
    )


def _together(
    table: pd.DataFrame, known: pd.Series
) -> tuple[Float[ndarray, "case column"], Float[ndarray, "case"]]:
    target = known.dropna()
    cases = table.index.intersection(target.index)
    return table.loc[cases].to_numpy(np.float64), target.loc[cases].to_numpy(np.float64)


def _names(table: pd.DataFrame, chosen: Bool[ndarray, "column"]) -> tuple[str, ...]:
    return tuple(str(name) for name in table.columns[chosen])


def _by_chance(counts: Integer[ndarray, "row class"], columns: int) -> Float[ndarray, "row"]:
    """Expected number of columns without any tie to the label that would hold it: over the ways to
    deal the classes out to the cases.
    """
    ways = gammaln(counts.sum(axis=1) + 1) - gammaln(counts + 1).sum(axis=1)
    chance: ndarray = columns * 2 * np.exp(-ways)
    return chance


def _is_renamed(column: ndarray, place: ndarray, classes: int) -> bool:
    """Whether every value belongs to one class, and there are hardly more values than classes."""
    if len(np.unique(column[:GLANCE], equal_nan=True)) > classes + 1:
        return False
    found, value = np.unique(column, return_inverse=True, equal_nan=True)
    if len(found) > classes + 1:
        return False
    return len(np.unique(value.ravel() * classes + place)) == len(found)


def _separation(
    values: Float[ndarray, "case column"], members: Bool[ndarray, "case class"]
) -> tuple[Float[ndarray, "column"], Float[ndarray, "column"]]:
    """How well each column separates one of the classes from all others: |AUROC - 0.5|, of its
    order among the cases in which it was measured, or of whether it was measured; and how many
    columns are expected to do so by chance.
    """
    blocks = [
        _by_order(values[:, start : start + BLOCK], members)
        for start in range(0, values.shape[1], BLOCK)
    ]
    reached, spread = (np.concatenate(part) for part in zip(*blocks, strict=True))
    by_chance = _tail(reached / spread, members.shape[1] * values.shape[1])
    measured = np.isfinite(values)
    for inside in members.T:
        apart = np.abs(measured[inside].mean(axis=0) - measured[~inside].mean(axis=0)) / 2
        expected = _tail(apart / _spread(inside.sum(), (~inside).sum()), len(reached))
        better = apart > np.where(by_chance < CHANCE, reached, 0)
        reached, by_chance = (
            np.where(better, new, old) for new, old in ((apart, reached), (expected, by_chance))
        )
    return reached, by_chance


def _by_order(
    values: ndarray, members: ndarray
) -> tuple[Float[ndarray, "column"], Float[ndarray, "column"]]:
    """The largest |AUROC - 0.5| over the classes, and the standard deviation that chance gives
    it.

    Reference:
        Mann and Whitney 1947, On a test of whether one of two random variables is stochastically
        larger than the other.
    """
    ranks = np.nan_to_num(rankdata(values, axis=0, nan_policy="omit"))
    measured = np.isfinite(values)
    number = measured.sum(axis=0)
    reached, spread = np.zeros(values.shape[1]), np.ones(values.shape[1])
    for inside in members.T:
        n = measured[inside].sum(axis=0)
        pairs = n * (number - n)
        auroc = (ranks[inside].sum(axis=0) - n * (n + 1) / 2) / np.maximum(pairs, 1)
        apart = np.where((pairs > 0) & (number >= FEWEST), np.abs(auroc - 0.5), 0.0)
        spread = np.where(apart > reached, _spread(n, number - n), spread)
        reached = np.maximum(apart, reached)
    return reached, spread


def _spread(n: Any, others: Any) -> Any:
    return np.sqrt((n + others + 1) / np.maximum(12 * n * others, 1))


def _tail(deviations: Float[ndarray, "column"], trials: int) -> Float[ndarray, "column"]:
    expected: ndarray = 2 * trials * norm.sf(deviations)
    return expected


def _chance_where_measured(values: ndarray, members: ndarray) -> Float[ndarray, "column"]:
    counts = np.isfinite(values).T.astype(np.float64) @ members
    return _by_chance(counts.astype(np.int64), values.shape[1])
