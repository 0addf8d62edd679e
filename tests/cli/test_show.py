"""What a person reads of a run in a terminal: intervals, counts, the verdict and the way on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mmdiag.evaluation.verdict import answer_of


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What `mmdiag run` shows for a fused model that differs from the best single modality by
    `value` (`low` to `high`).
    """

    def show(value: float, low: float, high: float) -> str:
        from mmdiag.cli.show import show_run

        split = {"split": "cross-validation", "n": 49}
        metrics = [
            {
                "model": "fused",
                "fusion": "concat",
                "modalities": ["flair", "report"],
                "metric": "auroc",
                "value": 0.81,
                "low": 0.66,
                "high": 0.93,
                **split,
            },
            {
                "model": "flair",
                "fusion": None,
                "modalities": ["flair"],
                "metric": "auroc",
                "value": 0.7,
                "low": 0.5,
                "high": 0.9,
                **split,
            },
            {
                "model": "fused-minus-best",
                "fusion": "concat",
                "modalities": ["flair"],
                "metric": "auroc",
                "value": value,
                "low": low,
                "high": high,
                **split,
            },
        ]
        show_run(
            {
                "seconds": 12.0,
                "workspace": "/w",
                "cohort": {"name": "lgg"},
                "bundle": {"id": "b-1", "path": "/w/bundles/b-1"},
                "predictions": "/w/p.parquet",
                "cases": {"in": 75, "accepted": 74, "quarantined": 1, "labelled": 49, "new": 75},
                "metrics": metrics,
                "modalities": {
                    "flair": {"kind": "image", "present": 74, "absent": 1, "quarantined": 0}
                },
            }
        )
        return capsys.readouterr().out

    return show


def test_a_run_shows_intervals_counts_and_the_way_on(shown: Callable[..., str]) -> None:
    said = shown(0.11, 0.02, 0.2)
    assert "0.81 (0.66 to 0.93)" in said
    assert "75 cases received: 74 accepted, 1 quarantined; 49 labelled" in said
    assert "mmdiag quarantine list" in said
    assert "mmdiag dashboard --workspace /w" in said
    assert "research use only" in said


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.11, 0.02, 0.2), "Fusion helps"),
        ((0.02, -0.05, 0.09), "not shown to be better"),
        ((-0.1, -0.2, -0.01), "Fusion performs worse than the best single modality"),
    ],
)
def test_the_verdict_on_fusion_follows_its_interval(
    interval: tuple[float, float, float], verdict: str, shown: Callable[..., str]
) -> None:
    assert verdict in shown(*interval)


def test_a_terminal_is_safe_from_the_names_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    from mmdiag.cli.show import show_verdict

    show_verdict({"path": "a\x1b]0;title\x07[red]b\n.dcm", "verdict": "accepted", "code": ""})
    assert capsys.readouterr().out.splitlines() == [
        "accepted    -                            a?]0;title?[red]b?.dcm"
    ]


def availability_rows(*patterns: tuple[list[str], float | None, int]) -> list[dict[str, object]]:
    return [
        {
            "availability": "+".join(names),
            "modalities": names,
            "model": "fused",
            "fusion": "concat",
            "split": "test",
            "metric": "auroc",
            "value": value,
            "low": value and value - 0.1,
            "high": value and value + 0.1,
            "n": n,
            "n_positive": n // 2,
        }
        for names, value, n in patterns
    ]


def test_metrics_are_shown_by_the_available_modalities_and_too_few_cases_are_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from mmdiag.cli.show import show_evaluation

    rows = availability_rows((["flair", "report"], 0.8, 41), (["report"], None, 7))
    metrics = [{**rows[0], "n": 48}]
    titles = {"flair": "FLAIR", "report": "Report"}
    show_evaluation({"metrics": metrics, "availability": rows, "run": "/w/runs/r-1"}, titles)
    lines = capsys.readouterr().out.splitlines()
    assert any(
        "FLAIR, Report" in line and "0.80 (0.70 to 0.90)" in line and "41" in line for line in lines
    )
    assert any("Report" in line and "too few" in line and "7" in line for line in lines)
    show_evaluation({"metrics": metrics, "availability": rows[:1], "run": "/w/runs/r-1"})
    assert "available modalities" not in capsys.readouterr().out, (
        "where all cases have the same, there is nothing to compare"
    )


def test_a_label_that_is_unknown_in_some_cases_is_shown_with_its_own_n(capsys):
    from mmdiag.cli.show import show_evaluation

    (row,) = availability_rows((["flair"], 0.8, 41))
    of_label = {**row, "metric": "auroc_edema", "value": 0.7, "low": 0.6, "high": 0.8, "n": 37}
    show_evaluation({"metrics": [row, of_label], "availability": [], "run": "/w/runs/r-1"})
    shown = capsys.readouterr().out
    assert "0.70 (0.60 to 0.80), n = 37" in shown
    assert "0.80 (0.70 to 0.90) │" in shown, "the row's own n has a column"


def test_one_case_is_explained_in_the_cohorts_own_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pandas as pd

    from mmdiag.cli.models.show_case import show_explanation
    from mmdiag.storage.store import Store
    from mmdiag.task import Task

    task = Task(kind="binary", title="Progression within 24 months", positive="1")
    kinds = {"flair": "image", "report": "text"}
    store = Store(tmp_path, pd.DataFrame(), task, kinds, "", {"flair": "FLAIR"})
    answer = {"case_id": "c7", "bundle_id": "b-1", "role": "out-of-fold", "predicted": "1"}
    values = {"contribution_flair": 0.5, "contribution_report": 0.0, "weight_flair": 0.3}
    told = {**answer, **values, "probability": 0.5, "modalities": ["flair"], "workspace": "/w"}
    told |= {"answer": answer_of(task, told), "outcome": task.explained(told)}
    show_explanation(told, store)
    shown = capsys.readouterr().out
    assert "Progression within 24 months: 50 % · cross-validated (out-of-fold) prediction" in shown
    assert "prediction of Progression within 24 months (Shapley, log-odds)" in shown
    lines = shown.splitlines()
    assert any("FLAIR" in line and "+0.50" in line for line in lines)
    assert any("report" in line and "not acquired" in line for line in lines)


def test_an_ingestion_says_how_many_cases_each_class_has_and_what_leaks(capsys):
    from mmdiag.cli.show import show_ingest

    show_ingest(
        {
            "workspace": "/w",
            "cohort": {"name": "lgg"},
            "cases": {"in": 75, "accepted": 74, "quarantined": 0, "labelled": 49, "new": 75},
            "modalities": {},
            "leaks": [{"code": "class_in_note", "modality": "note", "fact": "ill stands in 7."}],
            "classes": [
                {
                    "label": "y",
                    "class": "not 1",
                    "name": "stable",
                    "cases": 28,
                    "values": ["0", "no"],
                },
                {"label": "y", "class": "1", "name": "1", "cases": 21, "values": ["1"]},
            ],
        }
    )
    said = capsys.readouterr().out
    assert "y: 28 stable ('0', 'no'), 21 1, 25 without label." in said
    assert "Leakage may flatter the figures. note: ill stands in 7. See mmdiag contracts." in said


def test_a_case_without_an_answer_is_explained_without_a_percentage_and_says_what_was_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pandas as pd

    from mmdiag.cli.models.show_case import show_explanation
    from mmdiag.storage.store import Store
    from mmdiag.task import Task

    task = Task(kind="binary", title="Progression within 24 months", positive="1")
    kinds = {"flair": "image", "report": "text", "expression": "table"}
    store = Store(tmp_path, pd.DataFrame(), task, kinds, "", {"flair": "FLAIR"})
    line = "3 words add up to +0.20 of the contribution of report, +0.50; not attributed: +0.30."
    answer = {
        "case_id": "c7",
        "bundle_id": "b-1",
        "role": "new",
        "predicted": "1",
        "abstained": True,
        "probability": 0.83,
        "modalities": ["report"],
        "contribution_flair": 0.0,
        "contribution_report": 0.5,
        "contribution_expression": 0.0,
        "workspace": "/w",
        "quarantined": {"flair": {"code": "truncated", "rule": "R.", "detail": "", "cure": "C."}},
        "drawn": {"report": {"sentence": line}},
    }
    answer |= {"answer": answer_of(task, answer), "outcome": task.explained(answer)}
    show_explanation(answer, store)
    shown = capsys.readouterr().out
    assert "No answer: no case with only these modalities was in training" in shown
    assert "%" not in shown and "83" not in shown
    lines = shown.splitlines()
    assert any("FLAIR" in row and "quarantined" in row for row in lines)
    assert any("expression" in row and "not acquired" in row for row in lines)
    assert "FLAIR quarantined (truncated): R. Cure: C." in shown and line in lines


def test_a_table_that_goes_into_a_pipe_is_not_cut(capsys):
    from mmdiag.cli.show import show_quarantine

    cure = " ".join(f"word{number}" for number in range(60))
    row = {"case_id": "c1", "modality": "", "code": "table_value", "last_seen": "x", "cure": cure}
    show_quarantine([row])
    assert cure in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (0, ""),
        (3, "3 cases of subjects that it learned from are left out."),
        (None, "the key of its workspace is missing (MMDIAG_KEY_FILE)"),
    ],
)
def test_a_validation_says_what_it_stands_on_and_whom_it_left_out(capsys, seen, said):
    from mmdiag.cli.show import show_validation

    figure = {"metric": "auroc", "value": 0.71, "low": 0.6, "high": 0.8, "n": 60, "n_positive": 22}
    group = {"model": "fused", "modalities": ["flair"], "split": "validation", **figure}
    show_validation(
        {
            "bundle": {"id": "b-1"},
            "cohort": {"name": "elsewhere"},
            "cases": {"in": 63, "accepted": 63, "quarantined": 0, "labelled": 63, "new": 63},
            "modalities": {},
            "metrics": [group],
            "by_availability": [],
            "by_subgroup": [group | {"column": "sex", "subgroup": "F", "value": 0.65}],
            "calibration": {
                "slope": 0.8,
                "intercept": None,
                "brier": 0.2,
                "brier_prevalence": 0.23,
                "ece": 0.05,
                "ece_low": 0.02,
                "ece_high": 0.09,
            },
            "shift": {},
            "seen": seen,
            "sentence": "It holds on these cases.",
        }
    )
    text = " ".join(capsys.readouterr().out.split())
    assert "0.71" in text and "sex: F" in text and "0.65" in text and "Bundle b-1" in text
    assert "slope 0.80, intercept none" in text and "It holds on these cases." in text
    assert said in text and ("learned from" in text) == (seen == 3)


def test_what_if_another_class_is_answered_both_logits_say_whose_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pandas as pd

    from mmdiag.cli.models.show_case import show_explanation
    from mmdiag.storage.store import Store
    from mmdiag.task import Task

    task = Task(kind="multiclass", label="dx", classes=("glioma", "meningioma"))
    store = Store(tmp_path, pd.DataFrame(), task, {"report": "text"}, "")
    shares = {"probability_glioma": 0.2, "probability_meningioma": 0.8}
    answer = {"case_id": "c7", "bundle_id": "b-1", "role": "new", "predicted": "meningioma"}
    answer |= {**shares, "logit": 1.4, "modalities": ["report"], "workspace": "/w"}
    answer |= {"answer": answer_of(task, answer), "outcome": task.explained(answer)}
    recorded = {"predicted": "glioma", "logit": 0.9, "base": 0.0}
    for outcome, line in (
        ("glioma", "What if: +1.40 for meningioma where +0.90 for glioma is on record"),
        ("meningioma", "What if: +1.40 where +0.90 is on record"),
    ):
        show_explanation({**answer, "recorded": recorded | {"outcome": outcome}}, store)
        assert line in capsys.readouterr().out
    silent = recorded | {"outcome": "glioma", "abstained": True}
    show_explanation({**answer, "recorded": silent}, store)
    line = "What if: +1.40 for meningioma (log-odds) where no answer is on record."
    assert line in capsys.readouterr().out
    show_explanation({**answer, "abstained": True, "recorded": recorded | {"outcome": "a"}}, store)
    shown = capsys.readouterr().out
    assert "What if: the model gives no answer then." in shown and "1.40" not in shown


def test_contributions_to_a_survival_are_in_its_log_hazard_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pandas as pd

    from dashboards.case_view import view_of
    from mmdiag.cli.models.show_case import show_explanation
    from mmdiag.evaluation.verdict import scale_of
    from mmdiag.explain.report.page import _contributions
    from mmdiag.storage.store import Store
    from mmdiag.task import Task

    task = Task(kind="survival", title="Death", horizon=24.0)
    store = Store(tmp_path, pd.DataFrame(), task, {"report": "text"}, "")
    answer = {"case_id": "c7", "bundle_id": "b-1", "role": "new", "predicted": "higher risk"}
    answer |= {"probability": 0.6, "agreement": 0.8, "modalities": ["report"], "workspace": "/w"}
    answer |= {"answer": answer_of(task, answer), "outcome": task.explained(answer)}
    answer |= {"scale": scale_of(task, answer), "logit": 0.4, "base": 0.0}
    show_explanation({**answer, "contribution_report": 0.4}, store)
    shown = capsys.readouterr().out.replace("\n", " ")
    page = _contributions({**answer, "contributions": {"report": 0.4}}, store)
    assert "Death (Shapley, log hazard): + raises" in shown and "log-odds" not in shown
    assert "Log hazard of Death: orange raises" in page
    assert view_of(store, None, answer, {}, None).scale == "log hazard"


def test_similar_cases_are_told_in_the_words_of_the_cohort(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pandas as pd

    from mmdiag.cli.models.show_case import show_explanation
    from mmdiag.storage.store import Store
    from mmdiag.task import Task

    names = {"0": "stable", "1": "progresses"}
    task = Task(kind="binary", classes=("not 1", "1"), positive="1", class_names=names)
    titles = {"report": "Radiology report"}
    store = Store(tmp_path, pd.DataFrame(), task, {"report": "text"}, "", titles)
    answer = {"case_id": "c7", "bundle_id": "b-1", "role": "new", "workspace": "/w"}
    answer |= {"answer": "A: 50 %", "outcome": "A", "modalities": [], "contribution_report": 0.0}
    similar = {"case_id": "c2", "label": "not 1", "similarity": 0.83, "alike_in": "report"}
    similar |= {"later": False}
    show_explanation({**answer, "similar": [similar]}, store)
    shown = capsys.readouterr().out
    assert "Similar: c2 (0.83, most alike in Radiology report, outcome stable)" in shown
    show_explanation({**answer, "changed": {"without": ["report"]}}, store)
    assert "taken away" in capsys.readouterr().out
