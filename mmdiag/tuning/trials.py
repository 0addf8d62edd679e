"""A search of hyperparameters inside what may be learned from: trials evaluated on training
subjects alone, one study for each fit of a run.

`start` -> `run_trials` and `choose` for each fit -> the fits of `mmdiag.experiment.fit`, as in any
run, with what was chosen. The metrics are nested cross-validation
estimates (or those of the held-out test): no evaluated subject influenced the values that its model
was trained with. Single modalities have as
many trials as the fused model: what fusion gains over them is not what a search gains.

A study lies in the run's search.db. Trials come from the seed and from what is finished, so that a
search that was killed ends as if it had not been.
"""

import json
import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from jaxtyping import Int64
from numpy import ndarray

from mmdiag.cohort.labels import stratum_of
from mmdiag.cohort.splits import inner_folds
from mmdiag.config import RunConfig, digest, varied
from mmdiag.description import Description
from mmdiag.errors import UsageError
from mmdiag.experiment.fit import learn, rows_of
from mmdiag.experiment.fit_id import TEST, FitId
from mmdiag.experiment.plan import plan_run
from mmdiag.experiment.run import Run, RunData, open_data
from mmdiag.kinds import KINDS, kind_named
from mmdiag.progress import Progress
from mmdiag.storage.tables import write_parquet
from mmdiag.tuning.pruning import PruningWatch, best_epoch_loss
from mmdiag.tuning.space import Space, check_space, default_space, from_plain, own_values, to_plain
from mmdiag.tuning.study import finished_trials, open_study
from mmdiag.workspace import Workspace, write_text

FOLDS = 3  # inside a training part without validation subjects of its own
# what a model of one modality has not
ACROSS = (
    "fusion",
    "training.modality_dropout",
    "training.auxiliary_weight",
)

# rows that a trial learns from, and rows that it is evaluated on; folds differ in their numbers
InnerFold = tuple[Int64[ndarray, "_"], Int64[ndarray, "_"]]


def start(
    description: Description,
    workspace: Workspace,
    config: RunConfig,
    trials: int,
    space: Space | None = None,
    *,
    fusion: bool = False,
) -> Run:
    """Lay out a run whose models are searched; the same question about the same cohort is the same
    run.

    Args:
        config: What is not searched, and the first trial.
        trials: Of each fit.
        space: What is searched; None = `default_space`.
        fusion: Whether the default space has the family of the fusion, too.

    Raises:
        UsageError: The space is not one, or the cohort cannot be trained on.
    """
    space = require(description, config, trials, space, fusion=fusion)
    config = config.as_one_network()  # whose sizes are varied
    return plan_run(
        description, workspace, config, search={"trials": trials, "space": to_plain(space)}
    )


def require(
    description: Description,
    config: RunConfig,
    trials: int,
    space: Space | None = None,
    *,
    fusion: bool = False,
) -> Space:
    """The space that is searched, after a look whether it is one; arguments as of `start`.

    Raises:
        UsageError: It is none, or the configuration cannot be searched.
    """
    if trials < 1:
        raise UsageError(f"A search makes at least 1 trial, found {trials}: raise it.")
    if config.ensembles:
        raise UsageError(
            "A search varies a network that is trained, an ensemble chooses its penalties and "
            "weights by itself: name a family, such as --fusion cross_modal."
        )
    if config.pretrained:
        raise UsageError(
            "A search varies sizes, and pretrained encoders have theirs, found pretrained = "
            f"{config.pretrained!r}: search without it."
        )
    kinds = [modality.kind for modality in description.modalities.values()]
    space = default_space(config, kinds, fusion=fusion) if space is None else space
    check_space(space, config)
    return space


def trials(run: Run) -> int:
    """Trials of each fit."""
    return int(run.manifest.search["trials"])


def run_trials(
    run: Run, name: FitId, until_trial: int | None = None, progress: Progress | None = None
) -> None:
    """Make trials until so many of a fit are finished, and choose when all are; None = all.

    Args:
        progress: Called with the trials that are finished, their number in all, and how the last
            one went.

    Raises:
        MmdiagError: Another process is at it.
    """
    data = open_data(run)
    if run.chosen_file(name).is_file():
        return
    most, space = trials(run), space_of(run, name)
    if space:
        inner = inner_rows(run, data, name)
        with open_study(run, name) as study:
            for number in range(len(finished_trials(study)), min(until_trial or most, most)):
                message = _trial(study, run, data, name, number, space, inner)
                if progress is not None:
                    progress(number + 1, most, message)
    if (until_trial or most) >= most:
        choose(run, name)


def choose(run: Run, name: FitId) -> dict[str, Any]:
    """Choose the values of the best trial of a fit, and write them where it looks for them.

    Returns:
        `values`, by dotted field, and their mean validation `loss`; `trials`, and how many of them
        were `pruned`. A single modality for which nothing of the
        space matters has no values and no trials.

    Raises:
        UsageError: Trials are missing, or none led anywhere.
    """
    if run.chosen_file(name).is_file():
        found: dict[str, Any] = json.loads(run.chosen_file(name).read_text())
        return found
    if not space_of(run, name):
        found = {"values": {}, "loss": None, "trials": 0, "pruned": 0}
        write_text(run.chosen_file(name), json.dumps(found, indent=1))
        return found
    with open_study(run, name) as study:
        done = finished_trials(study)
        complete = [
            trial for trial in done if trial.value is not None and math.isfinite(trial.value)
        ]
        if len(done) < trials(run) or not complete:
            raise UsageError(
                f"Values are chosen from {trials(run)} trials, {name} has {len(done)}, "
                f"{len(complete)} with a finite loss: run the search again, with "
                "lower learning rates if losses are not finite."
            )
        best = min(complete, key=lambda trial: (trial.value, trial.number))
        _write_trials(run, name, done)
    pruned = sum(trial.state is optuna.trial.TrialState.PRUNED for trial in done)
    found = {
        "values": dict(sorted(best.params.items())),
        "loss": best.value,
        "trials": len(done),
        "pruned": pruned,
    }
    write_text(run.chosen_file(name), json.dumps(found, indent=1))
    shutil.rmtree(run.folder / "search" / f"trial-{name}", ignore_errors=True)
    return found


def summary(run: Run) -> dict[str, Any]:
    """What was chosen for each fit, and search/trials.parquet: one row a trial, with its fit,
    number, state, loss, seconds, and every field.
    """
    chosen = {str(fit): choose(run, fit) for fit in run.fits}
    target = run.folder / "search" / "trials.parquet"
    table = pd.concat(
        [
            pd.read_parquet(run.folder / "search" / f"{name}.parquet")
            for name, found in chosen.items()
            if found["trials"]
        ],
        ignore_index=True,
    )
    write_parquet(target, table)
    return {"trials": trials(run), "fits": chosen, "table": str(target)}


def space_of(run: Run, name: FitId) -> Space:
    """What is searched for a fit: of the run's space, for a single modality, what its model has."""
    space = from_plain(run.manifest.search["space"])
    if name.fused:
        return space
    own = kind_named(run.store().modalities[name.model])
    others = {kind.settings for kind in KINDS.values()} - {own.settings}
    return {
        field: values
        for field, values in space.items()
        if field not in ACROSS and field.split(".")[0] not in others
    }


def inner_rows(run: Run, data: RunData, name: FitId) -> list[InnerFold]:
    """Rows that a trial learns from and rows that it is evaluated on, all of them among what the
    model may be fitted on.

    In a held-out design the latter are its validation subjects; in a cross-validation each inner
    fold in turn, because a few validation subjects would say too little.
    """
    learned = rows_of(run, data, name)
    if name.fold == TEST:
        return [(learned.train, learned.valid)]
    rows = np.sort(learned.seen)
    cases = data.cases.assign(stratum=stratum_of(data.cases, data.store.task)).iloc[rows]
    fold = inner_folds(cases, FOLDS, name.fold).to_numpy()
    return [(rows[fold != number], rows[fold == number]) for number in range(FOLDS)]


def _trial(
    study: optuna.Study,
    run: Run,
    data: RunData,
    name: FitId,
    number: int,
    space: Space,
    inner: Sequence[InnerFold],
) -> str:
    """Make one trial; its values follow from the seed, the fit and the trials before it. Returns
    one line on how it went.
    """
    config, modalities = run.requested(name), data.modalities_of(name)
    seed = int(digest(str(config.seed), str(name), str(number))[:8], 16)
    study.sampler = optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=min(10, trials(run) // 2)
    )
    if not number and not study.get_trials(
        deepcopy=False, states=(optuna.trial.TrialState.WAITING,)
    ):
        study.enqueue_trial(own_values(space, config))
    trial, began = study.ask(dict(space)), time.monotonic()
    losses, pruned = _inner_losses(
        trial,
        varied(config, trial.params),
        data,
        modalities,
        inner,
        run.folder / "search" / f"trial-{name}",
    )
    trial.set_user_attr("seconds", round(time.monotonic() - began, 2))
    if pruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        return f"{name} trial {number + 1}: pruned"
    loss = float(np.mean(losses))
    study.tell(trial, loss if math.isfinite(loss) else math.inf)
    return f"{name} trial {number + 1}: loss {loss:.3f}, best {study.best_value:.3f}"


def _inner_losses(
    trial: optuna.Trial,
    config: RunConfig,
    data: RunData,
    modalities: Sequence[str],
    inner: Sequence[InnerFold],
    folder: Path,
) -> tuple[list[float], bool]:
    """The validation loss of each inner fold, and whether the trial was pruned before the
    last.
    """
    losses: list[float] = []
    for train_rows, held_rows in inner:
        shutil.rmtree(folder, ignore_errors=True)  # a trial that was killed begins anew
        watch = PruningWatch(trial, losses)
        learned = learn(
            data, config, modalities, train_rows, held_rows, folder, attach=watch.attach
        )
        if watch.pruned:
            return losses, True
        losses.append(best_epoch_loss(learned.trained.curve, config.training.early_stopping))
    return losses, False


def _write_trials(run: Run, name: FitId, done: Sequence[optuna.trial.FrozenTrial]) -> None:
    rows = [
        {
            "fit": str(name),
            "trial": n,
            "state": t.state.name.lower(),
            "loss": t.value,
            "seconds": t.user_attrs.get("seconds"),
            **t.params,
        }
        for n, t in enumerate(done)
    ]
    write_parquet(run.folder / "search" / f"{name}.parquet", pd.DataFrame(rows))
