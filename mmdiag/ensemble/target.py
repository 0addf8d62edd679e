"""`Target`: what members of an ensemble learn, one score an answer: logits of a label, of each
class or of each of several labels, or the logarithm of a hazard.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.special import expit, log_softmax, logit

from mmdiag.ensemble.cox import partial_likelihood

LEAST = 1e-4  # how near to 0 or 1 the share of a label may come


@dataclass(frozen=True, slots=True)
class Target:
    """What some cases have of a task.

    Args:
        kind: `binary`, `multiclass`, `multilabel` or `survival`.
        values: Binary and multilabel: a column a label, 0, 1 or NaN (unknown); multiclass: the
            number of the class; survival: time and event.
        answers: Number of scores a case.
    """

    kind: str
    values: Float[ndarray, "case value"]
    answers: int

    def __len__(self) -> int:
        return len(self.values)

    @property
    def survival(self) -> bool:
        """Whether scores are logarithms of hazards, of which only differences are known."""
        return self.kind == "survival"

    def take(self, rows: Int[ndarray, "_"] | Bool[ndarray, "case"]) -> "Target":
        """The target of some of the cases."""
        return Target(self.kind, self.values[rows], self.answers)

    def can_be_learned(self) -> bool:
        """Whether there is something to learn: an event, or two values of some answer."""
        if self.survival:
            return bool((self.values[:, 1] > 0).any()) and len(self) > 1
        columns = [column[~np.isnan(column)] for column in self.values.T]
        return any(len(np.unique(column)) > 1 for column in columns)

    def rarer(self) -> int:
        """How many events there are, or cases that are not of the commonest class; of several
        labels that of the most even one.
        """
        if self.survival:
            return int((self.values[:, 1] > 0).sum())
        known = [column[~np.isnan(column)] for column in self.values.T]
        counts = [np.unique(column, return_counts=True)[1] for column in known if len(column)]
        return max((int(each.sum() - each.max()) for each in counts), default=0)

    def prior(self) -> Float[ndarray, "answer"]:
        """The scores of knowing nothing: what the shares of the cases say."""
        if self.survival or not len(self):
            return np.zeros(self.answers)
        if self.kind == "multiclass":
            counts = np.bincount(self.values[:, 0].astype(int), minlength=self.answers)
            return np.asarray(np.log(np.clip(counts / len(self), LEAST, 1)))
        known = ~np.isnan(self.values)
        shares = np.where(known, self.values, 0).sum(0) / np.maximum(known.sum(0), 1)
        return np.asarray(logit(np.clip(shares, LEAST, 1 - LEAST)))

    def loss(
        self, scores: Float[ndarray, "case answer"]
    ) -> tuple[float, Float[ndarray, "case answer"]]:
        """The sum of the losses of all cases (negative log-likelihood; of a survival Cox's partial
        one), and its gradient by the scores.
        """
        if self.survival:
            likelihood, gradient = partial_likelihood(scores[:, 0], self.values)
            return -likelihood, -gradient[:, None]
        if self.kind == "multiclass":
            number, rows = self.values[:, 0].astype(int), np.arange(len(self))
            logs = np.asarray(log_softmax(scores, axis=1))
            gradient = np.exp(logs)
            gradient[rows, number] -= 1
            return -float(logs[rows, number].sum()), gradient
        known = ~np.isnan(self.values)
        one = np.where(known, self.values, 0.0)
        losses = np.logaddexp(0.0, np.where(one > 0.5, -scores, scores))
        gradient = np.where(known, expit(scores) - one, 0.0)
        return float(losses[known].sum()), gradient

    def held_out_loss(
        self,
        scores: Float[ndarray, "case answer"],
        test: Int[ndarray, "_"],
        train: Int[ndarray, "_"],
    ) -> float:
        """What held-out cases lose by scores that were learned from the others; of a survival what
        they add to the partial likelihood of the others (Verweij & van Houwelingen 1993).
        """
        if not self.survival:
            return self.take(test).loss(scores[test])[0]
        both = np.concatenate([train, test])
        return self.take(both).loss(scores[both])[0] - self.take(train).loss(scores[train])[0]

    def strata(self) -> Int[ndarray, "case"]:
        """What inner folds hold alike: the class, the first label, or the event."""
        column = self.values[:, 1] if self.survival else self.values[:, 0]
        return np.where(np.isnan(column), -1, column).astype(int)

    def column(self, answer: int) -> tuple[Bool[ndarray, "case"], Any]:
        """Cases whose answer of this number is known, and its 0 or 1 in them."""
        if self.kind == "multiclass":
            return np.ones(len(self), bool), (self.values[:, 0] == answer).astype(int)
        known = ~np.isnan(self.values[:, answer])
        return known, self.values[known, answer].astype(int)
