"""`mmdiag run` goes through Prefect and gives what plain calls give; wrong use writes nothing; the
answer has the form that scripts rely on.
"""

import json
import shutil
import stat

import numpy as np
import pandas as pd
import pytest
from phantom_runs import SMALL, explained_cases

from mmdiag.explain.kept import checks_path, kept_checks
from mmdiag.workspace import Workspace


@pytest.fixture(scope="module")
def answered(small_run, mmdiag_command, tmp_path_factory):
    """The small run's cohort, taken all the way by the command line."""
    workspace = tmp_path_factory.mktemp("run") / "w"
    done = mmdiag_command(
        "run",
        "--cohort",
        small_run.cohort / "cohort.toml",
        "--workspace",
        workspace,
        "--fusion",
        "modality_attention",
        *(
            part
            for name, value in SMALL.items()
            for part in ("--set", f"{name}={json.dumps(value)}")
        ),
        "--explain",
        "full",
        "--full-for",
        4,
        "--json",
        MMDIAG_KEY_FILE=str(small_run.workspace.path / "key"),  # so that its bundles have these ids
    )
    assert done.returncode == 3, done.stderr[-2000:]
    return json.loads(done.stdout), done, workspace


def test_the_workspace_and_everything_in_it_are_the_users_alone(answered):
    workspace = answered[2]
    found = [path for path in (workspace, *workspace.rglob("*")) if not path.is_symlink()]
    assert len(found) > 100
    assert not [str(path) for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_the_answer_says_how_far_it_is_an_interplay_of_modalities(answered):
    found = answered[0]["interplay"]
    assert found["shown"] in (True, False)
    assert 0 < found["intershap"]["value"] < 1 and 20 < found["intershap"]["n"] < 40
    less = found["additive"]
    fused = next(row for row in answered[0]["metrics"] if row["model"] == "fused")
    assert less["whole"] == fused["value"] == pytest.approx(less["part"] + less["value"])
    assert less["low"] <= less["value"] <= less["high"] and less["n"] == fused["n"]


def test_the_answer_has_the_keys_that_scripts_rely_on(answered):
    answer, _, workspace = answered
    assert set(answer) >= {
        "command",
        "status",
        "workspace",
        "seconds",
        "cohort",
        "cases",
        "modalities",
        "split",
        "bundle",
        "metrics",
        "predictions",
    }
    assert (answer["command"], answer["status"], answer["workspace"]) == (
        "run",
        "done",
        str(workspace),
    )
    assert (
        answer["cases"]["in"] == answer["cases"]["accepted"] + answer["cases"]["quarantined"] == 40
    )
    row = answer["metrics"][0]
    assert set(row) >= {
        "model",
        "fusion",
        "modalities",
        "split",
        "metric",
        "value",
        "low",
        "high",
        "n",
        "n_positive",
    }


def test_the_flow_gives_the_same_rows_as_plain_calls(answered, small_run):
    answer, _, _ = answered
    ours, theirs = pd.read_parquet(answer["predictions"]), small_run.predictions
    pd.testing.assert_frame_equal(ours.drop(columns="scored_at"), theirs.drop(columns="scored_at"))
    assert answer["bundle"]["id"] == small_run.answer["bundle"]["id"], (
        "the same seed gives the same bundle, in another process too"
    )
    values = [
        [row["value"] for row in metrics]
        for metrics in (answer["metrics"], small_run.answer["metrics"])
    ]
    assert np.allclose(*values)


def test_full_explanations_are_checked_for_every_model_that_explains_a_case(answered):
    answer, _, workspace = answered
    checks = answer["checks"]
    assert checks["bundle_id"] == answer["bundle"]["id"] and checks["cases"] == 12
    assert checks["completeness"] < 1e-3
    models = {*pd.read_parquet(answer["predictions"])["bundle_id"], answer["bundle"]["id"]}
    assert len(models) > 2
    for model in models:
        assert kept_checks(Workspace(workspace), model) == checks, "it explains cases, too"


def test_checks_are_made_anew_where_they_are_of_another_cohort_or_a_model_lacks_them(
    answered, monkeypatch
):
    from mmdiag.explain import checks

    answer, _, place = answered
    workspace, asked = Workspace(place), []
    monkeypatch.setattr(checks, "check_bundle", lambda *given: asked.append(given) or {})
    bundle = workspace.bundles / answer["bundle"]["id"]
    assert checks.check_once(workspace, bundle) == answer["checks"] and not asked
    file = checks_path(workspace, bundle.name)
    known = json.loads(file.read_text())
    file.write_text(json.dumps(known | {"cohort": "another"}))
    checks.check_once(workspace, bundle)
    file.write_text(json.dumps(known))
    fold = next(m for m in pd.read_parquet(answer["predictions"])["bundle_id"] if m != bundle.name)
    other = checks_path(workspace, fold)
    kept = other.read_text()
    other.unlink()
    checks.check_once(workspace, bundle)
    other.write_text(kept)
    assert len(asked) == 2


def test_only_the_cases_asked_for_are_explained_in_full_the_doubtful_first(answered):
    answer, _, workspace = answered
    table = pd.read_parquet(answer["predictions"])
    held_out = table[table["role"] == "out-of-fold"]
    doubt = (held_out["probability"] - 0.5).abs().where(~held_out["abstained"], -1.0)
    assert len(held_out) == answer["cases"]["labelled"] == 39
    assert explained_cases(Workspace(workspace)) == set(
        held_out["case_id"][doubt.nsmallest(4).index]
    )


def test_progress_goes_to_stderr_and_no_traceback_does(answered):
    _, done, _ = answered
    assert (
        "train: 21 of 21" in done.stderr
        and "Traceback" not in done.stderr
        and len(done.stdout.splitlines()) == 1
    )


def test_one_case_is_explained_by_its_key(answered, mmdiag_call, small_run):
    _, _, workspace = answered
    table = small_run.predictions
    case_id = table.loc[[len(names) == 3 for names in table["modalities"]], "case_id"].iloc[0]
    answer = json.loads(mmdiag_call("explain", case_id, "--workspace", workspace, "--json").stdout)
    assert (
        answer["case_id"] == case_id
        and len(answer["attention"]["matrix"]) == 3
        and set(answer["parts"]) == set(answer["modalities"])
    )
    unknown = mmdiag_call("explain", "nobody", "--workspace", workspace)
    assert unknown.returncode == 2 and "nobody" in unknown.stderr


def test_a_wrong_description_writes_nothing(small_run, mmdiag_command, tmp_path):
    folder = shutil.copytree(small_run.cohort, tmp_path / "cohort")
    text = (folder / "cohort.toml").read_text()
    (folder / "cohort.toml").write_text(text.replace('positive = "1"', 'positive = "yes"'))
    done = mmdiag_command("run", "--cohort", folder / "cohort.toml", "--workspace", tmp_path / "w")
    assert done.returncode == 2 and "'yes'" in done.stderr and not (tmp_path / "w").exists()
