"""Masked images: a network sees a quarter of a slice and draws the rest; what it learned so becomes
the image encoder `vit`.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int64, Real, UInt8
from numpy import ndarray
from safetensors.torch import save_file
from torch import Tensor, nn

from mmdiag.config import RunConfig
from mmdiag.encoders.backbone import (
    VIT_SIDE,
    as_seen,
    backbone_of,
    make_masked_autoencoder,
    vit_weights,
)
from mmdiag.encoders.weights import FILE
from mmdiag.pretraining.loop import PretextTask
from mmdiag.storage.store import Store
from mmdiag.workspace import write_text

EPOCHS, BATCH, RATE = 60, 64, 1e-3
PATCH = 16  # pixels a side, of the slice as the network sees it
# added to the variance of a patch, in squared units of the grey range -1..1: a patch of plain noise
# is not blown up
FLAT = 1e-3


def masked_images(
    store: Store,
    train_rows: Int64[ndarray, "train"],
    held_rows: Int64[ndarray, "held"],
    config: RunConfig,
    epochs: int | None,
) -> PretextTask:
    """The pretext task over every slice of every image modality.

    Args:
        train_rows, held_rows: Rows of `store.cases`.
        config: Its seed alone matters: what is learned becomes the encoder `vit`.

    Reference:
        He 2022, Masked autoencoders are scalable vision learners.
    """
    names = [name for name, kind in store.modalities.items() if kind == "image"]
    slices = np.concatenate([_slices(store, number, name) for number, name in enumerate(names)])
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        network = make_masked_autoencoder()

    def loss(items: Int64[ndarray, "item"]) -> Float[Tensor, ""]:
        images = _as_network_sees(store, names, slices[items], network.mask_tokens.device)
        drawn, hidden = network(images)
        return masked_error(drawn.float(), images, hidden)

    return PretextTask(
        network=network,
        loss=loss,
        save=partial(_save, network),
        epochs=epochs or EPOCHS,
        batch_size=BATCH,
        learning_rate=RATE,
        train=np.flatnonzero(np.isin(slices[:, 1], train_rows)),
        held=np.flatnonzero(np.isin(slices[:, 1], held_rows)),
    )


def _as_network_sees(
    store: Store,
    names: Sequence[str],
    slices: Int64[ndarray, "slice 3"],
    device: torch.device,
) -> Float[Tensor, "slice 1 row column"]:
    """Some slices as grey values from -1 to 1 in the network's size; those of one modality follow
    each other.
    """
    parts = [
        _images(store, names[number], slices[slices[:, 0] == number])
        for number in np.unique(slices[:, 0])
    ]
    return torch.cat(
        [as_seen("vit", part.to(device).float().div(127.5).sub(1.0)[:, None]) for part in parts]
    )


def _save(network: nn.Module, folder: Path) -> None:
    """The encoder alone, under the names of the network `vit`."""
    weights = {name: value.contiguous() for name, value in vit_weights(network).items()}
    save_file(weights, folder / FILE)
    facts = {
        "encoder": "vit",
        "features": backbone_of("vit").features,
        "side": VIT_SIDE,
        "patch": PATCH,
    }
    write_text(folder / "config.json", json.dumps(facts, indent=1))


def masked_error(
    drawn: Float[Tensor, "image patch pixel"],
    images: Float[Tensor, "image 1 row column"],
    hidden: Real[Tensor, "image patch"],
) -> Float[Tensor, ""]:
    """Mean squared error of the patches that were hidden, each in units of its own deviation.

    Args:
        hidden: 1 = hidden, 0 = seen.
    """
    wanted = rearrange(
        images,
        "image 1 (down row) (across column) -> image (down across) (row column)",
        row=PATCH,
        column=PATCH,
    )
    wanted = (wanted - wanted.mean(-1, keepdim=True)) / (wanted.var(-1, keepdim=True) + FLAT).sqrt()
    error = (drawn - wanted).square().mean(-1)
    return (error * hidden).sum() / hidden.sum().clamp(min=1)


def _slices(store: Store, number: int, name: str) -> Int64[ndarray, "slice 3"]:
    """One row a slice: number of the modality, row of the case, index in its stack."""
    rows = np.flatnonzero(store.present(name))
    counts = store.cases[f"count_{name}"].to_numpy()[rows].astype(int)
    index = (
        np.concatenate([np.arange(count) for count in counts]) if len(counts) else np.zeros(0, int)
    )
    return np.column_stack([np.full(len(index), number), np.repeat(rows, counts), index])


def _images(
    store: Store, name: str, slices: Int64[ndarray, "image 3"]
) -> UInt8[Tensor, "image row column"]:
    """Some slices of one modality, which is stored in one size."""
    return torch.from_numpy(
        np.stack(
            [store.images(name, row, colour=False)[index] for _, row, index in slices.tolist()]
        )
    )
