"""Whether probabilities mean what they say: slope and intercept, Brier score beside that of the
prevalence, and the expected calibration error with an interval that its bias is taken out of.
"""

from typing import Any

import numpy as np
from jaxtyping import Real, Shaped
from numpy import ndarray
from sklearn.linear_model import LogisticRegression

from mmdiag.evaluation.bootstrap import resampled
from mmdiag.evaluation.calibration_error import calibration_error, less_its_bias

LEAST = 1e-6  # probability that a logit is taken of
ALIKE = 0.2  # logits that lie no further apart are one answer: folds differ so in their prevalence


def calibration(
    label: Real[ndarray, "case"],
    probability: Real[ndarray, "case"],
    *,
    subject: Shaped[ndarray, "case"],
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """How a binary model's probabilities are calibrated.

    Returns:
        `slope` and `intercept` of a logistic regression of the label on the logit (1 and 0 of
        probabilities that are right; None where one class is absent, the classes are parted or the
        answers alike),
        `brier`, `brier_prevalence` (of the share of positives among these cases), `ece` with
        `ece_low` and `ece_high`, and `n`.

        A resample's calibration error is larger than the sample's, as that is larger than the true
        one. So `ece` is less the bias that the bootstrap shows; its interval is the basic one,
        which is turned round the value, reaches up to the sample's own error, and down to 0 where
        labels drawn from the probabilities themselves have as large an error.

    Reference:
        Cox 1958, Two further applications of a model for binary regression; Davison and Hinkley
        1997, Bootstrap methods and their application, sections 2.1.2 and 5.2.1; Bröcker and Smith
        2007, Increasing the reliability of reliability diagrams (labels drawn from probabilities).
    """
    intercept, slope = _recalibrated(label, probability)
    measure = calibration_error(label, probability)
    drawn = resampled({"ece": measure}, subject, resamples, seed)["ece"]
    ece, low, high = less_its_bias(label, probability, drawn, seed)
    share = float(np.mean(label))
    return {
        "slope": slope,
        "intercept": intercept,
        "brier": float(np.mean((probability - label) ** 2)),
        "brier_prevalence": share * (1 - share),
        "ece": ece,
        "ece_low": low,
        "ece_high": high,
        "n": len(label),
    }


def _recalibrated(
    label: Real[ndarray, "case"], probability: Real[ndarray, "case"]
) -> tuple[float | None, float | None]:
    """Intercept and slope of the label on the logit; None where no finite one fits best."""
    share = np.clip(probability, LEAST, 1 - LEAST)
    logit = np.log(share / (1 - share))
    positive, negative = logit[label > 0], logit[label <= 0]
    if not len(positive) or not len(negative) or np.ptp(logit) < ALIKE:
        return None, None
    if positive.min() >= negative.max() or positive.max() <= negative.min():
        return None, None  # the steeper, the better: there is no best one
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    model.fit(logit[:, None], label.astype(int))
    return float(model.intercept_[0]), float(model.coef_[0, 0])
