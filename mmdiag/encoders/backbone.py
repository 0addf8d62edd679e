"""MONAI's image networks without their heads: built by name, begun from weights, and brought to one
feature vector an image.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from einops import reduce
from jaxtyping import Float, Real
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mmdiag.config import IMAGE_NETWORKS
from mmdiag.encoders import efficientnet_lite
from mmdiag.errors import UsageError

# pixels; a smaller slice is enlarged, so that a network that halves it five times still sees a
# plane
SMALLEST_SIDE = 64
VIT_SIDE = 128  # pixels: position embeddings belong to one size
VIT: dict[str, Any] = {
    "in_channels": 1,
    "img_size": (VIT_SIDE, VIT_SIDE),
    "patch_size": (16, 16),
    "hidden_size": 192,
    "mlp_dim": 768,
    "num_layers": 6,
    "num_heads": 3,
}
SEGRES_FILTERS, SEGRES_BLOCKS = 32, (1, 2, 2, 4, 4)
VOLUME = (32, 64, 64)  # slices, rows, columns of the stack that a 3D network is given
# that training scripts put before a network's own names
PREFIXES = (
    "module.",
    "state_dict.",
    "network.",
    "backbone.",
    "encoder.",
    "model.",
)


@dataclass(frozen=True, slots=True)
class Backbone:
    """An image network without its head.

    Args:
        build: Number of spatial dimensions (2 or 3) and of channels (1 or 3) -> the network, with
            random weights.
        features: Length of the vector of an image.
        vector: (network, images) -> one vector an image.
        side: The one side of an image that the network takes, in pixels; None = any from
            `SMALLEST_SIDE`.
    """

    build: Callable[[int, int], Any]
    features: int
    vector: Callable[[Any, Float[Tensor, "image channel *space"]], Float[Tensor, "image feature"]]
    side: int | None = None


def backbone_of(name: str) -> Backbone:
    """The backbone of one of `mmdiag.config.IMAGE_NETWORKS`; `resnet10_3d` is `resnet10` in three
    dimensions.
    """
    return BACKBONES[name.removesuffix("_3d")]


def make_network(name: str, channels: int = 1) -> nn.Module:
    """Build a network by a name of `mmdiag.config.IMAGE_NETWORKS`; its weights are random.

    Args:
        channels: 1 = grey, 3 = colour.
    """
    network: nn.Module = backbone_of(name).build(3 if name.endswith("_3d") else 2, channels)
    return network


def channels_first(
    images: Real[Tensor, "image *space"], dimensions: int
) -> Float[Tensor, "image channel *seen"]:
    """Images of 0 to 255, grey or with their three colours last, as networks take them: channels
    before the space, from -1 to 1.

    Args:
        dimensions: Of an image: 2, or of a volume 3.
    """
    scaled = images.float().div(127.5).sub(1.0)
    return scaled.movedim(-1, 1) if images.ndim == dimensions + 2 else scaled[:, None]


def features_of(
    name: str, network: nn.Module, images: Float[Tensor, "image channel *space"]
) -> Float[Tensor, "image feature"]:
    """One vector an image.

    Args:
        images: Values from -1 to 1; slices of any size, or volumes of the size `VOLUME`.
    """
    return backbone_of(name).vector(network, as_seen(name, images)).float()


def as_seen(
    name: str, images: Float[Tensor, "image channel *space"]
) -> Float[Tensor, "image channel *seen"]:
    """Images in the size that a network takes; volumes have theirs already."""
    if name.endswith("_3d"):
        return images
    side = backbone_of(name).side
    rows, columns = (side or max(length, SMALLEST_SIDE) for length in images.shape[-2:])
    same = (rows, columns) == tuple(images.shape[-2:])
    return (
        images
        if same
        else nn.functional.interpolate(
            images, (rows, columns), mode="bilinear", align_corners=False
        )
    )


def make_masked_autoencoder() -> Any:
    """MONAI's masked autoencoder whose encoder is the network `vit`; its weights are random.

    Reference:
        He 2022, Masked autoencoders are scalable vision learners: a small decoder, three quarters
            of the patches hidden.
    """
    from monai.networks.nets import MaskedAutoEncoderViT

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MONAI's call of torch.meshgrid
        return MaskedAutoEncoderViT(
            **VIT,
            masking_ratio=0.75,
            decoder_hidden_size=96,
            decoder_mlp_dim=384,
            decoder_num_layers=2,
            decoder_num_heads=3,
            spatial_dims=2,
        )


def vit_weights(autoencoder: nn.Module) -> dict[str, Tensor]:
    """The encoder's part of a masked autoencoder, under the names of the network `vit`."""
    last = f"blocks.{VIT['num_layers']}."
    wanted = make_network("vit").state_dict()
    named = {
        name.replace(last, "norm."): value.detach().cpu()
        for name, value in autoencoder.state_dict().items()
    }
    return {name: named[name] for name in wanted}


def load_pretrained(network: nn.Module, file: Path) -> None:
    """Load pretrained weights into a network; weights of three colour channels are added up for
    grey, those of grey are shared out for three.

    Args:
        file: Of safetensors, or the one that the package of EfficientNet-Lite0 carries.

    Raises:
        UsageError: The file is neither, or holds another network.
    """
    stored = _stored(file)
    wanted = network.state_dict()
    taken = {name: _with_channels(stored[name], wanted[name]) for name in wanted if name in stored}
    lacking = [
        name
        for name in wanted
        if not name.endswith("num_batches_tracked")
        and (name not in taken or taken[name].shape != wanted[name].shape)
    ]
    if lacking:
        raise UsageError(
            f"Weights must be those of the network that the configuration names, {len(lacking)} "
            f"of its {len(wanted)} tensors are missing in {file.name} or have "
            f"another shape, such as {lacking[0]}: name the network that they belong to."
        )
    network.load_state_dict(taken, strict=False)


def _stored(file: Path) -> dict[str, Tensor]:
    if file.name == efficientnet_lite.FILE:
        return efficientnet_lite.packaged_weights(file)
    try:
        return {_own_name(name): value for name, value in load_file(file).items()}
    except (SafetensorError, OSError) as error:
        raise UsageError(
            f"Weights must be a whole safetensors file, {file.name} is not "
            f"({type(error).__name__}): save or fetch it again."
        ) from None


def _own_name(name: str) -> str:
    shorter = next(
        (name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix)), name
    )
    return shorter if shorter == name else _own_name(shorter)


def _with_channels(stored: Tensor, wanted: Tensor) -> Tensor:
    """Weights for the channels of a network: grey is read as three equal colours, and three colours
    by weights of grey as their mean.
    """
    alike = stored.ndim == wanted.ndim > 2 and stored.shape[0] == wanted.shape[0]
    if not alike or stored.shape[2:] != wanted.shape[2:]:
        return stored
    channels = (stored.shape[1], wanted.shape[1])
    if channels == (3, 1):
        return stored.sum(dim=1, keepdim=True)
    return stored.expand(wanted.shape) / 3 if channels == (1, 3) else stored


def _resnet10(dimensions: int, channels: int) -> Any:
    from monai.networks.nets import resnet10

    return resnet10(
        spatial_dims=dimensions, n_input_channels=channels, num_classes=1, feed_forward=False
    )


def _resnet18(dimensions: int, channels: int) -> Any:
    from monai.networks.nets import resnet18

    return resnet18(
        spatial_dims=dimensions, n_input_channels=channels, num_classes=1, feed_forward=False
    )


def _resnet50(dimensions: int, channels: int) -> Any:
    """Of the form of MedicalNet's weights.

    Reference:
        Chen 2019, Med3D: transfer learning for 3D medical image analysis.
    """
    from monai.networks.nets import resnet50

    return resnet50(
        spatial_dims=dimensions,
        n_input_channels=channels,
        num_classes=1,
        feed_forward=False,
        conv1_t_stride=2,
        shortcut_type="B",
        bias_downsample=False,
    )


def _segresencoder(dimensions: int, channels: int) -> Any:
    """Of the form of CT-FM's weights.

    Reference:
        Myronenko 2018 (the network); Pai 2025, Vision foundation models for computed tomography.
    """
    from monai.networks.nets.segresnet_ds import SegResEncoder

    return SegResEncoder(
        spatial_dims=dimensions,
        init_filters=SEGRES_FILTERS,
        in_channels=channels,
        blocks_down=SEGRES_BLOCKS,
    )


def _densenet121(dimensions: int, channels: int) -> Any:
    from monai.networks.nets import DenseNet121

    network = DenseNet121(spatial_dims=dimensions, in_channels=channels, out_channels=1)
    network.class_layers = nn.Identity()
    return network


def _vit(dimensions: int, channels: int) -> Any:
    from monai.networks.nets import ViT

    return ViT(**{**VIT, "in_channels": channels}, spatial_dims=dimensions)


def _swin(dimensions: int, channels: int) -> Any:
    from monai.networks.nets.swin_unetr import SwinTransformer

    return SwinTransformer(
        in_chans=channels,
        embed_dim=24,
        window_size=(7, 7),
        patch_size=(2, 2),
        depths=(2, 2, 2, 2),
        num_heads=(3, 6, 12, 24),
        spatial_dims=dimensions,
    )


def _output(
    network: Any, images: Float[Tensor, "image channel *space"]
) -> Float[Tensor, "image feature"]:
    found: Tensor = network(images)
    return found


def _mean_of_maps(
    network: Any, images: Float[Tensor, "image channel *space"]
) -> Float[Tensor, "image feature"]:
    maps: Tensor = torch.relu(network.features(images))
    return reduce(maps, "image feature ... -> image feature", "mean")


def _mean_of_patches(
    network: Any, images: Float[Tensor, "image channel row column"]
) -> Float[Tensor, "image feature"]:
    found: Tensor = network(images)[0].mean(dim=1)
    return found


def _mean_of_last_stage(
    network: Any, images: Float[Tensor, "image channel *space"]
) -> Float[Tensor, "image feature"]:
    maps: Tensor = network(images)[-1]
    return reduce(maps, "image feature ... -> image feature", "mean")


BACKBONES: dict[str, Backbone] = {
    "resnet10": Backbone(_resnet10, 512, _output),
    "resnet18": Backbone(_resnet18, 512, _output),
    "resnet50": Backbone(_resnet50, 2048, _output),
    "segresencoder": Backbone(
        _segresencoder, SEGRES_FILTERS * 2 ** (len(SEGRES_BLOCKS) - 1), _mean_of_last_stage
    ),
    "densenet121": Backbone(_densenet121, 1024, _mean_of_maps),
    "vit": Backbone(_vit, VIT["hidden_size"], _mean_of_patches, side=VIT_SIDE),
    "swin": Backbone(_swin, 384, _mean_of_last_stage),
    "efficientnet_lite0": Backbone(
        efficientnet_lite.make_efficientnet_lite0,
        efficientnet_lite.FEATURES,
        efficientnet_lite.pooled_head,
    ),
}
_unmatched = set(BACKBONES) ^ {name.removesuffix("_3d") for name in IMAGE_NETWORKS}
if _unmatched:
    raise TypeError(
        "Image networks stand in mmdiag.config.IMAGE_NETWORKS and in BACKBONES, "
        f"{', '.join(sorted(_unmatched))} in one alone: add it to the other."
    )
