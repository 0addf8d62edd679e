"""Outcomes: what counts as predicted before it was known, and what does not."""

import json
from pathlib import Path

import pandas as pd
import pytest
from record_builders import BINARY, COHORT, MODEL, make_workspace, predict, see_labels

from mmdiag.cli import boundary, cli
from mmdiag.errors import UnknownNameError
from mmdiag.evaluation.judged import TOO_FEW
from mmdiag.privacy.subject_keys import SubjectKeys, made_workspace_key
from mmdiag.record.audit import audit_rows, verify
from mmdiag.record.outcomes import known_predictions, outcomes
from mmdiag.storage.ledger import Ledger
from mmdiag.task import Task
from mmdiag.workspace import Workspace

ALL = {f"c{i}": (i + 0.5) / 40 for i in range(40)}  # the higher the number, the more probable
TRUE = {f"c{i}": float(i >= 20) for i in range(40)}
LATER = "2999-01-01T00:00:00.000+00:00"


def first(ledger: Ledger, workspace: Workspace) -> dict:  # type: ignore[type-arg]
    return outcomes(ledger, workspace, COHORT)["models"][0]


def auroc(found: dict) -> dict:  # type: ignore[type-arg]
    return next(row for row in found["metrics"] if row["metric"] == "auroc")


def test_what_was_predicted_before_its_label_came_is_judged_with_an_interval(
    tmp_path: Path,
) -> None:
    workspace, ledger = make_workspace(tmp_path)
    predict(ledger, ALL)
    found = first(ledger, workspace)
    assert (found["scored"], found["known"], found["metrics"]) == (40, 0, [])
    see_labels(ledger, TRUE)
    found = first(ledger, workspace)
    assert (found["bundle_id"], found["state"]) == (MODEL, "champion")
    assert (found["scored"], found["known"]) == (40, 40)
    row = auroc(found)
    assert (row["value"], row["n"], row["n_positive"]) == (1.0, 40, 20)


def test_what_was_predicted_after_its_label_was_seen_does_not_count(tmp_path: Path) -> None:
    workspace, ledger = make_workspace(tmp_path)
    see_labels(ledger, {case: value for case, value in TRUE.items() if case != "c0"})
    predict(ledger, ALL, at=LATER)
    assert (first(ledger, workspace)["scored"], first(ledger, workspace)["known"]) == (40, 0)
    see_labels(ledger, TRUE)
    assert first(ledger, workspace)["known"] == 0  # c0 is predicted in the far future, too


def test_a_prediction_within_the_second_of_its_label_counts_only_where_the_order_is_known(
    tmp_path: Path,
) -> None:
    workspace, ledger = make_workspace(tmp_path)
    see_labels(ledger, {"c0": 1.0, "c1": 0.0})
    seen = _first_seen(ledger)
    predict(ledger, {"c0": 0.5}, at=seen[:19] + "+00:00")
    assert first(ledger, workspace)["known"] == 0
    predict(ledger, {"c1": 0.5}, at=seen[:19] + ".000+00:00")
    assert first(ledger, workspace)["known"] == 1


def _first_seen(ledger: Ledger) -> str:
    from sqlalchemy import select

    from mmdiag.storage.record_tables import LABELS_SEEN

    query = select(LABELS_SEEN.c.first_seen).where(LABELS_SEEN.c.case_id == "c0")
    return str(ledger.rows(query, LABELS_SEEN)[0]["first_seen"])


@pytest.mark.parametrize("role", ["train", "out-of-fold", "test"])
def test_subjects_that_the_model_learned_from_are_left_out(tmp_path: Path, role: str) -> None:
    workspace, ledger = make_workspace(tmp_path)
    predict(ledger, ALL, role=role)
    see_labels(ledger, TRUE)
    assert (first(ledger, workspace)["scored"], first(ledger, workspace)["known"]) == (0, 0)


def test_of_several_predictions_of_a_model_the_first_one_counts(tmp_path: Path) -> None:
    workspace, ledger = make_workspace(tmp_path)
    turned = {case: 1 - value for case, value in ALL.items()}
    predict(ledger, turned, at="2021-01-01T00:00:00.000+00:00", version="v2")
    predict(ledger, ALL, at="2020-01-01T00:00:00.000+00:00", version="v1")
    see_labels(ledger, TRUE)
    assert auroc(first(ledger, workspace))["value"] == 1.0


def test_abstained_cases_count_and_the_answered_ones_stand_beside_them(tmp_path: Path) -> None:
    workspace, ledger = make_workspace(tmp_path)
    turned = {f"c{i}": 1 - ALL[f"c{i}"] for i in (0, 39)}
    predict(ledger, {case: value for case, value in ALL.items() if case not in turned})
    predict(ledger, turned, abstained=True)
    see_labels(ledger, TRUE)
    found = first(ledger, workspace)
    assert (found["known"], found["answered"]["known"]) == (40, 38)
    assert auroc(found)["value"] < 1.0 == auroc(found["answered"])["value"]


def test_a_corrected_label_counts_with_its_newest_value_and_the_audit_keeps_both(
    tmp_path: Path,
) -> None:
    workspace, ledger = make_workspace(tmp_path)
    predict(ledger, ALL)
    see_labels(ledger, TRUE | {"c0": 1.0})
    assert auroc(first(ledger, workspace))["value"] < 1.0
    see_labels(ledger, TRUE)
    see_labels(ledger, TRUE)  # finds nothing new
    assert auroc(first(ledger, workspace))["value"] == 1.0
    told = [json.loads(row["payload"]) for row in audit_rows(ledger) if row["kind"] == "label"]
    assert [(row["case_id"], row["old"], row["new"]) for row in told] == [("c0", "1.0", "0.0")]
    see_labels(ledger, {case: value for case, value in TRUE.items() if case != "c5"})
    assert first(ledger, workspace)["known"] == 39 and verify(ledger)["ok"]


def test_labels_that_an_earlier_version_knew_are_of_unknown_age(tmp_path: Path) -> None:
    workspace, ledger = make_workspace(tmp_path / "w")
    predict(ledger, ALL)
    as_json = {case: json.dumps(value) for case, value in TRUE.items()}
    known = frozenset(list(TRUE)[:30])
    ledger.record_cohort(COHORT, "sha256:1", {}, {}, {"in": 1}, as_json, known)
    assert first(ledger, workspace)["known"] == 10


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "survival"])
def test_every_kind_of_task_has_its_metric(tmp_path: Path, kind: str) -> None:
    names = {"multiclass": {"classes": ("a", "b")}, "multilabel": {"labels": ("a", "b")}}
    task = Task(kind=kind, **names.get(kind, {}))  # type: ignore[arg-type]
    workspace, ledger = make_workspace(tmp_path, task=task)
    numbers = list(ALL.values())
    wide = {"probability_a": [1 - n for n in numbers], "probability_b": numbers}
    predict(ledger, ALL, **(wide if kind != "survival" else {}))
    labels = {
        "multiclass": {case: "b" if value else "a" for case, value in TRUE.items()},
        "multilabel": {case: {"a": 1 - value, "b": value} for case, value in TRUE.items()},
        "survival": {case: [40.0 - i, 1.0] for i, case in enumerate(ALL)},
    }[kind]
    see_labels(ledger, labels)
    found = first(ledger, workspace)
    assert found["known"] == 40
    assert {row["metric"]: row["value"] for row in found["metrics"]}[task.metric] == 1.0


def test_a_class_that_is_spelled_otherwise_since_is_the_same_class(tmp_path: Path) -> None:
    """pandas writes 1.0 while a label is missing, and 1 once all are known."""
    task = Task(kind="multiclass", classes=("0.0", "1.0"))
    workspace, ledger = make_workspace(tmp_path, task=task)
    numbers = list(ALL.values())
    wide = {"probability_0.0": [1 - n for n in numbers], "probability_1.0": numbers}
    predict(ledger, ALL, **wide)  # type: ignore[arg-type]
    half = {case: f"{value:.1f}" for case, value in TRUE.items() if case != "c0"}
    see_labels(ledger, half)
    see_labels(ledger, {case: f"{value:.0f}" for case, value in TRUE.items()})
    assert not [row for row in audit_rows(ledger) if row["kind"] == "label"], "none was corrected"
    found = first(ledger, workspace)
    assert found["known"] == 40 and auroc(found)["value"] == 1.0
    now = Task(kind="multiclass", classes=("0", "1"))  # as the challenger of a refit has them
    table = known_predictions(ledger, workspace, COHORT, MODEL, now)
    assert table.set_index("case_id")["probability_1"].to_dict() == pytest.approx(ALL)


def test_a_model_of_elsewhere_that_scored_the_cohort_stands_behind_its_own(tmp_path: Path) -> None:
    workspace, ledger = make_workspace(tmp_path)
    predict(ledger, ALL, bundle_id="b-elsewhere")
    see_labels(ledger, TRUE)
    rows = outcomes(ledger, workspace, COHORT)["models"]
    assert [(row["bundle_id"], row["state"], row["known"]) for row in rows] == [
        (MODEL, "champion", 0),
        ("b-elsewhere", None, 40),
    ]


def test_the_command_answers_for_a_known_cohort_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, ledger = make_workspace(tmp_path)
    predict(ledger, ALL)
    see_labels(ledger, TRUE)
    folder = str(workspace.path)
    assert boundary.run(cli, ["outcomes", "--cohort", COHORT, "--workspace", folder]) == 0
    assert "40 with an outcome that came later" in capsys.readouterr().out
    with pytest.raises(UnknownNameError, match="'z'"):
        outcomes(ledger, workspace, "z")


def test_a_subject_that_turns_out_to_be_one_of_the_training_does_not_count(tmp_path: Path) -> None:
    """Two numbers of one patient are joined after the prediction; where the model has not learned
    from her, it counts as one more case of hers.
    """
    workspace, ledger = make_workspace(tmp_path)
    folder = workspace.bundles / "b-0123456789ab"
    folder.mkdir(parents=True)
    learned = SubjectKeys.of(["s100"], "salt", made_workspace_key(workspace.path))
    (folder / "config.json").write_text(json.dumps({"trained_on": learned.to_json()}))
    predict(ledger, ALL, bundle_id=folder.name)
    see_labels(ledger, TRUE)
    assert len(known_predictions(ledger, workspace, COHORT, folder.name, BINARY)) == 40
    named = {case: f"s{case[1:]}" for case in ALL} | {"c3": "s100", "c5": "s4"}
    rows = [(case, subject, "v", "accepted", "[]") for case, subject in named.items()]
    columns = ["case_id", "subject_id", "version", "verdict", "modalities"]
    ledger.record_verdicts(COHORT, pd.DataFrame(rows, columns=columns))
    known = known_predictions(ledger, workspace, COHORT, folder.name, BINARY)
    subject = known.set_index("case_id")["subject_id"]
    assert len(known) == 39 and "c3" not in subject.index
    assert subject["c5"] == subject["c4"] == "s4"


def test_metrics_of_few_cases_are_said_to_be_nothing_to_rely_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, ledger = make_workspace(tmp_path)
    predict(ledger, ALL)
    see_labels(ledger, {case: TRUE[case] for case in ("c0", "c39")})
    assert auroc(first(ledger, workspace))["value"] == 1.0
    assert not first(ledger, workspace)["enough"]
    asked = ["outcomes", "--cohort", COHORT, "--workspace", str(tmp_path)]
    assert boundary.run(cli, asked) == 0 and TOO_FEW in capsys.readouterr().out
    see_labels(ledger, TRUE)
    assert first(ledger, workspace)["enough"]
    assert boundary.run(cli, asked) == 0 and TOO_FEW not in capsys.readouterr().out


def test_outcomes_of_a_class_that_the_model_does_not_know_are_counted_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a class is known by another spelling, which may be the most frequent one by now."""
    task = Task(kind="multiclass", label="grade", classes=("a", "b"))
    workspace, ledger = make_workspace(tmp_path, task=task)
    numbers = list(ALL.values())
    wide = {"probability_a": [1 - n for n in numbers], "probability_b": numbers}
    predict(ledger, ALL, **wide)
    labels = {case: "B" if value else "a" for case, value in TRUE.items()}
    see_labels(ledger, labels | {"c0": "c", "c39": "c"})
    found = first(ledger, workspace)
    assert (found["known"], found["other_classes"]) == (38, 2)
    assert {row["metric"]: row["value"] for row in found["metrics"]}["accuracy"] == 1.0
    assert boundary.run(cli, ["outcomes", "--cohort", COHORT, "--workspace", str(tmp_path)]) == 0
    assert "2 more came out as a class" in capsys.readouterr().out.replace("\n", " ")
