"""Preparation is fitted on training cases alone, survives a damaged value, and comes back from a
bundle as it was.
"""

import numpy as np
import pytest
from preparation_builders import CASES, NOTES, TRAIN, VARIANTS, make_config, make_variant


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


def fit_as_a_run(folder, kind, config, originals):
    """The preparation fitted on the first cases, and the raw features of all."""
    import pandas as pd

    from mmdiag.experiment.prepared import prepare_modalities
    from mmdiag.experiment.run import RunData
    from mmdiag.prepare import extractor
    from mmdiag.storage.store import Store
    from mmdiag.task import Task

    (folder / "columns_one.json").write_text(str([f"G{i}" for i in range(20)]).replace("'", '"'))
    store = Store(folder, pd.DataFrame(), Task(kind="binary"), {"one": kind}, "hash")
    raws = {"one": extractor(kind, config)(originals)}
    return prepare_modalities(
        RunData(store, store.cases, raws, {}), config, ["one"], np.arange(TRAIN)
    )["one"], raws["one"]


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
