"""A bundle is scored with the encoder weights that it was fitted with, or not at all."""

import dataclasses
from pathlib import Path

import pytest


@pytest.fixture
def tiny_text(tmp_path):
    """A folder with a text encoder, a configuration that names it, and the record that a bundle
    keeps of it.
    """
    from encoder_builders import write_tiny_text_model

    from mmdiag.config import RunConfig, TextConfig
    from mmdiag.encoders.sentence import text_weights

    folder = write_tiny_text_model(tmp_path / "tiny", seed=1)
    return (
        folder,
        RunConfig(text=TextConfig(encoder=str(folder))),
        text_weights(str(folder)).record(),
    )


def test_scoring_with_other_weights_than_the_bundle_was_fitted_with_is_refused(
    small_run, tiny_text
):
    from encoder_builders import write_tiny_text_model

    from mmdiag.description import read_description
    from mmdiag.errors import UsageError
    from mmdiag.inference.bundle import Bundle
    from mmdiag.inference.score import open_bundle

    folder, config, record = tiny_text
    bundle = Bundle.load(small_run.answer["bundle"]["path"])
    fitted = {
        **bundle.preparations,
        "report": dataclasses.replace(bundle.preparations["report"], source=record),
    }
    where = dataclasses.replace(
        bundle, config=dataclasses.replace(bundle.config, text=config.text), preparations=fitted
    ).save(folder.parent)[1]
    write_tiny_text_model(folder, seed=2)
    with pytest.raises(
        UsageError,
        match=rf"those of report were folder tiny with the SHA-256 {record['sha256'][:12]}, and "
        r"folder tiny now holds .* train again",
    ):
        open_bundle(where, read_description(small_run.cohort / "cohort.toml"), small_run.ledger)


def test_the_same_weights_under_the_same_name_are_taken(tiny_text):
    from mmdiag.prepare import Preparation, require_same_features

    _, config, record = tiny_text
    require_same_features(
        config, {"report": Preparation(kind="text", source=record, feature_version="sentences 3")}
    )


def test_a_bundle_whose_features_were_made_by_another_version_is_refused(
    small_run, monkeypatch, tmp_path
):
    from mmdiag.description import read_description
    from mmdiag.errors import UsageError
    from mmdiag.inference.bundle import Bundle
    from mmdiag.inference.score import open_bundle
    from mmdiag.prepare import extract

    where = Path(small_run.answer["bundle"]["path"])
    assert {
        name: found.feature_version for name, found in Bundle.load(where).preparations.items()
    } == {
        "flair": "statistics 4",
        "report": "sentences 3",
        "expression": "",
    }
    monkeypatch.setitem(extract.VERSIONS, "statistics", 5)
    with pytest.raises(
        UsageError,
        match=r"those of flair were made by 'statistics 4', here they are by 'statistics 5': "
        r"train again",
    ):
        open_bundle(where, read_description(small_run.cohort / "cohort.toml"), small_run.ledger)


def test_weights_are_compared_only_where_features_are_still_made_by_them(tiny_text):
    from mmdiag.config import ImageConfig
    from mmdiag.errors import UsageError
    from mmdiag.prepare import Preparation, require_same_features

    folder, config, record = tiny_text
    other = {**record, "sha256": "0" * 64}
    config = dataclasses.replace(
        config, image=ImageConfig(encoder="resnet10", training="fine_tuned", weights=str(folder))
    )
    require_same_features(
        config,
        {
            "flair": Preparation(kind="image", reads="image", source=other),
            "genes": Preparation(kind="table"),
        },
    )
    with pytest.raises(UsageError, match="those of flair were"):
        require_same_features(config, {"flair": Preparation(kind="image", source=other)})
    with pytest.raises(UsageError, match="those of report were"):
        require_same_features(
            config,
            {"report": Preparation(kind="text", feature_version="sentences 3", source=other)},
        )


def test_scoring_asks_no_network_for_weights_and_says_how_they_are_fetched(small_run, monkeypatch):
    import socket

    from mmdiag.config import TextConfig
    from mmdiag.description import read_description
    from mmdiag.errors import UsageError
    from mmdiag.inference.bundle import Bundle
    from mmdiag.inference.score import open_bundle

    def never(*_arguments, **_options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", never)
    monkeypatch.setattr(socket, "getaddrinfo", never)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    bundle = Bundle.load(small_run.answer["bundle"]["path"])
    text = TextConfig(encoder="nobody/nothing@" + "0123456789" * 4)
    foreign = dataclasses.replace(bundle, config=dataclasses.replace(bundle.config, text=text))
    where = foreign.save(small_run.workspace.path / "foreign")[1]
    with pytest.raises(UsageError, match=r"hf download nobody/nothing --revision 0123456789"):
        open_bundle(where, read_description(small_run.cohort / "cohort.toml"), None)
