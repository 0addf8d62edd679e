"""A run is laid out: its folder, its split and the names of its fits.

The path of a run: `plan_run` -> `fit` for each of `run.fits` -> `evaluate` -> `explain` ->
`publish`. Each step may be killed and started again.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mmdiag.cohort.case_table import read_cases
from mmdiag.cohort.label_cells import described_task
from mmdiag.cohort.labels import labelled, require_horizon, stratum_of
from mmdiag.cohort.splits import Split, read_or_make_split, require_subjects
from mmdiag.config import FROZEN, RunConfig, digest, to_json
from mmdiag.description import Description
from mmdiag.errors import UsageError
from mmdiag.evaluation.verdict import FUSED
from mmdiag.experiment import mlflow_tracking
from mmdiag.experiment.fit_id import ALL, TEST, FitId
from mmdiag.experiment.manifest import RunManifest
from mmdiag.experiment.run import COHORT, LABELS_BY_REVIEW, Run
from mmdiag.model.losses import check_training
from mmdiag.prepare import require_encoders
from mmdiag.prepare.sources import require_licences
from mmdiag.pretraining.weights import (
    CONTRASTIVE,
    Pretraining,
    configured,
    pretrained_init,
    require_unseen,
)
from mmdiag.sandbox.tables import gene_set_columns
from mmdiag.spelling import may_be_printed
from mmdiag.storage.store import Store
from mmdiag.storage.turns import turn
from mmdiag.task import Task
from mmdiag.workspace import Workspace, write_text

RULE = "Training needs labelled cases"


def require(description: Description, workspace: Workspace, config: RunConfig) -> None:
    """See whether a cohort could be trained on with a configuration if all its cases were accepted:
    what can be known before anything of it is read, so that nothing is written in vain.

    Raises:
        UsageError: It could not.
    """
    table = read_cases(description)
    task = described_task(description, table)
    known = labelled(table, task.kind)
    if not known.any():
        raise UsageError(_no_label(description))
    names = task.classes if may_be_printed(task.classes) else ()
    cases = table.assign(stratum=stratum_of(table, task).where(known))
    require_subjects(cases, names, survival=task.survival)
    require_horizon(table, task)
    kinds = {name: modality.kind for name, modality in description.modalities.items()}
    _require_configuration(config, workspace, task, kinds)
    _require_licences(description, config, workspace, kinds)


def plan_run(
    description: Description,
    workspace: Workspace,
    config: RunConfig,
    search: Mapping[str, Any] | None = None,
    labels_by_review: Mapping[str, int] | None = None,
) -> Run:
    """Lay out a run: its folder, its split and the names of its fits. The same question about the
    same cohort is the run that was laid out before.

    Args:
        search: What `mmdiag.tuning.trials` is to do before the fits.
        labels_by_review: Case -> number of the class that a person's review gives it, of cases
            without a recorded label: learned from, never judged by.

    Raises:
        UsageError: The cohort has no label, or too few labelled subjects.
    """
    with turn(workspace, description.name, lambda: None):  # nobody ingests while it is kept
        store = Store.open(workspace, description.name)
        run = _laid_out(description, workspace, store, config, search, labels_by_review)
        store.keep(run.folder / COHORT)
    return run


def _laid_out(
    description: Description,
    workspace: Workspace,
    store: Store,
    config: RunConfig,
    search: Mapping[str, Any] | None,
    labels_by_review: Mapping[str, int] | None,
) -> Run:
    if not labelled(store.cases, store.task.kind).any():
        raise UsageError(_without_labels(description, store))
    require_horizon(store.cases, store.task)
    # before the split, which is written for good
    _require_configuration(config, workspace, store.task, store.modalities)
    _require_licences(description, config, workspace, store.modalities)
    split = _split(store, config)
    _require_weights(config, workspace, store, split)
    parts = json.dumps(dict(sorted(split.part.items())))
    given = json.dumps(labels_by_review, sort_keys=True) if labels_by_review else ""
    more = [*([json.dumps(search)] if search else []), *([given] if given else [])]
    asked = digest(store.hash, to_json(config), parts, str(split.folds), *more)
    folder = workspace.runs / f"r-{asked[:12]}"
    while (folder / "run.json").is_file():
        known = Run.open(folder)
        if not known.manifest.erased:
            return known
        asked = digest(asked, "erased")  # who was erased from that one has come back
        folder = workspace.runs / f"r-{asked[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, modality in description.modalities.items():
        if modality.gene_sets:
            columns = gene_set_columns(description.root, modality, store.columns(name))
            write_text(folder / f"gene_sets_{name}.json", json.dumps(columns))
    if given:
        write_text(folder / LABELS_BY_REVIEW, given)
    manifest = RunManifest(
        run_id=folder.name,
        cohort=description.name,
        cohort_hash=store.hash,
        in_colour=tuple(store.of_colour),
        config=json.loads(to_json(config)),
        split=split.summary(),
        fits=_fits(split.folds, list(store.modalities)),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        search=search or {},
        labels_by_review=digest(given) if given else "",
    )
    write_text(folder / "run.json", json.dumps(manifest.facts(), indent=1))
    return Run(folder, manifest)


def _split(store: Store, config: RunConfig) -> Split:
    """The split of a cohort's labelled subjects, made where there is none yet."""
    known = labelled(store.cases, store.task.kind)
    cases = store.cases.assign(stratum=stratum_of(store.cases, store.task).where(known))
    names = store.task.classes if may_be_printed(store.task.classes) else ()
    return read_or_make_split(
        store.folder / "split.json",
        cases,
        config.evaluation,
        names,
        survival=store.task.survival,
    )


def _without_labels(description: Description, store: Store) -> str:
    """Why nothing can be trained on: the labelled cases were refused, or there never were any."""
    table = read_cases(description)
    labels = int(labelled(table, store.task.kind).sum())
    if labels:
        accepted = len(store.cases)
        kept = f"the {accepted} that were accepted have no label" if accepted else "none is left"
        return (
            f"{RULE}, all {labels} of the cohort {description.name} are in quarantine and {kept}: "
            "`mmdiag quarantine list` says why and what to do about it."
        )
    return _no_label(description)


def _no_label(description: Description) -> str:
    return (
        f"{RULE}, the cohort {description.name} has none: name a label under [task] in "
        f"{description.file.name}."
    )


def latest(workspace: Workspace, cohort: str | None = None) -> Run | None:
    """The run that was started last of those whose models are all fitted, of one cohort or of
    all.
    """
    runs = [Run.open(path.parent) for path in workspace.runs.glob("*/run.json")]
    runs = [run for run in runs if cohort is None or run.manifest.cohort == cohort]
    runs = [run for run in runs if run.fitted_all]
    return max(runs, key=lambda run: run.manifest.started) if runs else None


def _require_configuration(
    config: RunConfig, workspace: Workspace, task: Task, kinds: Mapping[str, str]
) -> None:
    """Does the configuration fit the task, and are its encoders there?"""
    check_training(task, config.training)
    _require_ensemble(config, workspace)
    mlflow_tracking.require()
    require_encoders(config, kinds.values())
    if config.pretrained:
        Pretraining.open(workspace, config.pretrained)


def _require_ensemble(config: RunConfig, workspace: Workspace) -> None:
    """What an ensemble cannot do: its members and networks learn from stored features."""
    if not config.ensembles:
        return
    cure = "name a family, such as --fusion cross_modal"
    trained = [name for name in ("image", "text") if getattr(config, name).training != FROZEN]
    if trained:
        raise UsageError(
            f"An ensemble learns from features that are stored, the {' and '.join(trained)} "
            f"encoder of this recipe is trained with the fusion: {cure}, or leave the encoder "
            "frozen."
        )
    if config.pretrained:
        found = Pretraining.open(workspace, config.pretrained)
        if CONTRASTIVE in found.what:
            raise UsageError(
                f"An ensemble has no encoders that could begin with {config.pretrained}, which was "
                f"pretrained by contrast: {cure}."
            )


def _require_licences(
    description: Description, config: RunConfig, workspace: Workspace, kinds: Mapping[str, str]
) -> None:
    """Does the cohort allow the weights that a run would use: those that are named, and those that
    a pretraining left of them?
    """
    for named in (config, configured(config, workspace, ALL)):
        require_licences(description, named, kinds.values())


def _require_weights(config: RunConfig, workspace: Workspace, store: Store, split: Split) -> None:
    """Are the encoders of every fold there, and did what is pretrained see nobody who is held
    out?
    """
    held_out = [f"fold-{i}" for i in range(split.folds)] or [TEST]
    for fold in [*held_out, ALL]:
        require_encoders(configured(config, workspace, fold), store.modalities.values())
        pretrained_init(config, workspace, fold, store.modalities)
    require_unseen(config, workspace, split.part, held_out)


def _fits(folds: int, modalities: Sequence[str]) -> tuple[FitId, ...]:
    models = [FUSED, *(modalities if len(modalities) > 1 else ())]
    if not folds:
        return (*(FitId(TEST, model) for model in models), FitId(ALL, FUSED))
    held_out = [FitId(f"fold-{i}", model) for i in range(folds) for model in models]
    return (*held_out, FitId(ALL, FUSED))
