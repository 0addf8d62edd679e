"""Of cases like those of the training at most one in twenty is told apart, where a case that was
left out had a say in how it was prepared: tables with values far from all others, and notes with
words that hardly any other has.
"""

import numpy as np
import pytest
import torch

from mmdiag.ensemble.typicality import calibrate, rescaling, threshold
from mmdiag.model.typicality import Typicality, _new_words, _padded
from mmdiag.prepare.blocks.preparation import BUCKETS, fit_blocks
from mmdiag.prepare.blocks.terms import Note, fit_term_weights
from mmdiag.recipes import default
from mmdiag.samples import collate

CASES, NEW, COLUMNS, WORDS, RARE = 240, 600, 400, 300, 20_000


def far_values(cases, seed):
    """Rows of which a few cases have values far from all others in many columns."""
    rng = np.random.default_rng(seed)
    damage = rng.lognormal(sigma=1.2, size=(cases, 1))
    return list((rng.standard_t(2, size=(cases, COLUMNS)) * damage).astype(np.float32))


def rare_words(cases, seed):
    """Notes of common words, and of a few that hardly any other note has."""
    rng = np.random.default_rng(seed)
    notes = []
    for rare in rng.poisson(6, cases):
        common = [f"common{number}" for number in rng.integers(0, WORDS, 40)]
        own = [f"rare{number}" for number in rng.integers(0, RARE, rare)]
        notes.append(Note.of(np.zeros((1, 385), np.float32), [" ".join(common + own)]))
    return notes


@pytest.mark.parametrize(("kind", "made"), [("table", far_values), ("text", rare_words)])
def test_of_like_cases_at_most_one_in_twenty_is_told_apart(kind, made):
    columns = [f"c{number}" for number in range(COLUMNS)] if kind == "table" else []
    alarms = []
    for seed in (0, 1):
        known = made(CASES, seed)
        preparation = fit_blocks(kind, known, default(), columns=columns)
        typicality, fold = Typicality(preparation), np.arange(CASES) % 5
        folds = [(np.flatnonzero(fold != n), np.flatnonzero(fold == n)) for n in range(5)]
        own = typicality.fit([preparation.apply(raw) for raw in known], folds, np.arange(CASES))
        samples = [{"x": preparation.apply(raw)} for raw in made(NEW, 100 + seed)]
        batch = collate(samples, ("x",), np.zeros((NEW, 1)), {"x": preparation.shapes()})
        found = typicality(batch.values["x"], torch.ones(NEW, dtype=torch.bool))
        alarms.append(np.mean(found < threshold(own[:, None])))
    assert np.mean(alarms) <= 0.05


@pytest.mark.parametrize("width", [1, 3, 7])
def test_a_table_of_few_columns_has_nothing_beside_the_directions_that_span_it(width):
    """What rounding leaves of a residual that is 0 is no sign of an unlike case."""
    alarms, again = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        mixed = rng.normal(size=(width, width)) + np.eye(width)
        known, new = (list((rng.normal(size=(n, width)) @ mixed).astype("f4")) for n in (72, 300))
        preparation = fit_blocks("table", known, default(), columns=[f"c{n}" for n in range(width)])
        typicality, fold = Typicality(preparation), np.arange(72) % 5
        folds = [(np.flatnonzero(fold != n), np.flatnonzero(fold == n)) for n in range(5)]
        own = typicality.fit([preparation.apply(raw) for raw in known], folds, np.arange(72))
        least = threshold(own[:, None])
        for raws, shares in ((new, alarms), (known, again)):
            samples = [{"x": preparation.apply(raw)} for raw in raws]
            targets, shapes = np.zeros((len(raws), 1)), {"x": preparation.shapes()}
            batch = collate(samples, ("x",), targets, shapes)
            found = typicality(batch.values["x"], torch.ones(len(raws), dtype=torch.bool))
            shares.append(np.mean(found < least))
    assert np.mean(alarms) <= 0.05 and np.mean(again) <= 0.03


@pytest.mark.parametrize("texts", [2, 4])
@pytest.mark.parametrize("cases", [30, 120])
def test_a_note_like_those_of_the_training_is_like_them_where_there_are_few_texts(texts, cases):
    """Of reports from a template there are hardly more texts than one can count."""
    told_apart = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        kinds = rng.normal(size=(texts, 385)).astype(np.float32)
        known, new = rng.integers(0, texts, cases), rng.integers(0, texts, 200)
        words = [f"finding{number} of the lesion" for number in range(texts)]
        notes = [Note.of(kinds[n][None], [words[n]]) for n in range(texts)]
        preparation = fit_blocks("text", [notes[n] for n in known], default())
        typicality, fold = Typicality(preparation), np.arange(cases) % 5
        folds = [(np.flatnonzero(fold != n), np.flatnonzero(fold == n)) for n in range(5)]
        arrays = [preparation.apply(notes[n]) for n in known]
        limit = threshold(typicality.fit(arrays, folds, np.arange(cases))[:, None])
        samples = [{"x": preparation.apply(notes[n])} for n in new]
        batch = collate(samples, ("x",), np.zeros((200, 1)), {"x": preparation.shapes()})
        found = typicality(batch.values["x"], torch.ones(200, dtype=torch.bool))
        told_apart.append(np.mean(found < limit))
    assert np.mean(told_apart) <= 0.05


def test_a_value_far_from_all_others_does_not_hide_in_the_scale_that_it_made():
    rows = np.asarray(far_values(60, 3), dtype=float)
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    others = np.arange(1, 60)
    by_others = (rows[0] - rows[others].mean(axis=0)) / rows[others].std(axis=0)
    scale = rescaling(standard, others)
    np.testing.assert_allclose((standard[0] - standard[others].mean(axis=0)) * scale, by_others)
    assert np.abs(by_others).max() > 1.2 * np.abs(standard[0]).max()


def test_a_word_that_no_note_of_another_person_has_is_new_in_training_as_it_is_in_scoring():
    notes = [note.words for note in rare_words(80, 4)]
    units = np.arange(80) // 2  # of each person two
    notes[1] = notes[0]
    everybody = fit_term_weights(notes, BUCKETS["words"], 0)
    found = _new_words(_padded([everybody.weighted(note) for note in notes]), units)[:, 0]
    for unit in range(0, 40, 8):
        own = [note for note, of in zip(notes, units, strict=True) if of == unit]
        others = [note for note, of in zip(notes, units, strict=True) if of != unit]
        weights, seen = fit_term_weights(others, BUCKETS["words"], 0), np.concatenate(others)
        for place, note in enumerate(own):
            weighted = weights.weighted(note)
            new = ~np.isin(weighted[:, 0], seen[:, 0])
            share = float((weighted[new, 1] ** 2).sum())
            assert new.any() and found[2 * unit + place] == pytest.approx(share, rel=1e-4)


def judged_of(cases, modalities, measures, seed):
    """What is fitted on some cases of several modalities, and the share of like ones below it."""
    rng = np.random.default_rng(seed)
    folds = [(np.arange(cases), np.arange(cases))]  # measures of which nothing is fitted
    own, later = [], []
    for _ in range(modalities):
        drawn = rng.gamma(2.0, size=(cases + 400, measures))
        known, new = drawn[:cases], drawn[cases:]
        calibration, p_values = calibrate(lambda _, test, known=known: known[test], cases, folds)
        own.append(p_values)
        later.append(calibration.p_values(new))
    limit = threshold(np.stack(own, axis=1))
    return np.mean(np.stack(later, axis=1).min(axis=1) < limit)


@pytest.mark.parametrize("cases", [25, 40, 120])
def test_of_few_cases_with_many_measures_it_is_no_more(cases):
    assert np.mean([judged_of(cases, 4, 3, seed) for seed in range(60)]) <= 0.06


def test_further_than_all_is_more_unlike_the_further_it_is():
    known = np.random.default_rng(0).gamma(2.0, size=(40, 2))
    folds = [(np.arange(40), np.arange(40))]
    calibration, _ = calibrate(lambda _, test: known[test], 40, folds)
    far = known.max(axis=0) + np.asarray([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [1e9, 0.0]])
    found = calibration.p_values(far)
    assert (np.diff(found) < 0).all() and 0 < found[-1] < 1e-6 and found[0] < 0.1
