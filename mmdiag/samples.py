"""`Sample` and `Batch`: what a network is given, as arrays, and who has what.

A modality of a sample is a dict of arrays. Frozen encoders give `summary (F0,)` and `detail (T,
F1)`, which are padded in a batch beside
`detail_mask (B, T)`; an encoder that is trained end to end gets `image (S, H, W)` and `image_mask`.
A modality that a case lacks has no key in its
sample; in a batch its rows are 0 and `present` is False.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer
from numpy import ndarray
from torch import Tensor

Sample = Mapping[str, Mapping[str, ndarray]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some cases as tensors.

    Args:
        values: For each modality its named arrays, padded to the longest of the batch.
        present: For each modality which cases have it.
        target: What the task head is trained on, one row a case; NaN where a case has no label.
    """

    values: dict[str, dict[str, Tensor]]
    present: dict[str, Bool[Tensor, "batch"]]
    target: Float[Tensor, "batch target"]

    def to(self, device: torch.device, *, non_blocking: bool = False) -> "Batch":
        """Move every tensor."""
        values = {
            m: {key: value.to(device, non_blocking=non_blocking) for key, value in arrays.items()}
            for m, arrays in self.values.items()
        }
        present = {
            m: value.to(device, non_blocking=non_blocking) for m, value in self.present.items()
        }
        return Batch(values, present, self.target.to(device, non_blocking=non_blocking))

    def rows(self, index: Integer[ndarray, "row"]) -> "Batch":
        """The batch of some of these cases, in the order given."""
        rows = torch.from_numpy(np.asarray(index, dtype=np.int64))
        values = {
            m: {key: value[rows] for key, value in arrays.items()}
            for m, arrays in self.values.items()
        }
        return Batch(
            values, {m: value[rows] for m, value in self.present.items()}, self.target[rows]
        )

    def slice(self, start: int, stop: int) -> "Batch":
        """The batch of neighbouring cases, without copying."""
        values = {
            m: {key: value[start:stop] for key, value in arrays.items()}
            for m, arrays in self.values.items()
        }
        return Batch(
            values,
            {m: value[start:stop] for m, value in self.present.items()},
            self.target[start:stop],
        )

    def __len__(self) -> int:
        return len(self.target)


def collate(
    samples: Sequence[Sample],
    modalities: Sequence[str],
    target: Float[ndarray, "batch target"],
    shapes: Mapping[str, Mapping[str, tuple[int, ...]]],
) -> Batch:
    """Pad samples to a batch.

    Args:
        samples: One mapping a case; a missing key is a modality that was not acquired.
        modalities: The modalities of the model, in its order.
        target: NaN = unlabelled.
        shapes: For each modality and array the shape of one case; its first axis may differ between
            cases where it is -1.
    """
    values: dict[str, dict[str, Tensor]] = {}
    present: dict[str, Tensor] = {}
    for name in modalities:
        present[name] = torch.tensor([name in sample for sample in samples], dtype=torch.bool)
        values[name] = {}
        for key, shape in shapes[name].items():
            arrays = [sample[name][key] if name in sample else None for sample in samples]
            values[name].update(_pad(key, arrays, shape))
    return Batch(values, present, torch.from_numpy(np.ascontiguousarray(target, dtype=np.float32)))


def _pad(key: str, arrays: Sequence[ndarray | None], shape: tuple[int, ...]) -> dict[str, Tensor]:
    if shape[0] != -1:
        out = np.zeros((len(arrays), *shape), dtype=np.float32)
        for row, array in enumerate(arrays):
            if array is not None:
                out[row] = array
        return {key: torch.from_numpy(out)}
    longest = max([len(a) for a in arrays if a is not None], default=0) or 1
    dtype = next((a.dtype for a in arrays if a is not None), np.dtype(np.float32))
    padded = np.zeros((len(arrays), longest, *shape[1:]), dtype=dtype)
    mask = np.zeros((len(arrays), longest), dtype=bool)
    for row, array in enumerate(arrays):
        if array is not None:
            padded[row, : len(array)] = array
            mask[row, : len(array)] = True
    return {key: torch.from_numpy(padded), f"{key}_mask": torch.from_numpy(mask)}


class Batches:
    """An epoch's batches; the order of an epoch follows from the seed and the epoch's number alone,
    so that a resumed training sees the same order.

    Args:
        take: Gives the batch of some row numbers, for example `whole.rows` of a batch that holds
            every case.
        rows: Number of cases.
        shuffle: Whether every epoch has its own order.
        seed: Where the orders come from.
        block: Batches that are taken at once and then cut apart, which for stored features is many
            times cheaper than one by one.
        ahead: Whether a thread takes the next block while this one is used: for cases that are read
            from the disk.
        target: Targets of all cases in order, where they are known without taking any case.
    """

    def __init__(
        self,
        take: Callable[[Integer[ndarray, "row"]], Batch],
        rows: int,
        *,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        block: int = 1,
        ahead: bool = False,
        target: Float[ndarray, "case target"] | None = None,
    ) -> None:
        self.take, self.rows, self.batch_size, self.shuffle, self.seed, self.epoch = (
            take,
            rows,
            batch_size,
            shuffle,
            seed,
            0,
        )
        self.block, self.ahead, self.target = block, ahead, target
        self.rank, self.ranks = 0, 1
        self.waited = 0.0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""
        self.epoch = epoch

    def share(self, rank: int, ranks: int) -> None:
        """Give every `ranks`-th row of each batch alone: what one of several processes works on.
        (0, 1) = all rows.
        """
        self.rank, self.ranks = rank, ranks

    def targets(self) -> Float[Tensor, "case target"]:
        """Targets of all cases."""
        return (
            self.take(np.arange(self.rows)).target
            if self.target is None
            else torch.from_numpy(np.asarray(self.target, dtype=np.float32))
        )

    def size(self, number: int) -> int:
        """Cases of the batch of this number in an epoch, over all processes; the first is 0."""
        return min(self.batch_size, self.rows - number * self.batch_size)

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        if not self.rows:
            return
        order = np.arange(self.rows)
        if self.shuffle:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(order)
        starts = range(0, len(order), self.batch_size)
        own = [order[start : start + self.batch_size][self.rank :: self.ranks] for start in starts]
        rows = [
            part if len(part) else order[start : start + 1]
            for part, start in zip(own, starts, strict=True)
        ]
        taken = self._blocks(
            [rows[first : first + self.block] for first in range(0, len(rows), self.block)]
        )
        for part, batch in zip(own, _cut(taken, rows), strict=True):
            # a process without a row of a small last batch computes along with another's, which
            # counts for nothing
            yield (
                batch
                if len(part)
                else replace(batch, target=torch.full_like(batch.target, torch.nan))
            )

    def _blocks(self, blocks: Sequence[Sequence[Integer[ndarray, "_"]]]) -> Iterator[Batch]:
        """Take block after block; `waited` grows by the seconds that the caller stood still."""
        with ThreadPoolExecutor(1) if self.ahead else nullcontext() as thread:
            calls = [partial(self.take, np.concatenate(block)) for block in blocks]
            coming = thread.submit(calls[0]) if thread else None
            for number, call in enumerate(calls):
                began = time.perf_counter()
                batch = coming.result() if coming else call()
                self.waited += time.perf_counter() - began
                if thread and number + 1 < len(calls):
                    coming = thread.submit(calls[number + 1])
                yield batch


def _cut(blocks: Iterator[Batch], rows: Sequence[Integer[ndarray, "_"]]) -> Iterator[Batch]:
    """Cut blocks into the batches of so many rows that they hold, one after another."""
    block, start = next(blocks), 0
    for part in rows:
        if start == len(block):
            block, start = next(blocks), 0
        yield block if len(part) == len(block) else block.slice(start, start + len(part))
        start += len(part)
