"""Search hyperparameters, then train and compare: each batch of trials of a model is a task that a
killed run takes up again where it stopped.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from prefect import flow
from prefect.concurrency.sync import concurrency

from flows.settings import prepare
from flows.steps import bounded, step, threads, told_of
from flows.train import AT_ONCE, alone_at, each, evaluate, fit_all, publish
from mmdiag import recipes
from mmdiag.description import read_description
from mmdiag.experiment.run import Run
from mmdiag.tuning import trials as search_trials
from mmdiag.workers import pool
from mmdiag.workspace import Workspace

BATCH = 5  # trials of a task
GPU = "gpu"  # a global concurrency limit: `prefect gcl create gpu --limit 1`


@flow(
    name="mmdiag-search",
    task_runner=threads(AT_ONCE),
    persist_result=False,
)
@told_of
@bounded
def search(
    cohort: Path,
    workspace: Path,
    trials: int = 20,
    recipe: str = "default",
    fusion: str | None = None,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Search, train, evaluate, explain and publish on what was ingested.

    Args:
        trials: Trials of every model in every fold.
        fusion: A name of `mmdiag.fusion.FUSIONS`; None = the family is searched, too.
        settings: Fields of the recipe to change, such as `training.max_epochs` -> 60.
    """
    prepare(workspace)
    run = start_search(cohort, workspace, trials, recipe, fusion, seed, settings)
    with alone_at(run):
        searched_values = search_all(run)
        fit_all(run)
        evaluate(run)
        return {"search": searched_values} | publish(run, workspace)


def search_all(run: Path) -> dict[str, Any]:
    """Search every model in batches, several models at once where worker processes are available:
    trials draw from a process's one random state.
    """
    names, most = to_search(run)
    rounds = [*range(BATCH, most, BATCH), most]
    with pool.at_work(run, len(names)) as n_workers:
        for number, until_trial in enumerate(rounds):
            each(
                "search",
                batch,
                run,
                [(name, until_trial) for name in names],
                n_workers,
                before=number * len(names),
                total=len(rounds) * len(names),
            )
    return chosen(run)


@contextmanager
def gpu_slot() -> Iterator[None]:
    """Occupy one of the slots of the GPUs, where there are any and the server has the limit: other
    flows' batches wait for it.
    """
    if not torch.cuda.is_available():
        yield
        return
    with concurrency(GPU, occupy=1, strict=False):
        yield


@step
def start_search(
    cohort: Path,
    workspace: Path,
    trials: int,
    recipe: str,
    fusion: str | None,
    seed: int,
    settings: dict[str, Any] | None,
) -> Path:
    """The run folder of this search: new, or the one that was started."""
    config = recipes.named(recipe, fusion=fusion or "concat", seed=seed, settings=settings)
    run = search_trials.start(
        read_description(cohort), Workspace(workspace), config, trials, fusion=fusion is None
    )
    return run.folder


@step
def to_search(run: Path) -> tuple[list[str], int]:
    """The models to search, and the trials of each."""
    opened = Run.open(run)
    return [str(fit) for fit in opened.fits], search_trials.trials(opened)


@step
def batch(run: Path, part: tuple[str, int], _total: int) -> None:
    """Run trials of a model until so many are finished."""
    with gpu_slot():
        pool.do(pool.SEARCH, run, part)


@step
def chosen(run: Path) -> dict[str, Any]:
    """Choose the values of every model."""
    return search_trials.summary(Run.open(run))
