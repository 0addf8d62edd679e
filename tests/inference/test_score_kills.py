"""A score that is killed at any point is taken up by the next call: each case has one answer, none
is lost, none is given twice.
"""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from phantom_runs import explained_cases

from mmdiag import api
from mmdiag.description import read_description
from mmdiag.explain.kept import is_whole
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

# scores in parts of three cases, and kills itself before or after the nth call of a function
KILLED = """
import importlib, os, signal, sys
from pathlib import Path
from mmdiag import api
from mmdiag.description import read_description
from mmdiag.inference import score
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace
bundle, cohort, place, out = map(Path, sys.argv[1:5])
owner, name, when, number = sys.argv[5:9]
module, _, kind = owner.partition(":")
holder = importlib.import_module(module)
holder = getattr(holder, kind) if kind else holder
real, calls = getattr(holder, name), []

def killing(*arguments, **options):
    calls.append(name)
    if when == "before" and len(calls) == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    found = real(*arguments, **options)
    if when == "after" and len(calls) == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    return found

setattr(holder, name, killing)
score.PART = 3
workspace = Workspace(place)
ledger = Ledger(workspace.ledger_url)
options = {"explain": "full", "full_for": 2}
api.score(bundle, read_description(cohort), workspace, ledger, out, **options)
"""
LEDGER, KEPT = "mmdiag.storage.ledger:Ledger", "mmdiag.explain.kept"
POINTS = [
    pytest.param(
        "mmdiag.prepare.feature_parts", "write_parquet", "before", 2, marks=pytest.mark.slow
    ),
    pytest.param(LEDGER, "record_predictions", "before", 1, marks=pytest.mark.slow),
    (LEDGER, "record_predictions", "after", 2),
    pytest.param(
        "mmdiag.inference.prediction_table", "write_parquet", "before", 1, marks=pytest.mark.slow
    ),
    pytest.param(KEPT, "write_text", "before", 1, marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def place(small_run, tmp_path_factory):
    """A workspace with a model, an ingested cohort that it has not seen, and what it says of it
    without a kill.
    """
    from mmdiag.phantom import write_phantom

    folder = tmp_path_factory.mktemp("killed")
    write_phantom(folder / "new", cases=8, seed=22)
    workspace = Workspace(Path(shutil.copytree(small_run.workspace.path, folder / "w")))
    description = read_description(folder / "new" / "cohort.toml")
    api.ingest(description, workspace, Ledger(workspace.ledger_url))
    calm = Workspace(Path(shutil.copytree(workspace.path, folder / "calm")))
    bundle = workspace.bundles / small_run.answer["bundle"]["id"]
    options = {"explain": "full", "full_for": 2}
    out = folder / "calm.parquet"
    api.score(bundle, description, calm, Ledger(calm.ledger_url), out, **options)
    return workspace, description, bundle, pd.read_parquet(out), explained_cases(calm)


@pytest.mark.parametrize(("owner", "name", "when", "number"), POINTS)
def test_a_killed_score_loses_and_repeats_nothing(place, tmp_path, owner, name, when, number):
    workspace, description, bundle, calm, explained = place
    workspace = Workspace(Path(shutil.copytree(workspace.path, tmp_path / "w")))
    out = tmp_path / "p.parquet"
    arguments = [bundle, description.file, workspace.path, out, owner, name, when, number]
    command = [sys.executable, "-c", KILLED, *map(str, arguments)]
    killed = subprocess.run(command, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    ledger = Ledger(workspace.ledger_url)
    before = ledger.predictions(bundle_id=bundle.name, cohort=description.name)
    assert before["base"].notna().all(), "an answer is recorded with its contributions"
    options = {"explain": "full", "full_for": 2}
    answer = api.score(bundle, description, workspace, ledger, out, **options)
    assert answer["scored"] == 8 - len(before) and answer["already_scored"] == len(before)
    found = pd.read_parquet(out)
    assert found["case_id"].is_unique and found["case_id"].tolist() == calm["case_id"].tolist()
    numbers = [name for name in calm if calm[name].dtype.kind == "f"]
    pd.testing.assert_frame_equal(found[numbers], calm[numbers], atol=1e-6)
    stamps = found.set_index("case_id")["scored_at"]
    assert (stamps[before["case_id"]].to_numpy() == before["scored_at"].to_numpy()).all()
    assert explained_cases(workspace) == explained
    files = workspace.path.glob("explanations/*/*.json")
    assert all(is_whole(file) for file in files)
    assert not list(workspace.path.rglob("cohorts/*/*.tmp"))
