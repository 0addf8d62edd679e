"""Workspaces whose record is written by hand: cases, predictions and labels, without any model."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from mmdiag.storage.ledger import Ledger
from mmdiag.task import Task
from mmdiag.workspace import Workspace

COHORT, MODEL = "k", "b-1"
BINARY = Task(kind="binary", label="outcome", classes=("not 1", "1"), positive="1")


def make_workspace(
    folder: Path, *, cases: int = 40, task: Task = BINARY, cohort: str = COHORT
) -> tuple[Workspace, Ledger]:
    """A workspace with one cohort whose cases have no label yet, and one model, its champion."""
    workspace = Workspace(folder)
    ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
    described = {"name": cohort, "task": task.facts(), "modalities": {}, "hash": "sha256:0"}
    target = workspace.cohort(cohort) / "description.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(described))
    see_labels(ledger, {}, cohort=cohort)
    rows = [(f"c{i}", f"s{i}", "v", "accepted", "[]") for i in range(cases)]
    columns = ["case_id", "subject_id", "version", "verdict", "modalities"]
    ledger.record_verdicts(cohort, pd.DataFrame(rows, columns=columns))
    if cohort == COHORT:
        ledger.record_bundle(MODEL, f"bundles/{MODEL}", "r-1", cohort, {"fusion": "deep"})
    return workspace, ledger


def see_labels(ledger: Ledger, labels: dict[str, object], *, cohort: str = COHORT) -> None:
    """An ingestion that finds these labels in the case table."""
    as_json = {case: json.dumps(value) for case, value in labels.items()}
    ledger.record_cohort(cohort, "sha256:0", {"kind": "binary"}, {}, {"in": 1}, as_json)


def predict(
    ledger: Ledger,
    probability: dict[str, float],
    *,
    at: str = "2020-01-01T00:00:00.000+00:00",
    cohort: str = COHORT,
    **changes: object,
) -> None:
    """Predictions of cases that the model has not learned from."""
    table = pd.DataFrame(
        {
            "case_id": list(probability),
            "subject_id": [f"s{case.removeprefix('c')}" for case in probability],
            "as_of": pd.NaT,
            "bundle_id": MODEL,
            "role": "new",
            "predicted": np.where(np.asarray(list(probability.values())) > 0.5, "1", "not 1"),
            "probability": list(probability.values()),
            "modalities": [[] for _ in probability],
            "abstained": False,
            "scored_at": at,
            "version": "v",
        }
    )
    ledger.record_predictions(cohort, table.assign(**changes))
