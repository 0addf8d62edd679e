"""Shapley values of modalities: exact, complete, and zero for what is absent."""

from itertools import permutations

import numpy as np
import pytest

from mmdiag.inference.coalitions.shapley import shapley


def shares(function, present):
    return shapley(
        lambda rows, coalition: np.asarray(
            [function(row, c) for row, c in zip(rows, coalition, strict=True)]
        ),
        np.asarray(present),
    )


def game(function, present):
    found = shares(function, present)
    return found.contributions, found.base


def test_an_additive_game_gives_every_modality_its_own():
    worth = np.asarray([1.5, -0.5, 0.25])
    found, base = game(lambda _, c: 2 + float(c @ worth), [[True, True, True], [True, False, True]])
    assert np.allclose(found, [[1.5, -0.5, 0.25], [1.5, 0, 0.25]]) and base.tolist() == [2, 2]


def test_an_absent_modality_contributes_exactly_nothing():
    found, _ = game(lambda _, c: float(c.sum() ** 2), [[True, False, False]])
    assert found[0, 1] == 0.0 and found[0, 2] == 0.0 and found[0, 0] == 1.0


def test_a_product_is_shared_equally_and_a_bystander_gets_nothing():
    found, _ = game(lambda _, c: 4.0 * c[0] * c[1], [[True, True, True]])
    assert np.allclose(found, [[2, 2, 0]])


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_any_game_equals_the_mean_over_all_orders_and_adds_up(number):
    rng = np.random.default_rng(number)
    values = {bits: rng.normal() for bits in range(2**number)}

    def value(_, c):
        return values[int((c * 2 ** np.arange(number)).sum())]

    found, base = game(value, [[True] * number])
    expected = np.zeros(number)
    for order in permutations(range(number)):
        known = np.zeros(number, dtype=bool)
        for member in order:
            before = value(0, known)
            known[member] = True
            expected[member] += value(0, known) - before
    expected /= len(list(permutations(range(number))))
    assert np.allclose(found[0], expected)
    assert found.sum() == pytest.approx(value(0, np.ones(number, dtype=bool)) - base[0])


def test_a_case_without_any_modality_is_the_base():
    found, base = game(lambda _, c: 7.0 + c.sum(), [[False, False]])
    assert found.tolist() == [[0, 0]] and base.tolist() == [7]


def test_cases_are_asked_once_for_each_coalition_of_what_they_have():
    asked = []

    def value(rows, coalition):
        asked.append(len(rows))
        return np.zeros(len(rows))

    shapley(value, np.asarray([[True, True, True], [True, False, False]]))
    assert asked == [8 + 2]


def test_cases_of_different_patterns_keep_their_own_answers():
    present = np.asarray(
        [[True, False, True], [True, True, True], [True, False, True], [False, False, False]]
    )
    found, base = game(
        lambda row, c: (row + 1) * float(c @ np.asarray([1.0, 10.0, 100.0])) + row, present
    )
    assert np.allclose(
        found, present * np.asarray([1.0, 10, 100]) * np.arange(1, 5)[:, None]
    ) and base.tolist() == [0, 1, 2, 3]


def test_eight_modalities_are_still_exact():
    worth = np.arange(1.0, 9)
    found, base = game(lambda _, c: float(c @ worth) + 6 * c[0] * c[3] * c[7], [[True] * 8])
    assert np.allclose(
        found[0], worth + 2 * np.isin(np.arange(8), [0, 3, 7])
    ) and base.tolist() == [0]


def test_of_an_xor_nothing_is_said_alone_and_of_a_sum_nothing_together():
    xor = shares(lambda _, c: float(c[0] & c[1]), [[True, True, False]]).interactions[0]
    assert xor.tolist() == [[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]]
    added = shares(lambda _, c: float(c @ [1.0, 2.0, 4.0]), [[True, True, True]]).interactions[0]
    assert np.allclose(added, np.diag([1, 2, 4]))


@pytest.mark.parametrize("number", [2, 3, 5])
def test_interactions_are_those_of_another_implementation(number):
    import shapiq

    rng = np.random.default_rng(number)
    values = rng.normal(size=2**number)
    places = 2 ** np.arange(number)

    def worth(coalitions):
        return values[np.asarray(coalitions, dtype=int) @ places]

    found = shares(lambda _, c: float(worth([c])[0]), [[True] * number])
    oracle = shapiq.ExactComputer(n_players=number, game=worth)
    pairs = oracle("SII", order=2)
    alone = oracle("SV", order=1)
    for i in range(number):
        assert found.contributions[0, i] == pytest.approx(alone[(i,)])
        assert found.interactions[0, i].sum() == pytest.approx(alone[(i,)])
        for j in range(i + 1, number):
            assert 2 * found.interactions[0, i, j] == pytest.approx(pairs[(i, j)])
