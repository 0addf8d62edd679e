"""Train and compare the models of a cohort: each fit is a task that a killed run takes up again
where it stopped.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import Task, flow, unmapped
from prefect.artifacts import create_table_artifact
from prefect.futures import as_completed

from flows.settings import prepare, report
from flows.steps import bounded, step, threads, told_of
from mmdiag import recipes
from mmdiag.description import read_description
from mmdiag.experiment import evaluate as evaluation
from mmdiag.experiment import publish as publication
from mmdiag.experiment.plan import plan_run
from mmdiag.experiment.run import Run
from mmdiag.explain import run as explanations
from mmdiag.explain.checks import check_once
from mmdiag.explain.choice import FULL, MODALITIES, require_choice
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.turns import WAITS_FOR_RUN, alone
from mmdiag.workers import pool
from mmdiag.workspace import Workspace

AT_ONCE = max(2, os.cpu_count() or 1)  # tasks; how many work is for `mmdiag.workers.pool` to say


@flow(name="mmdiag-train", task_runner=threads(AT_ONCE), persist_result=False)
@told_of
@bounded
def train(
    cohort: Path,
    workspace: Path,
    recipe: str = "default",
    fusion: str = "",
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    explain: str = MODALITIES,
    full_for: int | None = None,
) -> dict[str, Any]:
    """Train, evaluate, explain and publish on what was ingested.

    Args:
        explain: `full` = regions, words and genes of every held-out case in advance.
        full_for: Of so many, the abstained and most uncertain; None = of all.
    """
    prepare(workspace)
    require_choice(explain, full_for)
    run = start(cohort, workspace, recipe, fusion, seed, settings)
    with alone_at(run):
        fit_all(run)
        evaluate(run)
        explain_all(run, explain, full_for)
        return publish(run, workspace) | checked(run, explain)


@contextmanager
def alone_at(run: Path) -> Iterator[None]:
    """Hold a run alone: a second flow that is asked the same waits, and finds it done."""
    with alone(run, lambda: report("train", 0, 0, WAITS_FOR_RUN)):
        yield


def fit_all(run: Path) -> None:
    """Fit every model of the comparison, as many at once as the machine has room for."""
    _all("train", fit, run, fits(run))


def explain_all(run: Path, how: str = MODALITIES, full_for: int | None = None) -> None:
    """Explain in full the cases that are to be, in chunks."""
    parts = chunks(run, how, full_for) if how == FULL else []
    if parts:
        _all("explain", explain, run, parts)


def checked(run: Path, how: str) -> dict[str, Any]:
    """Whether the explanations of the published model hold, where any were made in full."""
    return {"checks": check(run)} if how == FULL else {}


def _all(stage: str, task: Task[..., None], run: Path, pieces: Sequence[Any]) -> None:
    """Do the pieces of a run, as many at once as there are worker processes."""
    with pool.at_work(run, len(pieces)) as n_workers:
        report(stage, 0, len(pieces))
        each(stage, task, run, pieces, n_workers)


def each(
    stage: str,
    task: Task[..., None],
    run: Path,
    pieces: Sequence[Any],
    n_workers: int,
    *,
    before: int = 0,
    total: int = 0,
) -> None:
    """Do some pieces of a run: side by side where there are worker processes, else one after the
    other, because the random state belongs to a whole process.

    Args:
        n_workers: Worker processes.
        before, total: Pieces of the stage that were done before, and of all of it; 0 = these are
            all.
    """
    total = total or len(pieces)
    submitted = task.map(unmapped(run), pieces, unmapped(total)) if n_workers > 1 else []
    for number, piece in enumerate(
        as_completed(list(submitted)) if n_workers > 1 else pieces, before + 1
    ):
        if n_workers > 1:
            piece.result()
        else:
            task(run, piece, total)
        report(stage, number, total)


@step
def start(
    cohort: Path,
    workspace: Path,
    recipe: str,
    fusion: str,
    seed: int,
    settings: dict[str, Any] | None,
) -> Path:
    """The run folder of this cohort and configuration: new, or the one that was started."""
    config = recipes.named(recipe, fusion=fusion, seed=seed, settings=settings)
    return plan_run(read_description(cohort), Workspace(workspace), config).folder


@step
def fits(run: Path) -> list[str]:
    """Names of the models to fit."""
    return [str(fit) for fit in Run.open(run).fits]


@step
def fit(run: Path, name: str, total: int) -> None:
    """Fit one model."""

    def on_progress(done: int, of: int, text: str) -> None:
        finished = Run.open(run)
        report(
            "train",
            sum(map(finished.done, finished.fits)),
            total,
            f"{name} {done}/{of}: {text}",
        )

    pool.do(pool.FIT, run, name, on_progress)


@step
def evaluate(run: Path) -> list[dict[str, Any]]:
    """Metrics with intervals of every model on the same subjects."""
    return evaluation.evaluate(Run.open(run))


@step
def chunks(run: Path, how: str, full_for: int | None) -> list[list[str]]:
    """Case keys to explain, in chunks."""
    return explanations.chunks(Run.open(run), how, full_for)


@step
def explain(run: Path, part: list[str], _total: int) -> None:
    """Explain some cases."""
    pool.do(pool.EXPLAIN, run, part)


@step
def publish(run: Path, workspace: Path) -> dict[str, Any]:
    """Write the bundle and the record, and show counts and metrics, never a patient's value, in
    Prefect.
    """
    answer = publication.publish(Run.open(run), Ledger.of(Workspace(workspace)))
    columns = ("model", "metric", "value", "low", "high", "n")
    create_table_artifact(
        [{name: metric[name] for name in columns} for metric in answer["metrics"]],
        key="mmdiag-metrics",
        description=run.name,
    )
    return answer


@step
def check(run: Path) -> dict[str, Any]:
    """Ask on some cases whether the explanations of the published model hold."""
    published = Run.open(run)
    return check_once(published.workspace, published.bundle_folder(published.final), report)
