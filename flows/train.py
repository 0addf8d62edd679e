"""Train and compare the models of a cohort: each fit is a task that a killed run takes up again where it stopped."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.task_runners import ThreadPoolTaskRunner

from flows.settings import prepare, report
from flows.steps import step
from mmdiag import comparison, results
from mmdiag.description import read_description
from mmdiag.errors import UnknownNameError
from mmdiag.explain import run as explanations
from mmdiag.ledger import Ledger
from mmdiag.recipes import RECIPES
from mmdiag.workspace import Workspace


@flow(name="mmdiag-train", task_runner=ThreadPoolTaskRunner(max_workers=2), persist_result=False)
def train(cohort: Path, workspace: Path, recipe: str = "default", fusion: str = "concat", seed: int = 0) -> dict[str, Any]:
    """Train, evaluate, explain and publish on what was ingested."""
    prepare(workspace)
    run = start(cohort, workspace, recipe, fusion, seed)
    fit_all(run)
    evaluate(run)
    explain_all(run)
    return publish(run, workspace)


def fit_all(run: Path) -> None:
    """Fit every model of the comparison, one after another: each uses all cores."""
    names = fits(run)
    for number, name in enumerate(names):
        report("train", number, len(names), name)
        fit(run, name, number, len(names))
    report("train", len(names), len(names))


def explain_all(run: Path) -> None:
    """Explain every case, in chunks."""
    parts = chunks(run)
    for number, part in enumerate(parts, 1):
        explain(run, part)
        report("explain", number, len(parts))


@step
def start(cohort: Path, workspace: Path, recipe: str, fusion: str, seed: int) -> Path:
    """The run folder of this cohort and configuration: new, or the one that was begun."""
    if recipe not in RECIPES:
        raise UnknownNameError("A recipe", recipe, RECIPES)
    return comparison.start(read_description(cohort), Workspace(workspace), RECIPES[recipe](fusion=fusion, seed=seed))


@step
def fits(run: Path) -> list[str]:
    """Names of the models to fit."""
    return comparison.fits(run)


@step
def fit(run: Path, name: str, number: int, total: int) -> None:
    """Fit one model."""
    comparison.fit(run, name, progress=lambda done, of, text: report("train", number, total, f"{name} {done}/{of}: {text}"))


@step
def evaluate(run: Path) -> list[dict[str, Any]]:
    """Metrics with intervals of every model on the same subjects."""
    return results.evaluate(run)


@step
def chunks(run: Path) -> list[list[str]]:
    """Case keys to explain, in chunks."""
    return explanations.chunks(run)


@step
def explain(run: Path, part: list[str]) -> None:
    """Explain some cases."""
    explanations.explain(run, part)


@step
def publish(run: Path, workspace: Path) -> dict[str, Any]:
    """Write the bundle and the record, and show counts and metrics, never a patient's value, in Prefect."""
    answer = results.finish(run, Ledger(Workspace(workspace).ledger_url))
    columns = ("model", "metric", "value", "low", "high", "n")
    create_table_artifact(
        [{name: metric[name] for name in columns} for metric in answer["metrics"]], key="mmdiag-metrics", description=run.name
    )
    return answer
