"""What encoders make of colour: hue is told apart, grey is read as three equal channels, and a
bundle keeps what it was fitted on.
"""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from colour_builders import make_hue, write_hues
from encoder_builders import write_image_weights
from vision_builders import write_tiny_vision_model

from mmdiag.errors import UsageError

RED, BLUE = (200, 60, 20), (20, 60, 200)


def make_colours(*, slices=2, side=64, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (slices, side, side, 3), dtype=np.uint8)


def lifted(grey):
    return np.repeat(grey[..., None], 3, axis=-1)


def make_config(**image):
    from mmdiag.config import ImageConfig
    from mmdiag.recipes import default

    return dataclasses.replace(
        default(fusion="concat").as_one_network(), image=ImageConfig(**image)
    )


def even(colour):
    return np.full((1, 16, 16, 3), colour, np.uint8)


def test_hue_has_its_place_on_the_circle_and_grey_has_none():
    from mmdiag.prepare.slices.colour import HUES, colour_statistics

    red, blue, grey = (colour_statistics(even(c))[0] for c in (RED, BLUE, (90, 90, 90)))
    assert not grey[-HUES:].any() and grey[18:22] == pytest.approx(0, abs=1e-6)
    assert red[-HUES:].argmax() == 0 and blue[-HUES:].argmax() == 7
    assert red[-HUES:].sum() == pytest.approx(red[20], abs=1e-6), "all of its chroma"
    channels = red[:18].reshape(3, 6)
    assert channels[:, 0] * 255 == pytest.approx(RED, abs=1e-3)
    assert channels[:, 1] == pytest.approx(0, abs=1e-6)


def test_what_is_black_around_the_body_has_no_share_in_its_colours():
    from mmdiag.prepare.slices.colour import colour_statistics

    framed = np.zeros((1, 32, 32, 3), np.uint8)
    framed[:, 8:24, 8:24] = RED
    assert np.allclose(colour_statistics(framed), colour_statistics(even(RED)), atol=1e-6)
    assert np.isfinite(colour_statistics(np.zeros((1, 8, 8, 3), np.uint8))).all()


@pytest.mark.parametrize("encoder", ["statistics", "texture"])
def test_statistics_of_a_stack_in_colour_are_those_of_its_luminance_and_of_its_colours(encoder):
    from mmdiag.prepare import extractor

    rng = np.random.default_rng(0)
    extract = extractor("image", make_config(encoder=encoder))
    red, blue = (np.stack([make_hue(rng, positive)]) for positive in (True, False))
    grey = np.rint(red.astype(np.float32) @ np.float32([0.299, 0.587, 0.114])).astype(np.uint8)
    of_red, of_blue, of_grey = extract([red, blue, grey])
    assert of_red.shape[1] == of_grey.shape[1] + 34
    assert np.allclose(of_red[:, :23], of_grey[:, :23])
    hue = slice(23, 57)
    assert np.abs(of_red[:, hue] - of_blue[:, hue]).max() > 0.1


@pytest.mark.parametrize("name", ["resnet10", "vit", "efficientnet_lite0", "resnet10_3d"])
def test_a_frozen_network_reads_grey_as_three_equal_channels_and_colours_otherwise(tmp_path, name):
    from mmdiag.prepare import extractor

    weights = "packaged"
    if name != "efficientnet_lite0":
        weights = str(write_image_weights(tmp_path / "w", name, colours=3))
    extract = extractor("image", make_config(encoder=name, weights=weights))
    colours = make_colours(slices=3)
    grey = colours[..., 0]
    of_grey, of_lifted, of_colours = (
        extract([stack])[0] for stack in (grey, lifted(grey), colours)
    )
    assert of_grey.shape == of_colours.shape
    scale = np.abs(of_grey).max()
    np.testing.assert_allclose(of_lifted, of_grey, atol=1e-3 * scale)
    assert np.abs(of_colours - of_grey).max() > 1e-2 * scale


def test_weights_of_grey_read_colours_as_their_mean(tmp_path):
    from mmdiag.prepare import extractor

    weights = str(write_image_weights(tmp_path / "w", "resnet10"))
    extract = extractor("image", make_config(encoder="resnet10", weights=weights))
    colours = make_colours()
    grey = colours[..., 0]
    one, other, of_grey, of_lifted = extract([colours, colours[..., ::-1], grey, lifted(grey)])
    np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(one).max())
    np.testing.assert_allclose(of_lifted, of_grey, atol=1e-3 * np.abs(one).max())


def test_a_vision_model_of_transformers_reads_colours(tmp_path):
    from mmdiag.prepare import extractor

    weights = str(write_tiny_vision_model(tmp_path / "tiny"))
    extract = extractor("image", make_config(encoder="transformers", weights=weights))
    colours = make_colours()
    one, other = extract([colours, colours[..., ::-1]])
    assert np.abs(one - other).max() > 1e-2


@pytest.mark.parametrize("name", ["resnet10", "resnet10_3d"])
def test_a_network_that_is_trained_has_three_channels_and_its_bundle_says_so(tmp_path, name):
    from mmdiag.prepare import extractor, fit_preparation, make_encoder
    from mmdiag.prepare.batches import batch_of, prepare_samples
    from mmdiag.prepare.files import read_preparations, write_preparations

    config = make_config(encoder=name, training="scratch")
    raws = extractor("image", config)([make_colours(slices=n, seed=n) for n in (2, 3)])
    fitted = fit_preparation("image", raws, config, colour=True)
    write_preparations(tmp_path, {"skin": fitted})
    read = read_preparations(tmp_path)["skin"]
    assert read.colour and read.shape == fitted.shape and read.shape[-1] == 3
    batch = batch_of({"skin": read}, prepare_samples({"skin": read}, {"skin": raws}, [0, 1]))
    encoder = make_encoder(read, config).eval()
    with torch.no_grad():
        tokens = encoder(batch.values["skin"], batch.present["skin"])
        turned = {
            key: array.flip(-1) if array.ndim == 5 else array
            for key, array in batch.values["skin"].items()
        }
        other = encoder(turned, batch.present["skin"])
    assert torch.isfinite(tokens.values).all()
    assert not torch.allclose(tokens.values, other.values), "red is not blue"


def test_the_files_of_a_grey_bundle_are_what_they_were():
    from mmdiag.prepare.preparation import Preparation

    assert "colour" not in Preparation(kind="image").config()
    assert Preparation(kind="image", colour=True).config()["colour"] is True


def test_features_in_colour_and_in_grey_are_stored_side_by_side(tmp_path):
    import mmdiag
    from mmdiag.prepare import extractor
    from mmdiag.prepare.feature_cache import raw_features
    from mmdiag.recipes import default
    from mmdiag.storage.store import Store
    from mmdiag.workspace import Workspace

    toml = write_hues(tmp_path / "c", 6, grey=[2])
    mmdiag.Cohort.open(toml, workspace=tmp_path / "w").ingest()
    store = Store.open(Workspace(tmp_path / "w"), "hues")
    extract = extractor("image", default(fusion="concat").as_one_network())
    found, grey, again = (
        raw_features(store, "skin", extract, colour=colour) for colour in (None, False, True)
    )
    assert found[0].shape == (1, 57) and grey[0].shape == (1, 23)
    assert all(np.array_equal(one, other) for one, other in zip(found, again, strict=True))
    assert found[2][0, -12:].max() == 0, "a grey picture among them has no hue"
    assert len(list((store.folder / "features").glob("*.parquet"))) == 2


def test_encoders_that_were_pretrained_on_grey_do_not_begin_on_colours(tmp_path):
    from mmdiag.experiment.fit import _require_colours
    from mmdiag.prepare.preparation import Preparation
    from mmdiag.storage.store import Store
    from mmdiag.task import Task

    task = Task(kind="binary", classes=("no", "yes"), label="label")
    store = Store(tmp_path, pd.DataFrame(), task, {"skin": "image"}, "h", of_colour=("skin",))
    _require_colours(store, {"skin": Preparation(kind="image", colour=True)})
    with pytest.raises(UsageError, match=r"skin were read grey and are read in colour .* pretrain"):
        _require_colours(store, {"skin": Preparation(kind="image")})
