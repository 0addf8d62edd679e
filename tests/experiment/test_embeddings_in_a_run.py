"""From embeddings to an answer: they are learned from, explained, named on the card, and a bundle
scores no others.
"""

import json

import numpy as np
import pandas as pd
import pytest
from embedding_builders import WIDTH, bags, write_embedded

from mmdiag import api, recipes
from mmdiag.description import read_description
from mmdiag.errors import UsageError
from mmdiag.inference.bundle import Bundle
from mmdiag.prepare.kinds.embedding import MOST_PARTS, summarise_vectors
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

FEW = {
    "training.max_epochs": 25,
    "training.averaged": False,
    "evaluation.folds": 2,
    "evaluation.resamples": 20,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short training on 40 cases: its answer, its workspace and its description."""
    folder = tmp_path_factory.mktemp("embedded")
    description = read_description(write_embedded(folder / "c", 40))
    place = Workspace(folder / "w")
    config = recipes.named(
        "default", fusion="concat", settings=FEW | {"training.learning_rate": 0.01}, seed=1
    )
    return api.compare(description, place, Ledger(place.ledger_url), config), place, description


def test_embeddings_are_learned_from_and_so_are_they_by_the_rival(trained):
    answer, _, _ = trained
    found = {m["model"]: m["value"] for m in answer["metrics"] if m["metric"] == "auroc"}
    assert found["slide"] > 0.85 and found["baseline:late_fusion"] > 0.85
    assert found["lab"] < 0.75


def test_the_bundle_and_its_card_say_by_what_they_were_made(trained):
    answer, _, _ = trained
    bundle = Bundle.load(answer["bundle"]["path"])
    made = {"encoder": "made-up-encoder", "revision": "1", "licence": "MIT"}
    assert bundle.preparations["slide"].source == made
    assert "slide is made by made-up-encoder 1, licence MIT." in bundle.card


def test_every_vector_has_a_weight_and_those_of_an_absent_embedding_none(trained):
    answer, place, _ = trained
    predictions = pd.read_parquet(answer["predictions"])
    case = predictions.loc[predictions["role"] == "out-of-fold", "case_id"].iloc[4]
    found = api.explain_case(place, case)
    vectors = found["parts"]["slide"]
    count = len(bags(40)[case])
    assert [(one["start"], one["end"]) for one in vectors] == [(i, i + 1) for i in range(count)]
    assert any(one["value"] for one in vectors)
    drawn = found["drawn"]["slide"]
    assert drawn["sum"] == pytest.approx(sum(one["value"] for one in vectors), abs=1e-4)
    assert "vectors add up to" in drawn["sentence"]


def other(folder, **more):
    return read_description(write_embedded(folder, 8, **more))


MADE = 'encoder = "{0}"\nrevision = "{1}"\nlicence = "MIT"\n'


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (("another", "1"), "the encoder of slide was made-up-encoder, here it is another"),
        (("made-up-encoder", "2"), "the revision of slide was 1, here it is 2"),
    ],
)
def test_embeddings_of_another_encoder_or_revision_are_not_scored(trained, tmp_path, made, said):
    answer, _, _ = trained
    cohort, place = other(tmp_path / "c", made=MADE.format(*made)), Workspace(tmp_path / "w")
    ledger = Ledger(place.ledger_url)
    folder = api.bundle_folder(place, answer["bundle"]["path"])
    with pytest.raises(UsageError, match=said):
        api.score(folder, cohort, place, ledger, tmp_path / "p.parquet")
    assert not (tmp_path / "w").exists(), "nothing was written"


def test_embeddings_of_another_width_are_not_scored(trained, tmp_path):
    answer, _, _ = trained
    cohort, place = other(tmp_path / "c"), Workspace(tmp_path / "w")
    for case, values in bags(8, WIDTH + 2).items():
        np.save(tmp_path / "c" / "emb" / f"{case}.npy", values)
    folder = api.bundle_folder(place, answer["bundle"]["path"])
    said = f"those of slide had {WIDTH} numbers, here they have {WIDTH + 2}"
    with pytest.raises(UsageError, match=said):
        api.score(folder, cohort, place, Ledger(place.ledger_url), tmp_path / "p.parquet")
    assert not (tmp_path / "w").exists(), "nothing was written"
    api.ingest(cohort, place, Ledger(place.ledger_url))  # and neither is what is stored of them
    from mmdiag.inference import score as inference

    opened = Bundle.load(folder)
    with pytest.raises(UsageError, match=said):
        inference.score_cases(
            opened, cohort, place, Ledger(place.ledger_url), tmp_path / "p.parquet"
        )


def test_a_bundle_of_embeddings_under_terms_that_a_cohort_does_not_allow_scores_nothing(
    trained, tmp_path
):
    answer, _, _ = trained
    made = MADE.format("made-up-encoder", "1").replace("MIT", "Apache-2.0")
    cohort = other(tmp_path / "c", made=made, cohort='weights_licence = ["Apache-2.0"]')
    place = Workspace(tmp_path / "w")
    folder = api.bundle_folder(place, answer["bundle"]["path"])
    with pytest.raises(UsageError, match="slide uses made-up-encoder 1, whose licence is MIT"):
        api.score(folder, cohort, place, Ledger(place.ledger_url), tmp_path / "p.parquet")
    assert not (tmp_path / "w").exists(), "nothing was written"


def test_new_embeddings_are_scored_and_a_case_without_one_by_the_rest(trained, tmp_path):
    answer, _, _ = trained
    cohort, place = other(tmp_path / "c"), Workspace(tmp_path / "w")
    (tmp_path / "c" / "emb" / "e003.npy").unlink()
    folder = api.bundle_folder(place, answer["bundle"]["path"])
    out = tmp_path / "p.parquet"
    scored = api.score(folder, cohort, place, Ledger(place.ledger_url), out)
    table = pd.read_parquet(out).set_index("case_id")
    assert scored["scored"] == 8 and table["contribution_slide"]["e003"] == 0
    assert (table["contribution_slide"].drop("e003") != 0).all()


def test_a_case_of_one_vector_has_no_deviation_and_a_large_bag_is_read_whole():
    rng = np.random.default_rng(0)
    summary, parts = summarise_vectors(rng.normal(size=(1, 5)).astype(np.float32))
    assert np.isnan(summary[5:]).all() and np.isfinite(summary[:5]).all() and parts.shape == (1, 5)
    large = rng.normal(size=(1000, 5)).astype(np.float32)
    summary, parts = summarise_vectors(large)
    assert parts.shape == (MOST_PARTS, 5)
    assert np.allclose(summary, [*large.mean(axis=0), *large.std(axis=0)], atol=1e-5)
    weights = [len(part) for part in np.array_split(large, MOST_PARTS)]
    assert np.allclose(np.average(parts, axis=0, weights=weights), large.mean(axis=0), atol=1e-5)


def test_a_bundle_whose_embedding_was_changed_is_refused(trained):
    from mmdiag.prepare.validate import checked_preparation

    answer, _, _ = trained
    found = Bundle.load(answer["bundle"]["path"]).preparations["slide"]
    settings, state = json.loads(json.dumps(found.config())), found.state()
    assert checked_preparation(settings, state).source == found.source
    narrow = {
        name: array[:-1] if name.startswith("detail") else array for name, array in state.items()
    }
    with pytest.raises(ValueError, match="a case and its parts differ in length"):
        checked_preparation(settings, narrow)
