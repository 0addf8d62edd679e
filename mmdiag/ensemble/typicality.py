"""How unlike its training cases a case is, one modality at a time: a p-value against training cases
that were left out, so that of cases like them one in twenty is below .05.

No training case is kept: of each block of features its mean and leading directions, and of each
measure of unlikeness its quantiles over the cases that were left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from mmdiag.ensemble import Fold

DIRECTIONS, CASES_A_DIRECTION = 16, 8
QUANTILES = 255
FURTHEST = 50.0  # reaches beyond all cases that are told apart from more
ROUNDED = 1e-5  # of a square, which a bundle keeps the parts of in 32 bits
FEWEST = 2  # cases: of no more it is not known what is usual
FALSE_ALARMS = 0.03  # share of cases like those of the training that may be told apart


@dataclass(frozen=True, slots=True)
class Cloud:
    """Where the training cases lie in a block of features.

    Args:
        deviation: Along each direction; 1 where there are fewer directions.
    """

    center: Float[ndarray, "feature"]
    directions: Float[ndarray, "feature direction"]
    deviation: Float[ndarray, "direction"]

    def measures(self, rows: Float[ndarray, "case feature"]) -> Float[ndarray, "case measure"]:
        """How far along the directions, and how far from all of them."""
        away = rows - self.center
        along = away @ self.directions
        used = max(int((self.directions != 0).any(axis=0).sum()), 1)
        distance = ((along / self.deviation) ** 2).sum(axis=1) / used
        whole = (away**2).sum(axis=1)
        beside = whole - (along**2).sum(axis=1)
        # directions that span all there is leave nothing but what rounding leaves
        beside = np.where(beside > ROUNDED * whole, beside, 0.0) / rows.shape[1]
        return np.stack([distance, beside], axis=1)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Quantiles of measures over the cases that were left out.

    Args:
        quantiles: Of each measure, rising; the last row is of the smallest of their p-values.
        cases: How many were left out.
    """

    quantiles: Float[ndarray, "measure quantile"]
    cases: int

    def each(self, measures: Float[ndarray, "case measure"]) -> Float[ndarray, "case measure"]:
        """Of each measure alone how many of the left-out cases have a value as large; beyond all
        of them less than one, the less the further, as an exponential tail has it.
        """
        found = []
        for values, row in zip(_kept(measures.T), _kept(self.quantiles), strict=False):
            share = 1 - np.searchsorted(row, values, side="left") / QUANTILES
            beyond = (values - row[-1]).clip(min=0) / _reach(row)
            found.append((1 + self.cases * share) / (self.cases + 1) * _falling(beyond))
        return np.stack(found, axis=1)

    def p_values(self, measures: Float[ndarray, "case measure"]) -> Float[ndarray, "case"]:
        """How many of the left-out cases are as unlike in some measure; beyond all of them less
        than 1 / (cases + 1).
        """
        smallest, row = _kept(self.each(measures).min(axis=1)), _kept(self.quantiles[-1])
        share = np.searchsorted(row, smallest, side="right") / QUANTILES
        beyond = np.minimum(smallest / row[0], 1.0) if row[0] > 0 else 1.0
        found: ndarray = (1 + self.cases * share) / (self.cases + 1) * beyond
        return found.astype(float)

    def above(self, p_value: float) -> float:
        """Which share of cases like those of the training has a larger p-value: more than others
        would where many of these are alike, as notes from one template are.
        """
        row = _kept(self.quantiles[-1])
        share = np.searchsorted(row, row, side="right") / QUANTILES
        return float(np.mean((1 + self.cases * share) / (self.cases + 1) > p_value))


def _reach(row: Float[ndarray, "_"]) -> float:
    """How far the largest fifth of some values lies above the others, in the mean: the scale of
    their tail.
    """
    top = row[int(0.8 * (len(row) - 1)) :].astype(float)
    return max(float((top - top[0]).mean()), 1e-6 * max(float(np.abs(row).max()), 1e-6))


def _falling(beyond: Float[ndarray, "_"]) -> Float[ndarray, "_"]:
    found: ndarray = np.exp(-beyond.astype(float).clip(max=FURTHEST))
    return found


def _kept(values: Float[ndarray, "..."]) -> Float[ndarray, "..."]:
    """Values as a bundle keeps its quantiles: one that many cases share, such as the share of
    columns that they lack, is else beyond itself.
    """
    return values.astype(np.float32)


def fit_cloud(rows: Float[ndarray, "case feature"]) -> Cloud:
    """Mean and leading directions of some cases."""
    center = rows.mean(axis=0)
    away = rows - center
    kept = max(1, min(DIRECTIONS, len(rows) // CASES_A_DIRECTION, rows.shape[1]))
    values, vectors = np.linalg.eigh(away @ away.T)
    values, vectors = values[::-1][:kept], vectors[:, ::-1][:, :kept]
    length = np.sqrt(values.clip(min=0))
    directions = np.zeros((rows.shape[1], DIRECTIONS))
    # of rows of which many are alike, the others are what rounding leaves
    sound = values > ROUNDED * max(float(values[0]), 1e-12)
    directions[:, :kept] = np.where(sound, away.T @ vectors / np.maximum(length, 1e-6), 0.0)
    deviation = np.ones(DIRECTIONS)
    deviation[:kept] = np.where(sound, length / np.sqrt(max(len(rows), 1)), 1.0)
    return Cloud(center, directions, deviation)


def rescaling(
    rows: Float[ndarray, "case feature"], train: Int[ndarray, "_"]
) -> Float[ndarray, "feature"]:
    """What rows that were standardised on all cases are multiplied by, to be as some of them alone
    would have standardised them: a value that is far from all others made its own scale wide. 0
    where a feature does not vary among those.
    """
    all_of, some = rows.std(axis=0), rows[train].std(axis=0)
    found: ndarray = np.where(some > 1e-6, all_of / np.maximum(some, 1e-6), 0.0)
    return found


def calibrate(
    measure: Callable[[Int[ndarray, "_"], Int[ndarray, "_"]], Float[ndarray, "_ measure"]],
    cases: int,
    folds: Sequence[Fold],
) -> tuple[Calibration, Float[ndarray, "case"]]:
    """Measure each case by what the others are like.

    Args:
        measure: (rows to learn from, rows to measure) -> their measures.

    Returns:
        The quantiles, and the p-value of each case beside the others: as one that comes later is
        judged by all. The largest of a few is else as unlike as can be, in every measure.
    """
    parts = [(test, measure(train, test)) for train, test in folds]
    found = np.zeros((cases, parts[0][1].shape[1]))
    for test, values in parts:
        found[test] = values
    grid = np.linspace(0, 1, QUANTILES)
    smallest = np.stack([_beside_others(values) for values in found.T], axis=1).min(axis=1)
    rows = [*np.quantile(found, grid, axis=0).T, np.quantile(smallest, grid)]
    own = _ranked(-smallest)
    if cases > FEWEST:
        first, second = np.sort(smallest)[:2]
        own[smallest.argmin()] *= first / second
    return Calibration(np.stack(rows), cases), own


def _ranked(values: Float[ndarray, "case"]) -> Float[ndarray, "case"]:
    """Of each value the share of all that are as large."""
    found: ndarray = 1 - np.searchsorted(np.sort(values), values, side="left") / len(values)
    return found


def _beside_others(values: Float[ndarray, "case"]) -> Float[ndarray, "case"]:
    """`Calibration.each` of every value, beside all but itself."""
    found = _ranked(values)
    if len(values) > FEWEST:
        others = np.sort(values)[:-1]
        reach = _reach(np.quantile(others, np.linspace(0, 1, QUANTILES)))
        gap = np.asarray([(values.max() - others[-1]) / reach])
        found[values.argmax()] *= float(_falling(gap)[0])
    return found


def threshold(p_values: Float[ndarray, "case modality"]) -> float:
    """The p-value below which a case is told to be unlike the training cases: so that of these at
    most `FALSE_ALARMS` would be.

    Args:
        p_values: Of the training cases by what the others are like; NaN where one lacks a modality.
    """
    with np.errstate(invalid="ignore"):
        smallest = np.nanmin(np.where(np.isnan(p_values), 2.0, p_values), axis=1)
    allowed = int(FALSE_ALARMS * len(smallest))
    return min(float(np.sort(smallest)[allowed]), FALSE_ALARMS) if len(smallest) else 0.0
