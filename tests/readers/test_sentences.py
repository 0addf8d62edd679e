"""Sentences by offsets, and negation by rule."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdiag.readers.text.sentences import is_negated, negating_words, split_sentences


def pieces(text):
    return [text[a:b] for a, b in split_sentences(text)]


def test_headings_and_sentences_of_a_report_are_apart():
    note = "HISTORY:\nSeizure.\n\nFINDINGS:\nMarked oedema. No mass effect.\n\nIMPRESSION:\nGlioma."
    assert pieces(note) == [
        "HISTORY:",
        "Seizure.",
        "FINDINGS:",
        "Marked oedema.",
        "No mass effect.",
        "IMPRESSION:",
        "Glioma.",
    ]


def test_abbreviations_and_decimals_end_no_sentence():
    assert pieces("Seen by Dr. Miller today. The lesion is 3.5 cm. in size.") == [
        "Seen by Dr. Miller today.",
        "The lesion is 3.5 cm. in size.",
    ]


def test_a_unit_or_an_answer_before_the_full_stop_ends_a_sentence():
    """Or else "No oedema." would turn the measured lesion before it into an absent one."""
    assert pieces("The lesion measures 3 cm. No oedema. Large.") == [
        "The lesion measures 3 cm.",
        "No oedema.",
        "Large.",
    ]
    assert pieces("measures 12 mm. no oedema.") == ["measures 12 mm.", "no oedema."]
    assert pieces("Haemorrhage: no. Infarct is present.") == [
        "Haemorrhage: no.",
        "Infarct is present.",
    ]
    assert pieces("See series no. 3 of today.") == ["See series no. 3 of today."]


def test_items_of_a_list_and_labelled_lines_are_apart():
    assert pieces("FINDINGS:\n- No haemorrhage\n- Large mass") == [
        "FINDINGS:",
        "- No haemorrhage",
        "- Large mass",
    ]
    assert pieces("1. No acute infarct\n2. Glioma") == ["1. No acute infarct", "2. Glioma"]
    assert pieces("Necrosis: absent\nMitoses: present") == ["Necrosis: absent", "Mitoses: present"]


def test_a_line_that_was_only_wrapped_is_not_cut():
    assert pieces("The patient was seen\nin clinic and was well.") == [
        "The patient was seen\nin clinic and was well."
    ]


def test_a_text_without_full_stops_is_cut():
    assert [len(piece.split()) for piece in pieces("word " * 150)] == [60, 60, 30]


@given(st.text(max_size=300))
def test_sentences_never_overlap_and_hold_every_word(text):
    spans = split_sentences(text)
    assert all(0 <= a < b <= len(text) for a, b in spans)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    inside = set().union(*(range(a, b) for a, b in spans)) if spans else set()
    assert all(i in inside for i, c in enumerate(text) if c.isalnum())


@pytest.mark.parametrize(
    "sentence",
    [
        "No oedema.",
        "Without mass effect",
        "There is no evidence of spread.",
        "Negative for haemorrhage.",
        "Oedema is not seen.",
        "Denies headache.",
    ],
)
def test_what_is_not_there_is_negated(sentence):
    assert is_negated(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Marked oedema.",
        "Oedema, not only frontal.",
        "Normal ventricles.",
        "Nodular enhancement is seen.",
    ],
)
def test_what_is_there_is_not(sentence):
    assert not is_negated(sentence)


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("No oedema.", [0]),
        ("There is no evidence of spread.", [2]),
        ("Negative for haemorrhage.", [0, 1]),
        ("Oedema is  not seen, nor shift.", [2, 4]),
        ("No change, and no oedema.", [3]),
        ("Marked oedema.", []),
    ],
)
def test_the_words_that_negate_are_known_by_their_numbers(sentence, words):
    assert negating_words(sentence) == words
