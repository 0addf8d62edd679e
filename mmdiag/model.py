"""`DiagnosisModel`: encoders + fusion + task head, and a head of its own for each modality."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdiag.config import RunConfig
from mmdiag.encoders.image_network import SliceNetwork
from mmdiag.encoders.stored import StoredFeatureEncoder
from mmdiag.fusion import FUSIONS
from mmdiag.heads import Head, make_head
from mmdiag.prepare import Preparation
from mmdiag.samples import Batch
from mmdiag.tokens import Fused, Tokens


@dataclass(frozen=True, slots=True)
class Output:
    """What the model says of a batch.

    Args:
        logits: Of the task head on the fused vector.
        fused: The fused vector, with weights and matrix.
        own: For each modality the logits of its own head, and which cases had it.
    """

    logits: Float[Tensor, "batch logit"]
    fused: Fused
    own: dict[str, tuple[Float[Tensor, "batch logit"], Bool[Tensor, "batch"]]]


class DiagnosisModel(nn.Module):
    """Encoders, one fusion, one task head.

    Args:
        config: Sizes and names of the parts.
        preparations: What is fitted of each modality: it fixes the encoders' input sizes and the modalities' order.
        task: `kind`, and `classes` or `cuts`.
    """

    def __init__(self, config: RunConfig, preparations: Mapping[str, Preparation], task: Mapping[str, Any]) -> None:
        super().__init__()
        self.modalities = tuple(preparations)
        self.modality_dropout = config.training.modality_dropout
        width = config.model.width
        self.encoders = nn.ModuleDict({f"{name}_": _encoder(p, width, config.model.dropout) for name, p in preparations.items()})
        self.fusion = FUSIONS[config.fusion](self.modalities, width, heads=config.model.heads, dropout=config.model.dropout)
        self.head: Head = make_head(task, width)
        self.own_heads = nn.ModuleDict({f"{name}_": make_head(task, width) for name in self.modalities})

    def forward(self, batch: Batch) -> Output:
        """Diagnose a batch; in training, present modalities are hidden at random."""
        return self.diagnose(self.encode(batch, self._hide(batch.present) if self.training else batch.present))

    def encode(self, batch: Batch, present: Mapping[str, Tensor]) -> dict[str, Tokens]:
        """Tokens of each modality, masked where it is absent."""
        return {name: self.encoders[f"{name}_"](batch.values[name], present[name]) for name in self.modalities}

    def diagnose(self, tokens: Mapping[str, Tokens]) -> Output:
        """From tokens to the answer: what explanations call again for each subset of modalities, without encoding again."""
        fused = self.fusion(tokens)
        own = {name: (self.own_heads[f"{name}_"](_summary(tokens[name])), tokens[name].present()) for name in self.modalities}
        return Output(self.head(fused.values), fused, own)

    def _hide(self, present: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if not self.modality_dropout or len(self.modalities) < 2:
            return dict(present)
        hidden = {name: torch.rand(len(there), device=there.device) < self.modality_dropout for name, there in present.items()}
        return {name: there & ~hidden[name] for name, there in present.items()}


def _summary(tokens: Tokens) -> Tensor:
    return torch.where(tokens.present()[:, None], tokens.values[:, 0], 0.0)


def _encoder(preparation: Preparation, width: int, dropout: float) -> nn.Module:
    if preparation.raw_image:
        return SliceNetwork(width, dropout=dropout)
    shapes = preparation.shapes()
    return StoredFeatureEncoder(shapes["summary"][0], shapes["detail"][1], width, identities=len(preparation.groups), dropout=dropout)


def loss_of(head: Head, output: Output, target: Tensor, own_weight: float) -> Float[Tensor, ""]:
    """The task's loss, plus `own_weight` times the mean loss of the modalities' own heads on the cases that have them."""
    loss = head.loss(output.logits, target)
    own = [head.loss(logits[there], target[there]) for logits, there in output.own.values() if there.any()]
    return loss + own_weight * torch.stack(own).mean() if own and own_weight else loss
