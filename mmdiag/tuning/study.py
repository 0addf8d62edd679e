"""The study of a fit in the run's search.db: for one process at a time, and whole after a kill."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna

from mmdiag.errors import MmdiagError
from mmdiag.experiment.fit_id import FitId
from mmdiag.experiment.run import Run
from mmdiag.tuning.pruning import LEAST_EPOCHS, UNPRUNED
from mmdiag.workspace import atomic_path

FINISHED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
SECONDS = 60  # that a writer waits for another


@contextmanager
def open_study(run: Run, name: FitId) -> Iterator[optuna.Study]:
    """Open the study of a fit, for one process at a time; what a process was at when it was killed
    counts as failed.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    database = run.folder / "search.db"
    (run.folder / "search").mkdir(exist_ok=True)
    with (run.folder / "search" / f"{name}.lock").open("w") as lock:
        try:
            # the system lets go of it when the process ends, however it ends
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MmdiagError(
                f"A model is searched by one process at a time, another one is at {name} of "
                f"{run.folder.name}: wait for it."
            ) from None
        with (run.folder / "search" / "database.lock").open("w") as one:
            fcntl.flock(one, fcntl.LOCK_EX)
            # whole or not there: a kill while tables are laid out leaves nothing
            if not database.is_file():
                with atomic_path(database) as temporary:
                    _storage(temporary).engine.dispose()
        storage = _storage(database)
        try:
            pruner = optuna.pruners.MedianPruner(
                n_startup_trials=UNPRUNED, n_warmup_steps=LEAST_EPOCHS
            )
            study = optuna.create_study(
                study_name=str(name), storage=storage, pruner=pruner, load_if_exists=True
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


def finished_trials(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that count: complete or pruned, in the order of their numbers."""
    return study.get_trials(deepcopy=False, states=FINISHED)
