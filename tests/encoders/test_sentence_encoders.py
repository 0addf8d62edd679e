"""Text encoders by package, folder and hub, on a tiny model in the same layout: loaded offline,
recorded, refused where they would run code or change.
"""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from encoder_builders import REVISION, as_hub, write_tiny_text_model

from mmdiag.errors import UsageError
from mmdiag.task import Task


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_text_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def cache(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def make_config(**text):
    from mmdiag.recipes import default

    config = default(fusion="concat").as_one_network()
    return dataclasses.replace(config, text=dataclasses.replace(config.text, **text))


def test_a_folder_gives_unit_vectors_that_do_not_depend_on_their_batch_mates(folder):
    from mmdiag.encoders.sentence import sentence_encoder

    encoder = sentence_encoder(str(folder))
    together = encoder.embed(
        ["no marked oedema", "mass effect", "midline shift is seen in the left frontal lobe"]
    )
    assert together.shape == (3, 16) and np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.allclose(encoder.embed(["mass effect"])[0], together[1], atol=1e-5)


def test_a_tokenizer_that_states_no_longest_input_is_cut_to_what_the_network_takes_and_the_rest_is_read_too(
    folder,
):
    from mmdiag.encoders.sentence import sentence_encoder

    encoder = sentence_encoder(str(folder))
    assert encoder.tokenizer.model_max_length > 10**6 and encoder.most == 24
    same, other = ("clear " * 40 + end for end in ("oedema", "shift"))
    vectors = encoder.embed([same, other, "clear"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-4), "the 41st word was read"


def test_source_sha256_and_licence_are_recorded(folder):
    import hashlib

    from mmdiag.encoders.sentence import text_weights

    expected = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert text_weights(str(folder)).record() == {
        "source": "folder tiny",
        "revision": "",
        "sha256": expected,
        "licence": "mit",
    }
    packaged = text_weights("minilm-l6").record()
    assert (
        packaged["revision"] == "0.1.0"
        and packaged["licence"] == "apache-2.0"
        and len(packaged["sha256"]) == 64
    )


def test_a_hub_name_with_a_revision_is_loaded_from_what_was_fetched(cache, tmp_path):
    from mmdiag.encoders.sentence import sentence_encoder, text_weights

    name = as_hub(cache, write_tiny_text_model(tmp_path / "tiny", seed=1), "somebody/tiny-bert")
    assert sentence_encoder(name).width == 16
    record = text_weights(name).record()
    assert (
        record["source"] == "hub somebody/tiny-bert"
        and record["revision"] == REVISION
        and record["licence"] == "mit"
    )


@pytest.mark.parametrize(
    "name",
    [
        "somebody/tiny-bert",
        "somebody/tiny-bert@main",
        "somebody/tiny-bert@" + "0" * 39,
        "../x/y@" + "0" * 40,
    ],
)
def test_a_hub_name_without_a_fixed_revision_is_refused(cache, name):
    from mmdiag.encoders.sentence import text_weights

    with pytest.raises(
        UsageError, match="a name without a fixed revision could change between two runs"
    ):
        text_weights(name)


@pytest.mark.parametrize("name", ["somebody/other@" + "0" * 40, "no-such-folder"])
def test_what_is_not_there_fails_at_the_start_with_the_four_remedies(cache, name):
    from mmdiag.prepare import require_encoders

    said = (
        r"a package carries \(minilm-l6\); a folder with model.safetensors; a hub's "
        r"owner/name@revision .*pretrained on your own cases"
    )
    with pytest.raises(UsageError, match=said):
        require_encoders(make_config(encoder=name), ["image", "text"])
    require_encoders(make_config(encoder=name), ["image", "table"])


def test_weights_that_are_a_pickle_are_refused(tmp_path):
    from mmdiag.encoders.sentence import sentence_encoder

    folder = write_tiny_text_model(tmp_path / "tiny")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(
        UsageError, match=r"must be stored as model\.safetensors, found none in tiny"
    ):
        sentence_encoder(str(folder))


def test_code_that_comes_with_a_model_never_runs(tmp_path):
    from mmdiag.encoders.sentence import sentence_encoder

    folder = write_tiny_text_model(tmp_path / "tiny")
    described = json.loads((folder / "config.json").read_text())
    described |= {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"},
    }
    (folder / "config.json").write_text(json.dumps(described))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(UsageError, match="runs no code of its own, tiny is not"):
        sentence_encoder(str(folder))
    assert not (tmp_path / "ran").exists()


def test_a_note_with_too_many_sentences_is_joined_and_none_is_left_out():
    from mmdiag.prepare.kinds.text import note_parts

    note = " ".join(f"Finding number {i} is clear." for i in range(50))
    parts = note_parts(note, 8)
    assert len(parts) == 8 and parts[0][0] == 0 and parts[-1][1] == len(note)
    assert all(f"number {i} " in " ".join(note[a:b] for a, b in parts) for i in range(50))
    assert len(note_parts(note, 64)) == 50


def test_a_fine_tuned_text_encoder_moves_its_transformer_and_its_bundle_needs_no_folder(tmp_path):
    import torch

    from mmdiag.model.network import DiagnosisModel
    from mmdiag.prepare import extractor, fit_preparation, restore_preparation
    from mmdiag.prepare.batches import batch_of

    config = make_config(
        encoder=str(write_tiny_text_model(tmp_path / "tiny")), training="fine_tuned"
    )
    raws = extractor("text", config)(
        ["No marked oedema. Mass effect is seen.", "Clear. Midline shift. No shift."]
    )
    assert [len(raw) for raw in raws] == [2, 3] and raws[0][:, 0].tolist() == [-1, 1]
    prepared = fit_preparation("text", raws, config)
    assert prepared.source["licence"] == "mit" and prepared.trains_on_raw_input
    task = Task(kind="binary", classes=("no", "yes"), label="label")
    model = DiagnosisModel(config, {"report": prepared}, task)
    batch = batch_of({"report": prepared}, [{"report": prepared.apply(raw)} for raw in raws])
    model(batch).logits.sum().backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0
        for p in model.encoders["report_"]
        .network.encoder.layer[0]
        .attention.self.value.parameters()
    )
    again = restore_preparation(json.loads(json.dumps(prepared.config())), prepared.state())
    assert again.start is None
    shutil.rmtree(tmp_path / "tiny")
    restored = DiagnosisModel(config, {"report": again}, task)
    restored.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(restored.eval()(batch).logits, model.eval()(batch).logits)
