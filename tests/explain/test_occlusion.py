"""Occlusion finds the patch and the word that an answer hangs on, with its sign."""

import numpy as np
import pytest

from mmdiag.explain.occlusion import heat_map, word_weights
from mmdiag.readers.text.sentences import split_sentences


def make_stack(*, row=20, column=44):
    stack = np.full((4, 64, 64), 60, dtype=np.uint8)
    stack[2, row - 4 : row + 4, column - 4 : column + 4] = 220
    return stack


OTHERS = [np.full((3, 64, 64), grey, dtype=np.uint8) for grey in (50, 70)]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_patch_that_the_answer_hangs_on_is_found_with_its_sign(sign):
    heat = heat_map(
        make_stack(),
        lambda stacks: sign * stacks[:, 2, 16:24, 40:48].mean(axis=(1, 2)) / 100,
        OTHERS,
    )
    assert np.unravel_index(np.abs(heat).argmax(), heat.shape) == (2, 2, 5)
    assert np.sign(heat[2, 2, 5]) == sign and np.abs(np.delete(heat, 2, axis=0)).max() == 0


def test_an_answer_that_ignores_the_image_has_an_empty_map():
    assert not heat_map(make_stack(), lambda stacks: np.zeros(len(stacks)), OTHERS).any()


def test_only_as_many_slices_are_asked_as_were_said():
    asked = []

    def logit(stacks):
        asked.append(len(stacks))
        return stacks.mean(axis=(1, 2, 3))

    heat_map(
        np.random.default_rng(0).integers(100, 200, (4, 64, 64), dtype=np.uint8),
        logit,
        OTHERS,
        grid=4,
        slices=2,
    )
    assert sum(asked) == 1 + 2 * 4 + 2 * 2 * 16
    asked.clear()
    heat_map(
        make_stack(),
        lambda stacks: logit(stacks) + stacks[:, 2].max(axis=(1, 2)),
        OTHERS,
        grid=4,
        slices=2,
    )
    assert sum(asked) == 1 + 2 * 4 + 2 * 16, "a slice that hardly matters is not looked into"


def test_what_equals_other_patients_speaks_for_nothing():
    stack = np.full((4, 64, 64), 60, dtype=np.uint8)
    assert not heat_map(stack, lambda stacks: stacks.mean(axis=(1, 2, 3)), [stack[:2]]).any()


def test_without_another_patient_there_is_no_map():
    assert not heat_map(make_stack(), lambda stacks: stacks.mean(axis=(1, 2, 3)), []).any()


NOTE = "History of seizures. There is marked oedema. No midline shift. The orbits are clear."


def count(word, weight):
    return lambda notes: np.asarray(
        [weight * sum(sentence.lower().split().count(word) for sentence in note) for note in notes],
        dtype=float,
    )


def test_the_word_that_the_answer_hangs_on_is_found_at_its_place():
    spans = word_weights(
        NOTE,
        split_sentences(NOTE),
        lambda notes: count("oedema.", 2.0)(notes) + count("oedema", 2.0)(notes),
    )
    heaviest = max(spans, key=lambda span: abs(span[2]))
    assert NOTE[heaviest[0] : heaviest[1]] == "oedema" and heaviest[2] == pytest.approx(2.0)


def test_a_word_against_the_answer_is_negative_and_bystanders_are_nothing():
    spans = word_weights(NOTE, split_sentences(NOTE), count("midline", -1.0))
    weights = {NOTE[a:b]: w for a, b, w in spans}
    assert weights["midline"] == pytest.approx(-1.0)
    assert all(w == 0 for text, w in weights.items() if text != "midline")


def test_spans_never_overlap_and_lie_within_the_note():
    spans = word_weights(
        NOTE,
        split_sentences(NOTE),
        lambda notes: np.asarray([float(len(" ".join(note))) for note in notes]),
    )
    assert all(0 <= a < b <= len(NOTE) for a, b, _ in spans)
    assert all(
        first[1] <= second[0]
        for first, second in zip(sorted(spans), sorted(spans)[1:], strict=False)
    )


def test_words_that_stand_in_for_each_other_are_shown_as_their_sentence():
    note = "There is oedema or swelling. The orbits are clear."

    def either(notes):
        return np.asarray(
            [
                3.0 * any("oedema" in part or "swelling" in part for part in variant)
                for variant in notes
            ]
        )

    assert (0, 28, pytest.approx(3.0)) in word_weights(note, split_sentences(note), either)


def test_a_note_without_sentences_has_no_weights():
    assert word_weights("...", [], lambda notes: np.zeros(len(notes))) == []


def test_a_patch_in_colour_is_replaced_in_all_of_its_channels():
    stack = np.repeat(make_stack()[..., None], 3, axis=3)
    stack[..., 2] //= 2
    others = [np.repeat(other[..., None], 3, axis=3) for other in OTHERS]

    def logit(stacks):
        assert stacks.shape[1:] == (4, 64, 64, 3)
        return stacks[:, 2, 16:24, 40:48, 2].mean(axis=(1, 2)) / 100

    heat = heat_map(stack, logit, others)
    assert np.unravel_index(np.abs(heat).argmax(), heat.shape) == (2, 2, 5) and heat[2, 2, 5] > 0
