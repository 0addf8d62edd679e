"""What is drawn of an explanation is summed, and held against the contribution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdiag.explain.drawn import (
    COLUMNS,
    GENES,
    GROUPS,
    PATHWAYS,
    REGIONS,
    WINDOWS,
    Drawn,
    content_spans,
    of_image,
    of_note,
    of_rows,
    of_table,
    shaded_pieces,
    signed,
)

FINITE = st.floats(-9, 9, allow_nan=False)


@pytest.mark.parametrize(
    ("total", "contribution", "words"),
    [
        (0.12, 0.9, "add up to +0.12, 13 % of the contribution of FLAIR (+0.90); the sign agrees"),
        (-0.45, -0.9, "add up to -0.45, 50 % of the contribution of FLAIR (-0.90); the sign"),
        (-0.1, 0.9, "contribution of FLAIR is +0.90: the sign does not agree, and the regions do"),
        (0.1, -0.9, "contribution of FLAIR is -0.90: the sign does not agree"),
        (1.8, 0.9, "200 % of"),
        (9.5, 0.9, "more than ten times the contribution of FLAIR"),
        (0.001, 0.9, "+1e-03, less than 1 % of"),
        (0.0, 0.9, "there is no sign to compare"),
        (0.4, 0.0, "is 0: there is no sign to compare"),
    ],
)
def test_the_line_under_a_picture_says_how_much_and_whether_the_sign_agrees(
    total, contribution, words
):
    assert words in Drawn(REGIONS, 3, total, contribution).sentence("FLAIR")


def test_where_nothing_is_drawn_the_line_says_so():
    assert Drawn(REGIONS, 0, 0.0, 0.9).sentence("FLAIR") == (
        "No regions are drawn: nothing here explains the contribution of FLAIR, +0.90."
    )


@given(FINITE, FINITE)
def test_sign_and_share_follow_the_sum_and_no_percentage_stands_where_none_may(total, contribution):
    drawn = Drawn(REGIONS, 3, total, contribution)
    facts, line = drawn.facts(), drawn.sentence("FLAIR", percent=False)
    assert "%" not in line
    if facts["same_sign"] is not None:
        assert facts["same_sign"] == (np.sign(total) == np.sign(contribution))
        assert ("does not agree" in line) == (not facts["same_sign"])
        assert (facts["share"] > 0) == facts["same_sign"] or abs(facts["share"]) < 1e-4
    assert signed(total) in line


def test_a_region_outside_of_the_body_is_neither_drawn_nor_counted():
    stack = np.zeros((2, 64, 64), np.uint8)
    stack[:, 8:40, 8:40] = 130
    heat = np.zeros((2, 8, 8), np.float16)
    heat[0, 2, 2], heat[1, 7, 7] = 0.5, -4.0
    drawn = of_image(heat, stack, 1.0)
    assert (drawn.parts, drawn.total, drawn.same_sign) == (1, 0.5, True)


NOTE = "FINDINGS:\nMarked oedema. No shift.\n----------\nIMPRESSION: Progression is likely."


def test_headings_and_separators_have_no_shade_and_do_not_count():
    first, second = NOTE.index("Marked"), NOTE.index("No shift")
    spans = [[0, 8, 5.0], [first, second - 1, 0.4], [second, len(NOTE), -0.2]]
    pieces = shaded_pieces(NOTE, spans)
    assert [NOTE[a:b] for a, b, _ in pieces] == [
        "Marked oedema.",
        "No shift.",
        "Progression is likely.",
    ]
    assert [weight for _, _, weight in pieces] == [0.4, -0.2, -0.2]
    drawn = of_note(NOTE, spans, 0.3)
    assert (drawn.parts, drawn.total) == (2, pytest.approx(0.2)), "a span counts once"
    assert next(NOTE[a:b] for a, b, _ in content_spans(NOTE, spans)) == "Marked oedema."


def test_a_word_too_weak_for_a_shade_does_not_count():
    spans = [[10, 16, 1.0], [17, 23, 0.05]]
    assert len(shaded_pieces(NOTE, spans)) == 1
    assert of_note(NOTE, spans, 1.0).total == 1.0


def rows(number: int, weight: float, key: str = "weight") -> list[dict[str, object]]:
    return [{"name": f"G{i}", key: weight} for i in range(number)]


def test_only_the_rows_that_have_a_bar_count():
    values = {"genes": rows(20, 0.01), "groups": rows(20, -0.02)}
    pathways, genes = of_table(values, 0.5)
    assert (pathways.what, pathways.parts, pathways.total) == (
        PATHWAYS,
        GROUPS,
        pytest.approx(-0.02 * GROUPS),
    )
    assert (genes.what, genes.parts, genes.total) == (GENES, COLUMNS, pytest.approx(0.1))
    assert "counted in each" in pathways.sentence("Expression")
    assert [part.what for part in of_table({"genes": rows(3, 1.0), "groups": []}, 1.0)] == [
        "columns"
    ]


def test_every_window_counts():
    assert of_rows(rows(20, 0.05, "value"), WINDOWS, 1.0).total == pytest.approx(1.0)
