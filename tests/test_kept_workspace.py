"""A workspace and a bundle that commit 226f31c made are still read, scored to the same numbers,
explained and shown.
"""

import json
import shutil
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from repository import ROOT

KEPT = Path(__file__).resolve().parent / "kept"
EXPECTED = json.loads((KEPT / "expected-226f31c.json").read_text())
# the same options give the same bytes, so the files need not be kept
PHANTOM = {
    "cases": 20,
    "seed": 5,
    "missing": 0.2,
    "broken": 2,
}


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """The files of the old cohort."""
    from mmdiag.phantom import write_phantom

    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(folder, **PHANTOM)
    return folder


@pytest.fixture
def kept(phantom, tmp_path):
    """The old workspace, beside the cohort that it was made of, described by the old
    cohort.toml.
    """
    shutil.copytree(phantom, tmp_path / "cohort")
    with zipfile.ZipFile(KEPT / "workspace-226f31c.zip") as archive:
        archive.extractall(tmp_path / "workspace")
    (tmp_path / "workspace" / "cohort.toml").replace(tmp_path / "cohort" / "cohort.toml")
    return tmp_path


def test_an_old_bundle_scores_an_old_cohort_to_the_same_numbers(kept):
    import mmdiag

    cohort = mmdiag.Cohort.open(kept / "cohort" / "cohort.toml", workspace=kept / "workspace")
    bundle = mmdiag.Bundle.load(kept / "workspace" / "bundles" / EXPECTED["bundle"])
    assert bundle.id == EXPECTED["bundle"]
    found = bundle.score(cohort).set_index("case_id")
    wanted = pd.DataFrame.from_dict(EXPECTED["scored"], orient="index")
    assert set(found.index) == set(wanted.index)
    for column in wanted:
        if wanted[column].dtype.kind == "f":
            pd.testing.assert_series_equal(
                found[column].reindex(wanted.index),
                wanted[column],
                atol=1e-4,
                rtol=0,
                check_names=False,
            )
        else:
            assert (
                found[column].reindex(wanted.index).astype(str).tolist()
                == wanted[column].astype(str).tolist()
            )


def test_of_an_old_cohort_only_cases_with_a_note_are_read_again_and_once(kept):
    """An earlier masking let names stay in notes."""
    import mmdiag

    cohort = mmdiag.Cohort.open(kept / "cohort" / "cohort.toml", workspace=kept / "workspace")
    noted = {file.stem for file in (kept / "cohort" / "notes").glob("*.txt")}
    assert 0 < len(noted) < EXPECTED["cases"]["in"]
    assert cohort.ingest()["cases"] == {**EXPECTED["cases"], "new": len(noted)}
    assert cohort.ingest()["cases"] == {**EXPECTED["cases"], "new": 0}


def test_an_old_run_is_listed_evaluated_and_explained(kept, mmdiag_command, mmdiag_call):
    workspace = ("--workspace", kept / "workspace", "--json")
    status = json.loads(mmdiag_call("status", *workspace).stdout)
    assert [bundle["bundle_id"] for bundle in status["bundles"]] == [EXPECTED["bundle"]]
    done = mmdiag_command("evaluate", "--cohort", kept / "cohort" / "cohort.toml", *workspace)
    metrics = {(row["model"], row["metric"]): row for row in json.loads(done.stdout)["metrics"]}
    for wanted in EXPECTED["metrics"]:
        found = metrics[wanted["model"], wanted["metric"]]
        assert found["n"] == wanted["n"]
        if wanted["metric"] != "auroc":  # that version compared pairs of different folds, too
            assert found["value"] == pytest.approx(wanted["value"], abs=1e-6)
    case = json.loads(mmdiag_call("explain", "P20S5-0000", *workspace).stdout)
    assert case["case_id"] == "P20S5-0000" and case["bundle_id"].startswith("b-")
    assert case["parts"] == {}, "the model of its fold is not at hand"
    assert all(case["contributions"][name] == v for name, v in case["unplaced"].items())


@pytest.mark.parametrize("path", ["", "cohort", "case"])
def test_an_old_workspace_is_shown(kept, monkeypatch, path):
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("MMDIAG_WORKSPACE", str(kept / "workspace"))
    page = AppTest.from_file(str(ROOT / "dashboards" / "main.py"), default_timeout=300).run()
    page = page.switch_page(f"views/{path}.py").run() if path else page
    assert not page.exception and any(
        EXPECTED["bundle"] in str(element.value) for element in page.markdown
    )
