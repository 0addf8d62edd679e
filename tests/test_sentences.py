"""Sentences by offsets, and negation by rule."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdiag.sentences import is_negated, split_sentences


def pieces(text):
    return [text[a:b] for a, b in split_sentences(text)]


def test_headings_and_sentences_of_a_report_are_apart():
    note = "HISTORY:\nSeizure.\n\nFINDINGS:\nMarked oedema. No mass effect.\n\nIMPRESSION:\nGlioma."
    assert pieces(note) == ["HISTORY:", "Seizure.", "FINDINGS:", "Marked oedema.", "No mass effect.", "IMPRESSION:", "Glioma."]


def test_abbreviations_and_decimals_end_no_sentence():
    assert pieces("Seen by Dr. Miller today. The lesion is 3.5 cm. in size.") == [
        "Seen by Dr. Miller today.",
        "The lesion is 3.5 cm. in size.",
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


@pytest.mark.parametrize("sentence", ["Marked oedema.", "Oedema, not only frontal.", "Normal ventricles.", "Nodular enhancement is seen."])
def test_what_is_there_is_not(sentence):
    assert not is_negated(sentence)
