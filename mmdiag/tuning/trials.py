"""A search of hyperparameters inside what may be learned from: trials judged on training subjects
alone, one study for each fit of a run.

`start` -> `try_out` and `choose` for each fit -> the fits of `mmdiag.experiment.fit`, as in any
run, with what was chosen. What is measured out of fold, or on the
held-out test, is the whole procedure, search included: no judged subject had a say in the values
that its model was trained with. Single modalities have as
many trials as the fused model: what fusion gains over them is not what a search gains.

A study lies in the run's search.db. Trials come from the seed and from what is finished, so that a
search that was killed ends as if it had not been.
"""

import fcntl
import json
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd

from mmdiag.cohort.labels import stratum_of
from mmdiag.cohort.splits import inner_folds
from mmdiag.config import RunConfig, digest, varied
from mmdiag.description import Description
from mmdiag.errors import MmdiagError, UsageError
from mmdiag.experiment import fit as comparison
from mmdiag.experiment.fit import Progress
from mmdiag.experiment.run import FUSED, Run, RunData, open_data
from mmdiag.kinds import KINDS, kind_named
from mmdiag.storage.store import Store
from mmdiag.storage.tables import write_parquet
from mmdiag.training.early_stopping import LOSS, Epoch
from mmdiag.tuning.space import Space, check_space, default_space, from_plain, own_values, to_plain
from mmdiag.workspace import Workspace, atomic_path, write_text

FOLDS = 3  # inside a training part without validation subjects of its own
UNPRUNED = 5  # trials that nothing is compared with yet
LEAST_EPOCHS, EVERY = 10, 5  # before a trial may be given up; and between two looks at it
STRIDE = 100_000  # from a trial's step in one inner fold to the same epoch of the next
FINISHED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
SECONDS = 60  # that a writer waits for another
ACROSS = (
    "fusion",
    "training.modality_dropout",
    "training.auxiliary_weight",
)  # what a model of one modality has not


def start(
    description: Description,
    workspace: Workspace,
    config: RunConfig,
    trials: int,
    space: Space | None = None,
    *,
    fusion: bool = False,
) -> Path:
    """Lay out a run whose models are searched; the same question about the same cohort is the same
    folder.

    Args:
        config: What is not searched, and the first trial.
        trials: Of each fit.
        space: What is searched; None = `default_space`.
        fusion: Whether the default space has the family of the fusion, too.

    Raises:
        UsageError: The space is not one, or the cohort cannot be trained on.
    """
    if trials < 1:
        raise UsageError(f"A search makes at least 1 trial, found {trials}: raise it.")
    if config.pretrained:
        raise UsageError(
            "A search varies sizes, and pretrained encoders have theirs, found pretrained = "
            f"{config.pretrained!r}: search without it."
        )
    kinds = Store.open(workspace, description.name).modalities.values()
    space = default_space(config, kinds, fusion=fusion) if space is None else space
    check_space(space, config)
    return comparison.start(
        description, workspace, config, search={"trials": trials, "space": to_plain(space)}
    )


def trials(folder: Path) -> int:
    """Trials of each fit."""
    return int(Run.open(folder).asked["search"]["trials"])


def try_out(
    folder: Path, name: str, upto: int | None = None, progress: Progress | None = None
) -> None:
    """Make trials until so many of a fit are finished, and choose when all are; None = all.

    Args:
        progress: Told the trials that are finished, their number in all, and how the last one went.

    Raises:
        MmdiagError: Another process is at it.
    """
    run, data = Run.open(folder), open_data(folder)
    if run.chosen_file(name).is_file():
        return
    most, space = trials(folder), space_of(run, name)
    if space:
        inner = inner_rows(run, data, name)
        with _study(run, name) as study:
            for number in range(len(_finished(study)), min(upto or most, most)):
                said = _trial(study, run, data, name, number, space, inner)
                if progress is not None:
                    progress(number + 1, most, said)
    if (upto or most) >= most:
        choose(folder, name)


def choose(folder: Path, name: str) -> dict[str, Any]:
    """Choose the values of the best trial of a fit, and write them where it looks for them.

    Returns:
        `values`, by dotted field, and their mean validation `loss`; `trials`, and how many of them
        were `pruned`. A single modality for which nothing of the
        space matters has no values and no trials.

    Raises:
        UsageError: Trials are missing, or none led anywhere.
    """
    run = Run.open(folder)
    if run.chosen_file(name).is_file():
        found: dict[str, Any] = json.loads(run.chosen_file(name).read_text())
        return found
    if not space_of(run, name):
        found = {"values": {}, "loss": None, "trials": 0, "pruned": 0}
        write_text(run.chosen_file(name), json.dumps(found, indent=1))
        return found
    with _study(run, name) as study:
        done = _finished(study)
        complete = [
            trial for trial in done if trial.value is not None and math.isfinite(trial.value)
        ]
        if len(done) < trials(folder) or not complete:
            raise UsageError(
                f"Values are chosen from {trials(folder)} trials, {name} has {len(done)}, "
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


def summary(folder: Path) -> dict[str, Any]:
    """What was chosen for each fit, and search/trials.parquet: one row a trial, with its fit,
    number, state, loss, seconds, and every field.
    """
    chosen, target = (
        {name: choose(folder, name) for name in comparison.fits(folder)},
        folder / "search" / "trials.parquet",
    )
    table = pd.concat(
        [
            pd.read_parquet(folder / "search" / f"{name}.parquet")
            for name, found in chosen.items()
            if found["trials"]
        ],
        ignore_index=True,
    )
    write_parquet(target, table)
    return {"trials": trials(folder), "fits": chosen, "table": str(target)}


def space_of(run: Run, name: str) -> Space:
    """What is searched for a fit: of the run's space, for a single modality, what its model has."""
    space, model = from_plain(run.asked["search"]["space"]), name.split(".", 1)[1]
    if model == FUSED:
        return space
    own = kind_named(Store.open(run.workspace, str(run.asked["cohort"])).modalities[model])
    others = {kind.settings for kind in KINDS.values()} - {own.settings}
    return {
        field: values
        for field, values in space.items()
        if field not in ACROSS and field.split(".")[0] not in others
    }


def inner_rows(run: Run, data: RunData, name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows that a trial learns from and rows that judge it, all of them among what the model may be
    fitted on.

    In a held-out design its validation subjects judge; in a cross-validation each inner fold in
    turn, because a few validation subjects would say too little.
    """
    part, model = name.split(".", 1)
    train, valid, _ = comparison.rows_of(run, data, part, comparison.modalities_of(data, model))
    if part == "test":
        return [(train, valid)]
    rows = np.sort(np.concatenate([train, valid]))
    fold = inner_folds(
        data.cases["subject_id"].iloc[rows],
        stratum_of(data.cases, data.store.task).iloc[rows],
        FOLDS,
    ).to_numpy()
    return [(rows[fold != number], rows[fold == number]) for number in range(FOLDS)]


@contextmanager
def _study(run: Run, name: str) -> Iterator[optuna.Study]:
    """Open the study of a fit, for one process at a time; what a process was at when it was killed
    counts as failed.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    database = run.folder / "search.db"
    (run.folder / "search").mkdir(exist_ok=True)
    with (run.folder / "search" / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(
                lock, fcntl.LOCK_EX | fcntl.LOCK_NB
            )  # the system lets go of it when the process ends, however it ends
        except BlockingIOError:
            raise MmdiagError(
                f"A model is searched by one process at a time, another one is at {name} of "
                f"{run.folder.name}: wait for it."
            ) from None
        with (run.folder / "search" / "database.lock").open("w") as one:
            fcntl.flock(one, fcntl.LOCK_EX)
            if (
                not database.is_file()
            ):  # whole or not there: a kill while tables are laid out leaves nothing
                with atomic_path(database) as temporary:
                    _storage(temporary).engine.dispose()
        storage = _storage(database)
        try:
            pruner = optuna.pruners.MedianPruner(
                n_startup_trials=UNPRUNED, n_warmup_steps=LEAST_EPOCHS
            )
            study = optuna.create_study(
                study_name=name, storage=storage, pruner=pruner, load_if_exists=True
            )
            for dead in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
                study.tell(dead.number, state=optuna.trial.TrialState.FAIL)
            yield study
        except optuna.exceptions.StorageInternalError:
            raise MmdiagError(
                f"Trials are recorded in {database}, which could not be written: free some "
                "space, and run again: it picks up."
            ) from None
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _storage(database: Path) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(
        f"sqlite:///{database}", engine_kwargs={"connect_args": {"timeout": SECONDS}}
    )


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=FINISHED)


def _trial(
    study: optuna.Study,
    run: Run,
    data: RunData,
    name: str,
    number: int,
    space: Space,
    inner: Sequence[tuple[np.ndarray, np.ndarray]],
) -> str:
    """Make one trial; its values follow from the seed, the fit and the trials before it. Says how
    it went.
    """
    config, modalities = run.asked_of(name), comparison.modalities_of(data, name.split(".", 1)[1])
    seed = int(digest(str(config.seed), name, str(number))[:8], 16)
    study.sampler = optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=min(10, trials(run.folder) // 2)
    )
    if not number and not study.get_trials(
        deepcopy=False, states=(optuna.trial.TrialState.WAITING,)
    ):
        study.enqueue_trial(own_values(space, config))
    trial, began = study.ask(dict(space)), time.monotonic()
    losses, pruned = _judge(
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
        return f"{name} trial {number + 1}: given up"
    loss = float(np.mean(losses))
    study.tell(trial, loss if math.isfinite(loss) else math.inf)
    return f"{name} trial {number + 1}: loss {loss:.3f}, best {study.best_value:.3f}"


def _judge(
    trial: optuna.Trial,
    config: RunConfig,
    data: RunData,
    modalities: Sequence[str],
    inner: Sequence[tuple[np.ndarray, np.ndarray]],
    folder: Path,
) -> tuple[list[float], bool]:
    """The validation loss of each inner fold, and whether the trial was given up before the
    last.
    """
    losses: list[float] = []
    for train_rows, judged in inner:
        shutil.rmtree(folder, ignore_errors=True)  # a trial that was killed begins anew
        watch = _Watch(trial, losses)
        learned = comparison.learn(
            data, config, modalities, train_rows, judged, folder, attach=watch.attach
        )
        if watch.pruned:
            return losses, True
        losses.append(kept_loss(learned.trained.curve, config.training.early_stopping))
    return losses, False


class _Watch:
    """Reports a training to its trial, epoch by epoch, and ends it where the trial has no prospect.

    Args:
        before: Losses of the inner folds that are done.
    """

    def __init__(self, trial: optuna.Trial, before: Sequence[float]) -> None:
        self.trial, self.before, self.best, self.pruned = trial, tuple(before), math.inf, False

    def attach(self, trainer: Any) -> None:
        """Add it to MONAI's trainer."""
        from ignite.engine import Events

        trainer.add_event_handler(Events.EPOCH_COMPLETED, self.look)

    def look(self, trainer: Any) -> None:
        """Report the mean loss so far, this fold's best included."""
        epoch, loss = trainer.state.epoch, trainer.state.metrics["valid_loss"]
        self.best = min(self.best, loss if math.isfinite(loss) else math.inf)
        if epoch % EVERY:
            return
        self.trial.report(
            float(np.mean([*self.before, self.best])), len(self.before) * STRIDE + epoch
        )
        if self.trial.should_prune():
            self.pruned = True
            trainer.terminate()


def kept_loss(curve: Sequence[Epoch], watched: str) -> float:
    """Validation loss of the epoch whose weights are kept.

    Args:
        watched: What early stopping watches.
    """
    known = [row for row in curve if math.isfinite(row.valid_loss)]
    if not known:
        return math.inf
    if watched == LOSS or math.isnan(curve[0].valid_metric):
        return min(row.valid_loss for row in known)
    return max(known, key=lambda row: row.valid_metric).valid_loss


def _write_trials(run: Run, name: str, done: Sequence[optuna.trial.FrozenTrial]) -> None:
    rows = [
        {
            "fit": name,
            "trial": n,
            "state": t.state.name.lower(),
            "loss": t.value,
            "seconds": t.user_attrs.get("seconds"),
            **t.params,
        }
        for n, t in enumerate(done)
    ]
    write_parquet(run.folder / "search" / f"{name}.parquet", pd.DataFrame(rows))
