"""A recorded answer once more: the same one, or it is said that it is not."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from mmdiag import api
from mmdiag.description import read_description
from mmdiag.errors import UsageError
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace


@pytest.fixture(scope="module")
def scored(small_run, tmp_path_factory):
    """A workspace whose model has scored its own cohort; its ledger, bundle and predictions."""
    folder = tmp_path_factory.mktemp("replay")
    workspace = Workspace(Path(shutil.copytree(small_run.workspace.path, folder / "w")))
    bundle = workspace.bundles / small_run.answer["bundle"]["id"]
    ledger = Ledger(workspace.ledger_url)
    description = read_description(small_run.cohort / "cohort.toml")
    api.score(bundle, description, workspace, ledger, folder / "p.parquet")
    return workspace, ledger, bundle, pd.read_parquet(folder / "p.parquet")


def test_an_answer_is_the_same_to_the_bit_with_those_that_were_given_with_it(scored):
    workspace, ledger, bundle, table = scored
    for row in table.iloc[[0, len(table) // 2, -1]].to_dict("records"):
        found = api.replay(bundle, workspace, ledger, row["case_id"])
        assert found["same"] and found["difference"] == 0.0 and found["together"] == len(table)
        assert (found["probability"], found["logit"]) == (row["probability"], row["logit"])
        assert found["recorded"]["scored_at"] == row["scored_at"]


def test_an_answer_that_was_tampered_with_is_said_to_differ(scored, mmdiag_call, tmp_path):
    workspace, ledger, bundle, table = scored
    place = Workspace(Path(shutil.copytree(workspace.path, tmp_path / "w")))
    own = Ledger(place.ledger_url)
    spoilt = own.predictions(bundle_id=bundle.name).head(1)
    spoilt = spoilt.assign(probability=spoilt["probability"] + 1e-4)
    own.record_predictions(
        api.replay(bundle, workspace, ledger, table["case_id"][0])["cohort"], spoilt
    )
    options = ("--bundle", bundle.name, "--workspace", place.path, "--json")
    done = mmdiag_call("score", "--replay", spoilt["case_id"].iloc[0], *options)
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and not answer["same"]
    assert answer["difference"] == pytest.approx(1e-4, abs=1e-6)


def test_a_fold_answers_again_for_a_case_of_the_training(scored):
    workspace, ledger, _, _ = scored
    run = next(workspace.runs.glob("*/predictions.parquet"))
    row = pd.read_parquet(run).query("role == 'out-of-fold'").iloc[0]
    folder = api.bundle_folder(workspace, row["bundle_id"])
    found = api.replay(folder, workspace, ledger, row["case_id"])
    assert found["same"] and found["bundle_id"] == row["bundle_id"]
    assert found["probability"] == pytest.approx(row["probability"], abs=1e-6)


def test_what_is_unknown_or_no_longer_stored_is_refused(scored, tmp_path):
    workspace, _, bundle, table = scored
    place = Workspace(Path(shutil.copytree(workspace.path, tmp_path / "w")))
    ledger = Ledger(place.ledger_url)
    with pytest.raises(UsageError, match="'nobody' is not in"):
        api.replay(bundle, place, ledger, "nobody")
    fold = next(name for name in ledger.predictions()["bundle_id"] if name != bundle.name)
    unanswered = set(table["case_id"]) - set(ledger.predictions(bundle_id=fold)["case_id"])
    with pytest.raises(UsageError, match=f"{fold} has none for"):
        api.replay(api.bundle_folder(place, fold), place, ledger, min(unanswered))
    file = next(place.path.glob("cohorts/*/cases.parquet"))
    cases = pd.read_parquet(file)
    cases.loc[0, "version"] = "f" * len(cases.loc[0, "version"])
    cases.to_parquet(file)
    with pytest.raises(UsageError, match="no longer stored"):
        api.replay(bundle, place, ledger, cases.loc[0, "case_id"])
    alone = api.replay(bundle, place, ledger, cases.loc[1, "case_id"])
    assert alone["together"] == 1 and alone["same"]


def test_the_command_needs_a_model_and_scoring_its_cohort(mmdiag_call):
    for arguments, missing in (
        (("--replay", "c1"), "--bundle"),
        (("--bundle", "b"), "--cohort"),
        (("--bundle", "b", "--cohort", "c.toml"), "--out"),
    ):
        done = mmdiag_call("score", *arguments)
        assert done.returncode == 2 and f"Missing option '{missing}'" in done.stderr
