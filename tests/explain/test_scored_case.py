"""A case that a bundle has scored is explained by it, of whatever run or of none; nothing is
trained for that.
"""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from phantom_runs import explained_cases

from mmdiag import api
from mmdiag.description import read_description
from mmdiag.errors import UsageError
from mmdiag.explain.kept import explanation_path, is_whole
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace


@pytest.fixture(scope="module")
def place(small_run, tmp_path_factory):
    """The workspace of a model, and the description of a cohort that it has not seen."""
    from mmdiag.phantom import write_phantom

    folder = tmp_path_factory.mktemp("scored")
    shutil.copytree(small_run.workspace.path, folder / "w")
    write_phantom(folder / "new", cases=12, seed=21, missing=0.2)
    return Workspace(folder / "w"), read_description(folder / "new" / "cohort.toml")


def scored(place, small_run, out, **options):
    workspace, description = place
    bundle = workspace.bundles / small_run.answer["bundle"]["id"]
    ledger = Ledger(workspace.ledger_url)
    answer = api.score(bundle, description, workspace, ledger, out, **options)
    return answer, pd.read_parquet(out).set_index("case_id")


def test_a_scored_case_is_explained_without_a_run(place, small_run, tmp_path):
    workspace, description = place
    answer, table = scored(place, small_run, tmp_path / "p.parquet")
    assert answer["scored"] == len(table) == 12 and set(table["role"]) == {"new"}
    whole = table.index[[len(names) == 3 for names in table["modalities"]]][0]
    found = api.explain_case(workspace, whole)
    row = table.loc[whole]
    assert (found["case_id"], found["bundle_id"]) == (whole, small_run.answer["bundle"]["id"])
    assert (found["cohort"], found["role"]) == (description.name, "new")
    assert found["probability"] == row["probability"]
    assert set(found["contributions"]) == set(found["modalities"]) == set(row["modalities"])
    total = found["base"] + sum(found["contributions"].values())
    assert total == pytest.approx(found["logit"], abs=1e-4)
    assert (found["base"], found["logit"]) == (row["base"], row["logit"])
    attention = found["attention"]
    assert (attention["member"], attention["weight"]) == ("modality_attention", 1.0)
    assert [len(line) for line in attention["matrix"]] == [len(attention["modalities"])] * 3
    assert set(found["parts"]) == set(found["unplaced"]) == set(found["modalities"])
    assert list((workspace.path / "explanations" / found["bundle_id"]).glob("*.json"))


def test_a_case_that_was_explained_before_costs_no_model(place, small_run, tmp_path, monkeypatch):
    workspace, _ = place
    _, table = scored(place, small_run, tmp_path / "p.parquet")
    first = api.explain_case(workspace, table.index[1])
    from mmdiag.inference.bundle import Bundle

    def refuse(*_):
        raise AssertionError("a bundle was loaded")

    monkeypatch.setattr(Bundle, "load", refuse)
    assert api.explain_case(workspace, table.index[1]) == first


def test_answers_without_contributions_get_them_later_and_stay_the_same(place, small_run, tmp_path):
    workspace = Workspace(Path(shutil.copytree(place[0].path, tmp_path / "w")))
    place = (workspace, place[1])
    with_all = scored(place, small_run, tmp_path / "all.parquet")[1]
    ledger = Ledger(workspace.ledger_url)
    from sqlalchemy import text

    with ledger.engine.begin() as connection:  # as if nothing had been scored yet
        connection.execute(text("delete from predictions where role = 'new'"))
    bare = scored(place, small_run, tmp_path / "p.parquet", explain="none")
    assert bare[0]["scored"] == 12
    assert not bare[1].filter(like="contribution_").notna().any().any()
    assert bare[1]["base"].isna().all() and bare[1]["logit"].notna().all()
    told = api.explain_case(workspace, bare[1].index[0])
    assert told["base"] == pytest.approx(with_all["base"].iloc[0], abs=1e-6)
    answer, later = scored(place, small_run, tmp_path / "p.parquet", explain="modalities")
    assert (answer["scored"], answer["already_scored"]) == (0, 12)
    for column in ("probability", "scored_at", "logit", "role"):
        assert later[column].equals(bare[1][column]), column
    names = [column for column in with_all if column.startswith("contribution_")]
    pd.testing.assert_frame_equal(later[[*names, "base"]], with_all[[*names, "base"]], atol=1e-5)
    again = scored(place, small_run, tmp_path / "p.parquet", explain="none")[1]
    assert again["base"].notna().all(), "what is known is not forgotten"


def test_full_explanations_are_made_of_the_most_doubtful_cases(place, small_run, tmp_path):
    workspace = Workspace(Path(shutil.copytree(place[0].path, tmp_path / "w")))
    before = explained_cases(workspace)
    options = {"explain": "full", "full_for": 2}
    _, table = scored((workspace, place[1]), small_run, tmp_path / "p.parquet", **options)
    doubt = (table["probability"] - 0.5).abs().where(~table["abstained"].astype(bool), -1.0)
    wanted = doubt.sort_index().sort_values(kind="stable").index[:2]
    assert explained_cases(workspace) - before <= set(wanted) <= explained_cases(workspace)
    store = Store.open(workspace, place[1].name)
    version = store.cases.set_index("case_id")["version"]
    bundle = small_run.answer["bundle"]["id"]
    assert all(
        is_whole(explanation_path(workspace, bundle, case, version[case])) for case in wanted
    )


def test_the_model_is_named_or_is_that_of_the_newest_answer(place, small_run, tmp_path):
    workspace = place[0]
    case = small_run.predictions.query("role == 'out-of-fold'")["case_id"].iloc[0]
    of_fold = api.explain_case(workspace, case)
    assert of_fold["role"] == "out-of-fold"
    bundle = workspace.bundles / small_run.answer["bundle"]["id"]
    with pytest.raises(UsageError, match=f"{case} of .* was answered for by {bundle.name} not yet"):
        api.explain_case(workspace, case, bundle=bundle)
    old = read_description(small_run.cohort / "cohort.toml")
    out = tmp_path / "p.parquet"
    api.score(bundle, old, workspace, Ledger(workspace.ledger_url), out)
    named = api.explain_case(workspace, case, bundle=bundle)
    assert (named["role"], named["bundle_id"]) == ("train", bundle.name)


def test_an_answer_for_an_earlier_version_of_a_case_is_not_explained(place, small_run, tmp_path):
    workspace = Workspace(Path(shutil.copytree(place[0].path, tmp_path / "w")))
    scored((workspace, place[1]), small_run, tmp_path / "p.parquet")
    file = workspace.cohort(place[1].name) / "cases.parquet"
    cases = pd.read_parquet(file)
    cases.loc[0, "version"] = "f" * len(cases.loc[0, "version"])
    cases.to_parquet(file)
    with pytest.raises(UsageError, match="only as it was before its files changed"):
        api.explain_case(workspace, cases.loc[0, "case_id"])


def test_the_command_line_explains_a_scored_case(place, small_run, mmdiag_call, tmp_path):
    workspace, description = place
    _, table = scored(place, small_run, tmp_path / "p.parquet")
    options = ("--cohort", description.file, "--workspace", workspace.path)
    done = mmdiag_call("explain", table.index[2], *options, "--json")
    assert json.loads(done.stdout)["case_id"] == table.index[2]
    shown = mmdiag_call("explain", table.index[2], *options)
    assert shown.returncode == 0 and "not used in training" in shown.stdout
