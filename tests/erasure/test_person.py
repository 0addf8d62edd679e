"""A person taken out of a workspace: no file names the person afterwards, what is of others stays,
runs can be read, and what cannot be erased is said.
"""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from table_builders import KEYS, rows, write_cohort

from mmdiag import api
from mmdiag.cli import boundary, cli
from mmdiag.description import read_description
from mmdiag.erasure import person
from mmdiag.erasure.person import BEGUN, erase_person
from mmdiag.errors import MmdiagError, UsageError
from mmdiag.experiment.plan import plan_run
from mmdiag.experiment.reuse import reuse_fit
from mmdiag.experiment.run import Run
from mmdiag.ingest.overrides import ask_again
from mmdiag.record.audit import verify
from mmdiag.record.reviews import record_review
from mmdiag.storage.backup import back_up
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace


@pytest.fixture
def place(small_run, tmp_path: Path) -> tuple[Workspace, Ledger, str, str, str]:
    """A copy of a workspace with a run, in which much is said of one case: its cohort, the case and
    its subject.
    """
    shutil.copytree(small_run.workspace.path, tmp_path / "w")
    workspace = Workspace(tmp_path / "w")
    ledger = Ledger(workspace.ledger_url)
    cohort = small_run.answer["cohort"]["name"]
    explained = sorted(workspace.path.glob("explanations/*/*.json"))
    case = json.loads(explained[0].read_text())["case_id"]
    table = pd.read_parquet(workspace.cohort(cohort) / "cases.parquet").set_index("case_id")
    subject = str(table.loc[case, "subject_id"])
    other = next(one for one in table.index if table.loc[one, "subject_id"] != subject)
    record_review(ledger, workspace, case, "flag", "odd", cohort=cohort)
    record_review(ledger, workspace, other, "flag", f"like {case}", cohort=cohort)
    ask_again(workspace, cohort, [case])
    (workspace.logs / "up-worker.log").write_text(f"scored {case} and {other}\n")
    back_up(workspace.path / "ledger.db")
    killed = workspace.cohort(cohort) / "shards" / ".shard-1" / "report.parquet"
    killed.parent.mkdir()
    table.reset_index().to_parquet(killed)
    run = next(workspace.runs.glob("r-*"))
    table.reset_index().to_parquet(run / "cohort" / ".cases.parquet.1-1.tmp")
    return workspace, ledger, cohort, case, subject


def named(folder: Path, *keys: str) -> list[str]:
    """Files that hold one of some keys, in their bytes, their tables or their names."""
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = [file.name.encode(), file.read_bytes()]
        if ".parquet" in file.name:
            content.append(repr(pd.read_parquet(file).to_dict("records")).encode())
        if any(key.encode() in part for key in keys for part in content):
            found.append(str(file.relative_to(folder)))
    return found


def test_no_file_names_who_was_erased_and_what_is_of_others_stays(place) -> None:
    workspace, ledger, cohort, case, subject = place
    store = Store.open(workspace, cohort)
    before = {
        name: [
            np.asarray(store.raw_input(name, row)).tobytes()
            for row in range(len(store.cases))
            if store.cases["case_id"].iloc[row] != case and store.present(name)[row]
        ]
        for name in store.modalities
    }
    images = workspace.cohort(cohort) / "shards"
    sizes = {file: file.stat().st_size for file in images.rglob("*.npy")}
    assert len(named(workspace.path, case, subject)) > 20
    answer = erase_person(workspace, ledger, subject)
    assert named(workspace.path, case, subject) == [] and answer["left"] == []
    assert verify(ledger)["ok"] and answer["cases"] == 1
    store = Store.open(workspace, cohort)
    assert case not in set(store.cases["case_id"])
    assert before == {
        name: [
            np.asarray(store.raw_input(name, row)).tobytes()
            for row in range(len(store.cases))
            if store.present(name)[row]
        ]
        for name in store.modalities
    }
    assert sizes == {file: file.stat().st_size for file in images.rglob("*.npy")}
    assert len(list(workspace.path.glob("explanations/*/*.json"))) > 1


def test_what_lay_of_the_person_in_arrays_is_overwritten(place) -> None:
    workspace, ledger, cohort, case, subject = place
    store = Store.open(workspace, cohort)
    row = store.cases["case_id"].tolist().index(case)
    name = next(n for n, kind in store.modalities.items() if kind == "image")
    where = store.cases.iloc[row]
    file = store.folder / "shards" / where[f"shard_{name}"] / f"{name}.npy"
    part = slice(where[f"start_{name}"], where[f"start_{name}"] + where[f"count_{name}"])
    assert where[f"has_{name}"] and np.load(file)[part].any()
    erase_person(workspace, ledger, subject)
    assert not np.load(file)[part].any() and np.load(file).any()


def test_a_run_without_somebody_can_be_read_and_says_of_how_many(place) -> None:
    workspace, ledger, _, case, subject = place
    folder = next(workspace.runs.glob("r-*"))
    whole = len(pd.read_parquet(folder / "predictions.parquet"))
    answer = erase_person(workspace, ledger, subject)
    assert answer["runs"] == {folder.name: 1} and answer["runs_removed"] == []
    run = Run.open(folder)
    assert run.manifest.erased == 1
    metrics = api.metrics(run)
    assert any("1 case of this run was erased" in said for said in api.warnings(run))
    assert len(pd.read_parquet(folder / "predictions.parquet")) == whole - 1
    assert metrics and case not in set(pd.read_parquet(folder / "out_of_fold.parquet")["case_id"])
    assert len(list(workspace.bundles.glob("b-*"))) == 1


def test_what_a_model_has_learned_from_the_person_is_said(place, small_run) -> None:
    workspace, ledger, _, _, subject = place
    assert erase_person(workspace, ledger, subject)["models"] == [small_run.answer["bundle"]["id"]]


def test_counts_are_of_what_is_left(place, small_run) -> None:
    workspace, ledger, cohort, _, subject = place
    erase_person(workspace, ledger, subject)
    counts = dict(ledger.cohorts().set_index("name").loc[cohort, "counts"])
    assert counts["accepted"] == len(Store.open(workspace, cohort).cases)
    assert counts["in"] == small_run.answer["cases"]["in"] - 1
    kept = json.loads((workspace.cohort(cohort) / "counts.json").read_text())
    assert kept["cases"] == {name: counts[name] for name in kept["cases"]}
    for found in kept["modalities"].values():
        assert sum(found.values()) >= counts["accepted"]


def test_who_comes_back_is_learned_from_in_a_run_of_its_own(place, small_run) -> None:
    workspace, ledger, cohort, case, subject = place
    folder = next(workspace.runs.glob("r-*"))
    description = read_description(small_run.cohort / "cohort.toml")
    config = Run.open(folder).config
    assert plan_run(description, workspace, config).folder == folder
    split = workspace.cohort(cohort) / "split.json"
    as_before = split.read_text()
    erase_person(workspace, ledger, subject)
    api.ingest(description, workspace, ledger)
    assert case in set(Store.open(workspace, cohort).cases["case_id"])
    split.write_text(as_before)  # they may come to stand in the same fold
    again = plan_run(description, workspace, config)
    assert again.folder != folder and not again.manifest.erased
    assert plan_run(description, workspace, config).folder == again.folder
    assert not any(reuse_fit(again, fit) for fit in again.fits)


def test_a_run_that_is_not_done_is_removed(place) -> None:
    workspace, ledger, _, _, subject = place
    folder = next(workspace.runs.glob("r-*"))
    begun = folder.with_name("r-000000000000")
    shutil.copytree(folder, begun)
    Run.open(begun).update(status="running")
    answer = erase_person(workspace, ledger, subject)
    assert answer["runs_removed"] == [begun.name] and not begun.exists()


def test_an_erasure_that_was_killed_is_finished_by_the_same_command(
    place, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, ledger, _, case, subject = place

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for step in ("take_out_of_runs", "mask_logs", "erase", "_erase_copy"):
        with monkeypatch.context() as patched:
            patched.setattr(person, step, killed)
            with pytest.raises(KeyboardInterrupt):
                erase_person(workspace, ledger, subject)
    assert (workspace.path / BEGUN).is_file()
    with pytest.raises(MmdiagError, match="was not finished"):
        erase_person(workspace, ledger, next(one for one in [f"{subject}x"]))
    erase_person(workspace, ledger, subject)
    assert named(workspace.path, case, subject) == [] and verify(ledger)["ok"]


def test_who_reads_the_ledger_all_the_while_keeps_the_erasure_unfinished(
    place, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, ledger, _, case, subject = place
    monkeypatch.setattr("mmdiag.storage.database.BUSY_TIMEOUT_MS", 10)
    with closing(sqlite3.connect(workspace.path / "ledger.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM audit").fetchone()
        with pytest.raises(MmdiagError, match="mmdiag down"):
            erase_person(workspace, ledger, subject)
    erase_person(workspace, ledger, subject)
    assert named(workspace.path, case, subject) == []


def test_a_case_that_left_the_case_table_is_erased_by_its_key(place, small_run) -> None:
    """Once it is gone from the table, nothing but its shard may hold it, and no subject beside."""
    workspace, ledger, cohort, _, _ = place
    table = small_run.cohort / "cases.csv"
    copy = workspace.path.parent / "cohort"
    shutil.copytree(small_run.cohort, copy)
    refused = sorted(set(ledger.quarantine()["case_id"]) - set(ledger.predictions()["case_id"]))[0]
    lines = table.read_text().splitlines(keepends=True)
    (copy / "cases.csv").write_text("".join(line for line in lines if refused not in line))
    api.ingest(read_description(copy / "cohort.toml"), workspace, ledger)
    assert named(workspace.cohort(cohort) / "shards", refused)
    erase_person(workspace, ledger, refused)
    assert named(workspace.path, refused) == []


def test_a_case_of_another_cohort_that_has_the_same_key_is_somebody_else(
    place, tmp_path: Path
) -> None:
    workspace, ledger, _, case, subject = place
    keys = [case, *KEYS[1:]]
    table = rows({"a": [str(number) for number in range(12)]}, keys)
    other = read_description(write_cohort(tmp_path / "c", table, keys=keys))
    api.ingest(other, workspace, ledger)
    folder = workspace.cohort(other.name)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    kept = ledger.verdicts(other.name)
    assert erase_person(workspace, ledger, subject)["left"] == []
    assert before == {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert ledger.verdicts(other.name).equals(kept) and case in set(kept["case_id"])


def test_somebody_unknown_is_wrong_use_and_changes_nothing(place) -> None:
    workspace, ledger, *_ = place
    before = {file: file.stat().st_mtime_ns for file in workspace.path.rglob("*.parquet")}
    with pytest.raises(UsageError, match="has no case"):
        erase_person(workspace, ledger, "nobody")
    assert before == {file: file.stat().st_mtime_ns for file in workspace.path.rglob("*.parquet")}
    assert not (workspace.path / BEGUN).exists()


def test_the_command_says_what_was_erased_and_what_cannot_be(
    place, capsys: pytest.CaptureFixture[str], small_run
) -> None:
    workspace, _, _, case, subject = place
    (workspace.path / "mine.csv").write_text(f"case_id\n{case}\n")
    asked = ["audit", "erase", subject, "--workspace", str(workspace.path)]
    assert boundary.run(cli, asked) == 0
    said = capsys.readouterr().out
    assert "Cases of this person that were erased: 1" in said and "1 run;" in said
    assert small_run.answer["bundle"]["id"] in said and "mine.csv" in said
    assert "next" in said and boundary.run(cli, asked) == 2
