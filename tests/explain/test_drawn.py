"""The line under what is drawn of an explanation, and which words have a shade."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards import texts
from mmdiag.explain.drawn import folds, in_negated, influential, placed, shaded_pieces, signed
from mmdiag.explain.kinds.text import WHOLE, _explanation
from mmdiag.explain.parts import of_sentences, unplaced
from mmdiag.explain.within.attribution import Attribution

NOTE = "FINDINGS:\nMarked oedema. No shift.\n----------\nIMPRESSION: Progression is likely."


def test_the_line_says_what_the_parts_add_up_to_and_what_has_no_place():
    parts = [{"value": 0.5}, {"value": -0.1}]
    found = placed("image", parts, 0.65)
    assert found.unplaced == pytest.approx(0.25) == pytest.approx(unplaced(parts, 0.65))
    assert found.sentence("FLAIR") == (
        "2 regions add up to +0.40 of the contribution of FLAIR, +0.65; not attributed to a "
        "place: +0.25."
    )
    assert placed("text", [{"value": 0.3}], 0.3).sentence("Report") == (
        "1 word adds up to +0.30 of the contribution of Report, +0.30."
    )


def test_whole_sentences_are_not_called_words():
    note = "No shift. Marked oedema."
    kept = _explanation(note, [(0, 9, -0.1), (10, 24, 0.4)], Attribution({}), unit=WHOLE).parts
    assert placed("text", kept, 0.3).sentence("Report").startswith("2 sentences add up to +0.30")
    words = _explanation(note, [(0, 2, 0.1), (3, 9, 0.2)], Attribution({})).parts
    assert placed("text", words, 0.3).sentence("Report").startswith("2 words add up to")
    assert "Each sentence" in texts.words("X", sentences=of_sentences(kept))
    assert "Each word" in texts.words("X", sentences=of_sentences(words))


def test_where_there_is_no_part_the_line_says_so():
    assert placed("image", [], 0.9).sentence("FLAIR") == (
        "Nothing inside explains the contribution of FLAIR, +0.90: it is attributed to no regions."
    )


def test_headings_and_separators_have_no_shade():
    first, second = NOTE.index("Marked"), NOTE.index("No shift")
    spans = [(0, 8, 5.0), (first, second - 1, 0.6), (second, len(NOTE), -0.6)]
    pieces = shaded_pieces(NOTE, [{"start": a, "end": b, "value": v} for a, b, v in spans])
    assert [(NOTE[a:b], v) for a, b, v in pieces] == [
        ("Marked oedema.", 0.6),
        ("No shift.", -0.6),
        ("Progression is likely.", -0.6),
    ]


def test_a_word_below_a_tenth_of_the_largest_has_no_shade():
    spans = [(10, 16, 1.0), (17, 23, 0.05)]
    assert len(shaded_pieces(NOTE, [{"start": a, "end": b, "value": v} for a, b, v in spans])) == 1


def test_only_rows_with_an_influence_are_listed_and_so_many():
    rows = [{"name": f"G{i}", "value": value} for i, value in enumerate((0.3, -0.2, 0.1, 1e-7))]
    assert [row["name"] for row in influential(rows, 2)] == ["G0", "G1"]
    assert len(influential(rows, 9)) == 3


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (0.2, "+0.20"), (-0.0004, "-4e-04")])
def test_small_values_are_not_shown_as_nothing(value, text):
    assert signed(value) == text


def test_a_word_of_a_negated_sentence_is_known_as_such():
    note = "There is oedema of the left lobe. There is no leptomeningeal spread."
    pieces = [(note.index(word), note.index(word) + 6, 0.5) for word in ("oedema", "spread")]
    assert in_negated(note, pieces) == [False, True]


SECTIONS = (
    "Dear colleague,\nFINDINGS: Marked oedema.\nNo mass.\n\nIMPRESSION:\nStable.\nPLAN: Control."
)


def test_sections_add_up_and_leave_nothing_out():
    words = [
        {"start": found.start(), "end": found.end(), "value": 0.1 * (place + 1)}
        for place, found in enumerate(re.finditer(r"\w+", SECTIONS))
    ]
    found = folds(SECTIONS, words)
    headings = [SECTIONS[one.start : one.text].strip() for one in found]
    assert headings == ["FINDINGS:", "IMPRESSION:", "PLAN:"]
    assert "".join(SECTIONS[one.start : one.end] for one in found) == SECTIONS[found[0].start :]
    before = sum(word["value"] for word in words if word["start"] < found[0].start)
    whole = sum(word["value"] for word in words)
    assert before + sum(one.value for one in found) == pytest.approx(whole)
    stable = [word for word in words if SECTIONS[word["start"] :].startswith(("IMPR", "Stable"))]
    assert found[1].value == pytest.approx(sum(word["value"] for word in stable))


@given(st.text(alphabet="FINDINGS: PLAN.\nimpression<&\u202e", max_size=80))
def test_sections_of_any_text_follow_one_another(text):
    found = folds(text, [])
    assert len(found) != 1
    for one in found:
        assert one.start < one.text <= one.end
    for one, following in itertools.pairwise(found):
        assert one.end == following.start
    assert not found or found[-1].end == len(text)


CAPITALS = (
    "DIAGNOSIS: SEE BELOW.\nGLIOBLASTOMA MULTIFORME\nGRADE IV OF FOUR\nMICROSCOPIC DESCRIPTION:\n"
    "SECTIONS SHOW A CELLULAR GLIOMA."
)


def test_a_diagnosis_in_capitals_is_no_heading():
    found = folds(CAPITALS, [])
    assert [CAPITALS[one.start : one.text].strip() for one in found] == [
        "DIAGNOSIS:",
        "MICROSCOPIC DESCRIPTION:",
    ]
    assert "GLIOBLASTOMA" in CAPITALS[found[0].text : found[0].end]
