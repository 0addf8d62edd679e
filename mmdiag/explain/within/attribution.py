"""What the features of one modality add to the answer for a case, so that they add up to the
modality's contribution: exact for what is linear and for trees, by integrated gradients for
networks, each averaged over the coalitions of the other modalities (Owen values).

References:
    Owen 1977, Values of games with a priori unions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor

from mmdiag.ensemble.tree_shapley import tree_shapley
from mmdiag.explain.within.integral import Integral, integrate
from mmdiag.inference.bundle import Bundle
from mmdiag.model.ensemble import EnsembleModel, Members
from mmdiag.model.members import RidgeMember, TreeMember
from mmdiag.model.network import DiagnosisModel
from mmdiag.prepare.batches import batch_of
from mmdiag.prepare.blocks.preparation import BUCKETS, COLUMNS, SUMMARY, BlockPreparation
from mmdiag.prepare.blocks.terms import FOLDED
from mmdiag.prepare.preparation import FEATURES, ROW, Preparation
from mmdiag.samples import Sample
from mmdiag.tokens import Tokens
from mmdiag.training.threads import one_thread

USUAL = 12  # made-up cases beside which trees are asked
Arrays = Mapping[str, ndarray]


@dataclass(frozen=True, slots=True)
class Attribution:
    """What the prepared features of a modality add to the log-odds of a case.

    Args:
        slopes: Block of standardised features -> what one deviation of each adds; the block adds
            `slopes @ deviations`. `summary` = of the features of a case in a network's preparation.
        terms: Block of a note's terms -> what each term of the case adds.
        columns: What trees add by each column of a table, beside the slopes.
        parts: What each part of the case adds beside its summary: slices, sentences, vectors.
        presence: What it adds by being there, were it that of the usual case: every part's alike.
        contribution: The modality's Shapley value.
        gap: How far the parts along the path are from the difference between its ends.
    """

    slopes: dict[str, Float[ndarray, "_"]]
    terms: dict[str, Float[ndarray, "_"]] = field(default_factory=dict)
    columns: Float[ndarray, "column"] | None = None
    parts: Float[ndarray, "part"] | None = None
    presence: float = 0.0
    contribution: float = 0.0
    gap: float = 0.0


def can_attribute(preparation: Preparation) -> bool:
    """Whether a modality is given as features, which its parts can be told of."""
    return isinstance(preparation, BlockPreparation) or preparation.reads in (FEATURES, ROW)


def attribute(
    bundle: Bundle, sample: Sample, name: str, tokens: Mapping[str, Tokens], chosen: Tensor
) -> Attribution:
    """Attribute the answer for one case to the features of one of its modalities.

    Args:
        sample: Its prepared arrays.
        tokens: Of all its modalities, by `encode`.
        chosen: Number of the answer that is looked at.
    """
    preparation = bundle.preparations[name]
    batch = batch_of({name: preparation}, [sample])
    arrays = batch.values[name]
    with one_thread(when=True):
        if isinstance(bundle.model, EnsembleModel):
            assert isinstance(preparation, BlockPreparation)
            return _of_ensemble(bundle.model, preparation, name, arrays, tokens, chosen)
        return _of_network(bundle.model, preparation, name, arrays, tokens, chosen)


def _of_ensemble(
    model: EnsembleModel,
    preparation: BlockPreparation,
    name: str,
    arrays: Mapping[str, Tensor],
    tokens: Mapping[str, Tokens],
    chosen: Tensor,
) -> Attribution:
    known = f"{name}_" in model.encoders  # a family has networks alone
    members = cast(Members, model.encoders[f"{name}_"]) if known else None
    start = end = torch.zeros(1, 0)
    if members is not None:
        with torch.no_grad():
            end = members.evidence(arrays)[0]
            start = _evidence_of_nothing(members, end, _columns(preparation))
    ends = [end.sum(0, keepdim=True), arrays[SUMMARY]]
    starts = [start.sum(0, keepdim=True), torch.zeros_like(arrays[SUMMARY])]

    def encode(leaves: Sequence[Tensor]) -> Tokens:
        own, summary = leaves
        there = torch.ones(len(summary), dtype=torch.bool)
        found = [own]
        for network in model.networks:
            encoder = cast(DiagnosisModel, network).encoders[f"{name}_"]
            found.append(encoder({SUMMARY: summary}, there).values[:, 0])
        return Tokens(torch.cat(found, dim=-1)[:, None], there[:, None])

    found = integrate(model, name, starts, ends, encode, tokens, chosen)
    of_evidence, of_summary = (gradient[0] for gradient in found.gradients)
    numbers = {key: array[0].numpy().astype(float) for key, array in arrays.items()}
    placed = _of_summary(preparation, numbers, of_summary)
    if members is not None:
        for member, weight in zip(members.members, members.weight.tolist(), strict=True):
            if weight:
                _add_member(
                    placed,
                    member,
                    members,
                    weight * of_evidence,
                    arrays,
                    numbers,
                    _columns(preparation),
                )
    if placed.columns is not None:
        _missing_to_columns(placed, preparation)
    return Attribution(
        placed.slopes,
        placed.terms,
        placed.columns,
        presence=found.presence,
        contribution=found.contribution,
        gap=found.gap,
    )


def _columns(preparation: BlockPreparation) -> int:
    """Columns of a table; 0 of what is none."""
    return len(preparation.dense[COLUMNS].center) if COLUMNS in preparation.dense else 0


def _evidence_of_nothing(
    members: Members, end: Float[Tensor, "member answer"], columns: int
) -> Float[Tensor, "member answer"]:
    """What each member says of the mean case. Of notes there is none: what a linear member says of
    no word at all is shared by the words that are there, as a mean that they are less than.
    """
    found = torch.zeros_like(end)
    for row, member in enumerate(members.members):
        if isinstance(member, TreeMember):
            said = torch.from_numpy(member.trees()(_usual(member, columns)).mean(axis=0)).to(end)
        elif any(block in BUCKETS for block in cast(RidgeMember, member).blocks):
            continue
        else:
            said = cast(RidgeMember, member).intercept
        found[row] = (said - members.prior) * members.weight[row]
    return found


def _usual(member: TreeMember, columns: int, width: int = 0) -> Float32[ndarray, "usual column"]:
    """What trees are asked beside a case: a note without words; or some made-up cases whose columns
    are spread as those of the training, each by itself, and of which nothing is missing. At the
    mean of all columns, where no case lies, trees say what they say of none.

    Args:
        columns: Of the table; behind them stands which are missing.
        width: Of a row; at least up to the last column that trees ask about.
    """
    width = max(width, columns, int(member.column.max()) + 1)
    if member.words:
        return np.zeros((1, width), np.float32)
    found = np.zeros((USUAL, width), np.float32)
    found[:, :columns] = np.random.default_rng(0).normal(size=(USUAL, columns))
    return found


def _of_summary(
    preparation: BlockPreparation, numbers: Arrays, gradient: Float[ndarray, "score"]
) -> Attribution:
    """What networks make of the summary, by the features that it is projected from."""
    found, at = Attribution({}), 0
    for name, block in preparation.dense.items():
        width = block.components.shape[1]
        found.slopes[name] = block.components.astype(float) @ gradient[at : at + width]
        at += width
    for name, weights in preparation.terms_of.items():
        width = weights.directions.shape[1]
        buckets = numbers[name][:, 0].astype(int) % FOLDED
        slope = weights.directions[buckets].astype(float) @ gradient[at : at + width]
        found.terms[name] = slope * numbers[name][:, 1]
        at += width
    if COLUMNS not in preparation.dense:
        return found
    count = len(preparation.dense[COLUMNS].center) + len(preparation.holes)
    return Attribution(found.slopes, found.terms, np.zeros(count))


def _add_member(
    placed: Attribution,
    member: torch.nn.Module,
    members: Members,
    slope: Float[ndarray, "answer"],
    arrays: Mapping[str, Tensor],
    numbers: Arrays,
    columns: int,
) -> None:
    """What one member adds, by its features.

    Args:
        columns: Of a table.
        slope: What one unit of the member's score adds to the log-odds.
    """
    if isinstance(member, TreeMember):
        row = member.rows(arrays)[0].numpy()
        trees, usual = member.trees(), _usual(member, columns, len(row))
        values = np.mean([tree_shapley(trees, row, one) for one in usual], axis=0) @ slope
        if not member.words:
            assert placed.columns is not None
            placed.columns[:] += values
            return
        by_bucket = dict(zip(member.buckets.tolist(), values, strict=True))
        buckets = numbers["words"][:, 0].astype(int)
        placed.terms["words"][:] += [by_bucket.get(int(bucket), 0.0) for bucket in buckets]
        return
    ridge = cast(RidgeMember, member)
    noted = [name for name in ridge.blocks if name in BUCKETS]
    rest = float((ridge.intercept - members.prior).numpy().astype(float) @ slope)
    for name in ridge.blocks:
        coefficients = getattr(ridge, f"of_{name}").numpy().astype(float) @ slope
        if name not in BUCKETS:
            placed.slopes[name][:] += coefficients
            continue
        weights = numbers[name][:, 1]
        own = coefficients[numbers[name][:, 0].astype(int)] * weights
        share = weights**2 / max(float((weights**2).sum()), 1e-12)
        placed.terms[name][:] += own + rest * share / len(noted)


def _missing_to_columns(placed: Attribution, preparation: BlockPreparation) -> None:
    """That a column is missing counts for the column."""
    assert placed.columns is not None
    width = len(preparation.dense[COLUMNS].center)
    for number, column in enumerate(preparation.holes.tolist()):
        placed.columns[column] += placed.columns[width + number]
    placed.columns[width:] = 0.0


def _of_network(
    model: DiagnosisModel,
    preparation: Preparation,
    name: str,
    arrays: Mapping[str, Tensor],
    tokens: Mapping[str, Tokens],
    chosen: Tensor,
) -> Attribution:
    moved = [key for key, array in arrays.items() if array.is_floating_point()]
    ends = [arrays[key] for key in moved]

    def encode(leaves: Sequence[Tensor]) -> Tokens:
        count = len(leaves[0])
        masks = {
            key: array.expand(count, *array.shape[1:])
            for key, array in arrays.items()
            if key not in moved
        }
        there = torch.ones(count, dtype=torch.bool)
        return model.encode_one(name, masks | dict(zip(moved, leaves, strict=True)), there)

    starts = [torch.zeros_like(array) for array in ends]
    found = integrate(model, name, starts, ends, encode, tokens, chosen)
    gradients = dict(zip(moved, (gradient[0] for gradient in found.gradients), strict=True))
    return _projected(preparation, arrays, gradients, found)


def _projected(
    preparation: Preparation,
    arrays: Mapping[str, Tensor],
    gradients: Arrays,
    found: Integral,
) -> Attribution:
    """Gradients of projections, by the features that they are projected from."""
    summary, detail = preparation.summary, preparation.detail
    whole: dict[str, Any] = {
        "presence": found.presence,
        "contribution": found.contribution,
        "gap": found.gap,
    }
    if "row" in gradients:
        return Attribution({COLUMNS: gradients["row"]}, **whole)
    assert summary is not None and detail is not None
    slope = summary.components.astype(float) @ gradients["summary"]
    if preparation.groups:
        slope = slope + detail.components.astype(float) @ gradients["detail"].ravel()
        return Attribution({COLUMNS: slope}, **whole)
    values = arrays["detail"][0].numpy().astype(float)
    return Attribution({"summary": slope}, parts=(values * gradients["detail"]).sum(1), **whole)
