"""`DiagnosisModel`: encoders + fusion + task head, and a head of its own for each modality."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmdiag.config import OBSERVED, RunConfig
from mmdiag.fusion import FusionConfig, chain
from mmdiag.model.heads import Head, make_head
from mmdiag.prepare import Preparation, make_encoder
from mmdiag.samples import Batch
from mmdiag.task import Task
from mmdiag.tokens import Fused, Tokens


@dataclass(frozen=True, slots=True)
class Output:
    """What the model says of a batch.

    Args:
        logits: Of the task head on the fused vector.
        fused: The fused vector, with weights and matrix.
        own: For each modality the logits of its own branch, and which cases had it; where a chain
            ends in a family that stacks, also of what it fused before.
        stacked: Whether the branches alone learn, and are blended afterwards.
    """

    logits: Float[Tensor, "batch logit"]
    fused: Fused
    own: dict[str, tuple[Float[Tensor, "batch logit"], Bool[Tensor, "batch"]]]
    stacked: bool = False


class DiagnosisModel(nn.Module):
    """Encoders, one fusion, one task head.

    Args:
        config: Sizes and names of the parts.
        preparations: What is fitted of each modality: it fixes the encoders' input sizes and the
            modalities' order.
        task: `kind`, and `classes` or `cuts`.
    """

    def __init__(
        self, config: RunConfig, preparations: Mapping[str, Preparation], task: Task
    ) -> None:
        super().__init__()
        self.modalities = tuple(preparations)
        self.modality_dropout = config.training.modality_dropout
        width = config.model.width
        self.encoders = nn.ModuleDict(
            {f"{name}_": make_encoder(p, config) for name, p in preparations.items()}
        )
        sizes = FusionConfig(
            width=width,
            heads=config.model.heads,
            dropout=config.model.dropout,
            parts=any(preparation.has_parts for preparation in preparations.values()),
        )
        self.fusion = chain(*config.fusion.split("+"))(self.modalities, sizes)
        self.head: Head = make_head(task, width)
        # what is stacked speaks through the task head, so that logits blend
        with_own = () if self.fusion.stacks else self.modalities
        self.own_heads = nn.ModuleDict({f"{name}_": make_head(task, width) for name in with_own})

    def forward(self, batch: Batch) -> Output:
        """Diagnose a batch; in training, present modalities are hidden at random."""
        return self.diagnose(
            self.encode(batch, self._hide(batch.present) if self.training else batch.present)
        )

    def encode(
        self, batch: Batch, present: Mapping[str, Bool[Tensor, "batch"]]
    ) -> dict[str, Tokens]:
        """Tokens of each modality, masked where it is absent."""
        return {
            name: self.encode_one(name, batch.values[name], present[name])
            for name in self.modalities
        }

    def encode_one(
        self, name: str, arrays: Mapping[str, Tensor], present: Bool[Tensor, "batch"]
    ) -> Tokens:
        """Tokens of one modality."""
        tokens: Tokens = self.encoders[f"{name}_"](arrays, present)
        return tokens

    def diagnose(self, tokens: Mapping[str, Tokens]) -> Output:
        """From tokens to the answer: what explanations call again for each subset of modalities,
        without encoding again.
        """
        fused = self.fusion(tokens)
        return Output(self.head(fused.values), fused, self._own(tokens, fused), self.fusion.stacks)

    def _own(self, tokens: Mapping[str, Tokens], fused: Fused) -> dict[str, tuple[Tensor, Tensor]]:
        own = {}
        for k, name in enumerate(self.modalities):
            vector = _summary(tokens[name]) if fused.branches is None else fused.branches[:, k]
            own[name] = (
                (self.head if self.fusion.stacks else self.own_heads[f"{name}_"])(vector),
                tokens[name].present(),
            )
        if fused.branches is not None and fused.branches.shape[1] > len(own):
            own["+"] = (
                self.head(fused.branches[:, -1]),
                torch.stack([there for _, there in own.values()]).any(0),
            )
        return own

    @torch.no_grad()
    def finalize(self, batches: Iterable[Batch]) -> None:
        """Fit on validation cases what is fitted after training: the blend of a family that stacks;
        nothing for other families. In eval mode.
        """
        if not self.fusion.stacks:
            return
        device = self.head.map.weight.device
        branches, present, target = [], [], []
        for batch in batches:
            moved = batch.to(device)
            fused = self.fusion(self.encode(moved, moved.present))
            branches.append(fused.branches.cpu())
            present.append(
                torch.stack([moved.present[name] for name in self.modalities], dim=1).cpu()
            )
            target.append(moved.target.cpu())
        self.fusion.fit_stacking(
            torch.cat(branches),
            torch.cat(present),
            torch.cat(target),
            self.head.map,
            self.head.loss,
        )

    def _hide(
        self, present: Mapping[str, Bool[Tensor, "batch"]]
    ) -> dict[str, Bool[Tensor, "batch"]]:
        """Which modalities a case in training is shown: never none of those that it has."""
        if not self.modality_dropout or len(self.modalities) < 2:
            return dict(present)
        there = torch.stack([present[name] for name in self.modalities], dim=1)
        if self.modality_dropout == OBSERVED:  # another case of the batch lends its pattern
            shown = there & there[torch.randint(len(there), (len(there),), device=there.device)]
        else:
            shown = there & (
                torch.rand(there.shape, device=there.device) >= float(self.modality_dropout)
            )
        shown = torch.where(shown.any(1, keepdim=True), shown, there)
        return {name: shown[:, k] for k, name in enumerate(self.modalities)}


def _summary(tokens: Tokens) -> Float[Tensor, "batch width"]:
    return torch.where(tokens.present()[:, None], tokens.values[:, 0], 0.0)


def loss_of(
    head: Head, output: Output, target: Float[Tensor, "batch target"], own_weight: float
) -> Float[Tensor, ""]:
    """The task's loss, plus `own_weight` times the mean loss of the branches on the cases that have
    them; of what is stacked, the branches' alone.

    Nothing here depends on which cases a batch holds, so that several processes always do the same.
    """
    if not output.own or (not output.stacked and not own_weight):
        return head.loss(output.logits, target)
    own = torch.stack(
        [
            head.loss(logits, target.masked_fill(~there[:, None], torch.nan))
            for logits, there in output.own.values()
        ]
    )
    if output.stacked:
        return own.sum()
    anyone = torch.stack([there for _, there in output.own.values()]).any(1).to(own.dtype)
    share = head.objective.share
    met = ((anyone if share is None else share(anyone)) > 0).sum().clamp(min=1)
    return head.loss(output.logits, target) + own_weight * own.sum() / met
