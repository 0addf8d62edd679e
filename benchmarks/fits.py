"""What a fit of an ensemble's network costs: one by one, and all of them as one batched network.

one by one     the same trainer, a fold at a time
batched        the folds of several inner cross-validations as one network
226f31c        a network of the family `cross_modal` on the tokens of 160 cases, as recorded there:
               about 20 CPU seconds a fit

The same networks on the same cases with the same number of epochs and no early stopping, in
interleaved rounds; processor time of this process.

python benchmarks/fits.py [--cases 160] [--epochs 30] [--rounds 3]
"""

import argparse
import dataclasses
import statistics
import time
import warnings

import numpy as np
import torch

from mmdiag import recipes
from mmdiag.model.ensemble import network_config
from mmdiag.model.network import DiagnosisModel
from mmdiag.prepare.blocks.preparation import BlockPreparation
from mmdiag.prepare.pca import Projection
from mmdiag.samples import Batch
from mmdiag.task import Task
from mmdiag.training.batched import Fold, train_together

TASK = Task(kind="binary", classes=("0", "1"))
WIDTHS = {"image": 48, "text": 72, "table": 24}
INNER, RECORDED = 5, 20.0  # folds; CPU seconds a fit at 226f31c


def preparation(kind: str, width: int) -> BlockPreparation:
    """A modality whose summary has so many scores."""
    ones = np.ones(width, np.float32)
    block = Projection(ones, ones, np.eye(width, dtype=np.float32))
    return BlockPreparation(kind=kind, dense={"features": block})


def make_cases(count: int) -> Batch:
    """Cases of which a fifth lacks each modality."""
    generator = torch.Generator().manual_seed(0)
    values = {
        kind: {"summary": torch.randn(count, width, generator=generator)}
        for kind, width in WIDTHS.items()
    }
    present = {kind: torch.rand(count, generator=generator) > 0.2 for kind in WIDTHS}
    target = (torch.rand(count, 1, generator=generator) > 0.5).float()
    return Batch(values, present, target)


def seconds(cases: Batch, folds: list[list[Fold]], epochs: int) -> float:
    """Processor time of training some groups of folds, each group as one network."""
    config = network_config(recipes.default())
    settings = dataclasses.replace(config.training, max_epochs=epochs, patience=epochs)
    prepared = {kind: preparation(kind, width) for kind, width in WIDTHS.items()}
    began = time.process_time()
    for group in folds:
        train_together(
            lambda: DiagnosisModel(config, prepared, TASK), cases, group, TASK, settings, seed=0
        )
    return time.process_time() - began


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    cases, number = make_cases(asked.cases), np.arange(asked.cases) % INNER
    folds = [Fold(np.flatnonzero(number != n), np.flatnonzero(number == n)) for n in range(INNER)]
    ways = {
        "one by one": [[fold] for fold in folds],
        f"{INNER} at once": [folds],
        f"{5 * INNER} at once": [folds * 5],
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    seconds(cases, [folds[:1]], 2)  # imports, and the first calls
    for _ in range(asked.rounds):
        for name, groups in ways.items():
            fits = sum(map(len, groups))
            taken[name].append(seconds(cases, groups, asked.epochs) / fits / asked.epochs)
    epoch = {name: statistics.median(values) for name, values in taken.items()}
    for name, value in epoch.items():
        whole = value * recipes.default().training.max_epochs
        print(
            f"{name}: {1e3 * value:.2f} ms of CPU an epoch and fit, at most {whole:.2f} s a fit, "
            f"{epoch['one by one'] / value:.1f} times one by one, "
            f"{RECORDED / whole:.0f} times 226f31c"
        )


if __name__ == "__main__":
    main()
