"""A run is of the cohort that it was laid out on, whatever is ingested since."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mmdiag import api
from mmdiag.description import read_description
from mmdiag.errors import UsageError
from mmdiag.experiment.evaluate import evaluate, metrics_of
from mmdiag.experiment.plan import latest, plan_run
from mmdiag.experiment.run import COHORT, Run, _open_data
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace


@dataclass(frozen=True)
class Place:
    """A finished run whose cohort may be changed."""

    cohort: Path
    workspace: Workspace
    run: Run

    def change(self) -> None:
        """Turn ten labels round, take a case out of training and away, change a note; ingest."""
        table = pd.read_csv(self.cohort / "cases.csv", dtype=str, keep_default_na=False)
        known = table.index[table["label"] != ""][:10]
        table.loc[known, "label"] = table.loc[known, "label"].map({"0": "1", "1": "0"})
        table.drop(known[9]).to_csv(self.cohort / "cases.csv", index=False)
        note = next(self.cohort.glob("notes/*.txt"))
        note.write_text("Findings: none of what was said before.\n")
        ledger = Ledger(self.workspace.ledger_url)
        api.ingest(read_description(self.cohort / "cohort.toml"), self.workspace, ledger)
        _open_data.cache_clear()


@pytest.fixture
def place(small_run: Any, tmp_path: Path) -> Place:
    shutil.copytree(small_run.cohort, tmp_path / "cohort")
    shutil.copytree(small_run.workspace.path, tmp_path / "workspace")
    workspace = Workspace(tmp_path / "workspace")
    _open_data.cache_clear()
    return Place(tmp_path / "cohort", workspace, Run.open(workspace.runs / small_run.folder.name))


def test_metrics_computed_again_are_of_the_cases_and_labels_of_the_run(place):
    metrics, published = metrics_of(place.run), predictions(place.run)
    place.change()
    evaluate(place.run)
    assert metrics_of(place.run) == metrics
    pd.testing.assert_frame_equal(predictions(place.run), published)


def test_a_run_that_kept_no_cohort_is_not_read_with_another_one(place):
    """One of an earlier version: read as it is while the cohort is that of the run."""
    shutil.rmtree(place.run.folder / COHORT)
    assert evaluate(place.run)
    place.change()
    with pytest.raises(UsageError, match="has changed since"):
        evaluate(place.run)


def test_corrected_sites_and_groups_are_read_by_the_next_training(place):
    """Which are no part of what a model learns from: the run is the same one."""
    table = pd.read_csv(place.cohort / "cases.csv", dtype=str, keep_default_na=False)
    table.assign(site="Z").to_csv(place.cohort / "cases.csv", index=False)
    description = read_description(place.cohort / "cohort.toml")
    api.ingest(description, place.workspace, Ledger(place.workspace.ledger_url))
    again = plan_run(description, place.workspace, place.run.config)
    assert again.folder == place.run.folder
    assert set(again.store().cases["site"]) == {"Z"}


def test_the_latest_run_is_one_whose_models_are_fitted(place):
    cohort = place.run.manifest.cohort
    unfinished = place.workspace.runs / "r-000000000000"
    unfinished.mkdir()
    begun = (place.run.folder / "run.json").read_text()
    begun = begun.replace(place.run.manifest.started, "2999-01-01T00:00:00+00:00")
    (unfinished / "run.json").write_text(begun)
    assert latest(place.workspace, cohort).folder == place.run.folder
    shutil.rmtree(place.run.folder)
    assert latest(place.workspace, cohort) is None
    with pytest.raises(UsageError, match="picks it up"):
        api.latest_run(read_description(place.cohort / "cohort.toml"), place.workspace)


def predictions(run: Run) -> pd.DataFrame:
    return pd.read_parquet(run.folder / "predictions.parquet")
