"""`Typicality`: how unlike its training cases a case is in one modality, as a module of an
ensemble, so that what is fitted lies beside its weights.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor, nn

from mmdiag.ensemble import Fold
from mmdiag.ensemble.typicality import (
    DIRECTIONS,
    QUANTILES,
    Calibration,
    Cloud,
    calibrate,
    fit_cloud,
    rescaling,
)
from mmdiag.prepare.blocks.preparation import BUCKETS, CATEGORY, COLUMNS, MISSING, BlockPreparation
from mmdiag.prepare.blocks.terms import idf_of
from mmdiag.prepare.pca import Projection
from mmdiag.readers.tables.categories import NEW, NOT_MEASURED

PARTS = ("center", "directions", "deviation")
WORDS = "words"


class Typicality(nn.Module):
    """A p-value of a case against training cases that were left out: from how far it lies along
    the leading directions of each block of features and beside them, from the share of columns that
    it lacks and its categories that no training case has, and from the share of its words that no
    training note has.

    Args:
        preparation: Says which blocks there are.
    """

    quantiles: Tensor
    cases: Tensor

    def __init__(self, preparation: BlockPreparation) -> None:
        super().__init__()
        self.blocks = tuple(preparation.dense)
        self.words, self.columns = WORDS in preparation.terms_of, COLUMNS in preparation.dense
        for name, block in preparation.dense.items():
            width = len(block.center)
            self.register_buffer(f"{name}_center", torch.zeros(width))
            self.register_buffer(f"{name}_directions", torch.zeros(width, DIRECTIONS))
            self.register_buffer(f"{name}_deviation", torch.ones(DIRECTIONS))
        if self.words:
            self.register_buffer("seen", torch.zeros(BUCKETS[WORDS], dtype=torch.int8))
        measures = 2 * len(self.blocks) + self.words + self.columns
        self.register_buffer("quantiles", torch.zeros(measures + 1, QUANTILES))
        self.register_buffer("cases", torch.zeros((), dtype=torch.int32))  # 0 = nothing is known

    @torch.no_grad()
    def forward(
        self, arrays: Mapping[str, Tensor], present: Bool[Tensor, "batch"]
    ) -> Float[ndarray, "batch"]:
        """The p-values of some cases; NaN where the modality is absent or nothing is known."""
        found = np.full(len(present), np.nan)
        there = np.flatnonzero(present.numpy())
        if not int(self.cases) or not len(there):
            return found
        rows = {
            name: arrays[name].numpy()[there]
            for name in (*self.blocks, MISSING, CATEGORY)
            if name in arrays
        }
        words = None
        if self.words:
            notes = arrays[WORDS].numpy()[there]
            unseen = getattr(self, "seen").numpy()[notes[..., 0].astype(int)] == 0  # noqa: B009
            words = (notes[..., 1] ** 2 * unseen).sum(axis=1, keepdims=True)
        measures = _measures(self._clouds(), rows, words, _new(rows))
        calibration = Calibration(self.quantiles.numpy().astype(float), int(self.cases))
        found[there] = calibration.p_values(measures)
        return found

    @torch.no_grad()
    def fit(
        self,
        arrays: Sequence[Mapping[str, ndarray]],
        folds: Sequence[Fold],
        units: Int[ndarray, "case"],
    ) -> Float[ndarray, "case"]:
        """Learn what the training cases are like; returns their own p-values by what the others are
        like.

        Args:
            units: A number for those that are kept together, such as a person's cases: a word that
                one of them alone has, nobody has.
        """
        rows = {
            name: np.stack([case[name] for case in arrays]).astype(float)
            for name in (*self.blocks, MISSING, CATEGORY)
            if name in arrays[0]
        }
        notes = _padded([case[WORDS] for case in arrays]) if self.words else None
        words = None if notes is None else _new_words(notes, units)

        def measure(train: Int[ndarray, "_"], test: Int[ndarray, "_"]) -> ndarray:
            tested = {name: values[test] for name, values in rows.items()}
            clouds = {}
            for name in self.blocks:
                scale = rescaling(rows[name], train)
                clouds[name] = fit_cloud(rows[name][train] * scale)
                tested[name] = (tested[name] * scale).clip(-Projection.CLIP, Projection.CLIP)
            new = _new(tested, rows[CATEGORY][train] if CATEGORY in rows else None)
            return _measures(clouds, tested, None if words is None else words[test], new)

        calibration, own = calibrate(measure, len(arrays), folds)
        for name in self.blocks:
            cloud = fit_cloud(rows[name])
            for part in PARTS:
                getattr(self, f"{name}_{part}").copy_(torch.from_numpy(getattr(cloud, part)))
        if notes is not None:
            getattr(self, "seen").copy_(torch.from_numpy(_seen_in(notes)))  # noqa: B009
        self.quantiles.copy_(torch.from_numpy(calibration.quantiles))
        self.cases.fill_(len(arrays))
        return own

    def _clouds(self) -> dict[str, Cloud]:
        return {
            name: Cloud(*(getattr(self, f"{name}_{part}").numpy().astype(float) for part in PARTS))
            for name in self.blocks
        }


def _measures(
    clouds: Mapping[str, Cloud],
    rows: Mapping[str, Float[ndarray, "case _"]],
    words: Float[ndarray, "case 1"] | None,
    new: Float[ndarray, "case"] | None,
) -> Float[ndarray, "case measure"]:
    """Each measure of each case.

    Args:
        words: Share of the words of its note that are new.
        new: Number of its categories that are.
    """
    found = [cloud.measures(rows[name].astype(float)) for name, cloud in clouds.items()]
    if words is not None:
        found.append(words)
    if MISSING in rows:
        share = rows[MISSING].mean(axis=1, keepdims=True) if rows[MISSING].shape[1] else None
        share = np.zeros((len(rows[MISSING]), 1)) if share is None else share
        found.append(share if new is None else share + new[:, None])
    return np.concatenate(found, axis=1)


def _new(
    rows: Mapping[str, Float[ndarray, "case _"]], others: Float[ndarray, "_ word"] | None = None
) -> Float[ndarray, "case"] | None:
    """How many categories of each case nobody else has; None where a table has no columns of words.

    Args:
        others: Numbers of the categories of others; None = those that are `NEW` are counted.
    """
    if CATEGORY not in rows:
        return None
    found = rows[CATEGORY] == NEW
    for word in range(found.shape[1] if others is not None else 0):
        assert others is not None
        own = rows[CATEGORY][:, word]
        found[:, word] |= (own != NOT_MEASURED) & ~np.isin(own, others[:, word])
    counts: ndarray = found.sum(axis=1).astype(float)
    return counts


def _seen_in(notes: Float[ndarray, "case term 3"]) -> Int[ndarray, "bucket"]:
    seen = np.zeros(BUCKETS[WORDS], np.int8)
    used = notes[notes[..., 1] > 0]
    seen[used[:, 0].astype(int)] = 1
    return seen


def _new_words(
    notes: Float[ndarray, "case term 3"], units: Int[ndarray, "case"]
) -> Float[ndarray, "case 1"]:
    """Of each note the share of its words that no note of another unit has, with the weights that
    they had, had that unit not been there when weights were fitted.
    """
    used = notes[..., 1] > 0
    row = np.nonzero(used)[0]
    bucket, weight = notes[..., 0][used].astype(int), notes[..., 1][used].astype(float)
    of_all = np.bincount(bucket, minlength=BUCKETS[WORDS])[bucket]
    _, pair, size = np.unique(
        units[row] * BUCKETS[WORDS] + bucket, return_inverse=True, return_counts=True
    )
    of_others = of_all - size[pair]
    others = len(units) - np.bincount(units)[units[row]]
    weight *= idf_of(of_others, others) / idf_of(of_all, len(units))
    every = np.bincount(row, weight**2, minlength=len(units))
    new = np.bincount(row, weight**2 * (of_others == 0), minlength=len(units))
    share: ndarray = new / np.maximum(every, 1e-12)
    return share[:, None]


def _padded(notes: Sequence[Float[ndarray, "_ 3"]]) -> Float[ndarray, "case term 3"]:
    table = np.zeros((len(notes), max(map(len, notes)), 3), np.float32)
    for row, note in enumerate(notes):
        table[row, : len(note)] = note
    return table
