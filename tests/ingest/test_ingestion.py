"""Every case gets a verdict, nothing is read twice, and a step that is killed is done again as if
it had not begun.
"""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from mmdiag.cli.show import show_ingest
from mmdiag.description import read_description
from mmdiag.ingest import plan as ingestion
from mmdiag.ingest import shard as shards
from mmdiag.ingest.commit import commit
from mmdiag.phantom import write_phantom
from mmdiag.record.activity import recent_activity
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace

BROKEN = 8


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    write_phantom(folder, cases=40, seed=4, missing=0.2, broken=BROKEN)
    return folder


@pytest.fixture
def place(tmp_path):
    workspace = Workspace(tmp_path / "w")
    return workspace, Ledger(workspace.ledger_url)


def ingest(folder, place, *, shard_cases=16):
    workspace, ledger = place
    description = read_description(folder / "cohort.toml")
    for plan in ingestion.plan(description, workspace, shard_cases=shard_cases):
        ingestion.ingest_shard(plan)
    return commit(description, workspace, ledger)


def test_every_planted_fault_gets_its_code_and_every_case_is_counted(phantom, place):
    summary = ingest(phantom, place)
    planted = pd.read_parquet(phantom / "truth" / "cases.parquet").set_index("case_id")["fault"]
    found = place[1].quarantine().set_index("case_id")["code"]
    assert {(case, code) for case, code in planted.items() if code} == set(found.items())
    assert summary.cases == {"in": 40, "accepted": 39, "quarantined": 1, "new": 40, "labelled": 39}
    for facts in summary.modalities.values():
        assert facts["present"] + facts["absent"] + facts["quarantined"] == 39


def test_the_store_gives_back_what_was_read(phantom, place):
    ingest(phantom, place)
    store = Store.open(place[0], read_description(phantom / "cohort.toml").name)
    genomics = pd.read_csv(phantom / "genomics.csv", dtype={"case_id": str}).set_index("case_id")
    for row, case_id in enumerate(store.cases["case_id"]):
        if store.present("report")[row]:
            assert store.text("report", row) == (phantom / "notes" / f"{case_id}.txt").read_text()
        if store.present("expression")[row]:
            assert np.allclose(
                store.table("expression")[row], genomics.loc[case_id].to_numpy(float), atol=1e-4
            )
        else:
            assert np.isnan(store.table("expression")[row]).all()
        if store.present("flair")[row]:
            stack = store.images("flair", row)
            assert stack.shape[1:] == (64, 64) and stack.dtype == np.uint8 and 6 <= len(stack) <= 8


def test_a_second_ingestion_finds_nothing_new(phantom, place):
    first = ingest(phantom, place)
    description = read_description(phantom / "cohort.toml")
    assert ingestion.plan(description, place[0]) == []
    second = ingest(phantom, place)
    assert second.cases == first.cases | {"new": 0} and second.cohort == first.cohort


def test_a_changed_file_is_a_new_version_of_its_case_and_of_no_other(phantom, place, tmp_path):
    folder = shutil.copytree(phantom, tmp_path / "cohort")
    before = ingest(folder, place)
    note = next(
        path
        for path in sorted((folder / "notes").glob("*.txt"))
        if "FINDINGS" in path.read_text(errors="replace")
    )
    note.write_text(note.read_text() + "\nAddendum: stable.\n")
    after = ingest(folder, place)
    assert after.cases["new"] == 1 and after.cohort["hash"] != before.cohort["hash"]
    store = Store.open(place[0], before.cohort["name"])
    row = store.cases["case_id"].tolist().index(note.stem)
    assert (
        store.text("report", row).endswith("Addendum: stable.\n")
        and len(store.cases) == before.cases["accepted"]
    )


def test_a_case_that_leaves_the_table_leaves_the_cohort(phantom, place, tmp_path):
    folder = shutil.copytree(phantom, tmp_path / "cohort")
    ingest(folder, place)
    table = pd.read_csv(folder / "cases.csv", dtype=str)
    table.iloc[1:].to_csv(folder / "cases.csv", index=False)
    assert ingest(folder, place).cases["in"] == 39


class Killed(BaseException):
    """Stands for a SIGKILL."""


@pytest.mark.parametrize("where", ["_write_content", "_quarantine"])
def test_a_kill_within_a_shard_leaves_nothing_and_loses_nothing(phantom, place, monkeypatch, where):
    calls = []
    real = getattr(shards, where)

    def dying(*args):
        calls.append(where)
        if len(calls) == 2:
            raise Killed
        return real(*args)

    monkeypatch.setattr(shards, where, dying)
    with pytest.raises(Killed):
        ingest(phantom, place)
    name = read_description(phantom / "cohort.toml").name
    left = (
        list((place[0].cohort(name) / "shards").iterdir())
        if (place[0].cohort(name) / "shards").is_dir()
        else []
    )
    assert all((folder / "manifest.parquet").is_file() for folder in left), (
        "a shard is there whole or not at all"
    )
    monkeypatch.undo()
    assert ingest(phantom, place).cases == {
        "in": 40,
        "accepted": 39,
        "quarantined": 1,
        "new": 40,
        "labelled": 39,
    }


def test_a_row_that_breaks_the_contract_of_cases_is_refused_alone(tmp_path, place):
    (tmp_path / "cases.csv").write_text("id,months,died\na,3,1\nb,-2,0\nc,5,0\nd,6,1\n")
    (tmp_path / "genes.csv").write_text(
        "id,G1,G2\n" + "".join(f"{c},{i}.5,1\n" for i, c in enumerate("abcd"))
    )
    (tmp_path / "cohort.toml").write_text(
        '[cohort]\nname = "s"\n[cases]\ntable = "cases.csv"\ncase_id = "id"\n[task]\nkind = '
        '"survival"\ntime = "months"\nevent = "died"\n'
        '[modalities.genes]\nkind = "table"\npath = "genes.csv"\nkey = "id"\n'
    )
    summary = ingest(tmp_path, place)
    assert summary.cases["quarantined"] == 1 and place[1].quarantine()[
        ["case_id", "code"]
    ].to_numpy().tolist() == [["b", "contract"]]
    (tmp_path / "cases.csv").write_text("id,months,died\na,3,1\nb,2,0\nc,5,0\nd,6,1\n")
    assert ingest(tmp_path, place).cases == {
        "in": 4,
        "accepted": 4,
        "quarantined": 0,
        "new": 1,
        "labelled": 4,
    }


def test_a_blank_image_breaks_its_contract(tmp_path, place):
    import cv2

    (tmp_path / "cases.csv").write_text("id\na\nb\n")
    cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 40), 90, np.uint8))
    cv2.imwrite(
        str(tmp_path / "b.png"), np.arange(1600, dtype=np.uint16).reshape(40, 40).astype(np.uint8)
    )
    (tmp_path / "cohort.toml").write_text(
        '[cohort]\nname = "s"\n[cases]\ntable = "cases.csv"\ncase_id = '
        '"id"\n[modalities.x]\nkind = "image"\npath = "{id}.png"\n'
    )
    summary = ingest(tmp_path, place)
    assert summary.cases["accepted"] == 1
    codes = place[1].quarantine().set_index("case_id")
    assert sorted(codes.loc[["a"], "code"]) == ["contract", "no_modality"]


def test_a_foreign_subject_of_the_same_cohort_is_noticed(tmp_path, phantom, place):
    folder = shutil.copytree(phantom, tmp_path / "cohort")
    planted = pd.read_parquet(folder / "truth" / "cases.parquet").set_index("case_id")["fault"]
    subjects = pd.read_csv(folder / "cases.csv", dtype=str).set_index("case_id")["subject_id"]
    sound = [path for path in sorted((folder / "dicom").iterdir()) if not planted[path.name]]
    here, there = next((a, b) for a in sound for b in sound if subjects[a.name] != subjects[b.name])
    shutil.rmtree(there)
    shutil.copytree(here, there)
    ingest(folder, place)
    codes = place[1].quarantine().set_index("case_id")["code"]
    assert codes[there.name] == "patient_mismatch"


def test_the_ledger_keeps_when_a_refusal_was_first_seen(phantom, place, monkeypatch):
    import mmdiag.storage.ledger

    monkeypatch.setattr(mmdiag.storage.ledger, "_now", lambda: "2024-01-01T00:00:00+00:00")
    ingest(phantom, place)
    monkeypatch.setattr(mmdiag.storage.ledger, "_now", lambda: "2024-02-01T00:00:00+00:00")
    ingest(phantom, place)
    seen = place[1].quarantine()
    assert set(seen["first_seen"]) == {"2024-01-01T00:00:00+00:00"} and set(seen["last_seen"]) == {
        "2024-02-01T00:00:00+00:00"
    }


def test_plans_hold_keys_and_hashes_and_no_value_of_a_patient(phantom, place):
    plans = ingestion.plan(read_description(phantom / "cohort.toml"), place[0])
    planned = json.loads(plans[0].read_text())
    assert set(planned) == {"description", "versions", "digests", "refused", "waived"} and all(
        len(v) == 32 for v in planned["versions"].values()
    )


def test_cases_that_are_not_in_the_case_table_any_more_are_counted_once(
    phantom, tmp_path, place, capsys
):
    """As after an export that was cut short; they are no case of the cohort any more."""
    folder = shutil.copytree(phantom, tmp_path / "c")
    assert "gone" not in ingest(folder, place).cases
    table = pd.read_csv(folder / "cases.csv", dtype=str)
    table.iloc[:-3].to_csv(folder / "cases.csv", index=False)
    found = ingest(folder, place)
    assert (found.cases["in"], found.cases["new"], found.cases["gone"]) == (37, 0, 3)
    said = [row["said"] for row in recent_activity(place[1]) if row["kind"] == "ingest"]
    assert "3 not in the case table any more" in said[0] and "any more" not in said[1]
    show_ingest({"workspace": "w", **dataclasses.asdict(found)})
    assert "3 cases that it had are not in the case table" in capsys.readouterr().out
    assert "gone" not in ingest(folder, place).cases
