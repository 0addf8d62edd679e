"""Phantoms taken all the way by plain calls, without Prefect: for tests that look at what comes
out.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jaxtyping
import pandas as pd

ONE_NETWORK = {"training.averaged": False}  # of a family; the mean of several takes longer
SMALL = ONE_NETWORK | {"training.max_epochs": 20}  # nobody asks how good its models are


@dataclass(frozen=True)
class PhantomRun:
    """A finished run of a phantom, beside its truth."""

    cohort: Path
    workspace: Any
    ledger: Any
    folder: Path
    answer: dict[str, Any]

    @property
    def truth(self) -> dict[str, Any]:
        return json.loads((self.cohort / "truth" / "truth.json").read_text())

    @property
    def predictions(self) -> pd.DataFrame:
        return pd.read_parquet(self.answer["predictions"])

    def metric(self, model: str, metric: str = "auroc") -> dict[str, Any]:
        return next(
            row
            for row in self.answer["metrics"]
            if row["model"] == model and row["metric"] == metric
        )


def explained_cases(workspace: Any) -> set[str]:
    """The cases of a workspace that are explained in full."""
    files = workspace.path.glob("explanations/*/*.json")
    return {json.loads(file.read_text())["case_id"] for file in files}


def run_phantom(
    folder: Path,
    *,
    explained: int = 0,
    fusion: str = "concat",
    settings: dict[str, Any] | None = None,
    checked: bool = True,
    **options: Any,
) -> PhantomRun:
    """Write a phantom, ingest, train, evaluate, explain the first `explained` cases, publish.

    Args:
        checked: Whether shapes are checked at every call, which is a third of the time.
    """
    jaxtyping.config.update("jaxtyping_disable", not checked)
    try:
        return _run(folder, explained, fusion, settings, options)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def _run(
    folder: Path,
    explained: int,
    fusion: str,
    settings: dict[str, Any] | None,
    options: dict[str, Any],
) -> PhantomRun:
    from mmdiag import api, recipes
    from mmdiag.description import read_description
    from mmdiag.experiment.evaluate import evaluate
    from mmdiag.experiment.fit import fit
    from mmdiag.experiment.plan import plan_run
    from mmdiag.experiment.publish import publish
    from mmdiag.explain.run import chunks, explain
    from mmdiag.phantom import write_phantom
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    write_phantom(folder / "cohort", **options)
    workspace = Workspace(folder / "workspace")
    ledger = Ledger(workspace.ledger_url)
    description = read_description(folder / "cohort" / "cohort.toml")
    found = api.ingest(description, workspace, ledger)
    run = plan_run(
        description,
        workspace,
        recipes.named("default", fusion=fusion, settings=ONE_NETWORK | (settings or {})),
    )
    for name in run.fits:
        fit(run, name)
    evaluate(run)
    if explained:
        explain(run, [case for part in chunks(run) for case in part][:explained])
    return PhantomRun(
        folder / "cohort", workspace, ledger, run.folder, found | publish(run, ledger)
    )
