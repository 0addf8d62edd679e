"""Headings, separators and list marks of a note are told from what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdiag.explain.headings import content_pieces, without_content

NOTE = """CLINICAL HISTORY: seizures.
-----------
MRI BRAIN WITH CONTRAST
FINDINGS:
- Increase in enhancement. No mass effect.
Necrosis: absent
1. Marked oedema, see above:
* * * * *
## Course
Progression is likely. ***
Beurteilung
Tumor, WHO III.
Other remarks
=============
None so far"""


def content_of(text: str) -> list[str]:
    pieces = content_pieces(text, 0, len(text), without_content(text))
    return [text[a:b] for a, b in pieces]


def test_only_what_a_note_says_remains():
    assert content_of(NOTE) == [
        "seizures.",
        "Increase in enhancement. No mass effect.\nNecrosis: absent",
        "Marked oedema, see above",
        "Progression is likely",
        "Tumor, WHO III.",
        "None so far",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "FINDINGS:",
        "Impression:",
        "BEFUND",
        "HALLAZGOS:",
        "Clinical course:",
        "# Plan",
        "**Diagnosis**",
        "-----",
        "_____",
        "=====",
        "* * *",
        "~~~~~~~~",
        "| --- | --- |",
        "\u2014\u2014\u2014\u2014",
    ],
)
def test_a_heading_or_a_separator_alone_has_no_content(line):
    assert content_of(line) == []


@pytest.mark.parametrize(
    "line",
    [
        "Glioblastoma, IDH-mutant.",
        "Necrosis: absent",
        "No mass effect",
        "3 cm x 2 cm",
        "The patient was seen by Dr. A: she is well",
    ],
)
def test_what_a_line_says_is_content(line):
    assert content_of(line) == [line]


def test_in_a_note_of_capitals_capitals_mark_no_heading():
    note = "DIAGNOSIS:\nOLIGODENDROGLIOMA WITH NECROSIS\nMARGINS: FREE\nSEE COMMENT ON THE GRADE."
    assert content_of(note) == [note.removeprefix("DIAGNOSIS:\n")]


@given(st.text(alphabet="aB1 .:-_=#*\n", max_size=80), st.data())
def test_pieces_lie_in_order_within_their_span_and_outside_of_headings(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    without = without_content(text)
    assert all(a < b for a, b in without) and without == sorted(without)
    pieces = content_pieces(text, start, end, without)
    assert pieces == sorted(pieces)
    for a, b in pieces:
        assert start <= a < b <= end and any(c.isalnum() for c in text[a:b])
        assert all(b <= first or last <= a for first, last in without)
