"""Preparation is fitted on training cases alone, survives a damaged value, and comes back from a
bundle as it was.
"""

import numpy as np
import pytest

from mmdiag.prepare.statistics import slice_statistics
from mmdiag.task import Task


def make_config():
    from mmdiag.recipes import default

    return default()


def test_what_was_not_measured_counts_as_the_training_mean():
    from mmdiag.prepare.pca import fit_projection

    rows = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    fitted = fit_projection(rows, 3)
    row = rows[:1].copy()
    row[0, 2] = np.nan
    replaced = row.copy()
    replaced[0, 2] = fitted.center[2]
    assert np.allclose(fitted(row), fitted(replaced))


def test_a_constant_column_contributes_nothing():
    from mmdiag.prepare.pca import fit_projection

    rows = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    rows[:, 1] = 7.0
    fitted = fit_projection(rows, 3)
    changed = rows.copy()
    changed[:, 1] = 1e6
    assert np.allclose(fitted(rows), fitted(changed))


@pytest.mark.parametrize("columns", [10, 200])
def test_components_are_those_of_scikit_learn(columns):
    from sklearn.decomposition import PCA

    from mmdiag.prepare.pca import fit_projection

    rows = np.random.default_rng(0).normal(size=(80, columns)).astype(np.float32) @ np.diag(
        np.linspace(3, 0.1, columns)
    ).astype(np.float32)
    fitted = fit_projection(rows, 4)
    standardised = (rows - rows.mean(0)) / rows.std(0)
    expected = PCA(4, svd_solver="full").fit(standardised)
    ours = fitted.components / np.linalg.norm(fitted.components, axis=0)
    assert np.allclose(np.abs((ours * expected.components_.T).sum(axis=0)), 1, atol=1e-3)


def test_a_small_cohort_gets_few_components():
    from mmdiag.prepare.pca import fit_projection

    assert (
        fit_projection(
            np.random.default_rng(0).normal(size=(20, 50)).astype(np.float32), 32
        ).components.shape[1]
        == 5
    )


def test_gene_sets_become_pathway_tokens_and_modules_are_found_without_them():
    from mmdiag.prepare import fit_preparation
    from mmdiag.prepare.pathways import PATHWAY_SCORES

    rng = np.random.default_rng(0)
    factor = rng.normal(size=(60, 4))
    rows = [
        np.concatenate([factor[i, j] + 0.2 * rng.normal(size=8) for j in range(4)]).astype(
            np.float32
        )
        for i in range(60)
    ]
    columns = [f"G{i}" for i in range(32)]
    named = fit_preparation(
        "table",
        rows,
        make_config(),
        columns=columns,
        gene_sets={"first": list(range(8)), "second": list(range(8, 16)), "tiny": [1, 2]},
    )
    assert set(named.groups) == {"first", "second"}
    detail = np.stack([named.apply(row)["detail"] for row in rows])
    assert detail.shape == (60, 2, PATHWAY_SCORES)
    assert abs(np.corrcoef(detail[:, named.groups.index("first"), 0], factor[:, 0])[0, 1]) > 0.95
    found = fit_preparation("table", rows, make_config(), columns=columns)
    assert len(found.groups) == 8 and all(name.startswith("module") for name in found.groups)


def test_a_preparation_comes_back_as_it_was():
    from model_builders import make_preparations, make_raws

    from mmdiag.prepare import restore_preparation

    raws, _ = make_raws(40)
    for name, prepared in make_preparations(raws, make_config()).items():
        again = restore_preparation(prepared.config(), prepared.state())
        for key, value in prepared.apply(raws[name][0]).items():
            assert np.array_equal(again.apply(raws[name][0])[key], value), (name, key)


def test_negation_is_handed_over_with_its_sign():
    from mmdiag.prepare.kinds.text import embed_sentences

    found = embed_sentences(
        [["No oedema.", "Marked oedema."]],
        lambda sentences: np.ones((len(sentences), 3), np.float32),
    )[0]
    assert found[:, -1].tolist() == [-1.0, 1.0]


NOTES = [
    "No marked oedema. Mass effect is seen.",
    "Clear lobe. Midline shift.",
    "Marked oedema with shift.",
    "No shift. Clear.",
    "Mass in the left lobe.",
]
RANDOM = {"training": "frozen", "weights": "random"}
CASES, TRAIN = 8, 6
VARIANTS = {  # kind, and what the configuration says of it
    "statistics": ("image", {}),
    "texture": ("image", {"encoder": "texture"}),
    "frozen network": ("image", {"encoder": "resnet10", **RANDOM}),
    "frozen volume": ("image", {"encoder": "resnet10_3d", **RANDOM}),
    "network": ("image", {"encoder": "resnet10", "training": "scratch"}),
    "volume": ("image", {"encoder": "resnet10_3d", "training": "scratch"}),
    "tfidf": ("text", {"encoder": "tfidf"}),
    "pathways": ("table", {}),
    "snn": ("table", {"encoder": "snn"}),
    "signal": ("signal", {}),
}


def make_variant(name):
    """A kind, a configuration, and the originals of a few cases."""
    import dataclasses

    kind, options = VARIANTS[name]
    rng = np.random.default_rng(0)
    config = make_config()
    config = dataclasses.replace(
        config, **{kind: dataclasses.replace(getattr(config, kind), **options)}
    )
    make = {
        "image": lambda i: rng.integers(0, 256, (2 + i % 3, 64, 64), dtype=np.uint8),
        "text": lambda i: f"{NOTES[i % 5]} {NOTES[(i * 3 + i // 5) % 5]}",
        "table": lambda i: (rng.normal(size=20) + i % 2).astype(np.float32),
        "signal": lambda i: rng.integers(-9000, 9000, (200 + 10 * i, 2)).astype(np.int16),
    }[kind]
    return kind, config, [make(i) for i in range(CASES)]


def fit_as_a_run(folder, kind, config, originals):
    """The preparation fitted on the first cases, and the raw features of all."""
    import pandas as pd

    from mmdiag.experiment.fit import _prepare
    from mmdiag.experiment.run import RunData
    from mmdiag.prepare import extractor
    from mmdiag.storage.store import Store
    from mmdiag.task import Task

    (folder / "columns_one.json").write_text(str([f"G{i}" for i in range(20)]).replace("'", '"'))
    store = Store(folder, pd.DataFrame(), Task(kind="binary"), {"one": kind}, "hash")
    raws = {"one": extractor(kind, config)(originals)}
    return _prepare(RunData(store, store.cases, raws, {}), config, ["one"], np.arange(TRAIN))[
        "one"
    ], raws["one"]


def equal(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


FEW_SECONDS = sorted(set(VARIANTS) - {"frozen volume"})  # which is prepared like the frozen network


@pytest.mark.parametrize("name", FEW_SECONDS)
def test_nothing_is_fitted_on_a_case_that_is_judged(name, tmp_path):
    kind, config, originals = make_variant(name)
    first, raws = fit_as_a_run(tmp_path, kind, config, originals)
    damaged = [
        "Something else entirely." if kind == "text" else original // 3 + 1
        for original in originals[TRAIN:]
    ]
    second, _ = fit_as_a_run(tmp_path, kind, config, [*originals[:TRAIN], *damaged])
    assert equal(first.state(), second.state()) and first.config() == second.config()
    assert all(equal(first.apply(raws[i]), second.apply(raws[i])) for i in range(CASES))


@pytest.mark.parametrize("name", FEW_SECONDS)
def test_every_preparation_comes_back_from_its_json_and_arrays_and_says_the_shapes_that_it_gives(
    name, tmp_path
):
    import json

    from mmdiag.prepare import restore_preparation

    kind, config, originals = make_variant(name)
    first, raws = fit_as_a_run(tmp_path, kind, config, originals)
    again = restore_preparation(json.loads(json.dumps(first.config())), first.state())
    for raw in raws:
        arrays = first.apply(raw)
        assert equal(arrays, again.apply(raw))
        assert arrays.keys() == again.shapes().keys()
        for key, shape in again.shapes().items():
            assert all(
                size in (-1, found) for size, found in zip(shape, arrays[key].shape, strict=True)
            )


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_every_preparation_has_an_encoder_that_takes_its_arrays(name, tmp_path):
    import torch

    from mmdiag.prepare import make_encoder
    from mmdiag.prepare.batches import batch_of

    kind, config, originals = make_variant(name)
    first, raws = fit_as_a_run(tmp_path, kind, config, originals)
    batch = batch_of(
        {"one": first}, [{"one": first.apply(raws[0])}, {}, {"one": first.apply(raws[2])}]
    )
    with torch.no_grad():
        tokens = make_encoder(first, config).eval()(batch.values["one"], batch.present["one"])
    assert (
        tokens.mask[:, 0].tolist() == [True, False, True]
        and tokens.values.shape[2] == config.model.width
    )


def test_the_co_occurrence_of_haralicks_example_is_his():
    from mmdiag.prepare.texture import co_occurrence

    image = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 2, 2], [2, 2, 3, 3]])
    assert co_occurrence(image, (0, 1), 4).tolist() == [
        [4, 2, 1, 0],
        [2, 4, 0, 0],
        [1, 0, 6, 1],
        [0, 0, 1, 2],
    ]
    assert co_occurrence(image, (1, 0), 4).tolist() == [
        [6, 0, 2, 0],
        [0, 4, 2, 0],
        [2, 2, 2, 2],
        [0, 0, 2, 0],
    ]
    assert co_occurrence(image, (1, -1), 4).tolist() == [
        [4, 1, 0, 0],
        [1, 2, 2, 0],
        [0, 2, 4, 1],
        [0, 0, 1, 0],
    ]


def test_texture_tells_stripes_from_a_checkerboard_and_survives_one_grey():
    from mmdiag.prepare.texture import plane_texture

    stripes = np.tile(np.array([[0, 255]], np.uint8), (32, 16))
    board = np.where(np.add.outer(np.arange(32), np.arange(32)) % 2, 255, 0).astype(np.uint8)
    assert (
        stripes.mean() == board.mean()
        and abs(plane_texture(stripes)[0] - plane_texture(board)[0]) > 1
    )
    assert all(np.isfinite(plane_texture(np.full((6, 6), 90, np.uint8))))


def test_weighted_words_hear_a_negation_and_keep_no_word():
    from mmdiag.prepare.tfidf import counts, fit_terms

    plain, negated = counts(["Marked oedema."]), counts(["No marked oedema."])
    assert plain.multiply(negated).sum() == 0
    terms = fit_terms([[note] for note in NOTES * 3], 4)
    scores = terms(["Marked oedema with shift.", "marked OEDEMA, with shift", "Clear lobe."])
    assert np.allclose(scores[0], scores[1], atol=1e-6) and not np.allclose(
        scores[0], scores[2], atol=1e-3
    )
    assert terms.directions.shape == (4096, 3), "15 notes give at most 3 directions"


def test_a_signal_with_other_channels_than_the_training_ones_is_refused():
    from mmdiag.errors import UsageError
    from mmdiag.prepare.signal import fit_channels

    rng = np.random.default_rng(0)
    fitted = fit_channels(
        [
            (rng.normal(size=(500, 3)) * [10, 200, 0] + [5, -40, 3]).astype(np.int16)
            for _ in range(4)
        ]
    )
    assert np.allclose(fitted.center, [5, -40, 3], atol=15) and np.isinf(fitted.scale[2])
    assert np.abs(fitted(np.full((4, 3), 30_000, np.int16))).max() == fitted.CLIP
    with pytest.raises(UsageError, match="3 channels that the model was fitted on, found 2"):
        fitted(np.zeros((10, 2), np.int16))


def test_a_volume_has_one_size_and_keeps_first_and_last_slice():
    from mmdiag.encoders.backbone import VOLUME
    from mmdiag.prepare.volume import to_volume

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
        trained_on=frozenset(),
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


def test_the_statistics_of_a_slice_are_those_that_numpy_finds():
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    plane = np.clip(np.cumsum(rng.normal(0, 4, (48, 40)), axis=1) + 60, 0, 255).astype(np.uint8)
    grey = plane / 255.0
    inside = grey[grey > 0.04]
    found = slice_statistics(plane[None])[0]
    assert found[:7] == pytest.approx(
        [
            inside.size / grey.size,
            inside.mean(),
            inside.std(),
            *np.percentile(inside, (10, 50, 90, 99)),
        ],
        abs=1e-6,
    )
    for i, sigma in enumerate((1, 2, 4, 8)):
        smooth = gaussian_filter(grey, sigma, mode="nearest")
        down, across = np.gradient(np.pad(smooth, 1, mode="edge"))
        slope = np.hypot(down, across)[1:-1, 1:-1].mean()
        assert found[7 + 4 * i : 11 + 4 * i] == pytest.approx(
            [smooth.max(), smooth.std(), slope, np.percentile(smooth, 98)],
            abs=0.02 if sigma > 2 else 0.003,
        )
    assert len(found) == 7 + 4 * 4


def test_a_slice_without_structure_has_statistics():
    flat = slice_statistics(np.full((1, 32, 32), 51, np.uint8))[0]
    assert flat[:7] == pytest.approx([1, 0.2, 0, 0.2, 0.2, 0.2, 0.2]) and flat[
        7:11
    ] == pytest.approx([0.2, 0, 0, 0.2], abs=1e-3)
    assert np.isfinite(slice_statistics(np.zeros((2, 8, 8), np.uint8))).all(), (
        "a black slice has no inside"
    )
    assert (
        slice_statistics(np.zeros((0, 8, 8), np.uint8)).shape == (0, 23)
        and np.isfinite(slice_statistics(np.ones((3, 1, 1), np.uint8))).all()
    )


def test_the_statistics_of_a_slice_do_not_depend_on_the_others():
    stack = np.random.default_rng(0).integers(0, 255, (70, 64, 48), dtype=np.uint8)
    whole = slice_statistics(stack)
    assert np.array_equal(whole[41:44], slice_statistics(stack[41:44])) and np.array_equal(
        whole[69:], slice_statistics(stack[69:])
    )
