"""Cox's proportional hazards: the partial likelihood, and the hazard of the baseline."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def partial_likelihood(
    risk: Float[ndarray, "case"], values: Float[ndarray, "case 2"]
) -> tuple[float, Float[ndarray, "case"]]:
    """Cox's log partial likelihood, ties as Breslow has them, and its gradient by the risks.

    Args:
        risk: Logarithm of the hazard.
        values: Time and event.
    """
    time, event = values[:, 0], values[:, 1] > 0
    order = np.argsort(-time, kind="stable")
    top = float(risk.max(initial=0.0))
    weights = np.exp(risk[order] - top)
    later = np.cumsum(weights)  # all that are at risk, and of equal times those before
    falling = -time[order]
    last = np.searchsorted(falling, falling, side="right") - 1
    at_risk = later[last]
    happened = event[order]
    likelihood = float((risk[order] - top - np.log(at_risk))[happened].sum())
    share = np.where(happened, 1 / at_risk, 0.0)
    first = np.searchsorted(falling, falling, side="left")
    behind = np.cumsum(share[::-1])[::-1][first]  # of all events at which a case is at risk
    gradient = np.empty(len(risk))
    gradient[order] = happened - weights * behind
    return likelihood, gradient


def baseline_hazard(
    risk: Float[ndarray, "case"], values: Float[ndarray, "case 2"], horizon: float
) -> float:
    """Cumulative hazard of a case of risk 0 up to a time.

    Reference:
        Breslow 1972, discussion of Cox, Regression models and life tables.
    """
    time, event = values[:, 0], values[:, 1] > 0
    hazards = np.exp(risk)
    counted = [1 / hazards[time >= at].sum() for at in time[event & (time <= horizon)]]
    return float(np.sum(counted))


def martingale_residuals(values: Float[ndarray, "case 2"]) -> Float[ndarray, "case"]:
    """Events less those that are expected of everybody alike: what trees of a survival are fitted
    to.

    Reference:
        Therneau 1990, Martingale-based residuals for survival models.
    """
    time, event = values[:, 0], values[:, 1] > 0
    order = np.argsort(time, kind="stable")
    sorted_time = time[order]
    at_risk = len(time) - np.searchsorted(sorted_time, sorted_time, side="left")
    hazard = np.cumsum(np.where(event[order], 1 / at_risk, 0.0))
    last = np.searchsorted(sorted_time, time, side="right") - 1
    residuals: ndarray = event - hazard[last]
    return residuals
