"""A frozen image network: features of slices, or of the stack as a volume, that are stored once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray
from torch import Tensor, nn

from mmdiag.config import PACKAGED, RANDOM
from mmdiag.encoders.backbone import (
    as_seen,
    channels_first,
    features_of,
    load_pretrained,
    make_network,
)
from mmdiag.encoders.efficientnet_lite import unpooled_head
from mmdiag.encoders.weights import IMAGE_PACKAGES, Weights, find_weights

BATCH = 64  # images that are computed together; a feature does not depend on it beyond rounding
PIXELS = 2**17  # of them on a CPU, where larger batches wait for memory
WHAT = "image encoder"


@dataclass(frozen=True, slots=True)
class FrozenImageNetwork:
    """A network in evaluation.

    Args:
        identity: Name and SHA-256 of the weights: the key of stored features.
    """

    identity: str
    name: str
    network: nn.Module

    @torch.inference_mode()
    def features(self, images: UInt8[ndarray, "image *space"]) -> Float32[ndarray, "image feature"]:
        """One vector a slice (image, row, column), or a volume (image, slice, row, column); in
        colour with three channels behind.
        """
        return self._in_batches(images, features_of)

    @torch.inference_mode()
    def maps(
        self, images: UInt8[ndarray, "image row column *colour"]
    ) -> Float32[ndarray, "image feature cell_row cell_column"] | None:
        """One vector a cell of a slice, of which `features` are the mean; None where a network's
        features are no mean of cells.
        """
        if self.name != "efficientnet_lite0":
            return None
        return self._in_batches(
            images, lambda name, network, seen: unpooled_head(network, as_seen(name, seen))
        )

    def _in_batches(
        self,
        images: UInt8[ndarray, "image *space"],
        call: Callable[[str, nn.Module, Tensor], Tensor],
    ) -> Float32[ndarray, "image ..."]:
        device = next(self.network.parameters()).device
        pixels = images[0].size
        batch = BATCH if device.type == "cuda" else max(1, min(BATCH, PIXELS // pixels))
        parts = []
        for start in range(0, len(images), batch):
            some = torch.from_numpy(np.array(images[start : start + batch])).to(device)
            seen = channels_first(some, 3 if self.name.endswith("_3d") else 2)
            parts.append(call(self.name, self.network, seen).cpu().numpy())
        found: ndarray = np.concatenate(parts)
        return found


@lru_cache(maxsize=4)
def frozen_image_network(
    name: str, weights: str, seed: int, channels: int = 1
) -> FrozenImageNetwork:
    """Load a network once a process.

    Args:
        weights: A folder, a hub name, `random`, or `packaged`.
        seed: Where random weights come from; pretrained ones do not depend on it.
        channels: Of the images: 1 = grey, 3 = colour.

    Raises:
        UsageError: The weights are not there, or are those of another network.
    """
    found = image_weights(name, weights)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = make_network(name, channels)
    if found is not None:
        load_pretrained(network, found.file)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    identity = f"{name}:{found.sha256 if found else f'{RANDOM} {seed}'}"
    return FrozenImageNetwork(identity, name, network.eval().to(device))


def image_weights(name: str, weights: str) -> Weights | None:
    """The weights of an image encoder, see `find_weights`; None where they are random."""
    if weights == RANDOM:
        return None
    return find_weights(name if weights == PACKAGED else weights, WHAT, packaged=IMAGE_PACKAGES)
