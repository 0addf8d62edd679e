"""A frozen vision model of transformers (DINOv2, SigLIP, ViT, ConvNeXt, CLIP ...) from a folder or
a hub: safetensors only, never code that comes with a model, and images prepared as its own
preprocessor_config.json says.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from numpy import ndarray
from torch import Tensor, nn

from mmdiag.encoders.weights import Weights, find_weights
from mmdiag.errors import UsageError

WHAT = "image encoder"
SETTINGS = ("config.json", "preprocessor_config.json")
PIXELS = 2**19  # of images that are computed together: 10 of 224 x 224
SMALLEST, LARGEST = 16, 2048  # pixels a side
BICUBIC = 3  # as Pillow numbers ways of resampling
POOLER = "pooler."  # begins at random where a model was trained without: it is not asked then


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a model wants to be given.

    Args:
        rows, columns: Pixels; a slice is brought to them as a whole and nothing is cut off.
        scale: Of values of 0 to 255.
        mean, deviation: Of each colour, after the scale.
    """

    rows: int
    columns: int
    mode: str
    scale: float
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]

    def __call__(self, images: Float[Tensor, "image 3 _ _"]) -> Float[Tensor, "image 3 row column"]:
        """Images of 0 to 255 as the model wants them."""
        resized = nn.functional.interpolate(
            images, (self.rows, self.columns), mode=self.mode, antialias=True, align_corners=False
        ).clamp(0.0, 255.0)
        mean, deviation = (
            torch.tensor(values, device=images.device)[:, None, None]
            for values in (self.mean, self.deviation)
        )
        return (resized * self.scale - mean) / deviation


@dataclass(frozen=True, slots=True)
class VisionModel:
    """A vision model in evaluation.

    Args:
        identity: SHA-256 of the weights and of their settings: the key of stored features.
    """

    identity: str
    network: Any
    preprocess: Preprocessing

    @torch.inference_mode()
    def features(self, images: UInt8[ndarray, "image *space"]) -> Float32[ndarray, "image feature"]:
        """One vector a slice, grey (image, row, column) or in colour (image, row, column, 3): the
        summary that the model was trained to give, then the mean over its patches.
        """
        device = next(self.network.parameters()).device
        batch = max(1, PIXELS // (self.preprocess.rows * self.preprocess.columns))
        parts = []
        for start in range(0, len(images), batch):
            some = torch.from_numpy(np.array(images[start : start + batch])).to(device).float()
            colours = (
                some.permute(0, 3, 1, 2) if some.ndim == 4 else some[:, None].expand(-1, 3, -1, -1)
            )
            parts.append(self._vectors(self.preprocess(colours)).cpu().numpy())
        found: ndarray = np.concatenate(parts)
        return found

    def _vectors(
        self, images: Float[Tensor, "image 3 row column"]
    ) -> Float[Tensor, "image feature"]:
        answer = self.network(pixel_values=images)
        hidden, pooled = answer.last_hidden_state.float(), getattr(answer, "pooler_output", None)
        if hidden.ndim == 4:  # a convolutional network: (image, feature, row, column)
            patches, before = hidden.flatten(2).transpose(1, 2), 0
        else:
            patches, before = hidden, _before_patches(self.network, hidden, images)
        parts = [patches[:, before:].mean(dim=1)]
        if before:  # the class token; registers, which follow it, say nothing
            parts.insert(0, patches[:, 0])
        elif pooled is not None:
            parts.insert(0, pooled.float().flatten(1))
        return torch.cat(parts, dim=1)


@lru_cache(maxsize=2)
def vision_model(name: str) -> VisionModel:
    """Load a model once a process.

    Args:
        name: A folder, or `owner/name@<40 hex digits>` of a hub.

    Raises:
        UsageError: It is not there, or is no whole vision model that runs no code of its own.
    """
    weights = vision_weights(name)
    preprocess = _preprocessing(weights)
    network = _network(weights).eval()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = VisionModel(
        f"{weights.model}:{weights.sha256}:{weights.settings}", network.to(device), preprocess
    )
    try:
        found.features(np.zeros((1, preprocess.rows, preprocess.columns), np.uint8))
    except (ValueError, RuntimeError, TypeError, AttributeError) as error:
        said = f"does not take images of {preprocess.rows} x {preprocess.columns} pixels"
        raise _no_model(weights, f"{said} ({type(error).__name__})") from None
    return found


def vision_weights(name: str) -> Weights:
    """The weights of a vision model, see `find_weights`, with its type and the hash of its
    settings.

    Raises:
        UsageError: They are not there, or no model is described beside them.
    """
    found = find_weights(name, WHAT)
    described = _described(found, SETTINGS[0])
    settings = hashlib.sha256()
    for file in SETTINGS:
        _described(found, file)
        settings.update((found.folder / file).read_bytes())
    return dataclasses.replace(
        found, model=str(described.get("model_type", "")), settings=settings.hexdigest()
    )


def _described(weights: Weights, file: str) -> Mapping[str, Any]:
    try:
        found = json.loads((weights.folder / file).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _no_model(
            weights, f"has no {file} that can be read ({type(error).__name__})"
        ) from None
    if not isinstance(found, dict):
        raise _no_model(weights, f"has a {file} that is no object")
    return found


def _network(weights: Weights) -> Any:
    """The part of a model that reads images."""
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        model, loaded = AutoModel.from_pretrained(
            weights.folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise _no_model(weights, f"cannot be loaded ({type(error).__name__})") from None
    finally:
        logging.set_verbosity(verbosity)
    two = hasattr(model.config, "vision_config") and hasattr(model, "vision_model")
    network = model.vision_model if two else model
    if getattr(network, "main_input_name", "") != "pixel_values":
        raise _no_model(weights, f"is a {weights.model!r}, which reads no images")
    part = "vision_model." if two else ""
    missing = [name.removeprefix(part) for name in loaded["missing_keys"] if name.startswith(part)]
    lacking = sorted(name for name in missing if not name.startswith(POOLER))
    if lacking or (missing and not _has_class_token(network)):
        raise _no_model(weights, f"lacks {len(missing)} of its tensors, such as {min(missing)}")
    return network


def _has_class_token(network: nn.Module) -> bool:
    return any(name.rpartition(".")[2] == "cls_token" for name, _ in network.named_parameters())


def _before_patches(
    network: Any,
    hidden: Float[Tensor, "image token feature"],
    images: Float[Tensor, "image 3 row column"],
) -> int:
    """How many tokens stand before the patches; 0 where patches were merged on the way."""
    size = getattr(network.config, "patch_size", None)
    if not isinstance(size, int):
        return 0
    patches = (images.shape[-2] // size) * (images.shape[-1] // size)
    return max(hidden.shape[1] - patches, 0)


def _preprocessing(weights: Weights) -> Preprocessing:
    """Size, mean and deviation as preprocessor_config.json says them.

    Raises:
        UsageError: One of them is missing or makes no sense.
    """
    described = _described(weights, SETTINGS[1])
    cropped = described.get("do_center_crop", True) and "crop_size" in described
    try:
        rows, columns = _sides(described["crop_size"] if cropped else described["size"])
        scale = float(described.get("rescale_factor", 1 / 255))
        mean, deviation = _colours(described["image_mean"]), _colours(described["image_std"])
    except (KeyError, TypeError, ValueError) as error:
        raise _no_model(weights, f"has another {SETTINGS[1]} ({type(error).__name__})") from None
    finite = np.isfinite([scale, *mean, *deviation]).all() and scale > 0 and min(deviation) > 0
    if not finite or not all(SMALLEST <= side <= LARGEST for side in (rows, columns)):
        raise _no_model(weights, f"has numbers in {SETTINGS[1]} that make no sense")
    plain = not described.get("do_normalize", True)
    return Preprocessing(
        rows,
        columns,
        "bicubic" if described.get("resample") == BICUBIC else "bilinear",
        scale if described.get("do_rescale", True) else 1.0,
        (0.0, 0.0, 0.0) if plain else mean,
        (1.0, 1.0, 1.0) if plain else deviation,
    )


def _sides(size: Any) -> tuple[int, int]:
    if isinstance(size, dict):
        edge = size.get("shortest_edge")
        size = (size["height"], size["width"]) if edge is None else edge
    rows, columns = (size, size) if isinstance(size, int) else size
    return int(rows), int(columns)


def _colours(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def _no_model(weights: Weights, fact: str) -> UsageError:
    return UsageError(
        "An image encoder of transformers is a vision model with its image processor that runs no "
        f"code of its own, {Path(weights.folder).name} {fact}: save model and image processor "
        "again with save_pretrained, or name another."
    )
