"""Search hyperparameters, then train and compare: each batch of trials is a task that a killed run takes up again where it stopped."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from prefect import flow
from prefect.concurrency.sync import concurrency
from prefect.task_runners import ThreadPoolTaskRunner

from flows.settings import prepare, report
from flows.steps import step
from flows.train import evaluate, explain_all, fit_all, publish
from mmdiag import search_trials
from mmdiag.description import read_description
from mmdiag.errors import UnknownNameError
from mmdiag.recipes import RECIPES
from mmdiag.workspace import Workspace

BATCH = 5  # trials of a task
GPU = "gpu"  # a global concurrency limit: `prefect gcl create gpu --limit 1`


@flow(name="mmdiag-search", task_runner=ThreadPoolTaskRunner(max_workers=2), persist_result=False)
def search(cohort: Path, workspace: Path, trials: int = 20, recipe: str = "default", fusion: str | None = None, seed: int = 0) -> dict[str, Any]:
    """Search, train, evaluate, explain and publish on what was ingested.

    Args:
        trials: Trials of each part that is judged.
        fusion: A name of `mmdiag.fusion.FUSIONS`; None = the family is searched, too.
    """
    prepare(workspace)
    run = start_search(cohort, workspace, trials, recipe, fusion, seed)
    found = search_all(run)
    fit_all(run)
    evaluate(run)
    explain_all(run)
    return {"search": found} | publish(run, workspace)


def search_all(run: Path) -> dict[str, Any]:
    """Search every part in batches, one after another: trials draw from this process's one source of chance."""
    parts, most = searched(run)
    for number, part in enumerate(parts):
        for upto in [*range(BATCH, most, BATCH), most]:
            batch(run, part, upto, number, len(parts))
    return chosen(run)


@contextmanager
def gpu_slot() -> Iterator[None]:
    """Hold one of the slots of the GPUs, where there are any and the server has the limit: other flows' batches wait for it."""
    if not torch.cuda.is_available():
        yield
        return
    with concurrency(GPU, occupy=1, strict=False):
        yield


@step
def start_search(cohort: Path, workspace: Path, trials: int, recipe: str, fusion: str | None, seed: int) -> Path:
    """The run folder of this search: new, or the one that was begun."""
    if recipe not in RECIPES:
        raise UnknownNameError("A recipe", recipe, RECIPES)
    config = RECIPES[recipe](fusion=fusion or "concat", seed=seed)
    return search_trials.start(read_description(cohort), Workspace(workspace), config, trials, fusion=fusion is None)


@step
def searched(run: Path) -> tuple[list[str], int]:
    """The parts to search, and the trials of each."""
    return search_trials.parts(run), search_trials.trials(run)


@step
def batch(run: Path, part: str, upto: int, number: int, total: int) -> None:
    """Make trials of a part until so many are finished."""
    with gpu_slot():
        search_trials.try_out(
            run, part, upto, progress=lambda done, of, text: report("search", number * of + done, total * of, text)
        )


@step
def chosen(run: Path) -> dict[str, Any]:
    """Choose the values of every part."""
    return search_trials.summary(run)
