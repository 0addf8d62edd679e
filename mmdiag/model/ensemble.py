"""`EnsembleModel`: members of each modality and networks over all of them, stacked, or the networks
of a family alone; the interface of `DiagnosisModel`, so that scoring, Shapley values and
explanations ask both alike.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor, nn

from mmdiag.config import RunConfig
from mmdiag.ensemble.stack import SETS, Stack
from mmdiag.fusion.base import normalize_over_present
from mmdiag.model.members import RIDGE, MemberForm, RidgeMember, TreeMember, forms_of
from mmdiag.model.network import DiagnosisModel, Output
from mmdiag.model.typicality import Typicality
from mmdiag.prepare.blocks.preparation import BUCKETS, BlockPreparation
from mmdiag.prepare.preparation import Preparation
from mmdiag.samples import Batch
from mmdiag.task import Task
from mmdiag.tokens import Fused, Tokens, present_in


class EnsembleModel(nn.Module):
    """`logit = prior + b + c_S + exp(u_S) * (sum_k w_k z_k + w_n z_n)`: z_k is what the members of
    modality k add to the prior, z_n what networks over all modalities do; an absent modality adds
    0. A family has no members, but networks where there is one modality, too.

    Args:
        config: `ensemble` says which networks there are.
        preparations: The blocks of each modality, which fix its members.
        task: What is predicted.
    """

    prior: Tensor
    network_prior: Tensor
    weight: Tensor
    offset: Tensor
    sets: Tensor
    set_scale: Tensor
    set_offset: Tensor
    trained: Tensor
    unlike_below: Tensor

    def __init__(
        self, config: RunConfig, preparations: Mapping[str, Preparation], task: Task
    ) -> None:
        super().__init__()
        self.modalities = tuple(preparations)
        answers = answers_of(task)
        blocks = {name: as_blocks(found) for name, found in preparations.items()}
        self.encoders = nn.ModuleDict(
            {f"{name}_": Members(found, answers) for name, found in blocks.items()}
            if config.ensembles
            else {}
        )
        own = network_config(config)
        several = len(self.modalities) > 1 or not config.ensembles
        self.networks = nn.ModuleList(
            DiagnosisModel(own, preparations, task)
            for _ in range(config.ensemble.folds if several else 0)
        )
        self.typicality = nn.ModuleDict(
            {f"{name}_": Typicality(found) for name, found in blocks.items()}
        )
        self.head = ScoreHead(task, answers)
        count = len(self.encoders) + several
        self.register_buffer("prior", torch.zeros(answers))
        self.register_buffer("network_prior", torch.zeros(answers))
        self.register_buffer("weight", torch.ones(count))
        self.register_buffer("offset", torch.zeros(answers))
        self.register_buffer("sets", torch.full((SETS, len(self.modalities)), -1, dtype=torch.int8))
        self.register_buffer("set_scale", torch.ones(SETS + 1))
        self.register_buffer("set_offset", torch.zeros(SETS + 1, answers))
        # p-value below which a case is unlike those of the training
        self.register_buffer("unlike_below", torch.zeros(1, dtype=torch.float64))
        # a network that no inner fold could train says nothing
        self.register_buffer("trained", torch.zeros(len(self.networks), dtype=torch.int8))

    def forward(self, batch: Batch) -> Output:
        """Diagnose a batch."""
        return self.diagnose(self.encode(batch, batch.present))

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
        """One token: what the members of a modality add to the prior, and behind it what each
        network makes of it.
        """
        parts = []
        if f"{name}_" in self.encoders:
            parts.append(self.encoders[f"{name}_"](arrays, present).values)
        for network in self.networks:
            encoder = cast(DiagnosisModel, network).encoders[f"{name}_"]
            parts.append(encoder(arrays, present).values[:, :1])
        return Tokens(torch.cat(parts, dim=-1), present[:, None])

    def diagnose(self, tokens: Mapping[str, Tokens]) -> Output:
        """From tokens to the answer: what explanations call again for each subset of modalities,
        without encoding again.
        """
        present_BM = present_in(tokens, self.modalities)
        answers = len(self.prior)
        parts = [
            torch.where(present_BM[:, k : k + 1], tokens[name].values[:, 0, :answers], 0.0)
            for k, name in enumerate(self._with_members())
        ]
        joint = self._networks(tokens) if len(self.networks) else None
        amounts_BM = torch.zeros_like(present_BM, dtype=self.weight.dtype)
        if parts:
            amounts_BM = self.weight[: len(parts)].expand_as(present_BM)
        attention = None
        if joint is not None:
            anyone = present_BM.any(1, keepdim=True)
            parts.append(torch.where(anyone, joint.logits - self.network_prior, 0.0))
            amounts_BM = amounts_BM + self.weight[-1] * joint.fused.weights
            attention = joint.fused.attention
        evidence = torch.stack(parts, dim=1)
        logits = self._stacked(evidence, present_BM)
        weights = normalize_over_present(amounts_BM, present_BM)
        return Output(logits, Fused(logits, weights, attention), {})

    def _stacked(
        self,
        evidence: Float[Tensor, "batch member answer"],
        present_BM: Bool[Tensor, "batch modality"],
    ) -> Float[Tensor, "batch answer"]:
        row = self._rows_of_sets(present_BM)
        total = (self.weight[None, :, None] * evidence).sum(1)
        return self.prior + self.offset + self.set_offset[row] + self.set_scale[row, None] * total

    def set_offsets(
        self, present_BM: Bool[Tensor, "batch modality"]
    ) -> Float[Tensor, "batch answer"]:
        """What is added because just these modalities are there, whatever they say."""
        return self.set_offset[self._rows_of_sets(present_BM)]

    def _rows_of_sets(self, present_BM: Bool[Tensor, "batch modality"]) -> Int64[Tensor, "batch"]:
        """Row of each case's set of modalities; 0 = one that the training had too little of."""
        same_BS = (present_BM[:, None, :] == self.sets).all(-1)
        return torch.where(same_BS.any(1), same_BS.int().argmax(1) + 1, 0)

    def _with_members(self) -> tuple[str, ...]:
        """The modalities that have members: all of them, or in a family none."""
        return self.modalities if len(self.encoders) else ()

    def _networks(self, tokens: Mapping[str, Tokens]) -> Output:
        """The mean of what the networks say."""
        return mean_of(self._each_network(tokens), self)

    def _each_network(self, tokens: Mapping[str, Tokens]) -> list[tuple[nn.Module, Output]]:
        """What each network that was trained says."""
        found, width = [], cast(DiagnosisModel, self.networks[0]).head.map.in_features
        for number, network in enumerate(self.networks):
            if not int(self.trained[number]):
                continue
            start = bool(self._with_members()) * len(self.prior) + number * width
            part = {
                name: Tokens(tokens[name].values[..., start : start + width], tokens[name].mask)
                for name in self.modalities
            }
            found.append((network, cast(DiagnosisModel, network).diagnose(part)))
        return found

    @torch.no_grad()
    def agreement(
        self, batch: Batch, tokens: Mapping[str, Tokens], chosen: Int64[Tensor, "batch"]
    ) -> Float[ndarray, "batch"]:
        """How far all that speaks in a case, each member of each modality and each network, points
        the same way: 1 = all of it, 0 = it cancels out; NaN where nothing speaks.

        Args:
            tokens: Of the batch, by `encode`.
            chosen: Number of the answer that is looked at.
        """
        parts = []
        for k, name in enumerate(self._with_members()):
            own = cast(Members, self.encoders[f"{name}_"])
            said = self.weight[k] * own.evidence(batch.values[name])
            parts.append(torch.where(tokens[name].present()[:, None, None], said, 0.0))
        networks = self._each_network(tokens) if len(self.networks) else []
        for network, output in networks:
            scores = self.head.scores_of(cast(DiagnosisModel, network), output.logits)
            share = self.weight[-1] / len(networks)
            parts.append((share * (scores - self.network_prior))[:, None])
        every = torch.cat(parts, dim=1)
        one_BM = every.gather(2, chosen[:, None, None].expand(-1, every.shape[1], 1)).squeeze(2)
        total = one_BM.abs().sum(1)
        found: ndarray = torch.where(total > 0, one_BM.sum(1).abs() / total, torch.nan).numpy()
        return found

    def p_values(self, batch: Batch) -> dict[str, Float[ndarray, "batch"]]:
        """Modality -> how like its training cases each case is, as a p-value; NaN where absent."""
        return {
            name: cast(Typicality, self.typicality[f"{name}_"])(
                batch.values[name], batch.present[name]
            )
            for name in self.modalities
        }

    @torch.no_grad()
    def set_stack(self, found: Stack, prior: Tensor, network_prior: Tensor) -> None:
        """Take what was fitted of how members are combined."""
        rows = len(found.sets)
        self.prior.copy_(prior)
        self.network_prior.copy_(network_prior)
        self.weight.copy_(torch.from_numpy(found.weight))
        self.offset.copy_(torch.from_numpy(found.offset))
        self.sets[:rows] = torch.from_numpy(found.sets).to(torch.int8)
        self.set_scale[1 : rows + 1] = torch.from_numpy(found.set_scale).float()
        self.set_offset[1 : rows + 1] = torch.from_numpy(found.set_offset).float()


def mean_of(found: list[tuple[nn.Module, Output]], model: EnsembleModel) -> Output:
    """The mean of several networks' scores, weights and matrices."""
    if not found:
        raise ValueError("an ensemble of several modalities has a network that was trained")
    outputs = [output for _, output in found]
    scores = [model.head.scores_of(cast(DiagnosisModel, network), o.logits) for network, o in found]
    matrices = [o.fused.attention for o in outputs if o.fused.attention is not None]
    fused = Fused(
        outputs[0].fused.values,
        torch.stack([o.fused.weights for o in outputs]).mean(0),
        torch.stack(matrices).mean(0) if matrices else None,
    )
    return Output(torch.stack(scores).mean(0), fused, {})


class Members(nn.Module):
    """The members of one modality, and how they are combined."""

    def __init__(self, preparation: BlockPreparation, answers: int) -> None:
        super().__init__()
        self.forms = forms_of(preparation)
        self.members = nn.ModuleList(make_member(form, preparation, answers) for form in self.forms)
        self.prior: Tensor
        self.weight: Tensor
        self.register_buffer("prior", torch.zeros(answers))
        self.register_buffer("weight", torch.zeros(len(self.forms)))

    def forward(self, arrays: Mapping[str, Tensor], present: Bool[Tensor, "batch"]) -> Tokens:
        """What the members add to the prior of the cases that have the modality."""
        values = torch.where(present[:, None], self.evidence(arrays).sum(1), 0.0)
        return Tokens(values[:, None], present[:, None])

    def evidence(self, arrays: Mapping[str, Tensor]) -> Float[Tensor, "batch member answer"]:
        """What each member adds to the prior, as the members are weighed."""
        return (self.scores(arrays) - self.prior) * self.weight[None, :, None]

    def scores(self, arrays: Mapping[str, Tensor]) -> Float[Tensor, "batch member answer"]:
        """What each member says alone."""
        return torch.stack([member(arrays) for member in self.members], dim=1)


def make_member(form: MemberForm, preparation: BlockPreparation, answers: int) -> nn.Module:
    """A member with nothing in it."""
    if form.kind != RIDGE:
        return TreeMember(answers, words=form.blocks == ("words",))
    sizes = {
        name: BUCKETS[name] if name in BUCKETS else len(preparation.dense[name].center)
        for name in form.blocks
    }
    return RidgeMember(sizes, answers)


class ScoreHead(nn.Module):
    """From the scores of an ensemble to what is reported.

    A survival's score is the logarithm of a hazard; the probability is that of the event within the
    task's horizon: `1 - exp(-H(horizon) exp(score))`.

    Args:
        task: What is predicted.
        answers: Number of scores.
    """

    def __init__(self, task: Task, answers: int) -> None:
        super().__init__()
        self.kind, self.answers = task.kind, answers
        self.log_hazard: Tensor
        self.register_buffer("log_hazard", torch.zeros(1))  # of the baseline, up to the horizon

    def probability(self, logits: Float[Tensor, "batch answer"]) -> Float[Tensor, "batch answer"]:
        """What is reported, as the heads of networks report it."""
        if self.kind == "multiclass":
            return logits.softmax(dim=1)
        if self.kind == "survival":
            return -torch.expm1(-torch.exp((logits + self.log_hazard).clamp(max=50)))
        return logits.sigmoid()

    def log_odds(
        self, logits: Float[Tensor, "batch answer"], chosen: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch"]:
        """The scalar that explanations decompose: the logit; of a survival the log hazard."""
        if self.kind != "multiclass":
            return logits.gather(1, chosen[:, None]).squeeze(1)
        own = logits.gather(1, chosen[:, None])
        others = logits.masked_fill(nn.functional.one_hot(chosen, self.answers).bool(), -torch.inf)
        return own.squeeze(1) - others.logsumexp(dim=1)

    def scores_of(
        self, network: DiagnosisModel, logits: Float[Tensor, "batch logit"]
    ) -> Float[Tensor, "batch answer"]:
        """What a network says, as scores: its logits; of a survival the logit of its risk."""
        if self.kind != "survival":
            return logits
        first = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        return network.head.log_odds(logits, first)[:, None]


def answers_of(task: Task) -> int:
    """Number of scores a case."""
    return len(task.probability_columns)


def network_config(config: RunConfig) -> RunConfig:
    """The configuration of a model's networks."""
    return replace(config, fusion=config.ensemble.network) if config.ensembles else config


def as_blocks(preparation: Preparation) -> BlockPreparation:
    """A preparation of an ensemble.

    Raises:
        TypeError: It was fitted for a network alone.
    """
    if not isinstance(preparation, BlockPreparation):
        raise TypeError("the modalities of an ensemble are prepared as blocks")
    return preparation


def make_model(
    config: RunConfig, preparations: Mapping[str, Preparation], task: Task
) -> "DiagnosisModel | EnsembleModel":
    """The model that a configuration names."""
    kind = EnsembleModel if config.reads_blocks else DiagnosisModel
    return kind(config, preparations, task)
