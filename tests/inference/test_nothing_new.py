"""A score that finds nothing new answers as before, and loads neither torch nor the bundle."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mmdiag import api
from mmdiag.description import read_description
from mmdiag.errors import BundleError, DescriptionError
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

LOOK = """
import json, sys
from pathlib import Path
from mmdiag import api
from mmdiag.description import read_description
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace
bundle, cohort, place, out = map(Path, sys.argv[1:5])
workspace = Workspace(place)
ledger = Ledger(workspace.ledger_url)
answer = api.score(bundle, read_description(cohort), workspace, ledger, out)
known = {"torch", "transformers", "monai", "great_expectations", "sklearn", "scipy", "prefect"}
heavy = known & set(sys.modules)
print(json.dumps({"answer": answer, "heavy": sorted(heavy)}))
"""

COMMAND = """
import subprocess, sys
from mmdiag.cli import boundary, cli
def refuse(*arguments, **options):
    raise AssertionError("a process was started")
subprocess.Popen = refuse
code = boundary.run(cli, sys.argv[1:])
heavy = {"torch", "transformers", "great_expectations", "sklearn", "scipy", "prefect"}
print(code, sorted(heavy & set(sys.modules)), file=sys.stderr)
"""


@pytest.fixture
def scored(small_run, tmp_path):
    """A workspace whose model has scored its own cohort, and what it answered."""
    workspace = Workspace(Path(shutil.copytree(small_run.workspace.path, tmp_path / "w")))
    bundle = workspace.bundles / small_run.answer["bundle"]["id"]
    cohort = small_run.cohort / "cohort.toml"
    ledger = Ledger(workspace.ledger_url)
    answer = api.score(bundle, read_description(cohort), workspace, ledger, tmp_path / "p.parquet")
    return workspace, bundle, cohort, answer


def test_nothing_heavy_is_loaded_and_the_answer_is_that_of_scoring(scored, tmp_path):
    workspace, bundle, cohort, before = scored
    assert before["new_sites"] == {"cases": 0, "sites": 0}, "it learned from all three"
    first = pd.read_parquet(tmp_path / "p.parquet")
    (tmp_path / "p.parquet").unlink()
    command = [sys.executable, "-c", LOOK, bundle, cohort, workspace.path, tmp_path / "p.parquet"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["heavy"] == []
    expected = before | {
        "scored": 0,
        "already_scored": before["scored"] + before["already_scored"],
        "cases": before["cases"] | {"new": 0},
    }
    assert found["answer"] == json.loads(json.dumps(expected))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "p.parquet"), first)


def test_the_command_starts_no_reader_and_loads_nothing_heavy(scored, tmp_path):
    workspace, bundle, cohort, before = scored
    asked = ["score", "--bundle", bundle, "--cohort", cohort, "--out", tmp_path / "q.parquet"]
    asked += ["--workspace", workspace.path, "--json"]
    command = [sys.executable, "-c", COMMAND, *map(str, asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, heavy = done.stderr.splitlines()[-1].split(" ", 1)
    assert (code, heavy) == ("3" if before["cases"]["quarantined"] else "0", "[]"), done.stderr
    assert json.loads(done.stdout)["already_scored"] == before["scored"]


def test_a_case_table_that_was_spoilt_is_refused_before_a_model_is_loaded(scored, tmp_path):
    workspace, bundle, cohort, _ = scored
    own = Path(shutil.copytree(cohort.parent, tmp_path / "c"))
    description = read_description(own / "cohort.toml")
    header, *rows = description.table.read_text().splitlines()
    description.table.write_text("\n".join([header, *rows, rows[0]]) + "\n")
    ledger, out = Ledger(workspace.ledger_url), tmp_path / "p.parquet"
    (bundle / "model.safetensors").write_bytes(b"other")
    out.unlink()
    with pytest.raises(BundleError):  # a quick look holds the bundle's files against its manifest
        api.score(bundle, description, workspace, ledger, out)
    with pytest.raises(DescriptionError, match="unique"):
        api.score(bundle, description, workspace, ledger, out, explain="full")
    assert not out.exists()


def test_a_case_without_an_answer_is_scored_although_no_file_has_changed(scored, tmp_path):
    from sqlalchemy import text

    workspace, bundle, cohort, before = scored
    ledger = Ledger(workspace.ledger_url)
    with ledger.engine.begin() as connection:
        mine = f"bundle_id = '{bundle.name}'"
        gone = f"select min(case_id) from predictions where {mine}"
        connection.execute(text(f"delete from predictions where {mine} and case_id = ({gone})"))
    out = tmp_path / "p.parquet"
    answer = api.score(bundle, read_description(cohort), workspace, ledger, out)
    assert (answer["scored"], answer["already_scored"]) == (1, before["scored"] - 1)
    assert len(pd.read_parquet(out)) == before["scored"]


def test_a_bundle_that_was_changed_is_refused_although_nothing_is_new(scored, tmp_path):
    workspace, bundle, cohort, _ = scored
    (bundle / "model.safetensors").write_bytes(b"other")
    description, ledger = read_description(cohort), Ledger(workspace.ledger_url)
    with pytest.raises(BundleError, match="changed"):
        api.score(bundle, description, workspace, ledger, tmp_path / "p.parquet")
