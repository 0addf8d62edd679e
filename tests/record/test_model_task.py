"""What a model answers stays what it was when its cohort's description is edited."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from record_builders import BINARY, COHORT, make_workspace, predict, see_labels

from mmdiag.errors import UsageError
from mmdiag.record.model_task import require_same_question, task_of
from mmdiag.record.outcomes import outcomes
from mmdiag.storage.ledger import Ledger
from mmdiag.task import Task
from mmdiag.workspace import Workspace

IDENTITY = "b-0123456789ab"
SURVIVAL = Task(kind="survival", horizon=12.0, title="Relapse")
ALL = {f"c{i}": (i + 0.5) / 40 for i in range(40)}


def with_model(folder: Path, own: Task, described: Task) -> tuple[Workspace, Ledger]:
    """A cohort that is described in one way, and its champion that was trained under another."""
    workspace, ledger = make_workspace(folder, task=described)
    place = workspace.bundles / IDENTITY
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps({"task": own.facts()}))
    ledger.record_bundle(IDENTITY, f"bundles/{IDENTITY}", "r-2", COHORT, {"fusion": "deep"})
    return workspace, ledger


def test_titles_may_be_edited_and_what_an_answer_means_may_not(tmp_path: Path) -> None:
    now = replace(BINARY, threshold=0.3, title="Progression", class_names={"1": "progressed"})
    workspace, _ = with_model(tmp_path, BINARY, now)
    told = task_of(workspace, IDENTITY, now)
    assert (told.threshold, told.title, told.name_of("1")) == (0.5, "Progression", "progressed")
    assert task_of(workspace, "b-ffffffffffff", now) == now  # which is not at hand


def test_another_horizon_is_told_as_that_of_the_model_and_judged_by_it(tmp_path: Path) -> None:
    now = replace(SURVIVAL, horizon=36.0, title="Relapse within three years")
    workspace, ledger = with_model(tmp_path, SURVIVAL, now)
    assert task_of(workspace, IDENTITY, now) == SURVIVAL
    predict(ledger, ALL, bundle_id=IDENTITY)
    see_labels(ledger, {case: [20.0, 1.0] for case in ALL})  # each after 12, all within 36
    rows = {row["bundle_id"]: row for row in outcomes(ledger, workspace, COHORT)["models"]}
    briers = [row["value"] for row in rows[IDENTITY]["metrics"] if row["metric"] == "brier"]
    assert briers == [pytest.approx(sum(p**2 for p in ALL.values()) / 40)]


def test_a_model_of_the_opposite_answer_is_not_judged_by_what_it_does_not_answer(
    tmp_path: Path,
) -> None:
    other = Task(kind="binary", label="outcome", classes=("not 0", "0"), positive="0")
    workspace, ledger = with_model(tmp_path, BINARY, other)
    predict(ledger, ALL, bundle_id=IDENTITY)
    see_labels(ledger, {case: float(i >= 20) for i, case in enumerate(ALL)})
    rows = {row["bundle_id"]: row for row in outcomes(ledger, workspace, COHORT)["models"]}
    found = rows[IDENTITY]
    assert (found["same_question"], found["known"], found["metrics"]) == (False, 0, [])
    assert task_of(workspace, IDENTITY, other) == BINARY
    with pytest.raises(UsageError, match="asks for something else now than b-0123456789ab"):
        require_same_question(BINARY, other, IDENTITY, COHORT)
    require_same_question(BINARY, replace(BINARY, title="x", threshold=0.1), IDENTITY, COHORT)


def test_a_cohort_that_is_only_scored_and_names_nothing_has_the_words_of_the_model(
    tmp_path: Path,
) -> None:
    own = replace(BINARY, title="Progression", class_names={"1": "progressed"})
    bare = Task(kind="binary")
    workspace, _ = with_model(tmp_path, own, bare)
    assert task_of(workspace, IDENTITY, bare) == own
    titled = task_of(workspace, IDENTITY, replace(bare, title="Growth"))
    assert (titled.title, titled.positive) == ("Growth", own.positive)
