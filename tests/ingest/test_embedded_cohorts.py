"""Embeddings of a cohort: stored as they are, of one width, and what is none in quarantine with a
code, a rule and a cure.
"""

import numpy as np
import pyarrow as pa
import pytest
from embedding_builders import MADE, WIDTH, bags, write_embedded, write_shared
from pyarrow import parquet
from table_builders import ingest

from mmdiag import api
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError, UnknownNameError, UsageError
from mmdiag.ingest import plan as ingestion
from mmdiag.reasons import REASONS


@pytest.mark.parametrize("shared", [False, True])
def test_vectors_are_kept_as_they_are_and_looked_at_by_key(tmp_path, shared):
    answer, view = ingest(write_embedded(tmp_path / "c", shared=shared), tmp_path / "w")
    counts = {"present": 24, "absent": 0, "quarantined": 0}
    assert answer["modalities"]["slide"] == {"kind": "embedding", **counts, "width": WIDTH}
    for case, values in bags(24).items():
        found = view.embedding("slide", case)
        assert found.dtype == np.float32 and np.array_equal(found, values), case
    assert view.store.embeddings["slide"] == {
        "encoder": "made-up-encoder",
        "revision": "1",
        "licence": "MIT",
        "width": WIDTH,
    }
    assert view.store.source("slide").keys() == {"encoder", "revision", "licence"}
    assert view.store.source("lab") == {}


def test_a_cohort_gives_the_vectors_of_a_case_in_python(tmp_path):
    cohort = api.Cohort.open(write_embedded(tmp_path / "c"), workspace=tmp_path / "w")
    cohort.ingest()
    assert cohort.modalities["slide"] == "embedding"
    assert np.array_equal(cohort.embedding("slide", "e004"), bags(24)["e004"])
    with pytest.raises(UsageError, match="of kind embedding, it was asked for as signal"):
        cohort.signal("slide", "e004")
    with pytest.raises(UnknownNameError, match="slid"):
        cohort.embedding("slid", "e004")


BAD = {
    "embedding_numbers": np.full((3, WIDTH), np.nan, np.float32),
    "embedding_width": np.ones((3, WIDTH + 1), np.float32) * np.arange(WIDTH + 1),
    "embedding_shape": np.zeros((0, WIDTH), np.float32),
    "contract": np.zeros((3, WIDTH), np.float32),
}


def test_what_is_no_embedding_goes_to_quarantine_and_its_case_keeps_the_rest(tmp_path):
    cohort = write_embedded(tmp_path / "c")
    cases = dict(zip(bags(24), BAD, strict=False))
    for case, code in cases.items():
        np.save(tmp_path / "c" / "emb" / f"{case}.npy", BAD[code])
    pickled = np.empty(2, object)
    pickled[:] = ["a patient's name", 2]
    np.save(tmp_path / "c" / "emb" / "e010.npy", pickled, allow_pickle=True)
    (tmp_path / "c" / "emb" / "e011.npy").write_text("a patient's name")
    cases |= {"e010": "embedding_numbers", "e011": "unreadable"}
    answer, view = ingest(cohort, tmp_path / "w")
    found = view.quarantine.set_index("case_id")
    assert found["code"].to_dict() == cases and set(found["modality"]) == {"slide"}
    for case, code in cases.items():
        row = found.loc[case]
        assert row["rule"] and row["cure"] == REASONS[code].cure
        assert "patient's" not in row["detail"]
    assert answer["cases"]["accepted"] == 24
    assert answer["modalities"]["slide"]["present"] == 24 - len(cases)


def test_the_width_is_that_of_most_whatever_comes_first(tmp_path):
    """Of 24 cases 3 are wider, one of them the first; and a later wide one is refused, too."""
    cohort = write_embedded(tmp_path / "c")
    for case in ("e000", "e005", "e007"):
        values = np.arange(30, dtype=np.float32) * int(case[1:]) + 1 + np.arange(30) % 3
        np.save(tmp_path / "c" / "emb" / f"{case}.npy", values)
    _, view = ingest(cohort, tmp_path / "w")
    assert sorted(view.quarantine["case_id"]) == ["e000", "e005", "e007"]
    said = view.quarantine["detail"].unique().tolist()
    assert said == [f"30 numbers, those of the cohort have {WIDTH}"]
    with (tmp_path / "c" / "cases.csv").open("a") as more:
        more.writelines(f"f{number},1,0.5\n" for number in range(30))
    for number in range(30):  # by now most are wide
        values = np.arange(30, dtype=np.float32) + number
        np.save(tmp_path / "c" / "emb" / f"f{number}.npy", values)
    _, view = ingest(cohort, tmp_path / "w")
    assert len(view.quarantine) == 33 and view.store.embeddings["slide"]["width"] == WIDTH
    changed = cohort.read_text().replace('revision = "1"', 'revision = "2"')
    cohort.write_text(changed)  # and another revision has its own width
    _, view = ingest(cohort, tmp_path / "w")
    assert view.store.embeddings["slide"]["width"] == 30
    assert sorted(view.cases.loc[view.cases["slide"], "case_id"])[:2] == ["e000", "e005"]


def test_a_changed_vector_of_a_shared_table_is_read_again_and_nothing_else(tmp_path):
    cohort, wide = write_embedded(tmp_path / "c", shared=True), bags(24, 2000)
    write_shared(tmp_path / "c" / "emb.parquet", wide)  # wider than what Python prints of a list
    first, _ = ingest(cohort, tmp_path / "w")
    again, _ = ingest(cohort, tmp_path / "w")
    assert (first["cases"]["new"], again["cases"]["new"]) == (24, 0)
    wide["e004"][0, 1000] += 1
    write_shared(tmp_path / "c" / "emb.parquet", wide)
    changed, view = ingest(cohort, tmp_path / "w")
    assert changed["cases"]["new"] == 1
    assert np.array_equal(view.embedding("slide", "e004"), wide["e004"])


def test_vectors_of_a_shared_table_that_are_none_cost_their_case_alone(tmp_path):
    cohort, keys = write_embedded(tmp_path / "c", shared=True), list(bags(24))
    cells = [[float(number), 1.0] for number in range(24)]
    cells[0], cells[1], cells[2], cells[3] = [1.0, 2.0, 3.0], [np.nan, 1.0], [], None
    rows = pa.table({"id": [*keys, "e004"], "v": pa.array([*cells, [1.0]], pa.list_(pa.float32()))})
    parquet.write_table(rows, tmp_path / "c" / "emb.parquet")
    answer, view = ingest(cohort, tmp_path / "w")
    found = view.quarantine.set_index("case_id")["code"].to_dict()
    assert found == {
        "e000": "embedding_width",
        "e001": "embedding_numbers",
        "e002": "embedding_shape",
        "e004": "embedding_width",
    }
    assert answer["modalities"]["slide"]["absent"] == 1, "an empty cell was not made"


def test_the_same_embedding_under_two_subjects_is_refused(tmp_path):
    cohort, found = write_embedded(tmp_path / "c"), bags(24)
    np.save(tmp_path / "c" / "emb" / "e001.npy", found["e002"])
    _, view = ingest(cohort, tmp_path / "w")
    assert view.quarantine.set_index("case_id")["code"].to_dict() == dict.fromkeys(
        ["e001", "e002"], "same_image"
    )


def test_large_embeddings_are_read_in_smaller_parts(tmp_path, monkeypatch):
    cohort = read_description(write_embedded(tmp_path / "c"))
    place = api.Cohort.open(cohort.file, workspace=tmp_path / "w").workspace
    assert len(ingestion.plan(cohort, place)) == 1
    monkeypatch.setattr(ingestion, "SHARD_BYTES", 1000)  # a file has 176 to 368
    plans = ingestion.plan(cohort, place)
    assert 6 <= len(plans) <= 12
    _, view = ingest(cohort.file, tmp_path / "w")
    assert len(view.cases) == 24 and view.cases["slide"].all()


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"made": 'encoder = "e"\nrevision = "1"\n'}, 'lacks licence: write licence = "CC-BY'),
        ({"made": 'revision = "1"\nlicence = "MIT"\n'}, 'lacks encoder: write encoder = "UNI2-h"'),
        ({"made": 'encoder = "e"\nlicence = "MIT"\n'}, 'lacks revision: write revision = "0123'),
        ({"made": MADE.replace('"1"', "1")}, r"revision under .* must be text in quotes"),
        ({"made": MADE.replace("MIT", "MIT\\n# x")}, r"licence under .* must be a name of at most"),
        ({"section": 'key = "id"'}, "one Parquet with a key"),
        ({"section": 'colum = "v"'}, "did you mean 'column'"),
    ],
)
def test_a_description_that_lacks_what_it_needs_says_what_to_write(tmp_path, section, said):
    with pytest.raises(DescriptionError, match=said):
        read_description(write_embedded(tmp_path / "c", **section))


def test_a_table_of_embeddings_without_the_column_is_wrong_use_and_leaves_nothing(tmp_path):
    cohort = write_embedded(tmp_path / "c", shared=True, section='column = "w"')
    with pytest.raises(DescriptionError, match="'w' is none of emb"):
        ingest(cohort, tmp_path / "w")
    assert not (tmp_path / "w" / "cohorts").exists()
