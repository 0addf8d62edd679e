"""change_plan.yaml: written once, read strictly."""

from pathlib import Path

import pytest

from mmdiag.errors import UsageError
from mmdiag.lifecycle.plan import FILE, ChangePlan, read_plan, write_plan


def test_the_plan_that_is_written_says_what_is_built_in(tmp_path: Path) -> None:
    cohort = tmp_path / "cohort.toml"
    assert read_plan(cohort) == ChangePlan()
    assert write_plan(cohort) == tmp_path / FILE
    assert read_plan(cohort) == ChangePlan(written=True)
    with pytest.raises(UsageError, match="written once"):
        write_plan(cohort)


def test_a_plan_may_name_some_rules_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(
        "description_of_modifications: {may_change: [cases, modalities]}\n"
        "modification_protocol: {reviews_are_labels: true}\n"
        "impact_assessment: {margin: 0.05}\n"
    )
    plan = read_plan(tmp_path / "cohort.toml")
    assert (plan.margin, plan.may_change) == (0.05, ("cases", "modalities"))
    assert plan.reviews_are_labels and not ChangePlan().reviews_are_labels
    assert plan.least_cases == ChangePlan().least_cases


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("impact_assesment: {}", "did you mean 'impact_assessment'"),
        ("impact_assessment: {margins: 1}", "did you mean 'margin'"),
        ("impact_assessment: {least_cases: 5}", "A rule of impact_assessment"),
        ("impact_assessment: {margin: much}", "margin of a plan is a number"),
        ("impact_assessment: {margin: -1}", "at least 0"),
        ("modification_protocol: {least_cases: 0}", "at least 1"),
        ("modification_protocol: {least_cases: true}", "is a whole number"),
        ("modification_protocol: {reviews_are_labels: 1}", "is true or false"),
        ("description_of_modifications: {may_change: recipe}", "lets change"),
        ("- a list", "holds the sections"),
        ("impact_assessment: [1]", "holds the sections"),
        ("a: b: c", "must be YAML"),
    ],
)
def test_what_a_plan_cannot_say_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UsageError, match=message):
        read_plan(tmp_path / "cohort.toml")
