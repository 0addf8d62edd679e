"""How calibrated answers are blended: scales and offsets for each availability set, drawn towards
those that all sets share.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray
from torch import Tensor

# prior deviation of the logarithm of the scale of all branches: together they say more than each
# knows alone, or less where they know the same,
LN_SCALE = 0.35
LN_SCALE_OF_BRANCH = 0.1  # half-width of a branch's own, by itself and beside the others,
LN_SCALE_OF_SET = 0.1  # prior deviation of a set's from the shared one,
OFFSET = 0.2  # and of an offset on the logit
BOUND = 5.0  # of a logarithm of a scale, and of an offset
LEAST = 0.1  # the weight that a branch is expected to have at least


@dataclass(frozen=True, slots=True)
class Stacking:
    """What was fitted. Row 0 is shared by all sets, row i + 1 belongs to set i.

    Args:
        scale: Of each branch's evidence, >= 0.
        shift: Added to each branch's evidence before it is scaled.
        offset: Added to the logits.
        sets: Which modalities are in a set that has a row.
    """

    scale: Float[Tensor, "row branch"]
    shift: Float[Tensor, "branch logit"]
    offset: Float[Tensor, "row logit"]
    sets: Bool[Tensor, "set modality"]


def fit_stacking(
    evidence: Float[Tensor, "case branch logit"],
    there: Bool[Tensor, "case branch"],
    present: Bool[Tensor, "case modality"],
    target: Float[Tensor, "case target"],
    prior: Float[Tensor, "logit"],
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    start: Float[Tensor, "branch"],
    most: int,
) -> Stacking:
    """First Platt scaling of each branch alone, then the weights of all of them together; both are
    the most probable under their priors.

    A prior of a branch's own scale has heavy tails (Gelman 2008, A weakly informative default
    prior): luck of some validation cases moves it little, noise
    is silenced.

    Args:
        evidence: Logits of each branch less the prior's; not read where a branch is not there.
        prior: Logits of knowing nothing.
        loss: (logits, target) -> mean loss of the task.
        start: Weights that the prior is centred on; those below LEAST count as that.
        most: Number of sets that get a row, the commonest first.
    """
    sets, of_case, counts = torch.unique(present, dim=0, return_inverse=True, return_counts=True)
    kept = sorted(torch.argsort(counts, descending=True, stable=True)[:most].tolist())
    row_of = torch.zeros(len(sets), dtype=torch.long)
    row_of[kept] = torch.arange(1, len(kept) + 1)
    row = row_of[of_case]
    slope, shift = _calibrate(evidence, there, target, prior, loss)
    calibrated = torch.where(there[..., None], slope[:, None] * (evidence + shift), 0.0)
    weight, offset = fit_weights(
        calibrated, row, len(kept), target, prior, loss, start.clamp_min(LEAST)
    )
    return Stacking(weight * slope, shift, offset, sets[kept])


def _calibrate(
    evidence: Float[Tensor, "case branch logit"],
    there: Bool[Tensor, "case branch"],
    target: Float[Tensor, "case target"],
    prior: Float[Tensor, "logit"],
    loss: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Float[Tensor, "branch"], Float[Tensor, "branch logit"]]:
    """Slope and shift of each branch on the cases that have it."""
    branches, logits = evidence.shape[1:]
    log_slope, shift = (
        torch.zeros(branches, dtype=torch.float64),
        torch.zeros(branches, logits, dtype=torch.float64),
    )

    def negative_log_posterior() -> Tensor:
        total = cauchy_penalty(log_slope) + shift.square().sum() / (2 * OFFSET**2)
        for e in range(branches):
            rows = there[:, e]
            if rows.any():
                total = total + rows.sum() * loss(
                    prior + log_slope[e].exp() * (evidence[rows, e] + shift[e]), target[rows]
                )
        return total

    _minimise(negative_log_posterior, [log_slope, shift])
    return log_slope.exp().detach(), shift.detach()


def fit_weights(
    calibrated: Float[Tensor, "case branch logit"],
    row: Int64[Tensor, "case"],
    sets: int,
    target: Float[Tensor, "case target"],
    prior: Float[Tensor, "logit"],
    loss: Callable[[Tensor, Tensor], Tensor],
    centre: Float[Tensor, "branch"],
) -> tuple[Float[Tensor, "row branch"], Float[Tensor, "row logit"]]:
    """Weights and offsets of the shared row, and of each of `sets` availability sets.

    Args:
        row: The row of each case; 0 = it has none of its own and takes the shared one.
        centre: What the prior of a branch's weight is centred on.
    """
    common = torch.zeros(1, dtype=torch.float64)
    shared = torch.zeros(calibrated.shape[1], dtype=torch.float64)
    own = torch.zeros(sets, calibrated.shape[1], dtype=torch.float64)
    offset = torch.zeros(sets, calibrated.shape[2], dtype=torch.float64)

    def tables() -> tuple[Tensor, Tensor]:
        log_weight = centre.log() + common + shared + torch.cat([torch.zeros_like(own[:1]), own])
        return log_weight.exp(), torch.cat(
            [torch.zeros(1, calibrated.shape[2], dtype=torch.float64), offset]
        )

    def negative_log_posterior() -> Tensor:
        weight, added = tables()
        logits = prior + (weight[row][..., None] * calibrated).sum(1) + added[row]
        penalty = (
            common.square().sum() / LN_SCALE**2
            + own.square().sum() / LN_SCALE_OF_SET**2
            + offset.square().sum() / OFFSET**2
        )
        return len(row) * loss(logits, target) + penalty / 2 + cauchy_penalty(shared)

    _minimise(negative_log_posterior, [common, shared, own, offset])
    with torch.no_grad():
        return tables()


def cauchy_penalty(own: Float[Tensor, "branch"]) -> Float[Tensor, ""]:
    """-log of a Cauchy prior: branches are alike unless validation cases, which are few, say so
    clearly; then one may be far off, for all it costs.
    """
    return torch.log1p(own.square() / LN_SCALE_OF_BRANCH**2).sum()


def _minimise(negative_log_posterior: Callable[[], Tensor], parameters: list[Tensor]) -> None:
    """Bring the parameters to the least value; none leaves -BOUND..BOUND, so that evidence of next
    to no size does not run away.
    """
    from scipy.optimize import minimize

    sizes = [parameter.numel() for parameter in parameters]

    def put(values: Float64[ndarray, "parameter"]) -> None:
        with torch.no_grad():
            parts = torch.split(torch.from_numpy(values), sizes)
            for parameter, part in zip(parameters, parts, strict=True):
                parameter.copy_(part.view_as(parameter))

    def value_and_gradient(
        values: Float64[ndarray, "parameter"],
    ) -> tuple[float, Float64[ndarray, "parameter"]]:
        put(values)
        value = negative_log_posterior()
        return float(value.detach()), torch.cat(
            [gradient.flatten() for gradient in torch.autograd.grad(value, parameters)]
        ).numpy()

    with torch.enable_grad():
        for parameter in parameters:
            parameter.requires_grad_()
        put(
            minimize(
                value_and_gradient,
                np.zeros(sum(sizes)),
                jac=True,
                method="L-BFGS-B",
                bounds=[(-BOUND, BOUND)] * sum(sizes),
            ).x
        )
