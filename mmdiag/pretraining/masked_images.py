"""Masked images: a network sees a quarter of a slice and draws the rest; what it learned so becomes
the image encoder `vit`.
"""

import json
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Integer, UInt8
from safetensors.torch import save_file
from torch import Tensor

from mmdiag.config import RunConfig
from mmdiag.encoders.backbone import (
    FEATURES,
    VIT_SIDE,
    as_seen,
    make_masked_autoencoder,
    vit_weights,
)
from mmdiag.encoders.weights import FILE
from mmdiag.pretraining.loop import Objective
from mmdiag.storage.store import Store
from mmdiag.workspace import write_text

EPOCHS, BATCH, RATE = 60, 64, 1e-3
PATCH = 16  # pixels a side, of the slice as the network sees it
# added to the variance of a patch, in squared units of the grey range -1..1: a patch of plain noise
# is not blown up
FLAT = 1e-3


def masked_images(
    store: Store,
    train_rows: Integer[np.ndarray, "_"],
    held_rows: Integer[np.ndarray, "_"],
    config: RunConfig,
    epochs: int | None,
) -> Objective:
    """The objective over every slice of every image modality.

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

    def loss(items: np.ndarray) -> Tensor:
        chosen = slices[items]
        parts = [
            _images(store, names[number], chosen[chosen[:, 0] == number])
            for number in np.unique(chosen[:, 0])
        ]
        images = torch.cat(
            [
                as_seen(
                    "vit", part.to(network.mask_tokens.device).float().div(127.5).sub(1.0)[:, None]
                )
                for part in parts
            ]
        )
        drawn, hidden = network(images)
        return masked_error(drawn.float(), images, hidden)

    def save(folder: Path) -> None:
        save_file(
            {name: value.contiguous() for name, value in vit_weights(network).items()},
            folder / FILE,
        )
        write_text(
            folder / "config.json",
            json.dumps(
                {"encoder": "vit", "features": FEATURES["vit"], "side": VIT_SIDE, "patch": PATCH},
                indent=1,
            ),
        )

    return Objective(
        network=network,
        loss=loss,
        save=save,
        epochs=epochs or EPOCHS,
        batch_size=BATCH,
        learning_rate=RATE,
        train=np.flatnonzero(np.isin(slices[:, 1], train_rows)),
        held=np.flatnonzero(np.isin(slices[:, 1], held_rows)),
    )


def masked_error(
    drawn: Float[Tensor, "image patch pixel"],
    images: Float[Tensor, "image 1 row column"],
    hidden: Tensor,
) -> Float[Tensor, ""]:
    """Mean squared error of the patches that were hidden, each in units of its own deviation.

    Args:
        hidden: (image, patch), 1 = hidden.
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


def _slices(store: Store, number: int, name: str) -> np.ndarray:
    """(slice, 3): number of the modality, row of the case, place in its stack."""
    rows = np.flatnonzero(store.present(name))
    counts = store.cases[f"count_{name}"].to_numpy()[rows].astype(int)
    place = (
        np.concatenate([np.arange(count) for count in counts]) if len(counts) else np.zeros(0, int)
    )
    return np.column_stack([np.full(len(place), number), np.repeat(rows, counts), place])


def _images(store: Store, name: str, slices: np.ndarray) -> UInt8[Tensor, "image row column"]:
    """Some slices of one modality, which is stored in one size."""
    return torch.from_numpy(
        np.stack([store.images(name, row)[place] for _, row, place in slices.tolist()])
    )
