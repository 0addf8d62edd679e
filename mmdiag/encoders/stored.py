"""The trainable end of a frozen encoder: stored features -> `Tokens`."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdiag.tokens import Tokens


class StoredFeatureEncoder(nn.Module):
    """Two linear maps, of the summary and of the parts, onto the common width.

    Args:
        summary: Number of summary features.
        detail: Number of features of a part.
        width: Common width.
        identities: Number of parts where each part has a meaning of its own (pathways); 0 where
            parts are a bag (slices, sentences).
    """

    def __init__(
        self, summary: int, detail: int, width: int, *, identities: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.summary = nn.Linear(summary, width)
        self.detail = nn.Linear(detail, width)
        self.identity = nn.Parameter(0.02 * torch.randn(identities, width)) if identities else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, arrays: dict[str, Tensor], present: Bool[Tensor, "batch"]) -> Tokens:
        """Encode a batch; rows of absent cases are masked."""
        return Tokens(
            *self._encode(arrays["summary"], arrays["detail"], arrays.get("detail_mask"), present)
        )

    def _encode(
        self,
        summary: Float[Tensor, "batch feature"],
        detail: Float[Tensor, "batch part score"],
        detail_mask: Bool[Tensor, "batch part"] | None,
        present: Bool[Tensor, "batch"],
    ) -> tuple[Tensor, Tensor]:
        summary = torch.where(present[:, None], summary, 0.0)
        mask = (
            present[:, None].expand(detail.shape[:2])
            if detail_mask is None
            else detail_mask & present[:, None]
        )
        detail = torch.where(mask[..., None], detail, 0.0)
        parts = self.detail(detail)
        if self.identity is not None:
            parts = parts + self.identity
        values = torch.cat([self.summary(summary)[:, None], parts], dim=1)
        return self.dropout(values), torch.cat([present[:, None], mask], dim=1)


class SummaryEncoder(nn.Module):
    """A linear map of the summary alone onto the common width: one token.

    Args:
        summary: Number of summary features.
        width: Common width.
    """

    def __init__(self, summary: int, width: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.summary = nn.Linear(summary, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, arrays: dict[str, Tensor], present: Bool[Tensor, "batch"]) -> Tokens:
        """Encode a batch; rows of absent cases are masked."""
        summary = torch.where(present[:, None], arrays["summary"], 0.0)
        return Tokens(self.dropout(self.summary(summary))[:, None], present[:, None])
