"""Vision models of transformers: prepared as their own image processor does it, and never with code
that comes with a model.
"""

import dataclasses
import json

import numpy as np
import pytest
import torch
from encoder_builders import CARD, REVISION, as_hub, make_stack
from vision_builders import SIDES, TYPES, write_tiny_vision_model

from mmdiag.errors import UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_vision_model(tmp_path_factory.mktemp("model") / "tiny")


def described(folder, name="preprocessor_config.json", **changed):
    file = folder / name
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    return str(folder)


@torch.inference_mode()
def by_transformers(folder, colours):
    """Class token or trained summary, then the mean of patches, by transformers' own processor."""
    from transformers import AutoImageProcessor, AutoModel

    model = AutoModel.from_pretrained(folder)
    model = getattr(model, "vision_model", model).eval()
    processor = AutoImageProcessor.from_pretrained(folder)
    values = processor(images=list(colours), return_tensors="pt")["pixel_values"]
    answer = model(pixel_values=values)
    hidden = answer.last_hidden_state
    if hidden.ndim == 4:
        return torch.cat([answer.pooler_output, hidden.mean(dim=(2, 3))], 1).numpy()
    extra = {"vit": 1, "clip": 1, "dinov2": 1, "dinov2_with_registers": 5}
    kind = model.config.model_type.removesuffix("_vision_model")
    before = extra.get(kind, 0)
    summary = hidden[:, 0] if before else answer.pooler_output
    return torch.cat([summary, hidden[:, before:].mean(dim=1)], 1).numpy()


@pytest.mark.parametrize("kind", TYPES)
def test_features_are_those_of_transformers_itself(tmp_path, kind):
    from mmdiag.encoders.vision_model import vision_model

    model = vision_model(str(write_tiny_vision_model(tmp_path / "tiny", kind)))
    side = SIDES.get(kind, 32)
    colours = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    expected = by_transformers(tmp_path / "tiny", colours)
    found = model.features(colours)
    assert found.shape == (3, 64) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(found[1:2], model.features(colours[1:2]), atol=1e-4)
    grey = colours[..., 0]
    three = np.repeat(grey[..., None], 3, axis=-1)
    np.testing.assert_array_equal(model.features(grey), model.features(three))


def test_a_slice_of_another_size_is_seen_whole(folder):
    from mmdiag.encoders.vision_model import vision_model

    model = vision_model(str(folder))
    plain = np.full((1, 96, 96), 90, np.uint8)
    edge = plain.copy()
    edge[:, :4] = 255
    assert not np.allclose(model.features(plain), model.features(edge), atol=1e-3)


def test_a_classifier_lends_its_network_without_the_pooler_that_it_never_had(tmp_path):
    from mmdiag.encoders.vision_model import vision_model

    where = write_tiny_vision_model(tmp_path / "tiny", "classifier")
    found = [
        vision_model.__wrapped__(str(where)).features(np.zeros((1, 32, 32), np.uint8))
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*found)


def test_a_model_of_which_tensors_are_missing_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    from mmdiag.encoders.vision_model import vision_model

    where = write_tiny_vision_model(tmp_path / "tiny")
    tensors = load_file(where / "model.safetensors")
    del tensors["layernorm.weight"]
    save_file(tensors, where / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"lacks 1 of its tensors, such as layernorm\.weight"):
        vision_model(str(where))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"image_std": [0.5, 0.0, 0.5]}, "numbers in preprocessor_config.json that make no sense"),
        ({"image_mean": [0.5]}, r"another preprocessor_config.json \(ValueError\)"),
        ({"crop_size": {"height": 9000, "width": 9000}}, "that make no sense"),
        ({"crop_size": {"longest_edge": 56}}, r"another preprocessor_config.json \(KeyError\)"),
    ],
)
def test_an_image_processor_that_says_nothing_usable_is_refused(tmp_path, changed, said):
    from mmdiag.encoders.vision_model import vision_model

    with pytest.raises(UsageError, match=said):
        vision_model(described(write_tiny_vision_model(tmp_path / "tiny"), **changed))


def test_what_is_no_vision_model_or_takes_other_sizes_is_refused(tmp_path):
    from mmdiag.encoders.vision_model import vision_model

    with pytest.raises(UsageError, match="is a 'bert', which reads no images"):
        vision_model(str(write_tiny_vision_model(tmp_path / "words", "bert")))
    where = write_tiny_vision_model(tmp_path / "vit", "vit")
    with pytest.raises(UsageError, match="does not take images of 64 x 64 pixels"):
        vision_model(described(where, crop_size={"height": 64, "width": 64}))
    (where / "preprocessor_config.json").unlink()
    with pytest.raises(UsageError, match=r"has no preprocessor_config\.json that can be read"):
        vision_model(str(where))


def test_code_that_comes_with_a_model_never_runs_and_a_pickle_is_not_read(tmp_path):
    from mmdiag.encoders.vision_model import vision_model

    where = write_tiny_vision_model(tmp_path / "tiny")
    (where / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    code = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    with pytest.raises(UsageError, match="runs no code of its own, tiny cannot be loaded"):
        vision_model(described(where, "config.json", model_type="evil", auto_map=code))
    assert not (tmp_path / "ran").exists()
    (where / "model.safetensors").rename(where / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"must be stored as model\.safetensors"):
        vision_model(str(where))


def test_type_source_settings_and_licence_are_recorded(folder, tmp_path, monkeypatch):
    from huggingface_hub import constants

    from mmdiag.encoders.vision_model import vision_weights

    record = vision_weights(str(folder)).record()
    assert (record["model"], record["licence"]) == ("dinov2", "not stated")
    assert len(record["sha256"]) == len(record["settings"]) == 64
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    other = write_tiny_vision_model(tmp_path / "vit", "vit")
    (other / "README.md").write_text(CARD)
    found = vision_weights(as_hub(tmp_path / "cache", other, "somebody/tiny-vit")).record()
    assert found["source"] == "hub somebody/tiny-vit" and found["revision"] == REVISION
    assert (found["model"], found["licence"]) == ("vit", "mit")


@pytest.mark.parametrize("options", [{}, {"weights": "random"}, {"training": "fine_tuned"}])
def test_without_weights_or_to_be_trained_it_is_refused(options):
    from mmdiag.config import ImageConfig

    named = {"weights": "/models/dinov2"} if "training" in options else {}
    with pytest.raises(UsageError, match="'transformers' is frozen and has weights"):
        ImageConfig(encoder="transformers", **named, **options)


def test_a_bundle_is_scored_by_the_same_model_and_the_same_settings_or_not_at_all(tmp_path):
    from mmdiag.config import ImageConfig
    from mmdiag.encoders.vision_model import vision_model
    from mmdiag.prepare import extractor, fit_preparation, require_same_features
    from mmdiag.recipes import default

    where = write_tiny_vision_model(tmp_path / "tiny")
    image = ImageConfig(encoder="transformers", weights=str(where))
    config = dataclasses.replace(default(), image=image)
    stacks = [make_stack(np.random.default_rng(i)) for i in range(3)]
    first = extractor("image", config)
    preparation = fit_preparation("image", first(stacks), config)
    require_same_features(config, {"flair": preparation})
    described(where, image_mean=[0.1, 0.1, 0.1])
    with pytest.raises(UsageError, match=r"files beside the weights of flair .* say otherwise now"):
        require_same_features(config, {"flair": preparation})
    vision_model.cache_clear()
    assert extractor("image", config).key != first.key
    write_tiny_vision_model(where, seed=1)
    with pytest.raises(UsageError, match="by the weights that a model was fitted with"):
        require_same_features(config, {"flair": preparation})
