"""The gate: the decision is right where the truth is known, and each reason names its section."""

import pytest
from gate_builders import EXPECTED, decided, simulated

from mmdiag.lifecycle.compare import compare
from mmdiag.lifecycle.gate import Facts, decide
from mmdiag.lifecycle.plan import ChangePlan

PLAN = ChangePlan(resamples=500, written=True)
SECTION = {  # scenario -> section and rule of its first reason
    "better": ("impact_assessment", "margin"),
    "equal": ("impact_assessment", "margin"),
    "worse": ("impact_assessment", "margin"),
    "worse for a subgroup": ("impact_assessment", "subgroup_margin"),
    "leak": ("modification_protocol", "no new leakage warning"),
}


@pytest.mark.parametrize("scenario", EXPECTED)
@pytest.mark.parametrize("seed", [0, 1])
def test_simulated_challengers_are_judged_as_the_truth_is(scenario: str, seed: int) -> None:
    found = decided(scenario, seed, PLAN)
    assert found.decision == EXPECTED[scenario], found
    first = found.reasons[0]
    assert (first.section, first.rule) == SECTION[scenario] and first.fact


@pytest.fixture(scope="module")
def better() -> list[dict]:  # type: ignore[type-arg]
    return compare(simulated("better", 0)[0], PLAN)


def test_each_row_compares_both_on_the_same_cases(better: list[dict]) -> None:  # type: ignore[type-arg]
    assert [(row["metric"], row["on"]) for row in better] == [
        ("auroc", "all"),
        ("ece", "all"),
        ("sensitivity", "all"),
        ("auroc", "site=A"),
        ("sensitivity", "site=A"),
        ("auroc", "site=B"),
        ("sensitivity", "site=B"),
    ]
    for row in better:
        assert row["difference"] == pytest.approx(row["challenger"] - row["champion"])
        assert row["low"] <= row["difference"] <= row["high"] and 0 < row["p"] <= 1
    assert better[0]["n"] == 2000 and better[0]["champion"] == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize(
    ("facts", "decision", "rule"),
    [
        (Facts(cases=99, of_a_kind=40), "held", "least_cases"),
        (Facts(cases=200, of_a_kind=19), "held", "least_of_a_kind"),
        (Facts(cases=200, of_a_kind=90, new_leaks=None), "held", "no new leakage warning"),
        (Facts(cases=9, of_a_kind=1, new_leaks=("x",)), "refused", "no new leakage warning"),
        (Facts(cases=9, of_a_kind=1, changed=("modalities",)), "refused", "may_change"),
    ],
)
def test_what_the_plan_asks_for_comes_before_any_figure(
    better: list[dict],  # type: ignore[type-arg]
    facts: Facts,
    decision: str,
    rule: str,
) -> None:
    found = decide(PLAN, better, facts)
    assert (found.decision, found.reasons[0].rule) == (decision, rule)


def test_a_handful_of_cases_refuses_nobody() -> None:
    comparison = compare(simulated("worse", 0)[0], PLAN)
    assert decide(PLAN, comparison, Facts(cases=8, of_a_kind=4)).decision == "held"


def test_a_plan_that_allows_other_modalities_lets_them_change(better: list[dict]) -> None:  # type: ignore[type-arg]
    plan = ChangePlan(may_change=("cases", "modalities"), written=True)
    facts = Facts(cases=2000, of_a_kind=900, changed=("modalities",))
    assert decide(plan, better, facts).decision == "promoted"


def test_a_challenger_that_is_calibrated_worse_is_refused() -> None:
    pair, facts = simulated("better", 0)
    extreme = pair.challenger.copy()
    logit = 4 * (extreme - 0.5) * 6
    spoilt = type(pair)(pair.champion, 1 / (1 + 2.718**-logit), pair.groups)
    found = decide(PLAN, compare(spoilt, PLAN), facts)
    assert found.decision == "refused" and found.reasons[0].rule == "calibration_margin"


def test_small_groups_are_not_judged() -> None:
    pair, _ = simulated("equal", 0, n=60)
    assert {row["on"] for row in compare(pair, PLAN)} == {"all"}


def test_without_a_file_the_reasons_say_that_the_built_in_plan_holds(better: list[dict]) -> None:  # type: ignore[type-arg]
    found = decide(ChangePlan(), better, Facts(cases=2000, of_a_kind=900))
    assert "built-in plan" in found.reasons[-1].fact
