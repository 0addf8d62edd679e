"""Train a challenger on the grown cohort and hold it against the champion under the written plan; a
schedule runs it every week.
"""

import importlib
from pathlib import Path
from typing import Any

from prefect import flow

from flows.ingest import ingest_shards
from flows.settings import prepare
from flows.steps import bounded, step, threads, told_of
from mmdiag.description import read_description
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace


@flow(name="mmdiag-refit", task_runner=threads(2), persist_result=False)
@told_of
@bounded
def refit(cohort: Path, workspace: Path) -> dict[str, Any]:
    """Ingest what is new, then refit; returns what `mmdiag refit --json` shows."""
    prepare(workspace)
    ingest_shards(cohort, workspace)
    return challenge(cohort, workspace)


@step
def challenge(cohort: Path, workspace: Path) -> dict[str, Any]:
    """One challenger, and the decision on it."""
    lifecycle: Any = importlib.import_module("mmdiag.lifecycle.refit")
    working = Workspace(workspace)
    answer: dict[str, Any] = lifecycle.refit(read_description(cohort), working, Ledger.of(working))
    return answer
