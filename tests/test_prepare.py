"""Preparation is fitted on training cases alone, survives a damaged value, and comes back from a bundle as it was."""

import numpy as np
import pytest


def make_config():
    from mmdiag.recipes import default

    return default()


def test_what_was_not_measured_counts_as_the_training_mean():
    from mmdiag.prepare.projection import fit_projection

    rows = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    fitted = fit_projection(rows, 3)
    row = rows[:1].copy()
    row[0, 2] = np.nan
    replaced = row.copy()
    replaced[0, 2] = fitted.center[2]
    assert np.allclose(fitted(row), fitted(replaced))


def test_a_constant_column_contributes_nothing():
    from mmdiag.prepare.projection import fit_projection

    rows = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    rows[:, 1] = 7.0
    fitted = fit_projection(rows, 3)
    changed = rows.copy()
    changed[:, 1] = 1e6
    assert np.allclose(fitted(rows), fitted(changed))


@pytest.mark.parametrize("columns", [10, 200])
def test_components_are_those_of_scikit_learn(columns):
    from sklearn.decomposition import PCA

    from mmdiag.prepare.projection import fit_projection

    rows = np.random.default_rng(0).normal(size=(80, columns)).astype(np.float32) @ np.diag(np.linspace(3, 0.1, columns)).astype(np.float32)
    fitted = fit_projection(rows, 4)
    standardised = (rows - rows.mean(0)) / rows.std(0)
    expected = PCA(4, svd_solver="full").fit(standardised)
    ours = fitted.components / np.linalg.norm(fitted.components, axis=0)
    assert np.allclose(np.abs((ours * expected.components_.T).sum(axis=0)), 1, atol=1e-3)


def test_a_small_cohort_gets_few_components():
    from mmdiag.prepare.projection import fit_projection

    assert fit_projection(np.random.default_rng(0).normal(size=(20, 50)).astype(np.float32), 32).components.shape[1] == 5


def test_gene_sets_become_pathway_tokens_and_modules_are_found_without_them():
    from mmdiag.prepare import fit_preparation
    from mmdiag.prepare.pathways import PATHWAY_SCORES

    rng = np.random.default_rng(0)
    factor = rng.normal(size=(60, 4))
    rows = [np.concatenate([factor[i, j] + 0.2 * rng.normal(size=8) for j in range(4)]).astype(np.float32) for i in range(60)]
    columns = [f"G{i}" for i in range(32)]
    named = fit_preparation(
        "table", rows, make_config(), columns=columns, gene_sets={"first": list(range(8)), "second": list(range(8, 16)), "tiny": [1, 2]}
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
    from mmdiag.prepare.extract import embed_sentences

    found = embed_sentences([["No oedema.", "Marked oedema."]], lambda sentences: np.ones((len(sentences), 3), np.float32))[0]
    assert found[:, -1].tolist() == [-1.0, 1.0]
