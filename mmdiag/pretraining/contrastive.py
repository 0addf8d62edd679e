"""Modalities brought together by contrast: the summary tokens of one case are to be more alike than
those of two cases.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from numpy import ndarray
from safetensors.torch import save_file
from torch import Tensor, nn

from mmdiag.config import RunConfig
from mmdiag.encoders.weights import FILE
from mmdiag.prepare import Preparation, fit_preparation, make_encoder, write_preparations
from mmdiag.prepare.batches import batch_of, prepare_samples
from mmdiag.pretraining.loop import PretextTask
from mmdiag.samples import Batch
from mmdiag.storage.store import Store
from mmdiag.tokens import Tokens

EPOCHS, BATCH, RATE = 100, 128, 2e-3
FIRST_SCALE, LARGEST_SCALE = 10.0, 100.0  # of the cosines; learned


class Alignment(nn.Module):
    """The encoders of all modalities under one loss.

    Args:
        encoders: By the names of `DiagnosisModel.encoders`.

    Reference:
        van den Oord 2018, Representation learning with contrastive predictive coding; Radford 2021
        (symmetric, with a learned scale).
    """

    def __init__(self, encoders: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.log_scale = nn.Parameter(torch.tensor(FIRST_SCALE).log())

    def forward(self, batch: Batch, subjects: Int[Tensor, "batch"]) -> Float[Tensor, ""]:
        """The mean loss over pairs of modalities."""
        tokens = {
            name: self.encoders[f"{name}_"](batch.values[name], there)
            for name, there in batch.present.items()
        }
        return contrast(tokens, subjects, self.log_scale.exp().clamp(max=LARGEST_SCALE))


def contrast(
    tokens: Mapping[str, Tokens], subjects: Int[Tensor, "batch"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE between the summary tokens of each pair of modalities; only cases that have
    both take part.

    Args:
        subjects: A number of each case's subject: another case of the same one is no
            counter-example.
        scale: Of the cosines.

    Returns:
        The mean over pairs; 0 where no pair has two cases.
    """
    losses = [0.0 * scale]
    for first, second in combinations(tokens.values(), 2):
        both = first.present() & second.present()
        if int(both.sum()) < 2:
            continue
        cosines = (
            nn.functional.normalize(first.values[both, 0].float(), dim=1)
            @ nn.functional.normalize(second.values[both, 0].float(), dim=1).T
        )
        same = (subjects[both][:, None] == subjects[both]) & ~torch.eye(
            len(cosines), dtype=torch.bool, device=cosines.device
        )
        logits, own = (
            (scale * cosines).masked_fill(same, float("-inf")),
            torch.arange(len(cosines), device=cosines.device),
        )
        losses.append(
            (nn.functional.cross_entropy(logits, own) + nn.functional.cross_entropy(logits.T, own))
            / 2
        )
    return torch.stack(losses).sum() / max(len(losses) - 1, 1)


def alignment(
    store: Store,
    config: RunConfig,
    raws: Mapping[str, Sequence[ndarray | None]],
    gene_sets: Mapping[str, Mapping[str, Sequence[int]]],
    train_rows: Int64[ndarray, "train"],
    held_rows: Int64[ndarray, "held"],
    *,
    epochs: int | None,
) -> PretextTask:
    """The pretext task over every case that has two modalities.

    Args:
        raws: Raw features of all cases.
        train_rows, held_rows: Rows of `store.cases`; what is fitted of a modality is fitted on the
            first.
    """
    preparations = {
        name: _fitted(store, config, name, raws[name], gene_sets, train_rows)
        for name in store.modalities
    }
    network = _initial_network(preparations, config)
    several = np.sum([store.present(name) for name in store.modalities], axis=0) >= 2
    subjects = torch.from_numpy(
        np.unique(store.cases["subject_id"].to_numpy(dtype=str), return_inverse=True)[1]
    )
    lazy = any(preparation.trains_on_raw_input for preparation in preparations.values())
    rows = np.sort(np.concatenate([train_rows, held_rows]))
    batch_at = _batches_of(preparations, raws, None if lazy else rows)

    def loss(items: Int64[ndarray, "item"]) -> Float[Tensor, ""]:
        device = network.log_scale.device
        found: Tensor = network(batch_at(items).to(device), subjects[items].to(device))
        return found

    return PretextTask(
        network=network,
        loss=loss,
        save=partial(_save, network, preparations),
        epochs=epochs or EPOCHS,
        batch_size=BATCH,
        learning_rate=RATE,
        weight_decay=config.training.weight_decay,
        train=train_rows[several[train_rows]],
        held=held_rows[several[held_rows]],
        small=not lazy,
    )


def _initial_network(preparations: Mapping[str, Preparation], config: RunConfig) -> Alignment:
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        return Alignment({f"{name}_": make_encoder(p, config) for name, p in preparations.items()})


def _batches_of(
    preparations: Mapping[str, Preparation],
    raws: Mapping[str, Sequence[ndarray | None]],
    rows: Int64[ndarray, "row"] | None,
) -> Callable[[Int64[ndarray, "item"]], Batch]:
    """Gives the batch of some cases: of stored features out of one batch of all.

    Args:
        rows: Every case that will be asked for, in order; None = each batch is read anew.
    """
    if rows is None:
        return lambda items: batch_of(
            preparations, prepare_samples(preparations, raws, items.tolist())
        )
    full_batch = batch_of(preparations, prepare_samples(preparations, raws, rows.tolist()))
    return lambda items: full_batch.rows(np.searchsorted(rows, items))


def _save(network: Alignment, preparations: Mapping[str, Preparation], folder: Path) -> None:
    weights = network.encoders.state_dict()
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / FILE)
    write_preparations(folder, preparations)


def _fitted(
    store: Store,
    config: RunConfig,
    name: str,
    raws: Sequence[ndarray | None],
    gene_sets: Mapping[str, Mapping[str, Sequence[int]]],
    rows: Int64[ndarray, "row"],
) -> Preparation:
    kind = store.modalities[name]
    found = [raw for raw in (raws[row] for row in rows) if raw is not None]
    return fit_preparation(
        kind,
        found,
        config,
        columns=store.columns(name),
        gene_sets=gene_sets.get(name),
        categories=store.categories(name),
        source=store.source(name),
        colour=store.in_colour(name),
    )
