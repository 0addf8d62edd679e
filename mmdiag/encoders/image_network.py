"""A MONAI network over the slices of a stack, with attention pooling, or over the stack as a
volume: for training with the fusion.
"""

from pathlib import Path

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor, nn

from mmdiag.encoders.attention_pool import attention_pool, attention_score
from mmdiag.encoders.backbone import (
    backbone_of,
    channels_first,
    features_of,
    load_pretrained,
    make_network,
)
from mmdiag.encoders.layers import keep_pretrained_state
from mmdiag.tokens import Tokens


class ImageNetwork(nn.Module):
    """The part that networks of slices and of volumes share.

    Args:
        width: Common width.
        name: Of `mmdiag.config.IMAGE_NETWORKS`.
        start: Pretrained weights that it begins with; its batch normalisation then stays as it was
            pretrained.
        pretrained: Whether the weights are pretrained, also where a bundle brings them.
        channels: Of the images: 1 = grey, 3 = colour.
    """

    def __init__(
        self,
        width: int,
        *,
        name: str,
        start: Path | None,
        pretrained: bool,
        dropout: float,
        channels: int,
    ) -> None:
        super().__init__()
        self.name, self.pretrained = name, pretrained
        self.network = make_network(name, channels)
        if start is not None:
            load_pretrained(self.network, start)
        self.project = nn.Linear(backbone_of(name).features, width)
        self.dropout = nn.Dropout(dropout)

    def train(self, mode: bool = True) -> "ImageNetwork":
        """Switch to training; pretrained batch normalisation, and a frozen network,
        stay in evaluation.
        """
        super().train(mode)
        if self.pretrained:
            keep_pretrained_state(self.network)
        return self

    def _project(self, images: Real[Tensor, "image *space"]) -> Float[Tensor, "image width"]:
        """Vectors of the common width from images of 0 to 255, in colour with three channels
        behind.
        """
        seen = channels_first(images, 3 if self.name.endswith("_3d") else 2)
        projected: Tensor = self.project(features_of(self.name, self.network, seen))
        return projected


class SliceNetwork(ImageNetwork):
    """A network on each slice, one token a slice, and a summary by gated attention.

    Reference:
        He 2016; Ilse 2018, Attention-based deep multiple instance learning (the pooling).
    """

    def __init__(
        self,
        width: int,
        *,
        name: str = "resnet10",
        start: Path | None = None,
        pretrained: bool = False,
        dropout: float = 0.0,
        channels: int = 1,
    ) -> None:
        super().__init__(
            width,
            name=name,
            start=start,
            pretrained=pretrained,
            dropout=dropout,
            channels=channels,
        )
        self.score = attention_score(width)

    def forward(self, arrays: dict[str, Tensor], present: Bool[Tensor, "batch"]) -> Tokens:
        """Encode slices given as uint8 (batch, slice, row, column), in colour with three channels
        behind; only slices that are there are computed.
        """
        mask = arrays["image_mask"] & present[:, None]
        image = arrays["image"]
        values = torch.zeros((*mask.shape, self.project.out_features), device=image.device)
        if mask.any():
            values = values.masked_scatter(mask[..., None], self._project(image[mask]))
        return attention_pool(values, mask, present, self.score, self.dropout)


class VolumeNetwork(ImageNetwork):
    """A network on the resampled stack as a whole: one token."""

    def __init__(
        self,
        width: int,
        *,
        name: str,
        start: Path | None = None,
        pretrained: bool = False,
        dropout: float = 0.0,
        channels: int = 1,
    ) -> None:
        super().__init__(
            width,
            name=name,
            start=start,
            pretrained=pretrained,
            dropout=dropout,
            channels=channels,
        )

    def forward(self, arrays: dict[str, Tensor], present: Bool[Tensor, "batch"]) -> Tokens:
        """Encode volumes given as (batch, slice, row, column) from 0 to 255, in colour with three
        channels behind; only those that are there are computed.
        """
        values = torch.zeros((len(present), self.project.out_features), device=present.device)
        if present.any():
            values = values.masked_scatter(
                present[:, None], self._project(arrays["volume"][present])
            )
        return Tokens(self.dropout(values)[:, None], present[:, None])
