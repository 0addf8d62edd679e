"""One contract for every encoder: a new one passes it without a line being changed; and what is
particular to each.
"""

import numpy as np
import pytest
import torch
from encoder_builders import ENCODERS, WIDTH, make_example, make_stack, write_image_weights

from mmdiag.errors import UnknownNameError, UsageError
from mmdiag.task import Task


@pytest.fixture(params=sorted(ENCODERS), scope="module")
def example(request):
    return make_example(request.param)


def masks_of(arrays):
    """Which entries of each array are there, besides those of absent rows."""
    return {key: arrays.get(f"{key}_mask") for key in arrays if not key.endswith("_mask")}


def poisoned(example, value):
    """The arrays with a value wherever nothing is: whole absent rows, and what pads short ones."""
    changed = dict(example.arrays)
    for key, mask in masks_of(example.arrays).items():
        array = example.arrays[key].clone()
        there = (
            example.present.clone()[:, None].expand(array.shape[:2])
            if mask is None
            else mask & example.present[:, None]
        )
        array[~there] = value if array.is_floating_point() else 7
        changed[key] = array
    return changed


@torch.no_grad()
def encode(example, arrays=None, present=None):
    return example.encoder(
        example.arrays if arrays is None else arrays,
        example.present if present is None else present,
    )


def test_token_0_is_the_summary_of_who_is_there(example):
    tokens = encode(example)
    assert (
        tokens.values.shape[0] == 3
        and tokens.values.shape[2] == WIDTH
        and tokens.mask.shape == tokens.values.shape[:2]
    )
    assert torch.equal(tokens.mask[:, 0], example.present) and not tokens.mask[1].any()
    assert torch.isfinite(tokens.values[tokens.mask]).all()
    assert not torch.allclose(tokens.values[0, 0], tokens.values[2, 0])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_there_is_never_read(example, value):
    one, other = encode(example), encode(example, poisoned(example, value))
    assert torch.equal(one.mask, other.mask)
    assert torch.equal(one.values[one.mask], other.values[other.mask])


def test_what_is_not_there_spoils_no_gradient(example):
    example.encoder.zero_grad(set_to_none=True)
    tokens = example.encoder(poisoned(example, float("nan")), example.present)
    tokens.values[tokens.mask].square().sum().backward()
    gradients = [
        parameter.grad for parameter in example.encoder.parameters() if parameter.grad is not None
    ]
    assert len(gradients) > 1 and all(torch.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.parametrize("row", [0, 2])
def test_a_row_alone_equals_the_row_in_a_batch(example, row):
    whole = encode(example)
    alone_arrays = {}
    for key, array in example.arrays.items():
        mask = example.arrays.get(f"{key.removesuffix('_mask')}_mask")
        longest = array.shape[1] if mask is None else int(mask[row].sum())
        alone_arrays[key] = array[row : row + 1, :longest]
    alone = encode(example, alone_arrays, example.present[row : row + 1])
    torch.testing.assert_close(
        alone.values[0][alone.mask[0]], whole.values[row][whole.mask[row]], atol=2e-5, rtol=1e-4
    )


def test_a_batch_that_nobody_of_has_the_modality_is_masked_and_finite(example):
    tokens = encode(example, present=torch.zeros(3, dtype=torch.bool))
    assert not tokens.mask.any() and torch.isfinite(tokens.values).all()


def test_a_signal_is_never_looked_at_ahead_of_time():
    example = make_example("wavenet")
    later = example.arrays["signal"].clone()
    later[:, 60:] += 5
    first, second = (
        encode(example, {**example.arrays, "signal": signal}).values[0]
        for signal in (example.arrays["signal"], later)
    )
    assert torch.equal(first[1:4], second[1:4]), "tokens of the first 60 samples"
    assert not torch.allclose(first[4], second[4])


def test_a_self_normalising_network_keeps_mean_and_variance():
    from mmdiag.encoders.row_network import RowNetwork

    torch.manual_seed(0)
    network = RowNetwork(400, 8, hidden=300, normalising=True).eval()
    with torch.no_grad():
        hidden = network.layers[:5](torch.randn(500, 400))
    assert abs(float(hidden.mean())) < 0.1 and abs(float(hidden.var()) - 1) < 0.15


def test_a_network_begins_with_weights_from_a_folder_whatever_their_prefix(tmp_path):
    from mmdiag.encoders.backbone import load_pretrained, make_network

    network = make_network("resnet10")
    load_pretrained(
        network,
        write_image_weights(tmp_path / "w", seed=5, prefix="module.backbone.")
        / "model.safetensors",
    )
    again = make_network("resnet10")
    load_pretrained(again, write_image_weights(tmp_path / "v", seed=5) / "model.safetensors")
    assert all(
        torch.equal(one, other)
        for one, other in zip(
            network.state_dict().values(), again.state_dict().values(), strict=True
        )
    )


def test_weights_for_three_colours_answer_to_grey_as_to_equal_colours(tmp_path):
    from safetensors.torch import load_file

    from mmdiag.encoders.backbone import load_pretrained, make_network

    file = write_image_weights(tmp_path / "w", colours=3) / "model.safetensors"
    network = make_network("resnet10")
    load_pretrained(network, file)
    stored, grey = load_file(file)["conv1.weight"], torch.rand(1, 1, 9, 9)
    torch.testing.assert_close(
        torch.nn.functional.conv2d(grey, network.conv1.weight),
        torch.nn.functional.conv2d(grey.expand(1, 3, 9, 9), stored),
        atol=1e-4,
        rtol=1e-4,
    )


def test_weights_of_another_network_or_a_torn_file_are_refused(tmp_path):
    from mmdiag.encoders.backbone import load_pretrained, make_network

    file = write_image_weights(tmp_path / "w") / "model.safetensors"
    with pytest.raises(
        UsageError,
        match=r"of its \d+ tensors are missing in model.safetensors or have another shape",
    ):
        load_pretrained(make_network("resnet18"), file)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UsageError, match=r"whole safetensors file, model\.safetensors is not"):
        load_pretrained(make_network("resnet10"), file)


def test_pretrained_batch_normalisation_stays_as_it_was_and_one_from_scratch_learns():
    from mmdiag.encoders.image_network import SliceNetwork

    for pretrained in (True, False):
        network = SliceNetwork(WIDTH, pretrained=pretrained).train()
        before = network.network.bn1.running_mean.clone()
        network(make_example("resnet10").arrays, torch.tensor([True, False, True]))
        assert torch.equal(network.network.bn1.running_mean, before) == pretrained
        assert network.project.training, "only normalisation is held"


def test_a_frozen_feature_does_not_depend_on_its_batch_mates(tmp_path):
    from mmdiag.encoders.frozen_image import frozen_image_network

    network = frozen_image_network("resnet10", str(write_image_weights(tmp_path / "w")), 0)
    stack = make_stack(np.random.default_rng(0))
    assert np.allclose(network.features(stack)[1:2], network.features(stack[1:2]), atol=1e-5)
    assert network.features(stack).shape == (3, 512)


def test_random_weights_are_asked_for_by_name_and_follow_the_seed(tmp_path):
    from mmdiag.encoders.frozen_image import frozen_image_network

    stack = make_stack(np.random.default_rng(0))
    one, same, other = (frozen_image_network("resnet10", "random", seed) for seed in (1, 1, 2))
    assert one.identity == same.identity != other.identity
    assert not np.allclose(one.features(stack), other.features(stack))
    with pytest.raises(
        UsageError,
        match=r"image encoder must be a known name.*Four things can be named.*pretrained on your "
        r"own cases",
    ):
        frozen_image_network("resnet10", str(tmp_path / "nothing"), 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encoder": "resnet"}, "did you mean 'resnet"),
        ({"encoder": "resnet10"}, "has none: name a folder"),
        ({"encoder": "resnet10", "training": "scratch", "weights": "random"}, "has some"),
        ({"encoder": "texture", "training": "fine_tuned"}, "nothing to train"),
        ({"training": "warm"}, "must be one of the known ones"),
    ],
)
def test_an_image_configuration_that_makes_no_sense_is_refused(options, said):
    from mmdiag.config import ImageConfig

    with pytest.raises((UnknownNameError, UsageError), match=said):
        ImageConfig(**options)


def test_other_encoders_configurations_are_refused_too():
    from mmdiag.config import SignalConfig, TableConfig, TextConfig

    with pytest.raises(UnknownNameError, match="snn"):
        TableConfig(encoder="sn")
    with pytest.raises(UsageError, match="nothing to fine-tune"):
        TextConfig(encoder="tfidf", training="fine_tuned")
    with pytest.raises(UnknownNameError, match="fine_tuned"):
        TextConfig(training="scratch")
    with pytest.raises(
        UsageError, match="layers of a signal's encoder must be from 1 to 16, found 40"
    ):
        SignalConfig(layers=40)


FINDINGS = (
    "Increase in enhancement",
    "No mass effect",
    "Haemorrhage",
    "Progression is likely",
    "A frontal",
)


@pytest.mark.parametrize("choice", ["classical", "networks"])
def test_what_any_encoder_was_given_is_explained(tmp_path, monkeypatch, choice):
    import dataclasses

    from encoder_builders import write_tiny_text_model
    from published_example import KINDS, NAME, publish

    from mmdiag.config import ImageConfig, TableConfig, TextConfig
    from mmdiag.explain.kinds import image as within_image
    from mmdiag.explain.within.case import explain_within
    from mmdiag.inference.bundle import Bundle
    from mmdiag.model.network import DiagnosisModel
    from mmdiag.prepare import extractor, fit_preparation
    from mmdiag.prepare.batches import prepare_samples
    from mmdiag.prepare.feature_cache import raw_features
    from mmdiag.privacy.subject_keys import SubjectKeys
    from mmdiag.recipes import classical
    from mmdiag.storage.store import Store

    config = dataclasses.replace(classical(fusion="concat"), table=TableConfig(encoder="snn"))
    if choice == "networks":
        text = TextConfig(
            encoder=str(write_tiny_text_model(tmp_path / "tiny")), training="fine_tuned"
        )
        image = ImageConfig(encoder="resnet10", weights="random")
        config = dataclasses.replace(
            config, image=image, text=text, table=TableConfig(encoder="mlp")
        )
    store = Store.open(publish(tmp_path / "workspace", cases=12, trained=False).workspace, NAME)
    kinds = {name: kind for name, kind in KINDS.items() if name != "t1gd"}
    raws = {
        name: raw_features(store, name, extractor(kind, config)) for name, kind in kinds.items()
    }
    fitted_on = {name: [raw for raw in raws[name] if raw is not None] for name in kinds}
    fitted_on["report"] = extractor("text", config)(
        [
            f"{finding} of the left lobe. {other} lesion."
            for finding in FINDINGS
            for other in FINDINGS
        ]
    )
    prepared = {
        name: fit_preparation(
            kind, fitted_on[name], config, columns=store.columns(name) if kind == "table" else ()
        )
        for name, kind in kinds.items()
    }
    task = Task(kind="binary", classes=("no", "yes"), label="label")
    torch.manual_seed(0)
    model = DiagnosisModel(config, prepared, task).eval()
    with torch.no_grad():  # gates that begin at zero would hide what is not asked
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    bundle = Bundle(
        config=config,
        model=model,
        preparations=prepared,
        task=task,
        kinds=kinds,
        cohort={"name": "c", "hash": "h"},
        trained_on=SubjectKeys("", frozenset()),
    )
    row = int(np.flatnonzero(np.all([store.present(name) for name in kinds], axis=0))[0])
    for name, fewer in (("GRID", 2), ("COARSE", 2), ("ORDERS", 2), ("OTHER_PATIENTS", 1)):
        monkeypatch.setattr(within_image, name, fewer)
    found = explain_within(bundle, store, row, prepare_samples(prepared, raws, [row])[0])
    assert any(part["value"] for part in found.parts["flair"])
    note = store.text("report", row)
    assert any(part["value"] for part in found.parts["report"])
    assert all(0 <= part["start"] < part["end"] <= len(note) for part in found.parts["report"])
    genes = found.parts["expression"]
    assert len(genes) > 20 and genes[0]["value"] and "expression" not in found.groups


@pytest.mark.parametrize("name", ["flair", "report", "expression"])
def test_a_question_about_one_modality_is_answered_as_if_the_whole_case_was_asked_again(name):
    from model_builders import BINARY, KINDS, make_preparations, make_raws

    from mmdiag.explain.within.probe import Probe
    from mmdiag.inference.bundle import Bundle
    from mmdiag.inference.predict import diagnose
    from mmdiag.model.network import DiagnosisModel
    from mmdiag.prepare.batches import prepare_samples
    from mmdiag.privacy.subject_keys import SubjectKeys
    from mmdiag.recipes import default

    config, (raws, _) = default(fusion="modality_attention").as_one_network(), make_raws(12)
    prepared = make_preparations(raws, config)
    torch.manual_seed(0)
    model = DiagnosisModel(config, prepared, BINARY).eval()
    bundle = Bundle(
        config=config,
        model=model,
        preparations=prepared,
        task=BINARY,
        kinds=KINDS,
        cohort={"name": "c", "hash": "h"},
        trained_on=SubjectKeys("", frozenset()),
    )
    sample, *others = prepare_samples(prepared, raws, range(12))
    variants = [other[name] for other in others]
    answers = Probe(bundle, sample).contribution(name, [*variants, None])
    whole = diagnose(
        bundle,
        [
            *({**sample, name: variant} for variant in variants),
            {key: value for key, value in sample.items() if key != name},
        ],
    )
    assert np.allclose(answers, whole[f"contribution_{name}"].to_numpy(), atol=1e-4)
    assert answers[-1] == 0 and np.ptp(answers) > 1e-3
