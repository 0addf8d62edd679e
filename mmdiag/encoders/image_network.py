"""A MONAI network over the slices of a stack, with attention pooling: for training end to end."""

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from mmdiag.tokens import Tokens


class SliceNetwork(nn.Module):
    """MONAI's ResNet10 on each slice, one token a slice, and a summary by gated attention.

    Reference:
        He 2016; Ilse 2018, Attention-based deep multiple instance learning (the pooling).
    """

    FEATURES = 512

    def __init__(self, width: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        from monai.networks.nets import resnet10

        self.network = resnet10(spatial_dims=2, n_input_channels=1, num_classes=1, feed_forward=False)
        self.project = nn.Linear(self.FEATURES, width)
        self.score = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
        self.dropout = nn.Dropout(dropout)

    def forward(self, arrays: dict[str, Tensor], present: Bool[Tensor, "batch"]) -> Tokens:
        """Encode slices given as uint8 (batch, slice, row, column); only slices that are there are computed."""
        mask = arrays["image_mask"] & present[:, None]
        image = arrays["image"]
        values = torch.zeros((*mask.shape, self.project.out_features), device=image.device)
        if mask.any():
            planes = image[mask].float().div(127.5).sub(1.0)[:, None]
            values = values.masked_scatter(mask[..., None], self.project(self.network(planes).float()))
        attention = self.score(values).squeeze(-1).masked_fill(~mask, float("-inf"))
        attention = torch.where(mask.any(1, keepdim=True), attention, 0.0).softmax(dim=1)
        summary = (attention[..., None] * values).sum(1)
        return Tokens(self.dropout(torch.cat([summary[:, None], values], dim=1)), torch.cat([present[:, None], mask], dim=1))
