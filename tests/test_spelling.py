"""Values that print alike are one, over the whole space of their spellings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdiag.spelling import as_number, fold, near, same, shape

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
BLANKS = st.text(" \u00a0\u2009\u3000\t", max_size=3)
FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


@given(WORDS)
def test_folding_twice_is_folding_once(word):
    assert fold(fold(word)) == fold(word)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=9), BLANKS, BLANKS)
def test_case_blanks_and_width_make_no_difference(word, before, after):
    assert same(f"{before}{word.upper().translate(FULL_WIDTH)}{after}", word)


@given(st.integers(-9999, 9999), st.integers(0, 4), st.sampled_from(["", "0", "00"]))
def test_a_number_is_one_however_it_is_written(number, zeros, leading):
    sign, digits = ("-" if number < 0 else ""), str(abs(number))
    written = f"{sign}{leading}{digits}.{'0' * zeros}"
    assert same(written, str(number)) and as_number(written) == number


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        ("İyi", "iyi"),
        ("e\u0301tat", "\u00e9tat"),
        ("\u22121", "-1"),
        ("non\u2011small", "non-small"),
        ("pos\u200bitive", "positive"),
        ("grade  II", "grade \u2161"),
        ("1e2", "100"),
        ("-0.0", "0"),
    ],
)
def test_what_prints_alike_is_one(one, other):
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "-1"), ("10\u00b2", "102"), ("1,5", "15"), ("A+", "A-"), ("1", "1 a"), ("0x1", "1")],
)
def test_what_prints_otherwise_is_not(one, other):
    assert not same(one, other)


@pytest.mark.parametrize("other", ["COVID 19", "covid19", "COVID_19", "\u0441OVID-19"])
def test_what_only_resembles_has_one_shape(other):
    assert not same("COVID-19", other) and shape("COVID-19") == shape(other)


@pytest.mark.parametrize("word", ["", "one", "1,5", "0x1F", "1_0", "nan", "inf", "1 2", "+-1"])
def test_a_word_is_no_number(word):
    assert as_number(word) is None


@pytest.mark.parametrize(
    ("name", "found", "nearest"),
    [
        ("patient_id", ["age", "patientid"], "patientid"),
        ("patient_id", ["Patient_ID", "patient id"], "patient id"),
        ("label", ["lable", "labels"], "labels"),
        ("patient_id", ["Maria Zzplanted", "MRN7712345", "1951-02-03"], None),
        ("id", ["12", "7", "M"], None),
        ("sex", ["M", "F", "se"], "se"),
        ("x", [], None),
    ],
)
def test_only_a_name_that_is_nearly_the_one_looked_for_is_printed(name, found, nearest):
    assert near(name, found) == nearest


@given(WORDS, WORDS)
def test_near_names_are_near_from_both_ends(one, other):
    if near(one, [other]) is not None:
        assert abs(len(one) - len(other)) <= 2
    assert near(one, [one]) == one
