"""Which pictures of different subjects are nearly the same, among very many: pairs of perceptual
hashes that differ in a few of 256 bits.

Bits are dealt out to 8 bands of 32. Two hashes that differ in at most 6 bits agree in at least two
whole bands, so only those that share a pair of bands
are compared: 28 sorts instead of every picture against every other.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Integer, UInt8
from numpy import ndarray

BITS = 256
BANDS = 8
MOST_DIFFERENT = BANDS - 2  # bits; with more, two hashes need not share two bands
FEWEST_SET = 24  # bits that must be set, and unset: a hash with fewer is of a blank picture
WINDOW = (
    64  # where more hashes share two bands, each is compared with so many that follow it in order
)
MOST_PARTNERS = 8  # of one hash: of a crowd that is all alike not every pair is named


def near_pictures(
    hashes: Sequence[str], subjects: Integer[ndarray, "picture"]
) -> Integer[ndarray, "pair 2"]:
    """Pairs of pictures of different subjects whose hashes differ in at most 6 of 256 bits.

    Args:
        hashes: 64 hexadecimal digits each.
        subjects: A number for each picture's subject.

    Returns:
        Rows of two pictures, the lower first. Where many pictures have the very same hash, each is
        paired with one of another subject, not with all.

    Reference:
        Manku 2007, Detecting near-duplicates for web crawling: blocks of bits that must agree.
    """
    packed = np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint8).reshape(-1, BITS // 8)
    rows = np.flatnonzero(_shows_something(packed))
    if len(rows) < 2:
        return np.empty((0, 2), dtype=np.int64)
    distinct, place = np.unique(packed[rows], axis=0, return_inverse=True)
    same, first, other = _same_hash(rows, place.ravel(), subjects)
    near = _near(distinct, subjects[first], subjects[other])
    pairs = [same]
    # a hash may stand for two subjects
    for mine, yours in (
        (first, first),
        (first, other),
        (other, first),
    ):
        both = np.stack([mine[near[:, 0]], yours[near[:, 1]]], axis=1)
        pairs.append(both[subjects[both[:, 0]] != subjects[both[:, 1]]])
    found: ndarray = np.unique(np.sort(np.concatenate(pairs), axis=1), axis=0)
    return found


def _shows_something(packed: UInt8[ndarray, "picture byte"]) -> Bool[ndarray, "picture"]:
    number = np.bitwise_count(packed).sum(axis=1)
    shows: ndarray = (number >= FEWEST_SET) & (number <= BITS - FEWEST_SET)
    return shows


def _same_hash(
    rows: ndarray, place: ndarray, subjects: ndarray
) -> tuple[ndarray, ndarray, ndarray]:
    """Pairs with one hash; and for each hash one picture, and one of another subject (the same
    picture where there is none).
    """
    order = np.argsort(place, kind="stable")
    _, start = np.unique(place[order], return_index=True)
    first = rows[order][start]
    foreign = subjects[rows] != subjects[first[place]]
    other = first.copy()
    other[place[foreign]] = rows[foreign]
    pairs = np.stack([rows, np.where(foreign, first[place], other[place])], axis=1)
    return pairs[subjects[pairs[:, 0]] != subjects[pairs[:, 1]]], first, other


def _near(
    distinct: UInt8[ndarray, "hash byte"], subject: ndarray, second: ndarray
) -> Integer[ndarray, "pair 2"]:
    """Pairs of different hashes that are near each other and not of one subject alone; `second` is
    another subject of a hash, or the same.
    """
    # neighbouring bits look alike in most pictures: each band gets bits from everywhere
    dealt = np.random.default_rng(0).permutation(BITS)
    mixed = np.ascontiguousarray(np.packbits(np.unpackbits(distinct, axis=1)[:, dealt], axis=1))
    bands = mixed.view(np.uint32).astype(np.uint64)
    words = np.ascontiguousarray(distinct).view(np.uint64)
    found, partners = [np.empty((0, 2), dtype=np.int64)], np.zeros(len(distinct), dtype=np.int64)
    for one, two in combinations(range(BANDS), 2):
        key = (bands[:, one] << np.uint64(32)) | bands[:, two]
        order = np.argsort(key, kind="stable")
        run = np.cumsum(np.diff(key[order], prepend=key[order[:1]]) != 0)
        at = np.arange(len(order))
        for step in range(1, WINDOW + 1):
            at = at[at + step < len(order)]
            at = at[run[at] == run[at + step]]
            if not len(at):
                break
            a, b = order[at], order[at + step]
            foreign = (
                (subject[a] != subject[b]) | (subject[a] != second[a]) | (subject[b] != second[b])
            )
            wanted = foreign & ((partners[a] < MOST_PARTNERS) | (partners[b] < MOST_PARTNERS))
            a, b = a[wanted], b[wanted]
            near = np.bitwise_count(words[a] ^ words[b]).sum(axis=1) <= MOST_DIFFERENT
            found.append(np.stack([a[near], b[near]], axis=1))
            partners += np.bincount(found[-1].ravel(), minlength=len(partners))
    unique: ndarray = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    return unique
