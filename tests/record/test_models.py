"""Models in use: one champion a cohort, never by itself but the first; and workspaces of earlier
versions.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mmdiag.cli import boundary, cli
from mmdiag.errors import UsageError
from mmdiag.record.audit import audit_rows, verify
from mmdiag.record.models import (
    champion_folder,
    champion_of,
    list_models,
    promote,
    refuse,
    retire,
    rollback,
)
from mmdiag.storage.backup import ENDING
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")


def save(ledger: Ledger, *bundles: str, cohort: str = "k") -> None:
    for bundle in bundles:
        ledger.record_bundle(bundle, f"bundles/{bundle}", f"r-{bundle}", cohort, {"fusion": "deep"})


def states(ledger: Ledger) -> dict[str, str]:
    return {row["bundle_id"]: row["state"] for row in list_models(ledger)}


def test_the_first_model_of_a_cohort_is_its_champion_and_the_record_says_why(
    ledger: Ledger,
) -> None:
    save(ledger, "b-1", "b-2")
    save(ledger, "b-3", cohort="other")
    assert states(ledger) == {"b-1": "champion", "b-2": "candidate", "b-3": "champion"}
    first = list_models(ledger, "k")[0]
    assert first["reason"] == "the first model of its cohort" and first["fusion"] == "deep"
    assert [row["kind"] for row in audit_rows(ledger)] == ["train", "register"] * 3


def test_saving_a_model_again_changes_no_state_and_adds_no_row(ledger: Ledger) -> None:
    save(ledger, "b-1", "b-2")
    promote(ledger, "b-2", "better")
    before = len(audit_rows(ledger))
    save(ledger, "b-1", "b-2")
    promote(ledger, "b-2", "better")  # is champion already
    assert states(ledger) == {"b-2": "champion", "b-1": "retired"}
    assert len(audit_rows(ledger)) == before


def test_a_rollback_returns_to_the_champion_before_as_often_as_there_is_one(
    ledger: Ledger,
) -> None:
    save(ledger, "b-1", "b-2", "b-3")
    promote(ledger, "b-2", "better")
    promote(ledger, "b-3", "better still")
    for expected in ("b-2", "b-1"):
        assert rollback(ledger, "k", "not good", "tester")["bundle_id"] == expected
        assert champion_of(ledger, "k") == expected
    with pytest.raises(UsageError, match="had none before"):
        rollback(ledger, "k", "once more")
    assert champion_of(ledger, "k") == "b-1" and verify(ledger)["ok"]


def test_a_rollback_does_not_return_to_what_somebody_took_out_of_use(ledger: Ledger) -> None:
    save(ledger, "b-1", "b-2")
    promote(ledger, "b-2", "better")
    retire(ledger, "b-1", "it leaks", "anna")
    with pytest.raises(UsageError, match=r"taken out of use since \(it leaks\)"):
        rollback(ledger, "k", "not good")
    assert champion_of(ledger, "k") == "b-2"
    promote(ledger, "b-1", "it does not")  # a person may, and says why
    assert rollback(ledger, "k", "it does")["bundle_id"] == "b-2"
    with pytest.raises(UsageError, match=r"taken out of use since \(it does\)"):
        rollback(ledger, "k", "not good")


def test_a_champion_after_none_followed_nobody(ledger: Ledger) -> None:
    save(ledger, "b-1", "b-2")
    promote(ledger, "b-2", "better")
    retire(ledger, "b-2", "worse")
    promote(ledger, "b-2", "better than none")
    with pytest.raises(UsageError, match="had none before"):
        rollback(ledger, "k", "worse")


def test_a_model_whose_folder_is_gone_does_not_become_champion(
    ledger: Ledger, tmp_path: Path
) -> None:
    save(ledger, "b-1", "b-2")
    workspace = Workspace(tmp_path)
    with pytest.raises(UsageError, match="b-2 is gone"):
        promote(ledger, "b-2", "better", workspace=workspace)
    (workspace.bundles / "b-2").mkdir(parents=True)
    promote(ledger, "b-2", "better", workspace=workspace)
    with pytest.raises(UsageError, match="b-1 is gone"):
        rollback(ledger, "k", "worse", workspace=workspace)
    assert champion_of(ledger, "k") == "b-2"


def test_a_rollback_that_fails_leaves_the_champion_and_no_row(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(ledger, "b-1", "b-2")
    promote(ledger, "b-2", "better")
    rows = len(audit_rows(ledger))
    with monkeypatch.context() as failing:

        def full(*_: object) -> None:
            raise OSError("no space")

        failing.setattr("mmdiag.storage.database.append", full)
        with pytest.raises(OSError, match="no space"):
            rollback(ledger, "k", "not good")
    assert champion_of(ledger, "k") == "b-2" and len(audit_rows(ledger)) == rows


def test_a_cohort_whose_champion_retired_has_none_and_the_next_model_does_not_take_its_place(
    ledger: Ledger, tmp_path: Path
) -> None:
    save(ledger, "b-1")
    retire(ledger, "b-1", "its scanner is gone")
    save(ledger, "b-2")
    assert states(ledger) == {"b-2": "candidate", "b-1": "retired"}
    with pytest.raises(UsageError, match="champion of the cohort scores, and k has none"):
        champion_folder(Workspace(tmp_path), ledger, "k")


def test_who_retires_a_model_that_was_followed_already_is_on_record(ledger: Ledger) -> None:
    save(ledger, "b-1", "b-2")
    promote(ledger, "b-2", "better")
    retire(ledger, "b-1", "it leaks", "anna")
    retire(ledger, "b-1", "it leaks", "anna")  # said once
    first = next(row for row in list_models(ledger) if row["bundle_id"] == "b-1")
    assert (first["state"], first["reason"], first["by"]) == ("retired", "it leaks", "anna")
    rows = [row for row in audit_rows(ledger) if row["kind"] == "retire"]
    assert len(rows) == 1 and "it leaks" in rows[0]["payload"]


def test_a_refused_model_says_so(ledger: Ledger) -> None:
    save(ledger, "b-1", "b-2")
    assert refuse(ledger, "b-2", "a leak")["state"] == "refused"
    assert audit_rows(ledger)[-1]["kind"] == "refuse"


def test_a_cohort_never_has_two_champions_in_the_database(ledger: Ledger, tmp_path: Path) -> None:
    save(ledger, "b-1", "b-2")
    database = sqlite3.connect(tmp_path / "ledger.db")
    with closing(database), pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        database.execute("UPDATE models SET state = 'champion'")


@pytest.mark.parametrize("decide", [promote, retire, refuse])
def test_a_decision_names_a_known_model_and_a_reason(ledger: Ledger, decide) -> None:  # type: ignore[no-untyped-def]
    save(ledger, "b-1")
    with pytest.raises(UsageError, match="'b-9' is none"):
        decide(ledger, "b-9", "why not")
    with pytest.raises(UsageError, match="has a reason"):
        decide(ledger, "b-1", " ")
    assert states(ledger) == {"b-1": "champion"}


def earlier_version(folder: Path) -> None:
    """A ledger as it was before models had states."""
    with closing(sqlite3.connect(folder / "ledger.db")) as database:
        for table in ("models", "reviews", "labels_seen", "audit"):
            database.execute(f"DROP TABLE {table}")
        database.execute("UPDATE bundles SET saved_at = '2025-01-01' WHERE bundle_id = 'b-1'")
        database.execute("UPDATE bundles SET saved_at = '2025-02-01' WHERE bundle_id = 'b-2'")
        database.commit()


def test_the_newest_model_of_an_earlier_workspace_is_its_champion_after_a_backup(
    ledger: Ledger, tmp_path: Path
) -> None:
    save(ledger, "b-1", "b-2")
    save(ledger, "b-3", cohort="other")
    ledger.engine.dispose()
    earlier_version(tmp_path)
    (tmp_path / "audit.head").unlink()
    (tmp_path / "logs" / "audit.log").unlink()
    again = Ledger(ledger.url)
    assert champion_of(again, "k") == "b-2"
    assert states(again) == {"b-2": "champion", "b-1": "candidate", "b-3": "champion"}
    assert verify(again) == {"rows": 3, "ok": True, "broken": []}
    with closing(sqlite3.connect(tmp_path / f"ledger.db{ENDING}")) as backup:
        names = {name for (name,) in backup.execute("SELECT name FROM sqlite_master")}
        assert "models" not in names and "bundles" in names


def test_looking_at_models_where_there_is_no_ledger_makes_none(tmp_path: Path) -> None:
    assert list_models(Ledger(f"sqlite:///{tmp_path / 'w' / 'ledger.db'}")) == []
    assert not (tmp_path / "w").exists()


def test_the_commands_answer_with_the_model_and_its_state(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(ledger, "b-1", "b-2")
    for name in ("b-1", "b-2"):
        (tmp_path / "bundles" / name).mkdir(parents=True)

    def asked(*arguments: str) -> int:
        return boundary.run(cli, ["models", *arguments, "--workspace", str(tmp_path)])

    assert asked("promote", "b-2", "--reason", "[bold]better[/bold]", "--by", "tester") == 0
    assert "[bold]better[/bold]" in capsys.readouterr().out
    assert asked("rollback", "--cohort", "k", "--reason", "not good", "--json") == 0
    assert '"bundle_id": "b-1"' in capsys.readouterr().out
    assert asked("show", "b-2") == 0 and "retired" in capsys.readouterr().out
    assert asked("retire", "b-9", "--reason", "x") == boundary.WRONG_USE
    assert "'b-9' is none" in capsys.readouterr().err
