"""One wording for every view: the verdict follows its interval, and names are those that people
use.
"""

import math
import subprocess
import sys

import pytest

from mmdiag.evaluation.verdict import (
    ROLES,
    answer_of,
    metric_name,
    model_name,
    ordered_metrics,
    scale_of,
    verdict,
)
from mmdiag.task import Task

PROGRESSION = Task(
    kind="binary",
    label="label",
    classes=("not 1", "1"),
    positive="1",
    title="Progression within 24 months",
    class_names={"0": "stable", "1": "progresses"},
)


def row(model, value, low, high, *, metric="auroc", **more):
    facts = {"model": model, "modalities": [model], "metric": metric, "n": 49}
    return {**facts, "value": value, "low": low, "high": high, **more}


def compared(value, low, high, **more):
    difference = row("fused-minus-best", value, low, high, **more) | {"modalities": ["flair"]}
    return [row("fused", 0.8, 0.7, 0.9), row("flair", 0.7, 0.6, 0.8), difference]


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [
        (
            (0.11, 0.02, 0.2),
            "Fusion helps on this cohort: +0.11 AUROC against FLAIR alone (+0.02 to +0.20), "
            "n = 49, p = 0.02.",
        ),
        (
            (0.02, -0.05, 0.09),
            "Fusion is not shown to be better than the best single modality: +0.02 AUROC against "
            "FLAIR alone (-0.05 to +0.09), n = 49, p = 0.02.",
        ),
        (
            (-0.1, -0.2, -0.01),
            "Fusion performs worse than the best single modality on this cohort: -0.10 AUROC "
            "against FLAIR alone (-0.20 to -0.01), n = 49, p = 0.02.",
        ),
    ],
)
def test_the_verdict_follows_the_interval_of_the_difference(bounds, sentence):
    assert verdict(compared(*bounds, p=0.02), title={"flair": "FLAIR"}.get) == sentence


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [
        ((0.1, 0.02, 0.2), "It is above the mean of one linear model a modality: +0.10 AUROC"),
        (
            (0.02, -0.05, 0.09),
            "It is not shown to be above the mean of one linear model a modality, which is "
            "simpler: +0.02 AUROC (-0.05 to +0.09).",
        ),
        (
            (-0.1, -0.2, -0.01),
            "It is below the mean of one linear model a modality, which is simpler: -0.10 AUROC",
        ),
    ],
)
def test_the_verdict_says_how_the_model_stands_beside_the_simplest_rival(bounds, sentence):
    rival = row("fused-minus-late_fusion", *bounds) | {"modalities": []}
    said = verdict([*compared(0.11, 0.02, 0.2), rival], title={"flair": "FLAIR"}.get)
    assert said.startswith("Fusion helps on this cohort") and sentence in said


def test_the_verdict_says_what_may_have_given_the_label_away():
    leaks = [
        {"code": "class_in_note", "modality": "flair", "fact": "edema stands in 7 of 9 notes."},
        {"code": "label_by_absence", "modality": "", "fact": "Cramer's V 0.50."},
        {"code": "template_note", "modality": "flair", "fact": "2 of 9 cases."},
    ]
    said = verdict(compared(0.11, 0.02, 0.2), title={"flair": "FLAIR"}.get, leaks=leaks)
    assert said.startswith("Fusion helps on this cohort") and said.endswith(
        "n = 49. The figures may be too good: FLAIR: edema stands in 7 of 9 notes. Cohort: "
        "which modalities are present goes with the label. Cramer's V 0.50."
    )


@pytest.mark.parametrize("p", [None, math.nan])
def test_a_difference_without_p_has_none_in_its_sentence(p):
    assert "p =" not in verdict(compared(0.1, 0.0, 0.2, p=p))


def test_without_a_paired_comparison_the_intervals_decide_and_a_baseline_is_no_modality():
    fused, flair = row("fused", 0.8, 0.7, 0.9), row("flair", 0.75, 0.6, 0.8)
    baseline = row("baseline:prevalence", 0.9, 0.9, 0.9)
    assert "the intervals overlap" in verdict([fused, flair, baseline])
    assert verdict([row("fused", 0.95, 0.9, 1.0), flair]).startswith("Fusion helps")
    assert verdict([row("fused", 0.5, 0.4, 0.55), flair]).startswith("Fusion performs worse")
    assert "no single modality" in verdict([fused, baseline])
    assert verdict([flair]) == "The run has no fused model."


def test_a_modality_below_chance_is_said_where_chance_is_known():
    rows = [*compared(0.1, 0.02, 0.2), row("t1", 0.43, 0.3, 0.56), row("baseline:x", 0.4, 0.3, 0.5)]
    assert verdict(rows).endswith(" Alone below chance (0.5): t1 0.43 (0.30 to 0.56).")
    assert "chance" not in verdict(compared(0.1, 0.02, 0.2))
    assert "chance" not in verdict(
        [row("fused", 0.2, 0.1, 0.3, metric="brier"), row("t1", 0.3, 0.2, 0.4, metric="brier")]
    )


def test_of_a_metric_where_less_is_better_less_is_better():
    fused = row("fused", 0.1, 0.05, 0.15, metric="brier")
    assert "Fusion helps" in verdict([fused, row("flair", 0.3, 0.25, 0.35, metric="brier")])


@pytest.mark.parametrize(
    ("task", "answer", "said"),
    [
        (PROGRESSION, {"probability": 0.504}, "Progression within 24 months: 50 %"),
        (PROGRESSION, {"probability": 0.9982}, "Progression within 24 months: > 99 %"),
        (PROGRESSION, {"probability": 0.004}, "Progression within 24 months: < 1 %"),
        (PROGRESSION, {"probability": 1.0}, "Progression within 24 months: > 99 %"),
        (
            Task(kind="survival", title="Death"),
            {"probability": 0.42},
            "Death: risk 0.42 (from 0 to 1, higher = earlier)",
        ),
        (
            Task(kind="multiclass", label="label_grade", class_names={"4": "grade IV"}),
            {"predicted": "4", "probability_2": 0.3, "probability_4": 0.7},
            "grade: grade IV 70 %, 2 30 %",
        ),
        (
            PROGRESSION,
            {"probability": 0.9, "abstained": True, "abstained_because": "atypical:flair+note"},
            "No answer: unlike the cases it was trained on: FLAIR, note",
        ),
    ],
)
def test_an_answer_is_in_the_cohorts_own_words(task, answer, said):
    title = {"flair": "FLAIR"}
    assert answer_of(task, answer, lambda name: title.get(name, name)) == said


@pytest.mark.parametrize(
    ("kind", "agreement", "scale"),
    [
        ("survival", 0.8, "log hazard"),
        ("survival", None, "log-odds"),  # of a single network, whose logit is that of its risk
        ("survival", float("nan"), "log-odds"),
        ("binary", 0.8, "log-odds"),
    ],
)
def test_contributions_say_in_what_they_are_given(kind, agreement, scale):
    assert scale_of(Task(kind=kind), {"agreement": agreement}) == scale


def test_metrics_and_models_have_the_names_that_people_use():
    title = {"flair": "FLAIR"}.get
    assert metric_name("auroc_edema") == "AUROC of edema" and metric_name("brier") == "Brier score"
    assert model_name("flair", title=title) == "FLAIR"
    assert model_name("fused", fusion="concat") == "Fused model (concat)"
    assert model_name("baseline:prevalence") == "Prevalence (baseline)"
    assert model_name("baseline:age_band") == "age band alone (baseline)"
    assert ordered_metrics(["zeta", "brier", "auroc"]) == ["auroc", "brier", "zeta"]


def test_every_role_of_a_prediction_has_its_words():
    assert set(ROLES) == {"train", "new", "test", "out-of-fold"}


def test_the_verdict_imports_no_torch():
    code = "import sys, mmdiag.evaluation.verdict; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
