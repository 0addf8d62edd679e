"""How good the probability of an event by a time is, where some were followed for less."""

import numpy as np
from jaxtyping import Float, Real
from numpy import ndarray

from mmdiag.evaluation.bootstrap import Measure


def brier_by(
    horizon: float,
    time: Real[ndarray, "case"],
    event: Real[ndarray, "case"],
    probability: Real[ndarray, "case"],
) -> Measure:
    """Brier score of the probability of an event by a time. Who was censored before it counts not;
    the others count for them, by the inverse of their chance not to be censored. Who was censored
    at that very time had not had the event by it. NaN where nobody was followed so far, and
    somebody was censored before: what became of them is not known of anyone.

    Reference:
        Graf 1999, Assessment and comparison of prognostic classification schemes for survival data.
    """
    had = (event > 0) & (time <= horizon)
    outlived = (time >= horizon) & ~had
    free = np.where(had, _uncensored(time, event, time), _uncensored(time, event, horizon))
    errors = np.where(had, 1 - probability, probability) ** 2
    counted = had | outlived
    if not outlived.any() and not counted.all():
        return lambda weights: np.full(len(weights), np.nan)
    weighed = np.where(counted, errors / np.where(counted, free, 1.0), 0.0)
    return lambda weights: weights @ weighed / weights.sum(axis=1)


def chance_by(horizon: float, time: Real[ndarray, "case"], event: Real[ndarray, "case"]) -> float:
    """Share of all cases that have the event by a time.

    Reference:
        Kaplan and Meier 1958, Nonparametric estimation from incomplete observations.
    """
    times = np.unique(time[(event > 0) & (time <= horizon)])
    left = [1 - np.sum((time == t) & (event > 0)) / np.sum(time >= t) for t in times]
    return 1 - float(np.prod(left))


def _uncensored(
    time: Real[ndarray, "case"], event: Real[ndarray, "case"], at: Real[ndarray, "case"] | float
) -> Float[ndarray, "_"] | float:
    """Kaplan-Meier chance not to be censored before some times; an event comes before a censoring
    of the same time.
    """
    censored = np.unique(time[event <= 0])
    at_risk = np.asarray([np.sum((time > t) | ((time == t) & (event <= 0))) for t in censored])
    lost = np.asarray([np.sum((time == t) & (event <= 0)) for t in censored])
    kept = np.concatenate([[1.0], np.cumprod(1 - lost / np.maximum(at_risk, 1))])
    found: ndarray = kept[np.searchsorted(censored, at, side="left")]
    return found
