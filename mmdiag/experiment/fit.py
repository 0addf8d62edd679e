"""Fit one model of a run on what is not held out, and predict what is. Everything that is fitted is
fitted on training subjects.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int
from numpy import ndarray

from mmdiag.cohort.labels import label_values, stratum_of, with_horizon
from mmdiag.cohort.splits import validation_subjects
from mmdiag.config import RunConfig
from mmdiag.errors import UsageError
from mmdiag.experiment import mlflow_tracking
from mmdiag.experiment.card.made_of import made_of
from mmdiag.experiment.card.text import short_card
from mmdiag.experiment.ensemble import fit_ensemble
from mmdiag.experiment.fit_id import ALL, TEST, FitId
from mmdiag.experiment.prepared import prepare_modalities
from mmdiag.experiment.reuse import reuse_fit
from mmdiag.experiment.run import Run, RunData, open_data
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.coalitions.additive import additive_log_odds
from mmdiag.inference.predict import diagnose
from mmdiag.model.heads import survival_cuts, targets
from mmdiag.prepare import Preparation
from mmdiag.prepare.batches import batch_of, prepare_samples
from mmdiag.pretraining.weights import PretrainedInit, pretrained_init, records, require_unseen
from mmdiag.privacy.subject_keys import SubjectKeys, made_workspace_key
from mmdiag.progress import Progress
from mmdiag.samples import Batches
from mmdiag.storage.store import Store
from mmdiag.storage.tables import write_parquet
from mmdiag.task import Task
from mmdiag.training.collectives import rank_and_world_size
from mmdiag.training.early_stopping import curve_table
from mmdiag.training.loop import Attach, Trained, train
from mmdiag.training.validation import score_of
from mmdiag.workspace import write_text

BLOCK = 64  # batches of stored features that are gathered at once
Rows = Int[ndarray, "_"]  # any number


@dataclass(frozen=True, slots=True)
class Learned:
    """A trained network, what its cases are prepared by, and the task as its training cases state
    it.
    """

    trained: Trained
    preparations: dict[str, Preparation]
    task: Task


@dataclass(frozen=True, slots=True)
class FitRows:
    """Rows of the case table that a fit trains on, stops early on, and predicts.

    Args:
        train, valid: Labelled, of subjects that are not held out.
        held_out: Of the fold that is held out; of a run's bundle: all that it may be asked.
    """

    train: Rows
    valid: Rows
    held_out: Rows

    @property
    def seen(self) -> Rows:
        """Rows that the model learns from."""
        return np.concatenate([self.train, self.valid])


def fit(run: Run, name: FitId, progress: Progress | None = None) -> None:
    """Fit one model and predict what is held out. Does nothing where it was done before, in this
    run or, for a single modality, in one that fits the same.
    """
    if run.done(name):
        return
    if not name.fused and rank_and_world_size() == (0, 1) and reuse_fit(run, name):
        return
    data = open_data(run, name.fold)
    modalities, rows = data.modalities_of(name), rows_of(run, data, name)
    config = run.config_of(name)
    require_unseen(run.config, run.workspace, data.split.part, [name.fold])
    if config.reads_blocks:
        learned = learn_ensemble(
            data,
            config,
            modalities,
            rows.seen,
            fold=name.fold,
            progress=progress,
            attach=mlflow_tracking.attach(run, name),
        )
    else:
        learned = learn(
            data,
            config,
            modalities,
            rows.train,
            rows.valid,
            run.fit_folder(name),
            begin=pretrained_init(run.config, run.workspace, name.fold, modalities),
            progress=progress,
            attach=mlflow_tracking.attach(run, name),
        )
    if rank_and_world_size()[0]:
        return  # another process writes what all of them found
    bundle = _bundle(run, name, data, config, rows, learned)
    _write(run, name, data, rows, learned, bundle)


def _bundle(
    run: Run, name: FitId, data: RunData, config: RunConfig, rows: FitRows, learned: Learned
) -> Bundle:
    modalities = data.modalities_of(name)
    subjects = data.cases["subject_id"].iloc[rows.seen]
    cohort_hash = run.manifest.cohort_hash
    key = made_workspace_key(run.workspace.path)
    return Bundle(
        config=config,
        model=learned.trained.model,
        preparations=learned.preparations,
        task=learned.task,
        kinds={modality: data.store.modalities[modality] for modality in modalities},
        cohort={"name": run.manifest.cohort, "hash": cohort_hash},
        trained_on=SubjectKeys.of(subjects, cohort_hash, key),
        patterns=_patterns(data, modalities, rows.seen),
        pretrained_on=tuple(records(run.config, run.workspace, name.fold)),
        card=_short_card(run, name, config, len(set(subjects)), learned.preparations),
    )


def _short_card(
    run: Run,
    name: FitId,
    config: RunConfig,
    subjects: int,
    preparations: Mapping[str, Preparation],
) -> str:
    asked = run.manifest
    return short_card(
        {"name": asked.cohort, "hash": asked.cohort_hash, "subjects": subjects},
        {"fusion": config.fusion, "recipe": config.recipe, "seed": config.seed},
        made_of(config, preparations),
        {"id": asked.run_id, "fit": str(name)},
    )


def _write(
    run: Run, name: FitId, data: RunData, rows: FitRows, learned: Learned, bundle: Bundle
) -> None:
    """The bundle, predictions and curve, then fit.json, which says that the fit is complete."""
    folder, trained = run.fit_folder(name), learned.trained
    identity, where = bundle.save(folder)  # a run's own bundle is published with its figures
    samples = prepare_samples(learned.preparations, data.raws, rows.held_out.tolist())
    table = diagnose(bundle, samples, contributions=name.fused)
    table.insert(0, "case_id", data.cases["case_id"].iloc[rows.held_out].to_numpy())
    if name.fused and (additive := additive_log_odds(bundle, samples)) is not None:
        table["additive_log_odds"] = additive
    write_parquet(folder / "predictions.parquet", table)
    write_parquet(folder / "curve.parquet", curve_table(trained.curve).assign(fit=str(name)))
    facts = {
        "bundle_id": identity,
        "bundle": str(where.relative_to(run.workspace.path)),
        "train": len(rows.train),
        "valid": len(rows.valid),
        "subjects": data.cases["subject_id"].iloc[rows.seen].nunique(),
        "patterns": sorted(sorted(pattern) for pattern in bundle.patterns),
        "warnings": list(trained.warnings),
        "waiting_for_cases": round(trained.waiting, 4),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_text(folder / "fit.json", json.dumps(facts, indent=1))


def learn(
    data: RunData,
    config: RunConfig,
    modalities: Sequence[str],
    train_rows: np.ndarray,
    valid_rows: np.ndarray,
    folder: Path,
    *,
    begin: PretrainedInit | None = None,
    progress: Progress | None = None,
    attach: Attach | None = None,
) -> Learned:
    """Fit preparations and a network on some rows of a cohort, and stop early by others; no other
    row is looked at.

    Args:
        folder: Where checkpoints lie.
        begin: What the encoders begin with, and the fitted state that goes with it, where these
            were pretrained together.
        attach: Adds handlers to the trainer.
    """
    task = _task(data, train_rows)
    if begin:
        _require_colours(data.store, begin.preparations)
    preparations = (
        dict(begin.preparations)
        if begin
        else prepare_modalities(data, config, modalities, train_rows)
    )
    folder.mkdir(parents=True, exist_ok=True)
    trained = train(
        _batches(data, preparations, task, train_rows, config, shuffle=True),
        _batches(data, preparations, task, valid_rows, config, shuffle=False),
        preparations,
        task,
        config,
        score=score_of(task.kind, config.training.early_stopping),
        folder=folder,
        start=begin.weights if begin else None,
        progress=progress,
        attach=attach,
    )
    return Learned(trained, preparations, task)


def learn_ensemble(
    data: RunData,
    config: RunConfig,
    modalities: Sequence[str],
    rows: np.ndarray,
    *,
    fold: str = "",
    progress: Progress | None = None,
    attach: Attach | None = None,
) -> Learned:
    """Fit an ensemble, or the networks of a family's inner folds, on some rows of a cohort; no
    other row is looked at.

    Args:
        fold: What is held out.
        attach: Adds handlers to the trainer of the networks.
    """
    rows = np.sort(rows)
    task = _task(data, rows)
    part = data.cases.iloc[rows]
    times = (part[name].to_numpy(float) for name in ("time", "event"))
    target = targets(task, label_values(part, task), *times)
    found = fit_ensemble(
        data, config, modalities, rows, task, target, fold=fold, progress=progress, attach=attach
    )
    trained = Trained(found.model, found.curve, found.warnings)
    return Learned(trained, dict(found.preparations), task)


def rows_of(run: Run, data: RunData, name: FitId) -> FitRows:
    """Rows that a model trains on, stops early on, and predicts."""
    part = data.part
    labelled, taught = (np.zeros(len(data.cases), dtype=bool) for _ in range(2))
    labelled[data.labelled], taught[data.taught] = True, True
    modalities = data.modalities_of(name)
    has_input = np.any([data.store.present(modality) for modality in modalities], axis=0)
    if name.fold == TEST:
        return _held_out_rows(run, data, name, part, taught & has_input)
    learnable = taught & has_input & ((part != name.fold).to_numpy() if name.fold != ALL else True)
    stratum = stratum_of(data.cases, data.store.task)
    cases = data.cases.assign(stratum=stratum)
    # where there are inner folds, they do what validation subjects do
    share = 0.0 if run.config.reads_blocks else run.config.evaluation.valid_share
    stopping = validation_subjects(cases[learnable], share, name.fold) if share else set()
    valid = learnable & cases["subject_id"].isin(stopping).to_numpy()
    if name.fold == ALL:  # what no model that is judged answers
        held_out = ~labelled if run.manifest.cross_validated else ~_tested(part, labelled)
    else:
        held_out = labelled & (part == name.fold).to_numpy()
    return FitRows(*map(np.flatnonzero, (learnable & ~valid, valid, held_out)))


def _held_out_rows(
    run: Run, data: RunData, name: FitId, part: pd.Series, learnable: np.ndarray
) -> FitRows:
    """Of a design with a held-out test; the model of a run of 0.1 that became the bundle predicts
    every case.
    """
    train, valid = (
        np.flatnonzero(learnable & (part == which).to_numpy()) for which in ("train", "valid")
    )
    labelled = np.zeros(len(data.cases), dtype=bool)
    labelled[data.labelled] = True
    test = np.flatnonzero(_tested(part, labelled))
    return FitRows(train, valid, np.arange(len(data.cases)) if name == run.final else test)


def _tested(part: pd.Series, labelled: np.ndarray) -> Bool[ndarray, "case"]:
    """Labelled cases of subjects that are held out for the test."""
    found: ndarray = labelled & (part == TEST).to_numpy()
    return found


def _patterns(
    data: RunData, modalities: Sequence[str], rows: np.ndarray
) -> frozenset[frozenset[str]]:
    """Which modalities some of these cases have together."""
    has = np.stack([data.store.present(name)[rows] for name in modalities], axis=1)
    return frozenset(
        frozenset(np.asarray(modalities)[pattern].tolist()) for pattern in np.unique(has, axis=0)
    )


def _task(data: RunData, train_rows: np.ndarray) -> Task:
    """The cohort's task; of a survival with the intervals that the training events fill."""
    task = with_horizon(data.cases, data.store.task)
    if not task.survival:
        return task
    part = data.cases.iloc[train_rows]
    cuts = survival_cuts(part["time"].to_numpy(float), part["event"].to_numpy(float))
    return dataclasses.replace(task, cuts=tuple(cuts))


def _require_colours(store: Store, preparations: Mapping[str, Preparation]) -> None:
    """Check that images are read as they were where encoders were pretrained together."""
    for name, preparation in preparations.items():
        now = store.in_colour(name)
        if preparation.colour != now:
            words = ("grey", "in colour")
            raise UsageError(
                "Encoders that begin pretrained read images as they did then, those of "
                f"{name} were read {words[preparation.colour]} and are read {words[now]} since "
                "other cases came: pretrain again."
            )


def _batches(
    data: RunData,
    preparations: dict[str, Preparation],
    task: Task,
    rows: np.ndarray,
    config: RunConfig,
    *,
    shuffle: bool,
) -> Batches:
    part = data.cases.iloc[rows]
    target = targets(
        task, label_values(part, task), part["time"].to_numpy(float), part["event"].to_numpy(float)
    )
    shared: dict[str, Any] = {
        "batch_size": config.training.batch_size,
        "shuffle": shuffle,
        "seed": config.seed,
        "target": target,
    }
    # slices stay on the disk until their batch is asked for
    if any(p.trains_on_raw_input for p in preparations.values()):
        return Batches(
            lambda index: batch_of(
                preparations,
                prepare_samples(preparations, data.raws, rows[index].tolist()),
                target[index],
            ),
            len(rows),
            ahead=True,
            **shared,
        )
    whole = batch_of(preparations, prepare_samples(preparations, data.raws, rows.tolist()), target)
    return Batches(whole.rows, len(rows), block=BLOCK, **shared)
