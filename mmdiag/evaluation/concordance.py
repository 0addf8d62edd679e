"""Harrell's C: how often a survival model orders two subjects as their times do, with case
weights, over all pairs or those within a stratum.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int, Real, Shaped
from numpy import ndarray

from mmdiag.evaluation.bootstrap import Measure, Weights

Pairs = Callable[[Weights], tuple[Float[ndarray, "resample"], Float[ndarray, "resample"]]]
Block = tuple[
    Int[ndarray, "sorted"],
    Int[ndarray, "query"],
    Int[ndarray, "query"],
    Int[ndarray, "query"],
    Int[ndarray, "query"],
]


def concordance(
    time: Real[ndarray, "case"], event: Real[ndarray, "case"], risk: Real[ndarray, "case"]
) -> Measure:
    """Harrell's C with case weights: of pairs whose earlier time is an event, the share in which
    the earlier one has the higher risk.

    Reference:
        Harrell 1996, Multivariable prognostic models.
    """
    return _share([_ordered_pairs(time, event, risk)])


def concordance_within(
    time: Real[ndarray, "case"],
    event: Real[ndarray, "case"],
    risk: Real[ndarray, "case"],
    stratum: Shaped[ndarray, "case"],
) -> Measure:
    """Harrell's C over pairs from one stratum alone: what a model knows beyond the site or the
    group that a case comes from.
    """
    _, number_of = np.unique(np.asarray(stratum).astype(str), return_inverse=True)

    def of_stratum(rows: Int[ndarray, "of_stratum"]) -> Pairs:
        count = _ordered_pairs(time[rows], event[rows], risk[rows])
        return lambda weights: count(np.take(weights, rows, axis=1))

    return _share(
        [
            of_stratum(np.flatnonzero(number_of == number))
            for number in range(int(number_of.max(initial=-1)) + 1)
        ]
    )


def _share(counts: Sequence[Pairs]) -> Measure:
    """Pairs in the right order over all pairs that can be compared."""

    def measure(weights: Weights) -> Float[ndarray, "resample"]:
        right, pairs = np.sum([count(weights) for count in counts], axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            share: ndarray = right / pairs
        return share

    return measure


def _ordered_pairs(
    time: Real[ndarray, "case"], event: Real[ndarray, "case"], risk: Real[ndarray, "case"]
) -> Pairs:
    """Weights -> of each resample the pairs in the right order, ties half, and all that can be
    compared.
    """
    # of one time, events stand before the censored, who outlived them
    order = np.lexsort((event != 1, time))
    group = np.cumsum(
        np.diff(time[order], prepend=-np.inf).astype(bool)
        | np.diff(event[order] == 1, prepend=False)
    )
    events = np.flatnonzero(event[order] == 1)
    # the cases to compare with stand from there on
    outlived = np.searchsorted(group, group[events], side="right")
    _, rank = np.unique(risk[order], return_inverse=True)
    levels = list(_suffix_blocks(rank, rank[events], outlived))

    def count(
        weights: Weights,
    ) -> tuple[Float[ndarray, "resample"], Float[ndarray, "resample"]]:
        sorted_weights = np.take(weights, order, axis=1)
        passed, counted = _passed(sorted_weights), np.take(sorted_weights, events, axis=1)
        pairs = np.einsum("re,re->r", counted, passed[:, -1:] - np.take(passed, outlived, axis=1))
        right = np.zeros(len(weights))
        for places, queries, start, below, until in levels:
            inside = _passed(np.take(sorted_weights, places, axis=1))
            lower = 0.5 * (
                np.take(inside, below, axis=1) + np.take(inside, until, axis=1)
            ) - np.take(inside, start, axis=1)
            right += np.einsum("rq,rq->r", np.take(counted, queries, axis=1), lower)
        return right, pairs

    return count


def _suffix_blocks(
    rank: Int[ndarray, "case"], of_events: Int[ndarray, "event"], first: Int[ndarray, "event"]
) -> Iterator[Block]:
    """Cut each suffix [first, n) into aligned blocks of 1, 2, 4, ... places, each sorted by rank
    once: n log n instead of every pair.

    Returns:
        For each size of block: the places in sorted order; which queries use a block; where it
            starts; where the lower ranks and the equal ones end.
    """
    first, place, number = first.copy(), np.arange(len(rank)), int(rank.max(initial=0)) + 1
    for level in range(len(rank).bit_length()):
        queries = np.flatnonzero((first >> level & 1).astype(bool) & (first < len(rank)))
        block = first[queries] >> level
        key = (place >> level) * number + rank
        places = np.argsort(key, kind="stable")
        below, until = (
            np.searchsorted(key[places], block * number + of_events[queries], side=side)
            for side in ("left", "right")
        )
        if len(queries):
            yield places, queries, block << level, below, until
        first[queries] += 1 << level


def _passed(weights: Float[ndarray, "resample column"]) -> Float[ndarray, "resample sum"]:
    """Running sums along the columns, from 0 on."""
    sums = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums
