"""The guide to a new kind of modality, carried out word for word in a copy of the package: a sixth
kind goes from its files to scored predictions and an explanation.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from repository import ROOT

GUIDE = (ROOT / "docs" / "guides" / "add-a-modality-kind.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TRIED = """
import dataclasses, json
import mmdiag
from mmdiag import api
from mmdiag.config import varied

cohort = mmdiag.Cohort.open("cohort.toml", workspace="workspace")
few = {"training.max_epochs": 12, "training.learning_rate": 0.01, "evaluation.folds": 2,
       "evaluation.resamples": 20, "signal.layers": 2, "signal.window": 10}
bundle = mmdiag.train(cohort, varied(mmdiag.recipes.default(fusion="concat"), few))
scored = bundle.score(cohort)
print(json.dumps({
    "cohort": cohort.ingest(),
    "scored": scored.set_index("case_id")["probability"].to_dict(),
    "explained": api.explain_case(cohort.workspace, "s03"),
}, default=str))
"""


def entered(text, diff):
    """A text with the lines of a diff that begin with +, each below the line that precedes it
    there.
    """
    above = None
    for line in diff.splitlines():
        if line.startswith("+"):
            assert text.count(f"{above}\n") == 1, above
            text = text.replace(f"{above}\n", f"{above}\n{line[1:]}\n")
        elif not line.startswith("@@"):
            assert f"{line[1:]}\n" in text, line
        above = line[1:]
    return text


def make_series(folder, cases=24):
    """A cohort whose label is the strength of the swing."""
    rng = np.random.default_rng(3)
    (folder / "gait").mkdir()
    rows = ["case_id,label"]
    for number in range(cases):
        swing = np.sin(np.arange(60) * 0.7 + rng.random()) * (1.5 if number % 2 else 0.3)
        np.save(folder / "gait" / f"s{number:02}.npy", swing + 0.1 * rng.normal(size=60))
        rows.append(f"s{number:02},{number % 2}")
    np.save(folder / "gait" / "s00.npy", np.full(60, np.nan))  # is quarantined
    (folder / "cases.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The package with what the guide says, and how many files were new and how many were
    edited.
    """
    folder = tmp_path_factory.mktemp("copy")
    for name in ("mmdiag", "data_contracts", "tests/kinds"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "flows").mkdir()  # by which a checkout is known
    new, edited = [], []
    for language, name, content in BLOCK.findall(GUIDE):
        path = folder / name
        if language == "diff":
            path.write_text(entered(path.read_text(), content))
            edited.append(name)
        else:
            assert not path.exists(), f"{name} is there already"
            path.write_text(content)
            new.append(name)
    return folder, new, edited


def run(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_the_guide_asks_for_five_new_files_and_two_entries(copy):
    _, new, edited = copy
    assert len(new) == 6 and "cohort.toml" in new  # which is the user's, not the package's
    assert edited == ["mmdiag/kinds/__init__.py", "mmdiag/sandbox/functions.py"]


def test_every_facet_of_the_new_kind_is_checked_by_the_tests_that_are_there(copy):
    done = run(copy[0], "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/kinds")
    assert done.returncode == 0, done.stdout[-3000:]
    assert Path(copy[0] / "mmdiag" / "kinds" / "series.py").is_file()


@pytest.mark.slow
def test_a_case_of_the_new_kind_goes_from_its_file_to_a_prediction_and_an_explanation(copy):
    folder = copy[0]
    make_series(folder)
    (folder / "tried.py").write_text(TRIED)
    done = run(folder, "tried.py")
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["cohort"]["modalities"]["gait"] == {
        "kind": "series",
        "present": 23,
        "absent": 0,
        "quarantined": 1,
    }
    strong = [p for case, p in answer["scored"].items() if int(case[1:]) % 2]
    weak = [p for case, p in answer["scored"].items() if not int(case[1:]) % 2]
    assert np.mean(strong) > np.mean(weak) + 0.2
    windows = answer["explained"]["parts"]["gait"]
    assert windows[0]["start_s"] == 0 and windows[-1]["end_s"] == 6.0  # 60 samples, 10 a second
    assert any(window["value"] for window in windows)
