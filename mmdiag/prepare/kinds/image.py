"""Images: statistics, textures or a network's features of slices; or the slices themselves."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped, UInt8
from numpy import ndarray
from torch import nn

from mmdiag.config import (
    FINE_TUNED,
    FROZEN,
    IMAGE_STATISTICS,
    RANDOM,
    STATISTICS,
    TRANSFORMERS,
    ImageConfig,
    RunConfig,
)
from mmdiag.encoders.backbone import VOLUME
from mmdiag.encoders.efficientnet_lite import FEATURES as LITE_FEATURES
from mmdiag.encoders.weights import Weights
from mmdiag.prepare.extract import Extractor, feature_key, version_of
from mmdiag.prepare.preparation import Preparation, fit_parts
from mmdiag.prepare.slices.colour import colour_statistics, luminance
from mmdiag.prepare.slices.statistics import slice_statistics
from mmdiag.prepare.slices.texture import plane_texture
from mmdiag.prepare.slices.volume import to_volume

VIT = "vit"  # the image encoder that a masked autoencoder leaves


def image_version(config: RunConfig) -> str:
    """Statistics, textures or a network, where features are stored."""
    image = config.image
    if image.training != FROZEN:
        return ""
    own = (*IMAGE_STATISTICS, TRANSFORMERS)
    found = version_of(image.encoder if image.encoder in own else "network")
    return f"{found} {version_of('network')}" if config.image_beside else found


def image_extractor(config: RunConfig) -> Extractor:
    """From stacks of slices to one array each, (slice, feature); a network that is trained reads
    the slices.
    """
    image = config.image
    if config.image_beside:
        return _extractor_of_both(config)
    if image.encoder == STATISTICS:
        return Extractor(
            feature_key(image_version(config)),
            lambda stacks: [_statistics(stack) for stack in stacks],
        )
    if image.encoder == "texture":
        return Extractor(
            feature_key(image_version(config)),
            lambda stacks: [slice_textures(stack) for stack in stacks],
        )
    if image.training != FROZEN:
        return Extractor("", list)
    if image.encoder == TRANSFORMERS:
        from mmdiag.encoders.vision_model import vision_model

        model = vision_model(image.weights)
        key = feature_key(image_version(config), model.identity)
        return Extractor(key, lambda stacks: [model.features(stack) for stack in stacks])
    return _network_extractor(config)


def _extractor_of_both(config: RunConfig) -> Extractor:
    """Statistics of slices, and behind them the features of a packaged network."""
    beside = _network_extractor(pretrained_beside(config))
    key = feature_key(image_version(config), beside.key)
    return Extractor(
        key,
        lambda stacks: [
            np.concatenate([_statistics(stack), features], axis=1)
            for stack, features in zip(stacks, beside(stacks), strict=True)
        ],
    )


def pretrained_beside(config: RunConfig) -> RunConfig:
    """The configuration of the network whose features stand beside statistics."""
    return dataclasses.replace(config, image=ImageConfig(encoder=config.image_beside))


def maps_beside(
    config: RunConfig, stack: UInt8[ndarray, "slice row column *colour"]
) -> Float32[ndarray, "slice feature cell_row cell_column"] | None:
    """What the network beside statistics sees in each cell of each slice; its features are the
    mean.
    """
    from mmdiag.encoders.frozen_image import frozen_image_network

    image = pretrained_beside(config).image
    network = frozen_image_network(image.encoder, image.begins_with, config.seed, _channels(stack))
    return network.maps(stack)


def statistics_alone(config: RunConfig) -> RunConfig:
    """The same images without the network beside."""
    return dataclasses.replace(config, ensemble=dataclasses.replace(config.ensemble, beside=""))


def _network_extractor(config: RunConfig) -> Extractor:
    """Features of a frozen network of MONAI; of grey images and of images in colour by the same
    weights.
    """
    from mmdiag.encoders.frozen_image import frozen_image_network

    image = config.image
    load = partial(frozen_image_network, image.encoder, image.begins_with, config.seed)
    key = feature_key(image_version(config), load().identity)
    if image.encoder.endswith("_3d"):
        return Extractor(
            key,
            lambda stacks: list(
                load(_channels(stacks[0])).features(np.stack(list(map(to_volume, stacks))))[:, None]
            ),
        )
    return Extractor(key, lambda stacks: [load(_channels(s)).features(s) for s in stacks])


def _channels(stack: UInt8[ndarray, "slice row column *colour"]) -> int:
    return 3 if stack.ndim == 4 else 1


def _statistics(
    stack: UInt8[ndarray, "slice row column *colour"],
) -> Float32[ndarray, "slice feature"]:
    """First-order statistics of every slice, and what its colours say."""
    if stack.ndim == 3:
        return slice_statistics(stack)
    return np.concatenate([slice_statistics(luminance(stack)), colour_statistics(stack)], axis=1)


def slice_textures(
    stack: UInt8[ndarray, "slice row column *colour"],
) -> Float32[ndarray, "slice feature"]:
    """First-order statistics and texture of every slice, and what its colours say."""
    grey = stack if stack.ndim == 3 else luminance(stack)
    textures = np.asarray([plane_texture(plane) for plane in grey], dtype=np.float32)
    return np.concatenate([_statistics(stack), textures], axis=1)


def image_weights(config: RunConfig) -> Weights | None:
    """The pretrained weights of the image network."""
    if config.image_beside:
        return image_weights(pretrained_beside(config))
    if config.image.encoder == TRANSFORMERS:
        from mmdiag.encoders.vision_model import vision_weights

        return vision_weights(config.image.weights)
    from mmdiag.encoders.frozen_image import image_weights as weights_of

    begins = config.image.begins_with
    return weights_of(config.image.encoder, begins) if begins else None


def load_pretrained_image(config: RunConfig, folder: Path) -> RunConfig:
    """Name what a masked autoencoder left; what is frozen stays frozen, all else is fine-tuned."""
    image = config.image
    return dataclasses.replace(
        config,
        image=ImageConfig(
            encoder=VIT,
            training=FROZEN if image.training == FROZEN else FINE_TUNED,
            weights=str(folder),
            components=image.components,
        ),
    )


def summarise_slices(
    features: Float32[ndarray, "slice feature"],
) -> tuple[Float32[ndarray, "summary"], Float32[ndarray, "slice feature"]]:
    """Extremes, mean and spread over slices; and the slices as they are."""
    summary = [features.max(axis=0), features.mean(axis=0), features.std(axis=0)]
    return np.concatenate(summary), features


def image_blocks(
    raw: Float32[ndarray, "slice feature"], widths: Sequence[int]
) -> dict[str, Float32[ndarray, "_"]]:
    """Extremes, mean and spread over slices of what is computed, and the mean of what a pretrained
    network sees.
    """
    own = raw[:, : widths[0]] if len(widths) > 1 else raw
    found = {"features": summarise_slices(own)[0]}
    if len(widths) > 1:
        found["pretrained"] = raw[:, widths[0] :].mean(axis=0)
    return found


def image_parts(raw: Float32[ndarray, "slice feature"], config: RunConfig) -> tuple[int, ...]:
    """Features that are computed, and features of a pretrained network beside them."""
    if not config.image_beside:
        return (raw.shape[1],)
    return raw.shape[1] - LITE_FEATURES, LITE_FEATURES


def fit_image(
    raws: Sequence[Shaped[ndarray, "_ ..."]],
    config: RunConfig,
    _columns: Sequence[str],
    _gene_sets: Mapping[str, Sequence[int]] | None,
) -> Preparation:
    """Projections of stored features; of slices that a network reads, their size."""
    image = config.image
    weights = image_weights(config)
    source = weights.record() if weights else {"source": RANDOM} if image.begins_with else {}
    if image.training == FROZEN:
        return fit_parts("image", raws, image.components, source=source)
    start = weights.file if weights else None
    if image.encoder.endswith("_3d"):
        shape = (*VOLUME, *raws[0].shape[3:])
        return Preparation(kind="image", reads="volume", shape=shape, source=source, start=start)
    return Preparation(
        kind="image", reads="image", shape=(-1, *raws[0].shape[1:]), source=source, start=start
    )


def image_encoder(preparation: Preparation, config: RunConfig) -> nn.Module:
    """A network on slices or on the volume, or on stored features of slices."""
    from mmdiag.encoders.image_network import SliceNetwork, VolumeNetwork
    from mmdiag.prepare.build_encoder import stored_encoder

    if preparation.reads == "features":
        return stored_encoder(preparation, config)
    network = VolumeNetwork if preparation.reads == "volume" else SliceNetwork
    return network(
        config.model.width,
        name=config.image.encoder,
        start=preparation.start,
        pretrained=config.image.training == FINE_TUNED,
        dropout=config.model.dropout,
        channels=3 if preparation.colour else 1,
    )
