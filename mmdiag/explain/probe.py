"""`OcclusionProbe`: what the model would answer for a case of which one modality is replaced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy import ndarray

from mmdiag.inference.bundle import Bundle
from mmdiag.prepare.batches import batch_of
from mmdiag.samples import Sample
from mmdiag.tokens import Tokens
from mmdiag.training.threads import one_thread

VARIANTS = 16  # that a network on raw inputs answers together
Arrays = Mapping[str, Shaped[ndarray, "..."]]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What inside one modality moved the answer.

    Args:
        values: What becomes JSON, and is drawn beside the modality; None where a map says it all.
        heat: A signed map on a coarse grid (slice, row, column), or a signed row, one value a
            window of time.
    """

    values: Any = None
    heat: Float[ndarray, "..."] | None = None


class OcclusionProbe:
    """The model's log-odds for a case of which one modality is replaced."""

    def __init__(self, bundle: Bundle, sample: Sample) -> None:
        self.bundle, self.model, self.sample = bundle, bundle.model, sample
        with torch.inference_mode():
            batch = batch_of(bundle.preparations, [sample])
            self.tokens = self.model.encode(batch, batch.present)
            self.chosen = self.model.head.probability(
                self.model.diagnose(self.tokens).logits
            ).argmax(dim=1)

    def log_odds(self, name: str, variants: Sequence[Arrays | None]) -> Float[ndarray, "variant"]:
        """Log-odds of the class that the whole case was given; None = the modality is absent. The
        others are not encoded again.
        """
        raw = self.bundle.preparations[name].trains_on_raw_input
        size = VARIANTS if raw else max(len(variants), 1)
        with torch.inference_mode(), one_thread(when=not raw):
            parts = [
                self._ask(name, variants[start : start + size])
                for start in range(0, len(variants), size)
            ]
        return np.concatenate([np.zeros(0), *parts])

    def _ask(self, name: str, variants: Sequence[Arrays | None]) -> ndarray:
        number = len(variants)
        batch = batch_of(
            {name: self.bundle.preparations[name]},
            [{name: arrays} if arrays is not None else {} for arrays in variants],
        )
        tokens = {
            other: Tokens(t.values.expand(number, -1, -1), t.mask.expand(number, -1))
            for other, t in self.tokens.items()
        }
        tokens[name] = self.model.encode_one(name, batch.values[name], batch.present[name])
        logits = self.model.diagnose(tokens).logits
        answer: ndarray = (
            self.model.head.log_odds(logits, self.chosen.expand(number)).numpy().astype(np.float64)
        )
        return answer
