"""Fit an ensemble on some rows of a cohort: the members of each modality, networks over all of
them, and how they are stacked; or the networks of a family alone. Penalties, epochs and weights are
chosen by answers to cases of inner folds, which no member of theirs has seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from numpy import ndarray
from threadpoolctl import threadpool_limits

from mmdiag.cohort.kept_together import split_units
from mmdiag.cohort.labels import label_values, stratum_of
from mmdiag.cohort.splits import inner_folds
from mmdiag.config import RunConfig
from mmdiag.ensemble import Fold
from mmdiag.ensemble.cox import baseline_hazard
from mmdiag.ensemble.ridge import cross_fit_blocks
from mmdiag.ensemble.stack import beyond_chance, combine, silenced, stack
from mmdiag.ensemble.target import Target
from mmdiag.ensemble.trees import cross_fit_trees
from mmdiag.ensemble.typicality import threshold
from mmdiag.experiment.prepared import prepare_modalities
from mmdiag.experiment.run import RunData
from mmdiag.model.ensemble import (
    EnsembleModel,
    Members,
    answers_of,
    as_blocks,
    network_config,
)
from mmdiag.model.members import MemberForm, RidgeMember, TreeMember, common_words
from mmdiag.model.network import DiagnosisModel
from mmdiag.model.typicality import Typicality
from mmdiag.prepare import Preparation
from mmdiag.prepare.batches import batch_of, prepare_samples
from mmdiag.prepare.blocks.design import design
from mmdiag.prepare.blocks.preparation import BUCKETS, COLUMNS, MISSING
from mmdiag.prepare.blocks.taught import teach
from mmdiag.progress import Progress
from mmdiag.task import Task
from mmdiag.training import batched
from mmdiag.training.early_stopping import Epoch
from mmdiag.training.loop import Attach

Rows = Int[ndarray, "_"]
Scores = Float[ndarray, "case answer"]
# what a case is answered by models that had not seen it, and by those that nothing of it chose
HeldOut = Float[ndarray, "2 case answer"]
SILENT = (
    "What the members say of held-out cases goes with the outcome no further than luck would let "
    "it: the model answers every case alike, with what its training cases have on the whole."
)


@dataclass(frozen=True, slots=True)
class Fitted:
    """An ensemble, what its cases are prepared by, and how its networks were trained.

    Args:
        warnings: What is to be said of it.
    """

    model: EnsembleModel
    preparations: Mapping[str, Preparation]
    curve: tuple[Epoch, ...]
    warnings: tuple[str, ...] = ()


def fit_ensemble(
    data: RunData,
    config: RunConfig,
    modalities: Sequence[str],
    rows: Rows,
    task: Task,
    targets: Float[ndarray, "case target"],
    *,
    fold: str = "",
    progress: Progress | None = None,
    attach: Attach | None = None,
) -> Fitted:
    """Fit on labelled rows; no other row is looked at.

    Args:
        rows: In the order of their keys.
        targets: What the heads of networks are trained on, one row each.
        fold: What is held out: each has inner folds of its own.
        attach: Adds handlers to the trainer of the networks.
    """
    with threadpool_limits(1):
        inner = _fold_numbers(data, rows, config, fold)
        return _Fit(data, config, modalities, rows, inner, task, targets, progress).fitted(attach)


class _Fit:
    """One ensemble on its way."""

    def __init__(
        self,
        data: RunData,
        config: RunConfig,
        modalities: Sequence[str],
        rows: Rows,
        fold: Int[ndarray, "case"],
        task: Task,
        targets: Float[ndarray, "case target"],
        progress: Progress | None,
    ) -> None:
        self.config, self.task, self.progress, self.targets = config, task, progress, targets
        self.target = target_of(data, task, rows)
        self.fold = fold
        self.units = split_units(data.cases.iloc[rows]).factorize()[0]
        self.preparations = prepare_modalities(data, config, modalities, rows)
        self.samples = prepare_samples(self.preparations, data.raws, rows.tolist())
        self.present = np.stack(
            [[name in sample for sample in self.samples] for name in modalities], axis=1
        )
        self.p_values = np.full(self.present.shape, np.nan)
        if config.averages and config.ensemble.taught:
            self._teach()
        torch.manual_seed(config.seed)
        self.model = EnsembleModel(config, self.preparations, task)

    def _teach(self) -> None:
        """Give the networks what a ridge says of each block of features, beside its directions."""
        for number, (name, preparation) in enumerate(self.preparations.items()):
            there = np.flatnonzero(self.present[:, number])
            target = self.target.take(there)
            folds = _folds(self.fold[there], target)
            if not folds or not target.can_be_learned():
                continue
            cases = [self.samples[row][name] for row in there]
            self.preparations[name], told = teach(as_blocks(preparation), cases, target, folds)
            for row, arrays in zip(there, told, strict=True):
                self.samples[row] = {**self.samples[row], name: arrays}

    def fitted(self, attach: Attach | None = None) -> Fitted:
        """Fit the members, the networks and the stack."""
        prior, parts = self.target.prior(), []
        count = len(self.preparations)
        for number, name in enumerate(self.preparations):
            there = np.flatnonzero(self.present[:, number])
            arrays = [self.samples[row][name] for row in there]
            typicality = cast(Typicality, self.model.typicality[f"{name}_"])
            self.p_values[there, number] = typicality.fit(
                arrays, _every(self.fold[there]), self.units[there]
            )
            if self.config.ensembles:
                parts.append(self._modality(name, there, arrays))
            self._said(number + 1, count, f"members of {name}" if parts else name)
        network_prior, curve = np.zeros(len(prior)), tuple[Epoch, ...]()
        if len(self.model.networks):
            scores, curve = self._networks(attach)
            network_prior = scores.mean(0) if self.target.survival else prior
            parts.append(np.stack([scores - network_prior] * 2))
        evidence, judged = np.stack(parts, axis=2)
        found = stack(evidence, self.present, prior, self.target)
        said = found.scores(judged, self.present, prior)
        speaks = beyond_chance(said, prior, self.target)
        found = found if speaks else silenced(found)
        as_tensor = torch.from_numpy
        self.model.unlike_below.fill_(threshold(self.p_values))
        self.model.set_stack(found, as_tensor(prior), as_tensor(network_prior))
        if self.target.survival:
            risk = found.scores(evidence, self.present, prior)[:, 0]
            hazard = baseline_hazard(risk, self.target.values, self.task.horizon)
            self.model.head.log_hazard.fill_(float(np.log(max(hazard, 1e-12))))
        warnings = () if speaks else (SILENT,)
        return Fitted(self.model.eval(), self.preparations, curve, warnings)

    def _modality(self, name: str, there: Rows, arrays: Sequence[Mapping[str, ndarray]]) -> HeldOut:
        """What the members of a modality add to the prior of each case, by models that had not seen
        it; 0 where it is absent.
        """
        found = np.zeros((2, len(self.samples), self.target.answers))
        target = self.target.take(there)
        folds = _folds(self.fold[there], target)
        if not target.can_be_learned():
            return found
        members = cast(Members, self.model.encoders[f"{name}_"])
        prior = target.prior()
        scores = [
            _fit_member(form, member, arrays, target, folds, self.config.seed)
            for form, member in zip(members.forms, members.members, strict=True)
        ]
        evidence = np.stack(scores, axis=2) - prior
        weight = combine(evidence[0], prior, target)
        members.prior.copy_(torch.from_numpy(prior))
        members.weight.copy_(torch.from_numpy(weight))
        found[:, there] = np.einsum("m,hnma->hna", weight, evidence)
        return found

    def _networks(self, attach: Attach | None) -> tuple[Scores, tuple[Epoch, ...]]:
        """Train a network an inner fold; the scores of each case by the one that did not learn from
        it, after an epoch that other folds chose. A family that weighs its branches afterwards
        weighs them on these cases, and answers them so.
        """
        cases = batch_of(self.preparations, self.samples, self.targets, ("summary",))
        own, preparations = network_config(self.config), self.preparations
        folds = [
            batched.Fold(np.flatnonzero(self.fold != n), np.flatnonzero(self.fold == n))
            for n in np.unique(self.fold)
        ]
        trained = batched.train_together(
            lambda: DiagnosisModel(own, preparations, self.task),
            cases,
            folds,
            self.task,
            self.config.training,
            seed=self.config.seed,
            progress=self.progress,
            attach=attach,
        )
        scores = torch.zeros(len(cases), self.target.answers)
        for number, (network, fold) in enumerate(zip(trained.networks, folds, strict=True)):
            network.finalize([cases.rows(fold.valid)])
            self.model.networks[number].load_state_dict(network.state_dict())
            self.model.trained[number] = 1
            with torch.no_grad():
                logits = trained.held_out[number]
                if network.fusion.stacks:
                    logits = network(cases.rows(fold.valid)).logits
                scores[torch.from_numpy(fold.valid)] = self.model.head.scores_of(network, logits)
        return scores.numpy().astype(float), trained.curve

    def _said(self, done: int, of: int, what: str) -> None:
        if self.progress is not None:
            self.progress(done, of, what)


def target_of(data: RunData, task: Task, rows: Rows) -> Target:
    """What the members learn of some labelled rows."""
    part = data.cases.iloc[rows]
    if task.survival:
        return Target(task.kind, part[["time", "event"]].to_numpy(float), 1)
    values = np.asarray(label_values(part, task), dtype=float)
    return Target(task.kind, values.reshape(len(rows), -1), answers_of(task))


def _fold_numbers(data: RunData, rows: Rows, config: RunConfig, fold: str) -> Int[ndarray, "case"]:
    """The inner fold of each case."""
    part = data.cases.iloc[rows]
    strata = stratum_of(part, data.store.task)
    part = part.assign(stratum=strata)
    rarest = int(part.groupby("stratum")["subject_id"].nunique().min())
    count = max(2, min(config.ensemble.folds, rarest))
    return inner_folds(part, count, fold).to_numpy(int)


def _every(fold: Int[ndarray, "case"]) -> list[Fold]:
    """Rows to learn from and rows to judge, of every fold; where there is one alone, itself."""
    numbers = np.unique(fold)
    if len(numbers) < 2:
        return [(np.arange(len(fold)), np.arange(len(fold)))]
    return [(np.flatnonzero(fold != n), np.flatnonzero(fold == n)) for n in numbers]


def _folds(fold: Int[ndarray, "case"], target: Target) -> list[Fold]:
    """Rows to learn from and rows to judge, of the folds that leave something to learn."""
    return [(train, test) for train, test in _every(fold) if target.take(train).can_be_learned()]


def _fit_member(
    form: MemberForm,
    member: torch.nn.Module,
    arrays: Sequence[Mapping[str, ndarray]],
    target: Target,
    folds: Sequence[Fold],
    seed: int,
) -> HeldOut:
    """Fit one member on all cases, and answer each by those of other folds."""
    if isinstance(member, RidgeMember):
        return _fit_ridge(form, member, arrays, target, folds)
    assert isinstance(member, TreeMember)
    rows = _tree_rows(member, arrays)
    scores, trees = cross_fit_trees(rows, target, folds, seed)
    member.set(trees)
    return np.stack([scores, scores])


def _fit_ridge(
    form: MemberForm,
    member: RidgeMember,
    arrays: Sequence[Mapping[str, ndarray]],
    target: Target,
    folds: Sequence[Fold],
) -> HeldOut:
    blocks = {
        name: design([case[name] for case in arrays], BUCKETS.get(name, 0)) for name in form.blocks
    }
    found, coefficients = cross_fit_blocks(blocks, target, folds)
    for name, own in coefficients.items():
        getattr(member, f"of_{name}").copy_(torch.from_numpy(own))
    member.intercept.copy_(torch.from_numpy(found.intercept))
    return np.stack([found.out_of_fold, found.judged])


def _tree_rows(
    member: TreeMember, arrays: Sequence[Mapping[str, ndarray]]
) -> Float32[ndarray, "case column"]:
    """What trees are grown on, as `TreeMember` will see it."""
    if member.words:
        chosen = common_words([case["words"] for case in arrays])
        member.buckets[: len(chosen)] = torch.from_numpy(chosen.astype(np.int32))
        notes = [torch.from_numpy(np.asarray(case["words"])) for case in arrays]
        padded = {"words": torch.nn.utils.rnn.pad_sequence(notes, batch_first=True)}
        return member.rows(padded).numpy()
    columns = {
        name: torch.from_numpy(np.stack([case[name] for case in arrays]))
        for name in (COLUMNS, MISSING)
    }
    return member.rows(columns).numpy()
