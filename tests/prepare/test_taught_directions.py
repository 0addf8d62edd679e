"""Directions that labels taught: what a network is told of a block by a ridge on all of it."""

import numpy as np
import pytest

from mmdiag.ensemble.target import Target
from mmdiag.prepare.blocks.preparation import COLUMNS, SUMMARY, fit_blocks
from mmdiag.prepare.blocks.taught import teach
from mmdiag.prepare.blocks.terms import Note
from mmdiag.recipes import default

CASES, WIDTH, LOUD = 160, 120, 40
FOLD = np.arange(CASES) % 4
FOLDS = [(np.flatnonzero(n != FOLD), np.flatnonzero(n == FOLD)) for n in range(4)]


def make_rows(seed=0):
    """Columns of which most go with a few loud ones: the last is alone, and of no large
    direction.
    """
    rng = np.random.default_rng(seed)
    loud = rng.normal(size=(CASES, LOUD))
    rows = loud @ rng.normal(size=(LOUD, WIDTH)) + 0.1 * rng.normal(size=(CASES, WIDTH))
    rows[:, -1] = rng.normal(size=CASES)
    return rows.astype(np.float32)


def prepare(rows, target):
    preparation = fit_blocks(
        "table", list(rows), default(), columns=[f"c{n}" for n in range(WIDTH)]
    )
    return preparation, *teach(preparation, [preparation.apply(row) for row in rows], target, FOLDS)


def label(values):
    return Target("binary", np.asarray(values, dtype=float)[:, None], 1)


def correlation(scores, values):
    return float(np.corrcoef(scores, values)[0, 1])


def test_what_no_large_direction_holds_is_the_first_of_the_taught():
    rows = make_rows()
    plain, taught, cases = prepare(rows, label(rows[:, -1] > 0))
    along = np.stack([plain.apply(row)[SUMMARY] for row in rows])
    best = max(abs(correlation(column, rows[:, -1])) for column in along.T)
    own = np.stack([case[SUMMARY] for case in cases])[:, 0]
    assert best < 0.5 < 0.6 < correlation(own, rows[:, -1])
    assert taught.width == plain.width + 1
    assert np.stack([case[SUMMARY] for case in cases])[:, 1:] == pytest.approx(along, abs=1e-5)


def test_what_a_training_case_is_told_does_not_hang_on_its_own_label():
    """The ridge on all cases would tell each its own."""
    rows = make_rows()
    true = rows[:, -1] + np.random.default_rng(3).normal(size=CASES) > 0
    other = true ^ (np.arange(CASES) == 1)
    cases, again = (prepare(rows, label(one))[2] for one in (true, other))
    step = np.stack([b[SUMMARY] - a[SUMMARY] for a, b in zip(cases, again, strict=True)])[:, 0]
    assert np.ptp(step[FOLD == 1]) < 1e-3 < 1e-1 < np.ptp(step[FOLD != 1])  # but for one level


def test_a_label_that_is_luck_teaches_seldom():
    """One time in six luck goes further than its standard error."""
    rows, taught = make_rows(), 0
    for seed in range(8):
        luck = np.random.default_rng(seed).random(CASES) > 0.5
        plain, fitted, cases = prepare(rows, label(luck))
        assert np.stack([case[SUMMARY] for case in cases]).shape == (CASES, fitted.width)
        taught += fitted.width > plain.width
    assert taught <= 2


def test_a_new_case_has_the_score_of_the_ridge_on_all():
    rows = make_rows()
    _, taught, _ = prepare(rows, label(rows[:, -1] > 0))
    new = taught.apply(make_rows(seed=1)[0])
    first = taught.dense[COLUMNS].components[:, 0]
    assert new[SUMMARY][0] == pytest.approx(float(new[COLUMNS] @ first), abs=1e-5)
    assert taught.summary is taught.dense[COLUMNS]


@pytest.mark.parametrize(
    "target",
    [
        Target("multiclass", (np.arange(CASES) % 3)[:, None].astype(float), 3),
        Target("survival", np.stack([1.0 + np.arange(CASES), np.arange(CASES) % 2], axis=1), 1),
    ],
    ids=lambda target: target.kind,
)
def test_columns_without_spread_teach_nothing(target):
    rows = np.ones((CASES, WIDTH), np.float32)
    plain, taught, cases = prepare(rows, target)
    assert taught.width == plain.width
    assert np.isfinite([case[SUMMARY] for case in cases]).all()


def test_where_too_few_are_ill_to_tell_luck_a_block_has_the_benefit_of_the_doubt():
    rows = make_rows()
    plain, taught, _ = prepare(rows, label(np.arange(CASES) % 8 == 0))
    assert taught.width == plain.width + 1


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "survival"])
def test_every_answer_of_a_task_has_a_direction(kind):
    rows = make_rows()
    last = rows[:, -1].astype(float)
    values = {
        "multiclass": np.digitize(last, [-0.5, 0.5])[:, None].astype(float),
        "multilabel": np.stack([last > 0, last < 0.5], axis=1).astype(float),
        "survival": np.stack([np.exp(-last), np.ones(CASES)], axis=1),
    }[kind]
    target = Target(kind, values, {"multiclass": 3, "multilabel": 2, "survival": 1}[kind])
    plain, taught, cases = prepare(rows, target)
    assert taught.width == plain.width + target.answers
    first = {"multiclass": -last, "multilabel": last, "survival": last}[kind]
    assert correlation([case[SUMMARY][0] for case in cases], first) > 0.5


@pytest.mark.parametrize(
    ("ill", "least"),
    [(np.random.default_rng(1).random(CASES) > 0.5, 0.6), (FOLD % 2 > 0, 0.5)],
    ids=["mixed", "each fold has one class"],
)
def test_words_of_a_note_are_taught_and_characters_without_directions_are_not(ill, least):
    """A fold of ill cases alone is answered by a ridge that has met fewer of them."""
    rng = np.random.default_rng(0)
    filler = [f"word{number}" for number in range(400)]
    notes = []
    for there in ill:
        words = [*rng.choice(filler, 15), "oedema" if there else "clear"]
        notes.append(Note.of(np.zeros((1, 385), np.float32), [" ".join(words)]))
    preparation = fit_blocks("text", notes, default())
    cases = [preparation.apply(note) for note in notes]
    taught, told = teach(preparation, cases, label(ill), FOLDS)
    assert taught.terms_of["characters"].directions.shape[1] == 0
    width = preparation.terms_of["words"].directions.shape[1]
    assert taught.terms_of["words"].directions.shape[1] == width + 1
    place = sum(block.components.shape[1] for block in taught.dense.values())
    assert correlation([case[SUMMARY][place] for case in told], ill) > least
