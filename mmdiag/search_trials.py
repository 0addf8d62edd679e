"""A search of hyperparameters inside what may be learned from: trials judged on training subjects alone, one study for each part that a run judges.

`start` -> `parts` -> `try_out` and `choose` for each -> the fits of `mmdiag.comparison`, as in any run, with what was chosen. What is measured out of fold, or
on the held-out test, is the whole procedure, search included: no judged subject had a say in the values that its model was trained with.

A study lies in the run's search.db. Trials come from the seed and from what is finished, so that a search that was killed ends as if it had not been.
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

from mmdiag import comparison
from mmdiag.best_epoch import LOSS, Epoch
from mmdiag.comparison import Progress
from mmdiag.config import RunConfig, digest, varied
from mmdiag.description import Description
from mmdiag.errors import MmdiagError, UsageError
from mmdiag.runs import Run, RunData, open_data, stratum_of
from mmdiag.search_space import Space, check_space, default_space, from_plain, own_values, to_plain
from mmdiag.splits import inner_folds
from mmdiag.store import Store
from mmdiag.workspace import Workspace, atomic_path, write_text

FOLDS = 3  # inside a training part without validation subjects of its own
UNPRUNED = 5  # trials that nothing is compared with yet
LEAST_EPOCHS, EVERY = 10, 5  # before a trial may be given up; and between two looks at it
STRIDE = 100_000  # from a trial's step in one inner fold to the same epoch of the next
FINISHED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
SECONDS = 60  # that a writer waits for another


def start(description: Description, workspace: Workspace, config: RunConfig, trials: int, space: Space | None = None, *, fusion: bool = False) -> Path:
    """Lay out a run whose models are searched; the same question about the same cohort is the same folder.

    Args:
        config: What is not searched, and the first trial.
        trials: Of each part.
        space: What is searched; None = `default_space`.
        fusion: Whether the default space has the family of the fusion, too.

    Raises:
        UsageError: The space is not one, or the cohort cannot be trained on.
    """
    if trials < 1:
        raise UsageError(f"A search makes at least 1 trial, found {trials}: raise it.")
    if config.pretrained:
        raise UsageError(f"A search varies sizes, and pretrained encoders have theirs, found pretrained = {config.pretrained!r}: search without it.")
    kinds = Store.open(workspace, description.name).modalities.values()
    space = default_space(config, kinds, fusion=fusion) if space is None else space
    check_space(space, config)
    return comparison.start(description, workspace, config, search={"trials": trials, "space": to_plain(space)})


def parts(folder: Path) -> list[str]:
    """What a run judges, and `all` for the bundle of a cross-validated run: each is searched by itself."""
    return list(dict.fromkeys(name.split(".", 1)[0] for name in comparison.fits(folder)))


def trials(folder: Path) -> int:
    """Trials of each part."""
    return int(Run.open(folder).asked["search"]["trials"])


def try_out(folder: Path, part: str, upto: int | None = None, progress: Progress | None = None) -> None:
    """Make trials until so many of a part are finished; None = all.

    Args:
        progress: Told the trials that are finished, their number in all, and how the last one went.

    Raises:
        MmdiagError: Another process is at it.
    """
    run, data = Run.open(folder), open_data(folder)
    if run.chosen_file(part).is_file():
        return
    most = trials(folder)
    inner = inner_rows(run, data, part)
    with _study(run, part) as study:
        for number in range(len(_finished(study)), min(upto or most, most)):
            said = _trial(study, run, data, part, number, inner)
            if progress is not None:
                progress(number + 1, most, said)


def choose(folder: Path, part: str) -> dict[str, Any]:
    """Choose the values of the best trial of a part, and write them where its fits look for them.

    Returns:
        `values`, by dotted field, and their mean validation `loss`; `trials`, and how many of them were `pruned`.

    Raises:
        UsageError: Trials are missing, or none led anywhere.
    """
    run = Run.open(folder)
    if run.chosen_file(part).is_file():
        found: dict[str, Any] = json.loads(run.chosen_file(part).read_text())
        return found
    with _study(run, part) as study:
        done = _finished(study)
        complete = [trial for trial in done if trial.value is not None and math.isfinite(trial.value)]
        if len(done) < trials(folder) or not complete:
            raise UsageError(
                f"Values are chosen from {trials(folder)} trials, {part} has {len(done)}, {len(complete)} with a finite loss: run the search again, with "
                "lower learning rates if losses are not finite."
            )
        best = min(complete, key=lambda trial: (trial.value, trial.number))
        _write_trials(run, part, done)
    pruned = sum(trial.state is optuna.trial.TrialState.PRUNED for trial in done)
    found = {"values": dict(sorted(best.params.items())), "loss": best.value, "trials": len(done), "pruned": pruned}
    write_text(run.chosen_file(part), json.dumps(found, indent=1))
    shutil.rmtree(run.folder / "search" / f"trial-{part}", ignore_errors=True)
    return found


def summary(folder: Path) -> dict[str, Any]:
    """What was chosen for each part, and search/trials.parquet: one row a trial, with its part, number, state, loss, seconds, and every field."""
    chosen, target = {part: choose(folder, part) for part in parts(folder)}, folder / "search" / "trials.parquet"
    table = pd.concat([pd.read_parquet(folder / "search" / f"{part}.parquet") for part in chosen], ignore_index=True)
    with atomic_path(target) as temporary:
        table.to_parquet(temporary, index=False)
    return {"trials": trials(folder), "parts": chosen, "table": str(target)}


def inner_rows(run: Run, data: RunData, part: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows that a trial learns from and rows that judge it, all of them among what the part's model may be fitted on.

    In a held-out design its validation subjects judge; in a cross-validation each inner fold in turn, because a few validation subjects would say too little.
    """
    train, valid, _ = comparison.rows_of(run, data, part, list(data.store.modalities))
    if part == "test":
        return [(train, valid)]
    rows = np.sort(np.concatenate([train, valid]))
    fold = inner_folds(data.cases["subject_id"].iloc[rows], stratum_of(data.cases, data.store.task).iloc[rows], FOLDS).to_numpy()
    return [(rows[fold != number], rows[fold == number]) for number in range(FOLDS)]


@contextmanager
def _study(run: Run, part: str) -> Iterator[optuna.Study]:
    """Open the study of a part, for one process at a time; what a process was at when it was killed counts as failed."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    database = run.folder / "search.db"
    (run.folder / "search").mkdir(exist_ok=True)
    with (run.folder / "search" / f"{part}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it when the process ends, however it ends
        except BlockingIOError:
            raise MmdiagError(f"A part is searched by one process at a time, another one is at {part} of {run.folder.name}: wait for it.") from None
        if not database.is_file():  # whole or not there: a kill while tables are laid out leaves nothing
            with atomic_path(database) as temporary:
                _storage(temporary).engine.dispose()
        storage = _storage(database)
        try:
            pruner = optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED, n_warmup_steps=LEAST_EPOCHS)
            study = optuna.create_study(study_name=part, storage=storage, pruner=pruner, load_if_exists=True)
            for dead in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
                study.tell(dead.number, state=optuna.trial.TrialState.FAIL)
            yield study
        except optuna.exceptions.StorageInternalError:
            raise MmdiagError(f"Trials are recorded in {database}, which could not be written: free some space, and run again: it picks up.") from None
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _storage(database: Path) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(f"sqlite:///{database}", engine_kwargs={"connect_args": {"timeout": SECONDS}})


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=FINISHED)


def _trial(study: optuna.Study, run: Run, data: RunData, part: str, number: int, inner: Sequence[tuple[np.ndarray, np.ndarray]]) -> str:
    """Make one trial; its values follow from the seed, the part and the trials before it. Says how it went."""
    config, space = run.config, from_plain(run.asked["search"]["space"])
    seed = int(digest(str(config.seed), part, str(number))[:8], 16)
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=min(10, trials(run.folder) // 2))
    if not number and not study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,)):
        study.enqueue_trial(own_values(space, config))
    trial, began = study.ask(dict(space)), time.monotonic()
    losses, pruned = _judge(trial, varied(config, trial.params), data, inner, run.folder / "search" / f"trial-{part}")
    trial.set_user_attr("seconds", round(time.monotonic() - began, 2))
    if pruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        return f"{part} trial {number + 1}: given up"
    loss = float(np.mean(losses))
    study.tell(trial, loss if math.isfinite(loss) else math.inf)
    return f"{part} trial {number + 1}: loss {loss:.3f}, best {study.best_value:.3f}"


def _judge(
    trial: optuna.Trial, config: RunConfig, data: RunData, inner: Sequence[tuple[np.ndarray, np.ndarray]], folder: Path
) -> tuple[list[float], bool]:
    """The validation loss of each inner fold, and whether the trial was given up before the last."""
    losses: list[float] = []
    for train_rows, judged in inner:
        shutil.rmtree(folder, ignore_errors=True)  # a trial that was killed begins anew
        watch = _Watch(trial, losses)
        learned = comparison.learn(data, config, list(data.store.modalities), train_rows, judged, folder, attach=watch.attach)
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
        self.trial.report(float(np.mean([*self.before, self.best])), len(self.before) * STRIDE + epoch)
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


def _write_trials(run: Run, part: str, done: Sequence[optuna.trial.FrozenTrial]) -> None:
    rows = [
        {"part": part, "trial": n, "state": t.state.name.lower(), "loss": t.value, "seconds": t.user_attrs.get("seconds"), **t.params}
        for n, t in enumerate(done)
    ]
    with atomic_path(run.folder / "search" / f"{part}.parquet") as temporary:
        pd.DataFrame(rows).to_parquet(temporary, index=False)
