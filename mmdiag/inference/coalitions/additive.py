"""What of a model's answers is a sum over modalities: its empirical multimodally-additive
projection, the nearest model in which no modality changes what another one says.

Reference:
    Hessel 2020, Does my multimodal model learn cross-modal interactions? It's harder to tell than
    you might think! (EMAP).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from mmdiag.inference.bundle import Bundle
from mmdiag.prepare.batches import batch_of
from mmdiag.samples import Sample
from mmdiag.tokens import Tokens
from mmdiag.training.threads import one_thread

REFERENCES = 16  # cases whose modalities stand beside one of each case
TOGETHER = 512  # cases asked at once


@torch.inference_mode()
def additive_log_odds(bundle: Bundle, samples: Sequence[Sample]) -> Float[ndarray, "case"] | None:
    """The log-odds of some cases under the projection over them; of a model that adds modalities up
    those that it gives.

    Returns:
        None of a single modality, of a task whose answer is not one number, and of a model that
        reads raw inputs, which would be asked too often.
    """
    raw = any(one.trains_on_raw_input for one in bundle.preparations.values())
    if len(bundle.preparations) < 2 or bundle.task.kind not in ("binary", "survival") or raw:
        return None
    if not samples:
        return np.zeros(0)
    with one_thread(when=True):
        batch = batch_of(bundle.preparations, samples)
        tokens = bundle.model.encode(batch, batch.present)
        chosen = np.linspace(0, len(samples) - 1, min(REFERENCES, len(samples))).round().astype(int)
        total = np.zeros(len(samples))
        for name in bundle.preparations:
            total += np.mean([_beside(bundle, tokens, name, int(one)) for one in chosen], axis=0)
        known = _log_odds(bundle, {n: _rows(t, chosen) for n, t in tokens.items()})
    found: ndarray = total - (len(bundle.preparations) - 1) * known.mean()
    return found


def _beside(
    bundle: Bundle, tokens: Mapping[str, Tokens], name: str, one: int
) -> Float[ndarray, "case"]:
    """What the model says of one modality of each case beside the others of one case."""
    count = len(tokens[name].values)
    parts = []
    for start in range(0, count, TOGETHER):
        rows = np.arange(start, min(start + TOGETHER, count))
        mixed = {
            n: _rows(t, rows if n == name else np.full(len(rows), one)) for n, t in tokens.items()
        }
        parts.append(_log_odds(bundle, mixed))
    return np.concatenate(parts)


def _rows(tokens: Tokens, rows: ndarray) -> Tokens:
    at = torch.from_numpy(rows)
    return Tokens(tokens.values[at], tokens.mask[at])


def _log_odds(bundle: Bundle, tokens: Mapping[str, Tokens]) -> Float[ndarray, "case"]:
    logits = bundle.model.diagnose(tokens).logits
    first = torch.zeros(len(logits), dtype=torch.long)
    found: ndarray = bundle.model.head.log_odds(logits, first).numpy().astype(np.float64)
    return found
