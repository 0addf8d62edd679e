"""A case of a category that no training case had is unlike the training; one of a rare category, or
without any, is not.
"""

import numpy as np
import pytest
import torch

from mmdiag.ensemble.typicality import Calibration, calibrate, threshold
from mmdiag.model.typicality import Typicality
from mmdiag.prepare.blocks.preparation import fit_blocks
from mmdiag.readers.tables.categories import NEW, NOT_MEASURED, category_numbers
from mmdiag.recipes import default
from mmdiag.samples import collate

STAGES = ("I", "II", "III", "IV")  # of which no training case has the last
COLUMNS = ("age", "size", *(f"stage={stage}" for stage in STAGES))
GROUPS = {"stage": COLUMNS[2:]}


def make_rows(cases, seed):
    """Cases of which one in thirty has stage III, and one in ten lacks its stage."""
    rng = np.random.default_rng(seed)
    stage = rng.choice(3, cases, p=[0.5, 0.467, 0.033])
    rows = np.concatenate([rng.normal(size=(cases, 2)), np.eye(4)[stage]], axis=1)
    rows[rng.random(cases) < 0.1, 2:] = np.nan
    return rows.astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    """What is fitted on 150 cases, and the p-value below which a case is unlike them."""
    rows = list(make_rows(150, 0))
    preparation = fit_blocks("table", rows, default(), columns=COLUMNS, categories=GROUPS)
    typicality, fold = Typicality(preparation), np.arange(150) % 5
    folds = [(np.flatnonzero(fold != n), np.flatnonzero(fold == n)) for n in range(5)]
    own = typicality.fit([preparation.apply(row) for row in rows], folds, np.arange(150))
    return preparation, typicality, threshold(own[:, None])


def p_values(fitted, rows):
    preparation, typicality, _ = fitted
    samples = [{"labs": preparation.apply(row)} for row in rows]
    shapes = {"labs": preparation.shapes()}
    batch = collate(samples, ("labs",), np.zeros((len(rows), 1)), shapes)
    return typicality(batch.values["labs"], torch.ones(len(rows), dtype=torch.bool))


def with_stage(rows, column, value=1.0):
    changed = rows.copy()
    changed[:, 2:] = 0.0
    changed[:, 2 + column] = value
    return changed


def test_a_new_category_is_unlike_the_training_and_a_rare_one_is_not(fitted):
    rows, limit = make_rows(60, 1), fitted[2]
    like = with_stage(rows, 0)
    sound = p_values(fitted, like) >= limit
    assert sound.mean() > 0.9
    assert (p_values(fitted, with_stage(rows, 3)) < limit).all()
    assert (p_values(fitted, with_stage(rows, 2))[sound] >= limit).mean() > 0.75
    # under the bundle's columns by name a new category has none of its columns
    assert (p_values(fitted, with_stage(rows, 0, 0.0)) < limit).all()


def test_of_like_cases_at_most_one_in_twenty_is_told_apart(fitted):
    alarms = [np.mean(p_values(fitted, make_rows(400, seed)) < fitted[2]) for seed in range(2, 6)]
    assert np.mean(alarms) <= 0.05


def test_a_cell_that_is_missing_is_no_new_category():
    seen = {"stage": COLUMNS[2:4]}
    rows = np.zeros((4, 6), np.float32)
    rows[0, 3], rows[1, 5], rows[2, 2:] = 1, 1, np.nan
    found = [category_numbers(row, COLUMNS, seen)[0] for row in rows]
    assert found == [1, NEW, NOT_MEASURED, NEW]


def test_what_many_training_cases_share_is_no_more_unlike_when_it_is_scored():
    """As a bundle keeps them quantiles have 32 bits, the measures of a case 64."""
    values = np.where(np.arange(100) % 4 == 0, 0.98223801, 0.1)[:, None]
    folds = [(np.arange(100)[fold::5], np.arange(100)[fold::5]) for fold in range(5)]
    calibration, own = calibrate(lambda _, test: values[test], 100, folds)
    kept = Calibration(calibration.quantiles.astype(np.float32).astype(float), 100)
    assert kept.p_values(values) == pytest.approx(own, abs=1e-3)
    assert own.min() > 0.2
