"""Is fusion worth it? The fused model, each single modality and the trivial baselines, on the same
subjects, everything fitted inside the fold.

A run is a list of fits. Each is a unit of work that may be killed and started again: `start` ->
`fits` -> `fit` for each -> `evaluate` -> `explain` -> `finish`.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mmdiag.cohort.labels import label_values, labelled, stratum_of
from mmdiag.cohort.splits import Split, read_or_make_split, validation_subjects
from mmdiag.config import RunConfig, digest, to_json
from mmdiag.description import Description
from mmdiag.errors import UsageError
from mmdiag.experiment import mlflow_tracking as mirror
from mmdiag.experiment.reuse import take_over
from mmdiag.experiment.run import FUSED, Run, RunData, open_data
from mmdiag.inference.bundle import Bundle
from mmdiag.inference.predict import diagnose
from mmdiag.model.heads import survival_cuts, targets
from mmdiag.model.losses import check_training
from mmdiag.prepare import Preparation, fit_preparation, require_encoders
from mmdiag.prepare.batches import batch_of, prepare_samples
from mmdiag.pretraining.weights import (
    FINAL,
    Begun,
    Pretraining,
    begun,
    configured,
    records,
    require_unseen,
)
from mmdiag.privacy.subject_keys import subject_key
from mmdiag.readers.genomics.gene_sets import gene_set_columns
from mmdiag.samples import Batches
from mmdiag.storage.store import Store
from mmdiag.storage.tables import write_parquet
from mmdiag.task import Task
from mmdiag.training.collectives import place
from mmdiag.training.early_stopping import curve_table
from mmdiag.training.loop import Attach, Trained, train
from mmdiag.training.validation import score_of
from mmdiag.workspace import Workspace, write_text

Progress = Callable[[int, int, str], None]  # done, total, what
BLOCK = 64  # batches of stored features that are gathered at once


@dataclass(frozen=True, slots=True)
class Learned:
    """A trained network, what its cases are prepared by, and the task as its training cases state
    it.
    """

    trained: Trained
    preparations: dict[str, Preparation]
    task: Task


def start(
    description: Description,
    workspace: Workspace,
    config: RunConfig,
    search: Mapping[str, Any] | None = None,
) -> Path:
    """Lay out a run: its folder, its split and the names of its fits.

    Args:
        search: What `mmdiag.tuning.trials` is to do before the fits.

    Raises:
        UsageError: The cohort has no label, or too few labelled subjects.
    """
    store = Store.open(workspace, description.name)
    cases = store.cases
    known = labelled(cases, store.task.kind)
    if not known.any():
        raise UsageError(
            f"Training needs labelled cases, the cohort {description.name} has none: name a "
            f"label under [task] in {description.file.name}."
        )
    check_training(store.task, config.training)
    mirror.require()
    require_encoders(config, store.modalities.values())
    if config.pretrained:
        Pretraining.open(workspace, config.pretrained)
    stratum = stratum_of(cases, store.task).where(known)
    split = read_or_make_split(
        store.folder / "split.json", cases.assign(stratum=stratum), config.evaluation
    )
    _require_weights(config, workspace, store, split)
    identity = (
        "r-"
        + digest(
            store.hash,
            to_json(config),
            json.dumps(dict(sorted(split.part.items()))),
            str(split.folds),
            *([json.dumps(search)] if search else ()),
        )[:12]
    )
    folder = workspace.runs / identity
    if (folder / "run.json").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, modality in description.modalities.items():
        if modality.gene_sets:
            write_text(
                folder / f"gene_sets_{name}.json",
                json.dumps(gene_set_columns(description.root, modality, store.columns(name))),
            )
    asked = {
        "run_id": identity,
        "cohort": description.name,
        "cohort_hash": store.hash,
        "status": "running",
        "config": json.loads(to_json(config)),
        "split": split.summary(),
        "fits": _plan(split.folds, list(store.modalities)),
        "started": _now(),
        **({"search": search} if search else {}),
    }
    write_text(folder / "run.json", json.dumps(asked, indent=1))
    return folder


def _require_weights(config: RunConfig, workspace: Workspace, store: Store, split: Split) -> None:
    """Are the encoders of every part there, and did what is pretrained see nobody whom it is judged
    on?
    """
    judging = [f"fold-{i}" for i in range(split.folds)] or ["test"]
    for part in [*judging, *([FINAL] if split.folds else ())]:
        require_encoders(configured(config, workspace, part), store.modalities.values())
        begun(config, workspace, part, store.modalities)
    require_unseen(config, workspace, split.part, judging)


def _plan(folds: int, modalities: Sequence[str]) -> list[str]:
    models = [FUSED, *(modalities if len(modalities) > 1 else ())]
    if not folds:
        return [f"test.{model}" for model in models]
    return [f"fold-{i}.{model}" for i in range(folds) for model in models] + [f"all.{FUSED}"]


def modalities_of(data: RunData, model: str) -> list[str]:
    """The modalities of a model of a run."""
    return list(data.store.modalities) if model == FUSED else [model]


def fits(folder: Path) -> list[str]:
    """Names of the fits of a run: `<part that is judged>.<model>`."""
    return list(Run.open(folder).asked["fits"])


def fit(folder: Path, name: str, progress: Progress | None = None) -> None:
    """Fit one model on what is not judged, and predict what is. Does nothing where it was done
    before, in this run or, for a single modality, in a like one.
    """
    run = Run.open(folder)
    if run.done(name):
        return
    part, model = name.split(".", 1)
    if model != FUSED and place() == (0, 1) and take_over(run, name):
        return
    data = open_data(folder, part)
    modalities = modalities_of(data, model)
    train_rows, valid_rows, judged = rows_of(run, data, part, modalities)
    config = run.config_of(name)
    require_unseen(run.config, run.workspace, data.parts, [part])
    begin, target_folder = begun(run.config, run.workspace, part, modalities), run.fit_folder(name)
    watched = mirror.attach(run, name)
    learned = learn(
        data,
        config,
        modalities,
        train_rows,
        valid_rows,
        target_folder,
        begin=begin,
        progress=progress,
        attach=watched,
    )
    trained, preparations, task = learned.trained, learned.preparations, learned.task
    if place()[0]:
        return  # another process writes what all of them found
    seen = np.concatenate([train_rows, valid_rows])
    subjects, patterns = data.cases["subject_id"].iloc[seen], _patterns(data, modalities, seen)
    cohort = {"name": str(run.asked["cohort"]), "hash": str(run.asked["cohort_hash"])}
    bundle = Bundle(
        config=config,
        model=trained.model,
        preparations=preparations,
        task=task,
        kinds={m: data.store.modalities[m] for m in modalities},
        cohort=cohort,
        trained_on=frozenset(subject_key(subject, cohort["hash"]) for subject in subjects),
        patterns=patterns,
        pretrained_on=tuple(records(run.config, run.workspace, part)),
        card=_card(run, name, config, len(set(subjects))),
    )
    identity, where = bundle.save(
        run.workspace.bundles if name in ("all.fused", "test.fused") else target_folder
    )
    table = diagnose(
        bundle,
        prepare_samples(preparations, data.raws, judged.tolist()),
        contributions=model == FUSED,
    )
    table.insert(0, "case_id", data.cases["case_id"].iloc[judged].to_numpy())
    write_parquet(target_folder / "predictions.parquet", table)
    write_parquet(target_folder / "curve.parquet", curve_table(trained.curve).assign(fit=name))
    facts = {
        "bundle_id": identity,
        "bundle": str(where.relative_to(run.workspace.path)),
        "train": len(train_rows),
        "valid": len(valid_rows),
        "patterns": sorted(sorted(pattern) for pattern in patterns),
        "warnings": list(trained.warnings),
        "waiting_for_cases": round(trained.waiting, 4),
        "finished": _now(),
    }
    write_text(target_folder / "fit.json", json.dumps(facts, indent=1))


def learn(
    data: RunData,
    config: RunConfig,
    modalities: Sequence[str],
    train_rows: np.ndarray,
    valid_rows: np.ndarray,
    folder: Path,
    *,
    begin: Begun | None = None,
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
    preparations = (
        dict(begin.preparations) if begin else _prepare(data, config, modalities, train_rows)
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


def rows_of(
    run: Run, data: RunData, part: str, modalities: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows to train on, to stop early on, and to predict."""
    where = data.cases["subject_id"].map(dict(data.parts))
    known = np.zeros(len(data.cases), dtype=bool)
    known[data.labelled] = True
    has = np.any([data.store.present(name) for name in modalities], axis=0)
    everyone = np.arange(len(data.cases))
    if part == "test":
        rows = [
            np.flatnonzero(known & has & (where == name).to_numpy()) for name in ("train", "valid")
        ]
        judged = (
            everyone
            if len(modalities) > 1 or len(data.store.modalities) == 1
            else np.flatnonzero(known & (where == "test").to_numpy())
        )
        return rows[0], rows[1], judged
    outside = known & has & ((where != part).to_numpy() if part != "all" else True)
    stratum = stratum_of(data.cases, data.store.task)
    held = validation_subjects(
        data.cases["subject_id"][outside], stratum[outside], run.config.evaluation.valid_share
    )
    valid = outside & data.cases["subject_id"].isin(held).to_numpy()
    judged = (
        np.flatnonzero(~known)
        if part == "all"
        else np.flatnonzero(known & (where == part).to_numpy())
    )
    return np.flatnonzero(outside & ~valid), np.flatnonzero(valid), judged


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
    task = data.store.task
    if not task.survival:
        return task
    part = data.cases.iloc[train_rows]
    cuts = survival_cuts(part["time"].to_numpy(float), part["event"].to_numpy(float))
    return dataclasses.replace(task, cuts=tuple(cuts))


def _prepare(
    data: RunData, config: RunConfig, modalities: Sequence[str], train_rows: np.ndarray
) -> dict[str, Preparation]:
    prepared = {}
    for name in modalities:
        raws = [raw for raw in (data.raws[name][row] for row in train_rows) if raw is not None]
        kind = data.store.modalities[name]
        if not raws:
            raise UsageError(
                f"Every modality must be present in some training case, {name} is in none: take "
                "it out of cohort.toml or add cases that have it."
            )
        prepared[name] = fit_preparation(
            kind, raws, config, columns=data.store.columns(name), gene_sets=data.gene_sets.get(name)
        )
    return prepared


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
    if any(
        p.trains_on_raw_input for p in preparations.values()
    ):  # slices stay on the disk until their batch is asked for
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


def _card(run: Run, name: str, config: RunConfig, subjects: int) -> str:
    return "\n".join(
        [
            f"# Model card: {run.asked['cohort']}",
            "",
            "Research use only; not a medical device.",
            "",
            f"- Fusion: {config.fusion}; recipe: {config.recipe}; seed: {config.seed}.",
            f"- Fitted on {subjects} subjects of the cohort {run.asked['cohort']} "
            f"({run.asked['cohort_hash'][:23]}).",
            f"- Run {run.asked['run_id']}, fit {name}. How it was judged: metrics.parquet of "
            "that run.",
            "",
        ]
    )


def latest(workspace: Workspace, cohort: str | None = None) -> Path | None:
    """The run that was started last, of one cohort or of all."""
    found = [Run.open(path.parent) for path in workspace.runs.glob("*/run.json")]
    found = [run for run in found if cohort is None or run.asked["cohort"] == cohort]
    return max(found, key=lambda run: str(run.asked["started"])).folder if found else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
