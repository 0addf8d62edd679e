"""EfficientNet-Lite0, built from MONAI's EfficientNet, and the ImageNet weights that a package
carries of it.
"""

import hashlib
import io
import math
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmdiag.encoders.weights import IMAGE_PACKAGES

FEATURES = 1280  # of the pooled head
# repeats, kernel, strides, expansion, channels in and out; without squeeze and excitation
BLOCKS = (
    "r1_k3_s11_e1_i32_o16",
    "r2_k3_s22_e6_i16_o24",
    "r2_k5_s22_e6_i24_o40",
    "r3_k3_s22_e6_i40_o80",
    "r3_k5_s11_e6_i80_o112",
    "r4_k5_s22_e6_i112_o192",
    "r1_k3_s11_e6_i192_o320",
)
PACKAGE = IMAGE_PACKAGES["efficientnet_lite0"]
FILE = Path(PACKAGE.file).name
STAGES = "_blocks."


def make_efficientnet_lite0(dimensions: int, channels: int) -> nn.Module:
    """The network without its classes; its weights are random.

    Args:
        dimensions: Of an image; this network has two.
        channels: 1 = grey, 3 = colour.

    Reference:
        Tan 2019, EfficientNet; its Lite variants have no squeeze and excitation, and ReLU6 for
            swish, so that they can be quantised.
    """
    if dimensions != 2:
        raise ValueError(f"efficientnet_lite0 has 2 dimensions, found {dimensions}")
    network: nn.Module = with_classes(channels)
    network._dropout = network._fc = nn.Identity()
    return network


def with_classes(channels: int) -> Any:
    """The whole network with its 1000 classes, as the package's file has it.

    Args:
        channels: Of an image.
    """
    from monai.networks.nets.efficientnet import EfficientNet

    network: Any = EfficientNet(blocks_args_str=list(BLOCKS), in_channels=channels)
    for part in network.modules():
        if hasattr(part, "_swish"):
            part._swish = nn.ReLU6()
        if isinstance(part, nn.Conv2d) and part.groups > 1:
            # MONAI counts all channels as its outputs, and nothing of the image comes through
            nn.init.normal_(part.weight, 0.0, math.sqrt(2.0 / math.prod(part.kernel_size)))
    return network


def pooled_head(
    network: Any, images: Float[Tensor, "image channel row column"]
) -> Float[Tensor, "image feature"]:
    """One vector an image of -1 to 1, which is brought to the (value - 127) / 128 of training."""
    found: Tensor = network((images * 127.5 + 0.5) / 128.0)
    return found


def unpooled_head(
    network: Any, images: Float[Tensor, "image channel row column"]
) -> Float[Tensor, "image feature cell_row cell_column"]:
    """What `pooled_head` is the mean of: one vector a cell of 32 by 32 pixels of an image of -1 to
    1.
    """
    kept: list[Tensor] = []
    hook = network._avg_pooling.register_forward_pre_hook(lambda _, given: kept.append(given[0]))
    try:
        pooled_head(network, images)
    finally:
        hook.remove()
    return kept[0]


def packaged_weights(file: Path) -> dict[str, Tensor]:
    """The package's weights under MONAI's names: it counts blocks within stages.

    Raises:
        UsageError: The file is not the one that this code was written for; nothing of it is
            unpickled then.
    """
    content = file.read_bytes()
    PACKAGE.require(hashlib.sha256(content).hexdigest())
    stored = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    stages = _stage_of_block()
    return {_staged(name, stages): value for name, value in stored.items()}


def _stage_of_block() -> list[int]:
    repeats = [int(block[1 : block.index("_")]) for block in BLOCKS]
    return [stage for stage, count in enumerate(repeats) for _ in range(count)]


def _staged(name: str, stages: list[int]) -> str:
    if not name.startswith(STAGES):
        return name
    block = name.removeprefix(STAGES)
    return f"{STAGES}{stages[int(block.split('.', 1)[0])]}.{block}"
