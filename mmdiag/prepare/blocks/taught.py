"""Directions that labels taught: of each block of features what a ridge on all of it says of the
outcome, before the principal directions, which know of no label.

What a few of ten thousand words say is not among the directions of largest variance, and a network
of some hundred cases does not find it again. While networks learn, each case has the score of a
ridge that has not seen it, so that they trust it no more than a new case may; afterwards that of
the ridge on all cases. A block of which that goes with the outcome no further than luck often does
teaches nothing: where the outcome is a product of modalities it would be noise.

Reference:
    Wolpert 1992, Stacked generalization.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from mmdiag.ensemble import Fold
from mmdiag.ensemble.ridge import cross_fit_blocks
from mmdiag.ensemble.stack import beyond_chance
from mmdiag.ensemble.target import Target
from mmdiag.prepare.blocks.design import design
from mmdiag.prepare.blocks.preparation import COLUMNS, SUMMARY, BlockPreparation
from mmdiag.prepare.blocks.terms import FOLDED

ONE_ERROR = 1.0  # a block of no use passes 16 times in 100, one of some use seldom fails

Arrays = Mapping[str, ndarray]


def teach(
    preparation: BlockPreparation, cases: Sequence[Arrays], target: Target, folds: Sequence[Fold]
) -> tuple[BlockPreparation, list[dict[str, ndarray]]]:
    """Put one direction an answer before the others of each block that has any and tells something.

    Args:
        cases: What the preparation made of each training case.
        folds: What a ridge learns from and answers; at least one.

    Returns:
        The preparation for new cases, and the training cases with a summary in which the new
        scores, in log-odds or log hazards, are those of ridges that had not seen them.
    """
    dense, terms = dict(preparation.dense), dict(preparation.terms_of)
    held_out: dict[str, Float[ndarray, "case answer"]] = {}
    for name, block in preparation.dense.items():
        if (found := _ridge([case[name] for case in cases], 0, target, folds)) is not None:
            held_out[name], own = found
            dense[name] = replace(block, components=_before(own, block.components))
    for name, weights in preparation.terms_of.items():
        if not weights.directions.shape[1]:
            continue
        if (found := _ridge([case[name] for case in cases], FOLDED, target, folds)) is not None:
            held_out[name], own = found
            terms[name] = replace(weights, directions=_before(own, weights.directions))
    summary = dense.get(COLUMNS)
    taught = replace(preparation, dense=dense, terms_of=terms, summary=summary)
    told = []
    for number, case in enumerate(cases):
        parts = taught.along_directions(case)
        for name, scores in held_out.items():
            parts[name][: target.answers] = scores[number]
        told.append({**case, SUMMARY: np.concatenate([*parts.values()]).astype(np.float32)})
    return taught, told


def _ridge(
    values: Sequence[ndarray], buckets: int, target: Target, folds: Sequence[Fold]
) -> tuple[Float[ndarray, "case answer"], Float[ndarray, "feature answer"]] | None:
    """What ridges that had not seen them say of cases, on the level of the ridge on all of them,
    and its coefficients; None where that may well be luck.
    """
    rows, scale = design(values, buckets)
    found, own = cross_fit_blocks({"": (rows, scale)}, target, folds)
    said, prior = found.judged - found.level, target.prior()
    if not beyond_chance(prior + said, prior, target, ONE_ERROR):
        return None
    return said + (rows @ own[""]).mean(axis=0), own[""]


def _before(first: ndarray, others: ndarray) -> ndarray:
    return np.concatenate([first, others], axis=1).astype(others.dtype)
