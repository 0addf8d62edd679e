"""The audit: whatever is done to its rows behind its back is found, and nothing else is."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from record_builders import COHORT, make_workspace

from mmdiag.cli import boundary, cli
from mmdiag.errors import UsageError
from mmdiag.record.audit import audit_rows, erase, export, verify
from mmdiag.storage.audit.chain import payload_hash, row_hash
from mmdiag.storage.audit.head import HEAD, LOG
from mmdiag.storage.ledger import Ledger

ROWS = 6


def ledger_at(folder: Path) -> Ledger:
    return Ledger(f"sqlite:///{folder / 'ledger.db'}")


def add(ledger: Ledger, *cases: str, kind: str = "score") -> None:
    with ledger.writing() as connection:
        ledger.audit(connection, kind, {"cohort": "k", "cases": list(cases)}, "tester")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chain")
    ledger = ledger_at(folder)
    for number in range(ROWS):
        add(ledger, f"c{number}")
    ledger.engine.dispose()
    with closing(sqlite3.connect(folder / "ledger.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


def spoil(source: Path, at: Path, *statements: str) -> Ledger:
    """A copy of a chain whose rows are changed by somebody who can write to the file."""
    shutil.rmtree(at, ignore_errors=True)
    shutil.copytree(source, at)
    with closing(sqlite3.connect(at / "ledger.db")) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement)
        database.commit()
    return ledger_at(at)


TEXTS = ["at", '"by"', "kind", "payload", "previous", "hash"]
EDITS = st.tuples(st.sampled_from(TEXTS), st.integers(1, ROWS)).map(
    lambda edit: (f"UPDATE audit SET {edit[0]} = {edit[0]} || ' ' WHERE id = {edit[1]}",)
)
DELETIONS = st.integers(1, ROWS).map(lambda row: (f"DELETE FROM audit WHERE id = {row}",))
CUTS = st.integers(1, ROWS).map(lambda row: (f"DELETE FROM audit WHERE id >= {row}",))
INSERTIONS = st.integers(1, ROWS).map(
    lambda row: (
        f"UPDATE audit SET id = -id - 1 WHERE id >= {row}",
        "UPDATE audit SET id = -id WHERE id < 0",
        f'INSERT INTO audit SELECT {row}, at, "by", kind, payload, previous, hash FROM audit '
        f"WHERE id = {1 if row > 1 else 2}",
    )
)
SWAPS = st.lists(st.integers(1, ROWS), min_size=2, max_size=2, unique=True).map(
    lambda pair: (
        f"UPDATE audit SET id = 99 WHERE id = {pair[0]}",
        f"UPDATE audit SET id = {pair[0]} WHERE id = {pair[1]}",
        f"UPDATE audit SET id = {pair[1]} WHERE id = 99",
    )
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(change=EDITS | DELETIONS | CUTS | INSERTIONS | SWAPS)
def test_every_edit_deletion_insertion_reordering_and_cut_is_found(
    chain: Path, tmp_path: Path, change: tuple[str, ...]
) -> None:
    answer = verify(spoil(chain, tmp_path / "spoilt", *change))
    assert not answer["ok"]
    assert answer["broken"]


def test_a_chain_that_nobody_touched_holds_and_verifying_writes_nothing(
    chain: Path, tmp_path: Path
) -> None:
    ledger = spoil(chain, tmp_path / "copy")
    before = {path: path.read_bytes() for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert verify(ledger) == {"rows": ROWS, "ok": True, "broken": []}
    after = {path: path.read_bytes() for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert {p: b for p, b in after.items() if not p.name.endswith(("-wal", "-shm"))} == before


def rechained(folder: Path, keep: int) -> None:
    """Write a chain anew whose last row says something else: each of its hashes is right."""
    with closing(sqlite3.connect(folder / "ledger.db")) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM audit ORDER BY id")][:keep]
        rows[-1]["payload"] = json.dumps({"cohort": "k", "cases": ["another"]})
        rows[-1]["hash"] = row_hash(rows[-1], payload_hash(rows[-1]["payload"]))
        database.execute("DELETE FROM audit")
        for row in rows:
            names = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join("?" * len(row))
            database.execute(f"INSERT INTO audit ({names}) VALUES ({marks})", tuple(row.values()))
        database.commit()


@pytest.mark.parametrize("keep", [ROWS, ROWS - 2])
def test_a_chain_that_is_written_anew_as_a_whole_is_found_by_its_head(
    chain: Path, tmp_path: Path, keep: int
) -> None:
    ledger = spoil(chain, tmp_path / "spoilt")
    rechained(tmp_path / "spoilt", keep)
    assert not verify(ledger)["ok"]
    add(ledger, "later")  # the next row must not heal it
    add(ledger, "and later")
    add(ledger, "and later still")
    assert not verify(ledger)["ok"]


def test_a_cut_tail_stays_found_when_the_head_file_alone_is_taken_away(
    chain: Path, tmp_path: Path
) -> None:
    ledger = spoil(chain, tmp_path / "spoilt", f"DELETE FROM audit WHERE id = {ROWS}")
    (tmp_path / "spoilt" / HEAD).unlink()
    add(ledger, "later")
    why = [fault["why"] for fault in verify(ledger)["broken"]]
    assert any("gone" in text for text in why) and any("another one" in text for text in why)


def test_a_kill_between_commit_and_head_is_no_fault(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = spoil(chain, tmp_path / "copy")
    with monkeypatch.context() as killed:
        killed.setattr("mmdiag.storage.database.write_head", lambda *_: None)
        add(ledger, "killed")
    assert verify(ledger) == {"rows": ROWS + 1, "ok": True, "broken": []}
    log = tmp_path / "copy" / "logs" / LOG
    log.write_text(log.read_text() + '{"id": 7, "ha')  # killed within the line
    add(ledger, "next")
    assert verify(ledger)["ok"]


def test_a_first_row_that_was_killed_before_its_head_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr("mmdiag.storage.database.write_head", lambda *_: None)
        add(ledger_at(tmp_path), "killed")
    assert verify(ledger_at(tmp_path))["ok"]


def test_a_transaction_that_fails_leaves_neither_row_nor_head(tmp_path: Path) -> None:
    ledger = ledger_at(tmp_path)
    add(ledger, "first")
    with pytest.raises(TypeError, match="JSON"), ledger.writing() as connection:
        ledger.audit(connection, "score", {"cohort": object()})
    add(ledger, "second")
    assert verify(ledger) == {"rows": 2, "ok": True, "broken": []}


def test_rows_of_the_audit_can_neither_be_changed_nor_removed_by_sql(chain: Path) -> None:
    with closing(sqlite3.connect(chain / "ledger.db")) as database:
        for statement in ("UPDATE audit SET kind = 'x'", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
                database.execute(statement)


def known(ledger: Ledger, **subject_of: str) -> None:
    """Cases that the ledger knows, each with its subject."""
    import pandas as pd

    rows = [(case, subject, "v", "accepted", "[]") for case, subject in subject_of.items()]
    columns = ["case_id", "subject_id", "version", "verdict", "modalities"]
    ledger.record_verdicts("k", pd.DataFrame(rows, columns=columns))


def test_an_erased_person_is_gone_and_the_chain_still_holds(tmp_path: Path) -> None:
    ledger = ledger_at(tmp_path)
    known(ledger, mine="s1", yours="s2")
    add(ledger, "mine", "yours")
    with ledger.writing() as connection:
        facts = {"cohort": "k", "case_id": "mine", "reason": "says much"}
        ledger.audit(connection, "review", facts, "reader")
    assert erase(ledger, "s1", "officer") == [1, 2]
    said = " ".join(row["payload"] for row in audit_rows(ledger))
    assert "mine" not in said and "says much" not in said and "s1" not in said
    assert "yours" in said
    assert verify(ledger) == {"rows": 3, "ok": True, "broken": []}
    erase(ledger, "s2")
    assert verify(ledger)["ok"]
    ledger.engine.dispose()
    assert b"says much" not in (tmp_path / "ledger.db").read_bytes()
    with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
        sqlite3.connect(tmp_path / "ledger.db").execute("DELETE FROM audit")


def test_an_erased_person_does_not_come_back_once_the_case_is_taken_out(tmp_path: Path) -> None:
    """An ingestion that finds a case gone told the audit which label it had; and the reason to
    accept a refusal stood beside the audit.
    """
    import pandas as pd

    ledger = ledger_at(tmp_path)
    known(ledger, mine="s1", yours="s2")
    seen = {"mine": '"rare"', "yours": '"usual"'}
    ledger.record_cohort("k", "sha256:0", {}, {}, {"in": 2}, seen)
    accepted = {"cohort": "k", "case_id": "mine", "modality": "scan", "code": "burned_in"}
    ledger.record_acceptances(pd.DataFrame([accepted | {"reason": "says much", "who": "x"}]))
    erase(ledger, "s1")
    ledger.record_cohort("k", "sha256:1", {}, {}, {"in": 1}, {"yours": '"usual"'})
    said = " ".join(row["payload"] for row in audit_rows(ledger))
    assert "mine" not in said and "rare" not in said and verify(ledger)["ok"]
    ledger.engine.dispose()
    left = (tmp_path / "ledger.db").read_bytes()
    assert b"says much" not in left and b"rare" not in left


def test_a_payload_that_somebody_else_emptied_is_found(tmp_path: Path) -> None:
    ledger = ledger_at(tmp_path / "w")
    known(ledger, mine="s1", yours="s2")
    add(ledger, "mine")
    add(ledger, "yours")
    hidden = json.dumps({"erased_sha256": payload_hash(audit_rows(ledger)[1]["payload"])})
    spoilt = spoil(
        tmp_path / "w", tmp_path / "s", f"UPDATE audit SET payload = '{hidden}' WHERE id = 2"
    )
    assert [fault["id"] for fault in verify(spoilt)["broken"]] == [2]
    erase(spoilt, "s1")  # names row 1 alone
    assert not verify(spoilt)["ok"]


def test_who_is_not_known_cannot_be_erased(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no case"):
        erase(ledger_at(tmp_path), "nobody")


def test_an_export_holds_every_row_with_its_payload(chain: Path, tmp_path: Path) -> None:
    assert export(spoil(chain, tmp_path / "w"), tmp_path / "a.jsonl") == ROWS
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["payload"]["cases"] for line in lines] == [[f"c{n}"] for n in range(ROWS)]


def test_two_payloads_that_say_the_same_have_different_hashes(tmp_path: Path) -> None:
    ledger = ledger_at(tmp_path)
    add(ledger, "c1")
    add(ledger, "c1")
    first, second = (payload_hash(row["payload"]) for row in audit_rows(ledger))
    assert first != second


def test_a_backup_that_may_only_be_read_is_verified_and_one_that_is_none_is_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1 means that the chain does not hold, and that no row of none holds says nothing."""
    _, ledger = make_workspace(tmp_path / "w")
    ledger.engine.dispose()
    place = ["--workspace", str(tmp_path / "w")]
    monkeypatch.setattr("mmdiag.storage.database.writable", lambda _: False)
    for asked in (
        ["audit", "verify"],
        ["audit", "export", "--out", str(tmp_path / "a.jsonl")],
        ["outcomes", "--cohort", COHORT],
    ):
        assert boundary.run(cli, [*asked, *place]) == 0, capsys.readouterr().err
        assert boundary.run(cli, [*asked, "--workspace", str(tmp_path / "typo")]) == 2
    assert not (tmp_path / "typo").exists()
    (tmp_path / "w" / "ledger.db").unlink()
    assert boundary.run(cli, ["audit", "verify", *place]) == 1
