"""Reviews: who says what of an answer; nothing is overwritten, and nothing said of what is not
there.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from record_builders import BINARY, make_workspace, predict
from table_builders import rows, write_cohort

from mmdiag.cli import boundary, cli
from mmdiag.errors import UsageError
from mmdiag.record.audit import audit_rows, verify
from mmdiag.record.models import promote
from mmdiag.record.readings import record_reading
from mmdiag.record.reviews import (
    labels_by_review,
    labels_of,
    list_reviews,
    record_review,
    record_view,
)
from mmdiag.roles import LOGIN_HOURS, require_role, role_of, system_user
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.store import Store
from mmdiag.task import Task
from mmdiag.workspace import Workspace

Place = tuple[Workspace, Ledger]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    workspace, ledger = make_workspace(tmp_path)
    predict(ledger, {"c0": 0.9, "c1": 0.1})
    return workspace, ledger


def say(place: Place, case: str, verdict: str, reason: str = "seen", **more: str) -> dict:  # type: ignore[type-arg]
    return record_review(place[1], place[0], case, verdict, reason, by="reader", **more)


def test_a_second_review_stands_beside_the_first_and_each_is_in_the_audit(place: Place) -> None:
    say(place, "c0", "override", label="1")
    say(place, "c0", "agree", "on second thoughts")
    found = list_reviews(place[1])
    assert [(row["verdict"], row["label"]) for row in found] == [("override", "1"), ("agree", "")]
    assert {row["bundle_id"] for row in found} == {"b-1"} and found[0]["by"] == "reader"
    told = [json.loads(r["payload"]) for r in audit_rows(place[1]) if r["kind"] == "review"]
    assert [row["case_id"] for row in told] == ["c0", "c0"] and verify(place[1])["ok"]


def test_the_same_said_twice_in_a_row_is_said_once(place: Place) -> None:
    first = say(place, "c0", "agree")
    assert say(place, "c0", "agree") == first
    say(place, "c0", "flag")
    say(place, "c0", "agree")  # is said again, and not in a row
    assert [row["verdict"] for row in list_reviews(place[1])] == ["agree", "flag", "agree"]


def test_a_review_answers_the_champion_where_it_has_scored_the_case(place: Place) -> None:
    ledger = place[1]
    ledger.record_bundle("b-2", "bundles/b-2", "r-2", "k", {})
    later = "2021-01-01T00:00:00.000+00:00"
    predict(ledger, {"c0": 0.5}, bundle_id="b-2", at=later)
    assert say(place, "c0", "agree")["bundle_id"] == "b-1"
    promote(ledger, "b-2", "better")
    assert say(place, "c0", "agree")["bundle_id"] == "b-2"
    assert say(place, "c1", "agree")["bundle_id"] == "b-1"


@pytest.mark.parametrize(
    ("case", "verdict", "more", "message"),
    [
        ("c99", "agree", {}, "'c99' is not known"),
        ("c5", "agree", {}, "c5 has not been"),
        ("c0", "agree", {"cohort": "z"}, "'z' is no cohort"),
        ("c0", "maybe", {}, "verdict"),
        ("c0", "override", {}, "name it by --label"),
        ("c0", "override", {"label": "7"}, "one of not 1, 1"),
        ("c0", "agree", {"label": "1"}, "leave --label out"),
        ("c0", "agree", {"reason": " "}, "has a reason"),
        ("c0", "agree", {"reason": "a\x1b[31m"}, "control characters"),
        ("c0", "agree", {"reason": "a" * 2001}, "at most 2000"),
        ("c0", "agree", {"role": "reader"}, "reviewer or more"),
    ],
)
def test_what_cannot_be_said_is_refused_and_nothing_is_written(
    place: Place, case: str, verdict: str, more: dict[str, str], message: str
) -> None:
    rows = len(audit_rows(place[1]))
    with pytest.raises(UsageError, match=message):
        say(place, case, verdict, **{"reason": "seen", **more})
    assert list_reviews(place[1]) == [] and len(audit_rows(place[1])) == rows


def test_a_key_of_two_cohorts_is_asked_for_by_cohort(place: Place, tmp_path: Path) -> None:
    make_workspace(tmp_path, cohort="other")
    predict(place[1], {"c0": 0.2}, cohort="other", bundle_id="b-9")
    with pytest.raises(UsageError, match="k and other both have the key c0"):
        say(place, "c0", "agree")
    assert say(place, "c0", "agree", cohort="other")["bundle_id"] == "b-9"


def test_labels_are_those_of_the_task_in_any_of_its_names() -> None:
    names = {"0": "stable", "1": "progresses"}
    binary = Task(kind="binary", classes=("not 1", "1"), class_names=names, positive="1")
    assert labels_of(binary) == ["0", "1", "not 1"]
    assert labels_of(Task(kind="multiclass", classes=("a", "b"))) == ["a", "b"]
    assert labels_of(Task(kind="multilabel", labels=("x", "y"))) == ["x", "y"]
    assert labels_of(Task(kind="survival")) == ["event", "no event"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("mass", "mass"),
        ("mass,oedema", "oedema, mass"),
        ("none of the labels", "none of the labels"),
        ("oedema, masses", None),
        (",", None),
    ],
)
def test_of_several_labels_any_number_may_be_there(given: str, kept: str | None) -> None:
    """An answer of several labels is as often wrong by one too few or too many."""
    from mmdiag.record.reviews import _label

    task = Task(kind="multilabel", labels=("oedema", "mass"))
    if kept is not None:
        assert _label(task, "override", given) == kept
        return
    with pytest.raises(UsageError, match="with commas between, or none of the labels"):
        _label(task, "override", given)
    with pytest.raises(UsageError, match=r"it is one of a, b\.$"):
        _label(Task(kind="multiclass", classes=("a", "b")), "override", "a, b")


def test_a_view_is_a_row_of_the_audit(place: Place) -> None:
    record_view(place[1], "k", "c0", "reader", role="reader")
    last = audit_rows(place[1])[-1]
    assert (last["kind"], last["by"]) == ("view", "reader") and '"c0"' in last["payload"]


def test_roles_stand_in_users_toml_and_without_it_everybody_is_an_operator(tmp_path: Path) -> None:
    assert role_of(tmp_path, "anna") == "operator"
    (tmp_path / "users.toml").write_text('[users.anna]\nrole = "reviewer"\n[users.bo]\nrole = "x"')
    assert role_of(tmp_path, "anna") == "reviewer"
    for name in ("bo", "nobody"):
        with pytest.raises(UsageError, match="has none"):
            role_of(tmp_path, name)
    for written in ('[users]\nanna = "reviewer"', 'users = "anna"', 'anna = "reviewer"'):
        (tmp_path / "users.toml").write_text(written)
        with pytest.raises(UsageError, match="has none"):
            role_of(tmp_path, "anna")


def test_a_login_that_is_too_old_looks_and_writes_nothing(place: Place) -> None:
    old = datetime.now(UTC) - timedelta(hours=LOGIN_HOURS, minutes=1)
    for since in (old, datetime.now(UTC) + timedelta(hours=1)):
        with pytest.raises(UsageError, match="within 12 hours"):
            record_review(place[1], place[0], "c0", "agree", "seen", by="anna", since=since)
        with pytest.raises(UsageError, match="within 12 hours"):
            record_reading(place[1], "k", "c0", ("b", "v"), "even", "anna", since=since)
        require_role("reader", "view", since)
    assert not list_reviews(place[1]) and not [
        row for row in audit_rows(place[1]) if row["kind"] in ("review", "reading")
    ]
    fresh = datetime.now(UTC) - timedelta(hours=LOGIN_HOURS - 1)
    record_review(place[1], place[0], "c0", "agree", "seen", by="anna", since=fresh)


def test_the_commands_look_at_the_role_of_the_user_of_the_system(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = place[0].path
    (folder / "users.toml").write_text(f'[users.{json.dumps(system_user())}]\nrole = "reader"\n')
    rows = len(audit_rows(place[1]))
    for asked in (
        ["review", "c0", "--verdict", "agree", "--reason", "seen"],
        ["models", "promote", "b-1", "--reason", "tried"],
        ["models", "retire", "b-1", "--reason", "tried"],
        ["models", "rollback", "--cohort", "k", "--reason", "tried"],
        ["audit", "erase", "s0"],
    ):
        assert boundary.run(cli, [*asked, "--workspace", str(folder)]) == 2
        assert "this role is reader" in capsys.readouterr().err
    assert len(audit_rows(place[1])) == rows


def test_a_reader_changes_nothing_whatever_is_asked(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Each command that writes, at the command line and as a flow."""
    workspace, ledger = place
    ledger.record_quarantine(
        "k",
        pd.DataFrame(
            {"case_id": ["c1"], "modality": ["scan"], "code": ["burned_in"], "file_sha256": [""]}
        ).assign(rule="", detail="", cure=""),
    )
    cohort = write_cohort(tmp_path / "cohort", rows({"a": list("123456789012")}))
    bundle = workspace.bundles / "b-000000000000"
    bundle.mkdir(parents=True)
    users = workspace.path / "users.toml"
    users.write_text(f'[users.{json.dumps(system_user())}]\nrole = "reader"\n')
    before = written(workspace.path)
    described = ["--cohort", str(cohort)]
    for asked in (
        ["ingest", *described],
        ["train", *described],
        ["run", *described],
        ["search", *described, "--trials", "2"],
        ["refit", *described],
        ["quarantine", "accept", "c1", "--reason", "seen"],
        ["quarantine", "retry", "--all"],
        ["bundle", "sign", bundle.name, "--key", str(users)],
        ["up", *described],
        ["up", *described, "--install"],
        ["down"],
    ):
        assert boundary.run(cli, [*asked, "--workspace", str(workspace.path)]) == 2, asked
        assert "this role is reader" in capsys.readouterr().err, asked
        assert written(workspace.path) == before, asked


def written(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.suffix != ".db-shm")
    return {str(file): file.read_bytes() for file in files}


def test_the_commands_say_and_list_reviews_without_running_what_they_hold(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(place[0].path)
    said = ["review", "c1", "--verdict", "flag", "--reason", "[red]<script>'; DROP TABLE reviews--"]
    assert boundary.run(cli, [*said, "--by", "reader", "--workspace", folder]) == 0
    assert boundary.run(cli, ["reviews", "--workspace", folder]) == 0
    assert "[red]<script>'; DROP TABLE reviews--" in capsys.readouterr().out
    assert boundary.run(cli, ["review", "c9", *said[2:], "--workspace", folder]) == 2
    assert "c9 has not been" in capsys.readouterr().err


def store_of(task: Task, labels: dict[str, float | None], version: str = "v") -> Any:
    cases = pd.DataFrame({"case_id": list(labels), "version": version})
    cases["label"] = pd.Series(list(labels.values()), dtype=float)
    return SimpleNamespace(task=task, cases=cases, folder=Path("k"))


def test_the_newest_review_of_a_case_without_a_recorded_label_names_its_class(
    tmp_path: Path,
) -> None:
    workspace, ledger = make_workspace(tmp_path)
    said = {"c0": 0.9, "c1": 0.1, "c2": 0.9, "c3": 0.9, "c4": 0.9, "c5": 0.9}
    predict(ledger, said)
    place = (workspace, ledger)
    say(place, "c0", "agree")
    say(place, "c1", "agree")
    say(place, "c2", "override", label="not 1")
    say(place, "c3", "override", label="not 1")
    say(place, "c3", "flag")  # the newest counts, and says nothing
    say(place, "c4", "override", label="not 1")  # is recorded
    labels = {case: 1.0 if case == "c4" else None for case in said}
    task = Store.described_task(workspace.cohort("k"))
    assert labels_by_review(ledger, store_of(task, labels)) == {"c0": 1, "c1": 0, "c2": 0}
    changed = store_of(task, labels, version="w")
    assert labels_by_review(ledger, changed) == {}, "its files are others now"


def test_agreement_with_no_answer_is_no_label_and_of_several_classes_it_is_the_likeliest(
    tmp_path: Path,
) -> None:
    task = Task(kind="multiclass", label="kind", classes=("a", "b", "c"))
    workspace, ledger = make_workspace(tmp_path, task=task)
    answers = {"probability_a": 0.2, "probability_b": 0.1, "probability_c": 0.7}
    predict(ledger, {"c0": 0.0}, **answers, predicted="c")
    predict(ledger, {"c1": 0.0}, **answers, predicted="c", abstained=True)
    for case in ("c0", "c1"):
        say((workspace, ledger), case, "agree")
    say((workspace, ledger), "c0", "agree")
    store = store_of(task, {"c0": None, "c1": None})
    assert labels_by_review(ledger, store) == {"c0": 2}
    survival = store_of(Task(kind="survival"), {"c0": None})
    with pytest.raises(UsageError, match="set reviews_are_labels: false"):
        labels_by_review(ledger, survival)


def test_an_answer_for_a_cohort_that_is_only_scored_is_overridden_by_a_class_of_the_model(
    tmp_path: Path,
) -> None:
    workspace, ledger = make_workspace(tmp_path, task=Task(kind="binary"))
    model = "b-0123456789ab"
    (workspace.bundles / model).mkdir(parents=True)
    (workspace.bundles / model / "config.json").write_text(json.dumps({"task": BINARY.facts()}))
    predict(ledger, {"c0": 0.9}, bundle_id=model)
    told = record_review(ledger, workspace, "c0", "override", "seen", label=BINARY.positive)
    assert (told["label"], told["bundle_id"]) == (BINARY.positive, model)
    with pytest.raises(UsageError, match=f"one of .*{BINARY.positive}"):
        record_review(ledger, workspace, "c0", "override", "seen", label="none of them")
