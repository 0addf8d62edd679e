"""Does every modality's branch learn? The length of its gradient, a linear probe of its summary
token, and a warning where one collapses.
"""

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mmdiag.evaluation.concordance import concordance
from mmdiag.evaluation.ranking import auroc
from mmdiag.model.network import DiagnosisModel
from mmdiag.training.early_stopping import Epoch

EVERY = 5  # epochs between two probes
LEAST_CASES = 8  # of a probe
ALIKE = (
    1e-3  # deviation of the summary tokens, over their size, below which they say nothing of a case
)
STARVED = 0.01  # gradient of a branch, over that of the strongest, below which it no longer learns


def gradient_norms(model: DiagnosisModel) -> dict[str, Tensor]:
    """Length of the gradient of each modality's encoder, before it is clipped; none of one that is
    frozen.
    """
    found = {}
    for name in model.modalities:
        learning = [p for p in model.encoders[f"{name}_"].parameters() if p.requires_grad]
        if not learning:
            continue
        gradients = [p.grad for p in learning if p.grad is not None]
        found[name] = torch.nn.utils.get_total_norm(gradients) if gradients else torch.zeros(())
    return found


def due(epoch: int) -> bool:
    """Whether an epoch is probed: the first, and every fifth."""
    return epoch == 1 or epoch % EVERY == 0


def probe(
    kind: str, summary: Float[Tensor, "case width"], target: Float[Tensor, "case target"]
) -> dict[str, float]:
    """What one branch knows, whatever the fusion makes of it.

    Args:
        summary: Summary tokens of the validation cases that have the modality.

    Returns:
        `score`: AUROC (mean over classes or labels) or C-index of a ridge regression on the tokens,
        every case predicted by the fit on the others; NaN where
        there are too few cases. `rank`: MONAI's effective-rank score, 0 = the tokens fill their
        space, 1 = they are one point. `spread`: their deviation
        over their size.
    """
    tokens = summary.detach().float().cpu()
    if len(tokens) < LEAST_CASES:
        return {"score": math.nan, "rank": math.nan, "spread": math.nan}
    deviation = tokens - tokens.mean(0)
    spread = float(
        deviation.square().mean().sqrt() / tokens.square().mean().sqrt().clamp(min=1e-12)
    )
    return {
        "score": _score(kind, tokens.double().numpy(), target.double().cpu().numpy()),
        "rank": _effective_rank(tokens),
        "spread": spread,
    }


def collapsed(curve: Sequence[Epoch]) -> list[str]:
    """Sentences on branches that no longer tell cases apart, or no longer learn beside a stronger
    one.
    """
    found = []
    probed = next((row.probe for row in reversed(curve) if row.probe), {})
    for name, facts in probed.items():
        if facts["spread"] < ALIKE:
            found.append(
                "Modality collapse: every case should have a summary of its own, those of "
                f"{name} are alike: "
                "look at its preparation, lower the learning rate, or leave it out."
            )
    recent = [row.gradient_norm for row in curve[-EVERY:] if row.gradient_norm]
    throughout = [
        name for name in (recent[0] if recent else ()) if all(name in norms for norms in recent)
    ]
    typical = {name: float(np.median([norms[name] for norms in recent])) for name in throughout}
    strongest = max(typical.values(), default=0.0)
    for name, norm in typical.items():
        if len(recent) == EVERY and norm < STARVED * strongest:
            found.append(
                f"Modality collapse: every branch should learn, the gradient of {name} is below "
                f"{STARVED:.0%} of the strongest: "
                "raise auxiliary_weight or modality_dropout."
            )
    return found


def _score(
    kind: str, tokens: Float[np.ndarray, "case width"], target: Float[np.ndarray, "case target"]
) -> float:
    if kind == "survival":
        labelled = ~np.isnan(target).any(1)
        interval, event = target[labelled, 0], target[labelled, 1]
        return _finite(
            concordance(interval, event, _left_out(tokens[labelled], event - interval))(
                np.ones((1, labelled.sum()))
            )[0]
        )
    columns = target
    if kind == "multiclass":
        columns = np.where(np.isnan(target), np.nan, target == np.unique(target[~np.isnan(target)]))
    scores = []
    for column in columns.T:
        labelled = ~np.isnan(column)
        if len(np.unique(column[labelled])) == 2:
            scores.append(
                float(
                    auroc(column[labelled], _left_out(tokens[labelled], column[labelled]))(
                        np.ones((1, labelled.sum()))
                    )[0]
                )
            )
    return float(np.mean(scores)) if scores else math.nan


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else math.nan


def _left_out(
    tokens: Float[np.ndarray, "case width"], wanted: Float[np.ndarray, "case"]
) -> Float[np.ndarray, "case"]:
    """Ridge regression with each case predicted by the others, in closed form.

    Means are those of all cases: a mean that leaves the case out would order cases without any
    signal upside down.
    """
    x = (tokens - tokens.mean(0)) / np.maximum(tokens.std(0), 1e-9)
    y = wanted - wanted.mean()
    hat = x @ np.linalg.solve(x.T @ x + x.shape[1] * np.eye(x.shape[1]), x.T)
    found: np.ndarray = y - (y - hat @ y) / np.maximum(1 - np.diag(hat), 1e-9)
    return found


def _effective_rank(tokens: Float[Tensor, "case width"]) -> float:
    with warnings.catch_warnings():
        # MONAI's first import with torch 2.13: torch.jit
        warnings.simplefilter("ignore", DeprecationWarning)
        from monai.metrics import EmbeddingCollapseMetric

    found: Mapping[str, Tensor] = EmbeddingCollapseMetric(include_indicators=["effective_rank"])(
        tokens
    )
    return float(found["effective_rank_score"])
