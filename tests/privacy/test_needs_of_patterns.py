"""What an expression is said to need is in every text in which it is found."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmdiag.privacy.identifier_pattern import Searched, needs_of
from mmdiag.privacy.patterns import EUROPEAN, GERMAN, PATTERNS, SPANISH
from mmdiag.privacy.patterns_german import GERMAN_SIGNS
from mmdiag.privacy.patterns_spanish import SPANISH_SIGNS

EXPRESSIONS = [
    *(one.expression for one in (*PATTERNS, *EUROPEAN, *GERMAN, *SPANISH)),
    GERMAN_SIGNS,
    SPANISH_SIGNS,
]
SURROUNDED = st.sampled_from(("", " ", ". ", "\n", ", ", "x", "7", "-"))


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_what_is_found_has_what_is_needed(expression):
    needs = needs_of(expression)

    @settings(
        max_examples=8, database=None, deadline=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.from_regex(expression, alphabet=st.characters(codec="ascii")), SURROUNDED, SURROUNDED)
    def holds(core, before, behind):
        for text in (core, f"{before}{core}{behind}"):
            if expression.search(text):
                assert Searched(text).may_have(needs), (text, needs)

    holds()


@pytest.mark.parametrize(
    ("expression", "there", "lacking"),
    [
        (r"\b[\w.]+@\w+\b", "a.b@c", "a.b at c"),
        (r"\b(?:tele)?fax\b\s*\d{4}", "Fax 1234", "faxes 1234"),
        (r"\b(?:tele)?fax\b\s*\d{4}", "telefax 1234", "telefax 123"),
        (r"(?:\d{2}[./]){2}(?:19|20)\d{2}", "01.02.2024", "01.02.24"),
        (r"\b(?:Dr|Prof)\.[ \t]Med\b", "Prof. Med", "Prof Medical"),
        (r"[A-Z]\w+(?=[ \t]?(?:MRN|#)[ ]\d{3})", "Doe MRN 123", "Doe MR 123"),
        (r"\b(?:d\.o\.b\.?|born on)\s+\d+", "D.O.B. 1", "d o 1"),
    ],
)
def test_a_text_without_it_need_not_be_searched(expression, there, lacking):
    needs = needs_of(re.compile(expression, re.IGNORECASE))
    assert Searched(there).may_have(needs)
    assert not Searched(lacking).may_have(needs)


def test_beyond_ascii_every_text_is_searched():
    assert Searched("\u0130d 12").may_have(needs_of(re.compile(r"\bfax\b \d{4}")))


@pytest.mark.parametrize(
    "expression",
    [r"\d*fax?", r"(?:fax)?", r"(?!fax)\w+", r"[^a]\d?", r"(?:fax|\w+)", r"(a)?(?(1)b|c)", r"\s"],
)
def test_what_may_be_absent_is_not_needed(expression):
    assert needs_of(re.compile(expression)).digits == 0
    for text in ("fa", "b", "c", "some words"):
        if re.search(expression, text):
            assert Searched(text).may_have(needs_of(re.compile(expression)))
