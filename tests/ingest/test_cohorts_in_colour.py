"""Pictures in colour through ingestion: kept beside their grey levels, and all images of a modality
read alike.
"""

import json

import numpy as np
import pandas as pd
import pytest
from colour_builders import write_hues

import mmdiag
from mmdiag.errors import DescriptionError
from mmdiag.storage.store import Store
from mmdiag.workspace import Workspace

CASES = 12


def ingest(tmp_path, name="w", **options):
    """A cohort of some pictures, ingested; its answer and its store."""
    toml = write_hues(tmp_path / f"cohort-{name}", CASES, **options)
    cohort = mmdiag.Cohort.open(toml, workspace=tmp_path / name)
    return cohort, cohort.ingest(), Store.open(Workspace(tmp_path / name), "hues")


def test_pictures_in_colour_are_read_in_colour_and_their_grey_levels_stay(tmp_path):
    cohort, answer, store = ingest(tmp_path)
    assert store.in_colour("skin") and "said" not in answer["modalities"]["skin"]
    image = cohort.image("skin", "s001")
    assert image.shape == (1, 32, 32, 3) and image.dtype == np.uint8
    assert image[..., 0].mean() > image[..., 2].mean() + 20, "red, green and blue"
    _, _, grey = ingest(tmp_path, "grey", colour="grey")
    for row in range(CASES):
        same = store.images("skin", row, colour=False)
        assert same.shape == (1, 32, 32) and np.array_equal(same, grey.images("skin", row))


def test_equal_channels_are_one_channel_and_cost_no_more(tmp_path):
    cohort, answer, store = ingest(tmp_path, grey=range(CASES))
    assert not store.in_colour("skin") and cohort.image("skin", "s001").shape == (1, 32, 32)
    assert not list(store.folder.rglob("*-colours.npy"))
    assert "said" not in answer["modalities"]["skin"]


def test_a_grey_picture_among_others_in_colour_is_three_times_its_grey(tmp_path):
    cohort, answer, store = ingest(tmp_path, grey=[4])
    image = cohort.image("skin", "s004")
    assert image.shape == (1, 32, 32, 3) and (image == image[..., :1]).all()
    assert np.array_equal(image[..., 0], store.images("skin", 4, colour=False))
    assert "said" not in answer["modalities"]["skin"]


def test_a_few_pictures_in_colour_are_read_as_grey_as_the_others_unless_all_is_kept(tmp_path):
    cohort, answer, store = ingest(tmp_path, grey=range(1, CASES))
    assert not store.in_colour("skin") and cohort.image("skin", "s000").shape == (1, 32, 32)
    assert answer["modalities"]["skin"]["said"] == [
        "1 of 12 images is in colour and read as grey like the others; "
        'colour = "keep" reads all of them in colour'
    ]
    kept, _, store = ingest(tmp_path, "keep", grey=range(1, CASES), colour="keep")
    assert store.in_colour("skin")
    first, second = (kept.image("skin", name) for name in ("s000", "s001"))
    assert first.shape == second.shape == (1, 32, 32, 3)
    assert (second == second[..., :1]).all() and not (first == first[..., :1]).all()


def test_cases_of_several_shards_have_their_own_colours(tmp_path):
    from mmdiag.description import read_description
    from mmdiag.ingest import plan as ingestion
    from mmdiag.ingest.commit import commit
    from mmdiag.storage.ledger import Ledger

    _, _, whole = ingest(tmp_path, grey=[0, 5])
    workspace = Workspace(tmp_path / "parts")
    description = read_description(tmp_path / "cohort-w" / "cohort.toml")
    for part in ingestion.plan(description, workspace, shard_cases=5):
        ingestion.ingest_shard(part)
    commit(description, workspace, Ledger(workspace.ledger_url))
    parts = Store.open(workspace, "hues")
    assert parts.cases["shard_skin"].nunique() == 3
    for row in range(CASES):
        assert np.array_equal(parts.images("skin", row), whole.images("skin", row))


def test_a_cohort_of_an_earlier_version_is_grey_and_its_pictures_are_read_again(
    tmp_path, monkeypatch
):
    from mmdiag.ingest import case_versions

    cohort, _, store = ingest(tmp_path)
    cases = store.cases.drop(columns="colours_start_skin")
    cases.to_parquet(store.folder / "cases.parquet", index=False)
    described = json.loads((store.folder / "description.json").read_text())
    del described["in_colour"]
    (store.folder / "description.json").write_text(json.dumps(described))
    old = Store.open(Workspace(tmp_path / "w"), "hues")
    assert not old.in_colour("skin") and old.images("skin", 0).ndim == 3
    grey = old.images("skin", 0)
    assert np.array_equal(old.images("skin", 0, colour=True), np.repeat(grey[..., None], 3, 3))
    monkeypatch.setattr(case_versions, "COLOURED", "colour 2")
    assert cohort.ingest()["cases"]["new"] == CASES


def test_a_shard_of_an_earlier_version_beside_a_new_one_has_no_colours(tmp_path):
    _, _, store = ingest(tmp_path)
    file = next(store.folder.glob("shards/*/manifest.parquet"))
    manifest = pd.read_parquet(file)
    manifest["colours_start_skin"] = manifest["colours_start_skin"].where(manifest.index > 5)
    manifest.to_parquet(file, index=False)
    toml = tmp_path / "cohort-w" / "cohort.toml"
    mmdiag.Cohort.open(toml, workspace=tmp_path / "w").ingest()
    found = Store.open(Workspace(tmp_path / "w"), "hues")
    assert found.cases["colours_start_skin"].dtype == np.int64
    assert (found.images("skin", 0) == found.images("skin", 0)[..., :1]).all()
    assert np.array_equal(found.images("skin", 8), store.images("skin", 8))


def test_another_word_for_colour_is_refused_with_the_known_ones(tmp_path):
    toml = write_hues(tmp_path / "c", 2, colour="gray")
    with pytest.raises(DescriptionError, match=r"colour under .*grey"):
        mmdiag.Cohort.open(toml, workspace=tmp_path / "w")
