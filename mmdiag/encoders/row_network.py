"""A network over all columns of a table row: self-normalising, or plain."""

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from mmdiag.tokens import Tokens


class RowNetwork(nn.Module):
    """Two hidden layers over the standardised columns: one token.

    Args:
        columns: Number of columns.
        normalising: SELU, alpha dropout and initial weights of variance 1 / inputs, which keep
            activations at mean 0 and variance 1; else ReLU and dropout.

    Reference:
        Klambauer 2017, Self-normalizing neural networks.
    """

    def __init__(
        self, columns: int, width: int, *, hidden: int, normalising: bool, dropout: float = 0.0
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (columns, hidden):
            layer = nn.Linear(inputs, hidden)
            if normalising:
                nn.init.normal_(layer.weight, std=inputs**-0.5)
                nn.init.zeros_(layer.bias)
            layers += (
                [layer, nn.SELU(), nn.AlphaDropout(dropout)]
                if normalising
                else [layer, nn.ReLU(), nn.Dropout(dropout)]
            )
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, width))

    def forward(self, arrays: dict[str, Tensor], present: Bool[Tensor, "batch"]) -> Tokens:
        """Encode rows; those of absent cases are masked."""
        rows = torch.where(present[:, None], arrays["row"], 0.0)
        return Tokens(self.layers(rows)[:, None], present[:, None])
