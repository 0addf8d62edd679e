"""What a machine does to an ingestion: kills at any moment, a full disk, a read-only folder, a
locked database. Nothing is lost, torn or there twice.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import time

import pandas as pd
import pytest

from benchmarks import kills


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    from mmdiag.phantom import write_phantom

    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(folder, cases=40, seed=5, missing=0.2, broken=6)
    return folder / "cohort.toml"


@pytest.fixture(scope="module")
def calm(cohort, tmp_path_factory):
    workspace = tmp_path_factory.mktemp("calm") / "w"
    began = time.monotonic()
    answer = kills.ingest(cohort, workspace)
    return {
        "answer": answer,
        "workspace": workspace,
        "state": kills.state_of(workspace),
        "seconds": time.monotonic() - began,
    }


def test_kills_at_any_moment_of_ingestion_lose_repeat_and_tear_nothing(cohort, calm, tmp_path):
    """A short form of `python benchmarks/kills.py`, which kills 500 times."""
    share = 0.3
    while not kills.kill(cohort, tmp_path / "w", share * calm["seconds"]):
        shutil.rmtree(tmp_path / "w")  # it was over before: the calm one ran beside more work
        share /= 2
    for share in (0.6, 0.9):
        kills.kill(cohort, tmp_path / "w", share * calm["seconds"])
    answer = kills.ingest(cohort, tmp_path / "w")
    assert {k: v for k, v in answer["cases"].items() if k != "new"} == {
        k: v for k, v in calm["answer"]["cases"].items() if k != "new"
    }
    assert kills.state_of(tmp_path / "w") == calm["state"] and kills.torn(tmp_path / "w") == 0


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte, or a reason why there is none."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("a small disk is mounted by root alone")
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False
    ).returncode:
        pytest.skip("this machine mounts no tmpfs")
    yield place
    subprocess.run(["umount", "-l", place], check=False)


def test_a_full_disk_ends_with_a_clear_error_and_the_next_run_goes_on(
    cohort, calm, small_disk, mmdiag_command
):
    done = mmdiag_command("ingest", "--cohort", cohort, "--workspace", small_disk / "w")
    assert (
        done.returncode == 1
        and "needs free space" in done.stderr
        and "Traceback" not in done.stderr
    ), done.stderr
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    answer = kills.plain_ingest(cohort, small_disk / "w")
    assert (
        answer["cases"]["accepted"] == calm["answer"]["cases"]["accepted"]
        and kills.state_of(small_disk / "w") == calm["state"]
    )
    left = [
        path
        for path in (small_disk / "w").rglob("*")
        if path.name.startswith(".") or path.suffix == ".tmp"
    ]
    assert not left, "what was half written is gone"


def test_a_read_only_folder_ends_with_a_clear_error_and_nothing_is_lost(
    cohort, calm, small_disk, mmdiag_command
):
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    shutil.copytree(calm["workspace"], small_disk / "w")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = mmdiag_command("ingest", "--cohort", cohort, "--workspace", small_disk / "w")
    assert done.returncode == 1 and "writable" in done.stderr and "Traceback" not in done.stderr, (
        done.stderr
    )
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert (
        kills.plain_ingest(cohort, small_disk / "w")["cases"]["new"] == 0
        and kills.state_of(small_disk / "w") == calm["state"]
    )


def test_a_locked_database_ends_with_a_clear_error_and_nothing_is_lost(
    cohort, calm, tmp_path, monkeypatch
):
    from mmdiag import api
    from mmdiag.description import read_description
    from mmdiag.errors import MmdiagError
    from mmdiag.storage import database, ledger
    from mmdiag.workspace import Workspace

    workspace = Workspace(tmp_path / "w")
    with monkeypatch.context() as impatient:
        impatient.setattr(database, "BUSY_TIMEOUT_MS", 200)
        record = ledger.Ledger(workspace.ledger_url)
        workspace.make()
        other = sqlite3.connect(tmp_path / "w" / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MmdiagError, match=r"another process has held it"):
            api.ingest(read_description(cohort), workspace, record)
    other.execute("ROLLBACK")
    other.close()
    again = api.ingest(read_description(cohort), workspace, ledger.Ledger(workspace.ledger_url))
    assert again["cases"] == calm["answer"]["cases"]
    assert kills.state_of(tmp_path / "w") == calm["state"]


def test_only_new_files_are_read_again_and_what_was_decided_holds(tmp_path, mmdiag_call, cohort):
    folder = shutil.copytree(cohort.parent, tmp_path / "cohort")
    workspace = tmp_path / "w"
    kills.plain_ingest(folder / "cohort.toml", workspace)
    refused = json.loads(
        mmdiag_call("quarantine", "list", "--workspace", workspace, "--json").stdout
    )
    broken = next(row for row in refused if row["code"] == "truncated")
    said = mmdiag_call(
        "quarantine",
        "accept",
        broken["case_id"],
        "--reason",
        "looks fine",
        "--workspace",
        workspace,
    )
    assert said.returncode == 2 and "cannot" in said.stderr, "what was not read cannot be accepted"
    assert (
        mmdiag_call("quarantine", "retry", broken["case_id"], "--workspace", workspace).returncode
        == 0
    )
    assert kills.plain_ingest(folder / "cohort.toml", workspace)["cases"]["new"] == 1
    view = next(path for path in workspace.rglob("quarantine/truncated/*.txt"))
    assert view.name.startswith(broken["case_id"]) and "cure:" in view.read_text()
    assert mmdiag_call("quarantine", "retry", "nobody", "--workspace", workspace).returncode == 2


def test_a_person_accepts_what_a_rule_refuses_and_the_record_says_who_and_why(
    tmp_path, mmdiag_call
):
    import cv2
    import numpy as np

    table = pd.DataFrame({"id": list("abc")})
    table.to_csv(tmp_path / "cases.csv", index=False)
    rng = np.random.default_rng(0)
    for name in "abc":
        cv2.imwrite(str(tmp_path / f"{name}.png"), rng.integers(0, 255, (40, 40)).astype(np.uint8))
    cv2.imwrite(str(tmp_path / "a.png"), rng.integers(0, 255, (8, 40)).astype(np.uint8))
    (tmp_path / "cohort.toml").write_text(
        '[cohort]\nname = "s"\n[cases]\ntable = "cases.csv"\ncase_id = '
        '"id"\n[modalities.x]\nkind = "image"\npath = "{id}.png"\n'
    )
    workspace = tmp_path / "w"
    assert kills.plain_ingest(tmp_path / "cohort.toml", workspace)["cases"]["quarantined"] == 1
    done = mmdiag_call(
        "quarantine",
        "accept",
        "a",
        "--modality",
        "x",
        "--reason",
        "a strip is what it is",
        "--workspace",
        workspace,
    )
    assert done.returncode == 0, done.stderr
    answer = kills.plain_ingest(tmp_path / "cohort.toml", workspace)
    assert answer["cases"] == {"in": 3, "accepted": 3, "quarantined": 0, "new": 1, "labelled": 0}
    from mmdiag.storage.ledger import Ledger
    from mmdiag.workspace import Workspace

    record = Ledger(Workspace(workspace).ledger_url).acceptances("s").iloc[0]
    assert (record["case_id"], record["code"], record["reason"]) == (
        "a",
        "contract",
        "a strip is what it is",
    ) and record["who"]
