"""Ingest a cohort: each shard of new or changed cases is a task; the cases that are refused end in
quarantine with a reason.
"""

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import flow

from flows.settings import prepare, report
from flows.steps import bounded, step, threads, told_of
from mmdiag.description import read_description
from mmdiag.ingest import plan as ingestion
from mmdiag.ingest.commit import commit
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.turns import WAITS, turn
from mmdiag.workspace import Workspace

Wanted = dict[str, list[str]]
SHARDS_AT_ONCE = 2  # a shard of images is held in memory
_room = threading.Semaphore(SHARDS_AT_ONCE)


@flow(
    name="mmdiag-ingest",
    task_runner=threads(SHARDS_AT_ONCE),
    persist_result=False,
)
@told_of
@bounded
def ingest(cohort: Path, workspace: Path) -> dict[str, Any]:
    """Read what is new in a cohort; returns `cohort`, `cases` and `modalities` with their
    counts.
    """
    prepare(workspace)
    return ingest_shards(cohort, workspace)


def ingest_shards(cohort: Path, workspace: Path, wanted: Wanted | None = None) -> dict[str, Any]:
    """The steps of ingestion, for any flow.

    Args:
        wanted: Table modality -> the columns that a bundle reads, for cases that are to be scored.
    """
    with turn_of(cohort, workspace, "ingest"):
        shards = ingest_shard.map(plan_shards(cohort, workspace, wanted))
        for number, shard in enumerate(shards, 1):
            shard.result()
            report("ingest", number, len(shards))
        return commit_shards(cohort, workspace, absent=wanted is not None)


@contextmanager
def turn_of(cohort: Path, workspace: Path, stage: str) -> Iterator[None]:
    """Hold the cohort alone for a stage: a second flow waits."""
    name = bounded(read_description)(cohort).name
    with turn(Workspace(workspace), name, lambda: report(stage, 0, 0, WAITS)):
        yield


@step
def plan_shards(cohort: Path, workspace: Path, wanted: Wanted | None = None) -> list[Path]:
    """Which cases are new or changed, in shards."""
    return ingestion.plan(read_description(cohort), Workspace(workspace), wanted=wanted)


@step
def ingest_shard(plan: Path) -> None:
    """Read, check and store one shard."""
    with _room:
        ingestion.ingest_shard(plan)


@step
def commit_shards(cohort: Path, workspace: Path, *, absent: bool = False) -> dict[str, Any]:
    """Make the shards the cohort, and record it."""
    working = Workspace(workspace)
    ledger = Ledger.of(working)
    return dataclasses.asdict(commit(read_description(cohort), working, ledger, absent=absent))
