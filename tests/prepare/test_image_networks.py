"""Preparations of image networks: features of a frozen one are stored once, and a fine-tuned one
needs no folder afterwards.
"""

import numpy as np
from preparation_builders import make_config, make_variant

from mmdiag.task import Task


def test_a_volume_has_one_size_and_keeps_first_and_last_slice():
    from mmdiag.encoders.backbone import VOLUME
    from mmdiag.prepare.slices.volume import to_volume

    stack = np.stack([np.full((50, 30), grey, np.uint8) for grey in (10, 50, 90)])
    volume = to_volume(stack)
    assert volume.shape == VOLUME and volume[0].max() == 10 and volume[-1].min() == 90
    assert np.all(np.diff(volume[:, 0, 0].astype(int)) >= 0)
    assert to_volume(stack[:1]).shape == VOLUME


def test_features_of_a_frozen_network_are_stored_once_and_again_for_other_weights(
    tmp_path, monkeypatch
):
    import dataclasses

    from published_example import NAME, publish

    from mmdiag.config import ImageConfig
    from mmdiag.encoders import frozen_image
    from mmdiag.prepare import extractor
    from mmdiag.prepare.feature_cache import raw_features
    from mmdiag.storage.store import Store

    store = Store.open(publish(tmp_path / "workspace", cases=4, trained=False).workspace, NAME)
    configs = [
        dataclasses.replace(
            make_config(), seed=seed, image=ImageConfig(encoder="resnet10", weights="random")
        )
        for seed in (0, 1)
    ]
    asked = []
    real = frozen_image.FrozenImageNetwork.features
    monkeypatch.setattr(
        frozen_image.FrozenImageNetwork,
        "features",
        lambda self, images: asked.append(1) or real(self, images),
    )
    first, again, other = (
        raw_features(store, "flair", extractor("image", configs[i])) for i in (0, 0, 1)
    )
    assert len(asked) == 2 * int(store.present("flair").sum())
    for row in np.flatnonzero(store.present("flair")):
        assert (
            np.array_equal(first[row], again[row])
            and first[row].shape == (7, 512)
            and not np.allclose(first[row], other[row])
        )


def test_a_fine_tuned_network_is_recorded_and_its_bundle_needs_no_folder(tmp_path):
    import dataclasses
    import json
    import shutil

    import torch
    from encoder_builders import write_image_weights

    from mmdiag.config import ImageConfig
    from mmdiag.inference.bundle import Bundle
    from mmdiag.inference.predict import diagnose
    from mmdiag.model.network import DiagnosisModel
    from mmdiag.prepare import fit_preparation
    from mmdiag.privacy.subject_keys import SubjectKeys

    folder = write_image_weights(tmp_path / "pretrained", seed=4)
    config = dataclasses.replace(
        make_config(),
        image=ImageConfig(encoder="resnet10", training="fine_tuned", weights=str(folder)),
    )
    _, _, originals = make_variant("network")
    prepared = {"flair": fit_preparation("image", originals, config)}
    task = Task(kind="binary", classes=("no", "yes"), label="label")
    model = DiagnosisModel(config, prepared, task).eval()
    from safetensors.torch import load_file

    assert torch.equal(
        model.encoders["flair_"].network.conv1.weight,
        load_file(folder / "model.safetensors")["conv1.weight"],
    )
    bundle = Bundle(
        config=config,
        model=model,
        preparations=prepared,
        task=task,
        kinds={"flair": "image"},
        cohort={"name": "c", "hash": "h"},
        trained_on=SubjectKeys("", frozenset()),
    )
    _, where = bundle.save(tmp_path / "bundles")
    shutil.rmtree(folder)
    source = json.loads((where / "preparation.json").read_text())["flair"]["source"]
    assert (
        source["source"] == "folder pretrained"
        and source["licence"] == "mit"
        and len(source["sha256"]) == 64
    )
    samples = [{"flair": prepared["flair"].apply(original)} for original in originals[:3]]
    assert np.allclose(
        diagnose(Bundle.load(where), samples)["log_odds"], diagnose(bundle, samples)["log_odds"]
    )
