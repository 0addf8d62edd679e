"""Ingestion keeps what is looked at beside what networks read: whole or not at all, of the images
that were accepted and of no other, and says where it is damaged.
"""

import shutil

import numpy as np
import pytest

from mmdiag.description import read_description
from mmdiag.ingest import plan as ingestion
from mmdiag.ingest.commit import commit
from mmdiag.phantom import write_phantom
from mmdiag.readers.dicom.series import read_series
from mmdiag.storage.display.spool import DisplaySpool
from mmdiag.storage.display.stack import read_display
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace

FACTS = {"offsets": [0], "lengths": [3], "checksums": [0], "rows": 1, "columns": 1}


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    folder = tmp_path_factory.mktemp("display")
    write_phantom(folder / "cohort", cases=6, seed=2, missing=0.2, broken=1)
    workspace = Workspace(folder / "w")
    description = read_description(folder / "cohort" / "cohort.toml")
    for plan in ingestion.plan(description, workspace):
        ingestion.ingest_shard(plan)
    commit(description, workspace, Ledger(workspace.ledger_url))
    return folder, workspace, description


def test_the_store_gives_the_slices_as_they_were_acquired(ingested):
    folder, workspace, description = ingested
    store = Store.open(workspace, description.name)
    name = next(n for n, kind in store.modalities.items() if kind == "image")
    row = int(np.flatnonzero(store.present(name))[0])
    case_id = store.cases["case_id"].iloc[row]
    found = store.display(name, row)
    select = description.modalities[name].select
    series = read_series(sorted((folder / "cohort" / "dicom" / case_id).rglob("*.dcm")), select)
    assert len(found) == series.slices and found.shape == (series.rows, series.columns)
    for number in (0, len(found) - 1):
        slope, intercept = found.rescale(number)
        assert np.array_equal(slope * found.slice(number) + intercept, series.volume[number])
    assert len(found.facts["array_slices"]) == len(store.images(name, row, colour=False))


def test_refused_images_leave_nothing(ingested):
    _, workspace, description = ingested
    store = Store.open(workspace, description.name)
    for shard in (store.folder / "shards").iterdir():
        for name, kind in store.modalities.items():
            if kind == "image":
                own = [
                    read_display(shard, case["case_id"], case["version"], name)
                    for _, case in store.cases[store.cases[f"has_{name}"]].iterrows()
                ]
                length = sum(sum(one.facts["lengths"]) for one in own)
                assert (shard / f"{name}-display.bin").stat().st_size == length


def test_a_spool_writes_what_was_accepted_and_drops_the_rest(tmp_path):
    with DisplaySpool(tmp_path / "shards") as spool:
        for case_id, letter in (("a", b"A"), ("b", b"B"), ("c", b"C")):
            spool.keep(case_id, "ct", FACTS, np.frombuffer(letter * 3, np.uint8))
        shard = tmp_path / "s0"
        shard.mkdir()
        spool.write(shard, {"a": "1", "b": "1", "c": "2"}, [("a", "ct"), ("c", "ct")])
    assert (shard / "ct-display.bin").read_bytes() == b"AAACCC"
    assert read_display(shard, "c", "2", "ct").start == 3
    assert read_display(shard, "b", "1", "ct") is None
    assert read_display(shard, "c", "1", "ct") is None, "another version of the case"
    assert not list((tmp_path / "shards").iterdir()), "nothing without a name is left"


@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_a_damaged_stack_is_said(ingested, tmp_path, damage):
    _, workspace, description = ingested
    shutil.copytree(workspace.cohort(description.name), tmp_path / "cohorts" / description.name)
    store = Store.open(Workspace(tmp_path), description.name)
    name = next(n for n, kind in store.modalities.items() if kind == "image")
    row = int(np.flatnonzero(store.present(name))[-1])
    found = store.display(name, row)
    content = bytearray(found.file.read_bytes())
    if damage == "changed":
        content[found.start + found.facts["offsets"][1] + 20] ^= 1
        found.file.write_bytes(content)
        assert found.slice(0).any(), "the other slices are read"
        with pytest.raises(ValueError, match="changed or cut"):
            found.slice(1)
        return
    if damage == "cut":
        found.file.write_bytes(content[:-9])
    else:
        found.file.unlink()
    with pytest.raises((ValueError, OSError), match=r"shorter|No such file"):
        store.display(name, row)


def test_a_shard_of_an_earlier_version_has_none(ingested, tmp_path):
    _, workspace, description = ingested
    shutil.copytree(workspace.cohort(description.name), tmp_path / "cohorts" / description.name)
    for file in (tmp_path / "cohorts").rglob("*display*"):
        file.unlink()
    store = Store.open(Workspace(tmp_path), description.name)
    name = next(n for n, kind in store.modalities.items() if kind == "image")
    row = int(np.flatnonzero(store.present(name))[0])
    assert store.display(name, row) is None and len(store.images(name, row))
