"""A MONAI network over the slices of a stack, with attention pooling, or over the stack as a
volume: for training with the fusion.
"""

from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from mmdiag.encoders.backbone import FEATURES, begin_with, features_of, make_network
from mmdiag.encoders.layers import keep_pretrained_state
from mmdiag.tokens import Tokens


class ImageNetwork(nn.Module):
    """The part that networks of slices and of volumes share.

    Args:
        width: Common width.
        name: A name of `backbone.FEATURES`.
        start: Pretrained weights that it begins with; its batch normalisation then stays as it was
            pretrained.
        pretrained: Whether the weights are pretrained, also where a bundle brings them.
    """

    def __init__(
        self, width: int, *, name: str, start: Path | None, pretrained: bool, dropout: float
    ) -> None:
        super().__init__()
        self.name, self.pretrained = name, pretrained
        self.network = make_network(name)
        if start is not None:
            begin_with(self.network, start)
        self.project = nn.Linear(FEATURES[name], width)
        self.dropout = nn.Dropout(dropout)

    def train(self, mode: bool = True) -> "ImageNetwork":
        """Switch to training; pretrained batch normalisation, and a network that is held still,
        stay in evaluation.
        """
        super().train(mode)
        if self.pretrained:
            keep_pretrained_state(self.network)
        return self

    def _project(self, images: Tensor) -> Tensor:
        """Vectors of the common width from images of 0 to 255."""
        projected: Tensor = self.project(
            features_of(self.name, self.network, images.float().div(127.5).sub(1.0)[:, None])
        )
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
    ) -> None:
        super().__init__(width, name=name, start=start, pretrained=pretrained, dropout=dropout)
        self.score = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, arrays: dict[str, Tensor], present: Bool[Tensor, "batch"]) -> Tokens:
        """Encode slices given as uint8 (batch, slice, row, column); only slices that are there are
        computed.
        """
        mask = arrays["image_mask"] & present[:, None]
        image = arrays["image"]
        values = torch.zeros((*mask.shape, self.project.out_features), device=image.device)
        if mask.any():
            values = values.masked_scatter(mask[..., None], self._project(image[mask]))
        attention = self.score(values).squeeze(-1).masked_fill(~mask, float("-inf"))
        attention = torch.where(mask.any(1, keepdim=True), attention, 0.0).softmax(dim=1)
        summary = (attention[..., None] * values).sum(1)
        return Tokens(
            self.dropout(torch.cat([summary[:, None], values], dim=1)),
            torch.cat([present[:, None], mask], dim=1),
        )


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
    ) -> None:
        super().__init__(width, name=name, start=start, pretrained=pretrained, dropout=dropout)

    def forward(self, arrays: dict[str, Tensor], present: Bool[Tensor, "batch"]) -> Tokens:
        """Encode volumes given as (batch, slice, row, column) from 0 to 255; only those that are
        there are computed.
        """
        values = torch.zeros((len(present), self.project.out_features), device=present.device)
        if present.any():
            values = values.masked_scatter(
                present[:, None], self._project(arrays["volume"][present])
            )
        return Tokens(self.dropout(values)[:, None], present[:, None])
