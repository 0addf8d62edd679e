"""`Probe`: what one modality of a case adds to the answer, as it is or replaced by another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy import ndarray

from mmdiag.explain.within.attribution import Attribution, attribute, can_attribute
from mmdiag.explain.within.integral import owen_shares
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.coalitions.shapley import shapley
from mmdiag.inference.predict import coalition_log_odds, log_odds_of
from mmdiag.prepare.batches import batch_of
from mmdiag.samples import Sample
from mmdiag.tokens import Tokens, present_in
from mmdiag.training.threads import one_thread

VARIANTS = 16  # that a network on raw inputs answers together
Arrays = Mapping[str, Shaped[ndarray, "..."]]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What inside one modality moved the answer.

    Args:
        parts: Where each is, and its `value`; they need not add up to the contribution.
        groups: Of a table named groups of columns, each by the sum of its columns; a column counts
            in each group that has it.
        contribution: Shapley value of the modality.
        gap: Error of an integral along which parts were found.
    """

    parts: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    contribution: float = 0.0
    gap: float = 0.0


class Probe:
    """A model and one case, encoded once."""

    def __init__(self, bundle: Bundle, sample: Sample) -> None:
        self.bundle, self.model, self.sample = bundle, bundle.model, sample
        with torch.no_grad():
            batch = batch_of(bundle.preparations, [sample])
            self.tokens = self.model.encode(batch, batch.present)
            self.chosen = self.model.head.probability(
                self.model.diagnose(self.tokens).logits
            ).argmax(dim=1)

    def interactions(self) -> Float[ndarray, "modality modality"]:
        """How the modalities of the case act together; those that it lacks have zeros."""
        present = np.asarray([name in self.sample for name in self.model.modalities])

        def value(rows: ndarray, coalition: ndarray) -> ndarray:
            return coalition_log_odds(self.model, self.tokens, self.chosen, rows, coalition)

        with one_thread(when=True):
            found: ndarray = shapley(value, present[None]).interactions[0]
            return found

    def attribution(self, name: str) -> Attribution | None:
        """What the features of a modality add; None where it is given as a raw input."""
        if not can_attribute(self.bundle.preparations[name]):
            return None
        return attribute(self.bundle, self.sample, name, self.tokens, self.chosen)

    def contribution(
        self, name: str, variants: Sequence[Arrays | None]
    ) -> Float[ndarray, "variant"]:
        """What a modality would add to the log-odds of the class that the case was given, were it
        another: its Shapley value among the others as they are; None = it is absent.
        """
        raw = self.bundle.preparations[name].trains_on_raw_input
        size = VARIANTS if raw else max(len(variants), 1)
        with torch.inference_mode(), one_thread(when=not raw):
            parts = [
                self._ask(name, variants[start : start + size])
                for start in range(0, len(variants), size)
            ]
        return np.concatenate([np.zeros(0), *parts])

    def _ask(self, name: str, variants: Sequence[Arrays | None]) -> Float[ndarray, "variant"]:
        batch = batch_of(
            {name: self.bundle.preparations[name]},
            [{name: arrays} if arrays is not None else {} for arrays in variants],
        )
        own = self.model.encode_one(name, batch.values[name], batch.present[name])
        absent = Tokens(own.values[:1], torch.zeros_like(own.mask[:1]))  # alike for every variant
        others = [n for n in self.model.modalities if n != name and n in self.sample]
        coalitions, shares = owen_shares(len(others))
        found = np.zeros(len(variants))
        for coalition, share in zip(coalitions, shares, strict=True):
            hidden = {n for n, kept in zip(others, coalition, strict=True) if not kept}
            found += share * (
                self._log_odds(name, own, hidden) - self._log_odds(name, absent, hidden)
            )
        return np.where(own.present().numpy(), found, 0.0)

    def _log_odds(self, name: str, own: Tokens, hidden: set[str]) -> Float[ndarray, "variant"]:
        count = len(own.values)
        known = {
            other: Tokens(
                t.values.expand(count, -1, -1),
                (torch.zeros_like(t.mask) if other in hidden else t.mask).expand(count, -1),
            )
            for other, t in self.tokens.items()
        }
        found: ndarray = log_odds_of(
            self.model,
            known | {name: own},
            self.chosen.expand(count),
            present_in(self.tokens, self.model.modalities).expand(count, -1),
        ).numpy()
        return found.astype(np.float64)
