"""How what a sentence adds is shared by its words."""

import numpy as np
import pytest

from mmdiag.explain.kinds.text import _of_words
from mmdiag.prepare.blocks.terms import occurrences

NOTE = "No left oedema. Marked shift."
SPANS = [(0, 15), (16, 29)]


def shared(plain, signs, terms):
    found = _of_words(NOTE, SPANS, np.asarray(plain), np.asarray(signs), terms)
    return {NOTE[a:b]: value for a, b, value in found}


def test_what_the_sign_of_negation_adds_is_of_the_word_that_negates():
    found = shared([0.3, 0.2], [0.6, -0.1], {})
    assert found == pytest.approx(
        {"No": 0.7, "left": 0.1, "oedema.": 0.1, "Marked": 0.05, "shift.": 0.05}
    )


def test_a_term_of_a_negated_sentence_is_shared_with_the_word_that_negates():
    bucket = occurrences("No left oedema.", pieces=False)[2].bucket  # not oedema
    every = {one.bucket: 0.0 for one in occurrences(NOTE[:15], pieces=False)}
    every |= {one.bucket: 0.0 for one in occurrences(NOTE[16:], pieces=False)}
    found = shared([0.0, 0.0], [0.0, 0.0], {"words": every | {bucket: 0.4}})
    assert found == pytest.approx(
        {"No": 0.2, "left": 0.0, "oedema.": 0.2, "Marked": 0.0, "shift.": 0.0}
    )
