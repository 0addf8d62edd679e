"""The ledger: repeating a write changes nothing, what is gone is forgotten, readers see the columns
that files have.
"""

import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pandas as pd
import pytest
from repository import ROOT
from sqlalchemy import create_engine
from sqlalchemy.schema import CreateSchema, DropSchema

from mmdiag.errors import MmdiagError, UsageError
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace, absolute_url


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request, tmp_path):
    if request.param == "sqlite":
        yield Ledger(f"sqlite:///{tmp_path / 'w' / 'ledger.db'}")
        return
    url = os.environ.get("MMDIAG_TEST_POSTGRESQL")
    if not url:
        pytest.skip("no PostgreSQL here: name a database by MMDIAG_TEST_POSTGRESQL")
    whole, schema = create_engine(url), f"t{secrets.token_hex(6)}"
    with whole.begin() as connection:
        connection.execute(CreateSchema(schema))
    own = whole.url.update_query_dict({"options": f"-csearch_path={schema}"})
    found = Ledger(own.render_as_string(hide_password=False), tmp_path)
    try:
        yield found
    finally:
        found.engine.dispose()
        with whole.begin() as connection:
            connection.execute(DropSchema(schema, cascade=True))
        whole.dispose()


def make_predictions(n=3, **changes):
    table = pd.DataFrame(
        {
            "case_id": [f"c{i}" for i in range(n)],
            "subject_id": [f"s{i}" for i in range(n)],
            "as_of": pd.to_datetime(["2024-01-02", None, "2024-03-04"][:n]),
            "bundle_id": "b-1",
            "role": "new",
            "predicted": "yes",
            "probability": np.linspace(0.1, 0.9, n),
            "modalities": [["flair"], ["flair", "report"], []][:n],
            "contribution_flair": [0.5, np.float32(0.25), 0.0][:n],
            "abstained": False,
            "scored_at": "2024-05-06T00:00:00+00:00",
            "version": "v1",
        }
    )
    return table.assign(**changes)


def test_what_is_written_comes_back_in_the_columns_of_the_files(ledger):
    ledger.record_predictions("k", make_predictions())
    found = ledger.predictions(bundle_id="b-1", cohort="k")
    assert found["probability"].tolist() == [0.1, 0.5, 0.9] and found["modalities"].tolist() == [
        ["flair"],
        ["flair", "report"],
        [],
    ]
    assert (
        found["contribution_flair"].tolist() == [0.5, 0.25, 0.0]
        and str(found["as_of"].iloc[0].date()) == "2024-01-02"
        and pd.isna(found["as_of"].iloc[1])
    )


def test_writing_twice_is_writing_once(ledger):
    for _ in range(2):
        ledger.record_predictions("k", make_predictions())
        ledger.record_run("r-1", "run", "k", "done", {"seed": 1}, "runs/r-1")
        ledger.record_metrics(
            "r-1",
            [
                {
                    "model": "fused",
                    "metric": "auroc",
                    "split": "test",
                    "modalities": ["a"],
                    "value": np.float64(0.7),
                    "low": 0.6,
                    "high": 0.8,
                    "n": 9,
                }
            ],
        )
    assert (
        ledger.count_predictions() == 3
        and len(ledger.runs()) == 1
        and ledger.metrics("r-1")["value"].tolist() == [0.7]
    )


def test_a_new_version_of_a_case_is_a_new_prediction(ledger):
    ledger.record_predictions("k", make_predictions())
    ledger.record_predictions("k", make_predictions(1, version="v2"))
    assert ledger.scored("b-1", "k") == {("c0", "v1"), ("c1", "v1"), ("c2", "v1"), ("c0", "v2")}
    assert ledger.scored("b-2", "k") == ledger.scored("b-1", "other") == set()


def refused(*rows):
    return pd.DataFrame(rows, columns=["case_id", "modality", "code"]).assign(
        rule="r", detail="d", file_sha256="", cure="c"
    )


def test_what_is_no_longer_refused_is_forgotten_in_its_cohort_alone(ledger):
    ledger.record_quarantine("k", refused(("a", "flair", "truncated"), ("b", "", "no_modality")))
    ledger.record_quarantine("other", refused(("a", "flair", "truncated")))
    ledger.record_quarantine("k", refused(("b", "", "no_modality")))
    assert ledger.quarantine("k")["case_id"].tolist() == ["b"] and len(ledger.quarantine()) == 2


def test_when_something_was_first_refused_is_remembered(ledger, monkeypatch):
    monkeypatch.setattr("mmdiag.storage.ledger._now", lambda: "2024-01-01T00:00:00+00:00")
    ledger.record_quarantine("k", refused(("a", "flair", "truncated")))
    monkeypatch.setattr("mmdiag.storage.ledger._now", lambda: "2024-02-02T00:00:00+00:00")
    ledger.record_quarantine(
        "k", refused(("a", "flair", "truncated")).assign(detail="shorter still")
    )
    row = ledger.quarantine("k").iloc[0]
    assert (row["first_seen"][:7], row["last_seen"][:7], row["detail"]) == (
        "2024-01",
        "2024-02",
        "shorter still",
    )


def test_several_who_open_a_new_ledger_at_once_all_get_it_and_lose_nothing(tmp_path):
    together = Barrier(6)

    def work(number):
        together.wait()
        ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
        for step in range(5):
            ledger.record_run(f"r-{number}-{step}", "run", "k", "done", {}, "runs/r")
            ledger.record_quarantine(f"k{number}", refused((f"a{step}", "flair", "truncated")))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    found = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert len(found.runs()) == 30 and found.quarantine()["case_id"].tolist() == ["a4"] * 6


def test_a_new_ledger_that_several_open_at_once_refuses_nobody(tmp_path):
    # SQLite refuses about one in twenty openings where it is asked for WAL once
    for attempt in range(40):
        together = Barrier(6)

        def opened(_, url=f"sqlite:///{tmp_path / f'{attempt}.db'}", together=together):
            together.wait()
            return Ledger(url).runs()

        with ThreadPoolExecutor(6) as pool:
            assert all(runs.empty for runs in pool.map(opened, range(6)))


def test_an_empty_ledger_answers_with_empty_tables(ledger):
    for table in (
        ledger.cohorts(),
        ledger.runs(),
        ledger.bundles(),
        ledger.quarantine(),
        ledger.contracts(),
        ledger.predictions(),
        ledger.verdicts("k"),
    ):
        assert table.empty and len(table.columns)


def test_a_write_that_fails_halfway_leaves_nothing(ledger, monkeypatch):
    ledger.record_quarantine("k", refused(("a", "flair", "truncated")))

    def dying(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger, "_write", dying)
    with pytest.raises(KeyboardInterrupt):
        ledger.record_quarantine("k", refused(("b", "flair", "truncated")))
    assert ledger.quarantine("k")["case_id"].tolist() == ["a"]


def test_sqlite_is_in_wal_mode(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    with ledger.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_reading_makes_nothing(tmp_path):
    ledger = Ledger(f"sqlite:///{tmp_path / 'w' / 'ledger.db'}")
    ledger.require()
    assert ledger.cohorts().empty and ledger.predictions().empty and not ledger.scored("b-1", "k")
    assert ledger.count_predictions() == 0 and ledger.bundle_files("b-1") is None
    assert not list(tmp_path.iterdir())


def test_a_ledger_that_may_only_be_read_is_read_and_left_as_it_is(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'w' / 'a ledger?.db'}"
    written = Ledger(url)
    written.record_predictions("k", make_predictions())
    written.engine.dispose()
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "w").iterdir()}
    monkeypatch.setattr("mmdiag.storage.database.writable", lambda _: False)
    read = Ledger(url)
    assert read.count_predictions() == 3
    with pytest.raises(MmdiagError, match="read-only"):
        read.record_predictions("k", make_predictions())
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "w").iterdir()} == before


@pytest.mark.parametrize(
    "url",
    [
        "nonsense:PASSWORD",
        "mysql://user:PASSWORD@host/x",
        "postgresql+nodriver://user:PASSWORD@host/x",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
    ],
)
def test_a_ledger_that_none_could_be_is_wrong_use_and_its_password_is_not_said(url, tmp_path):
    with pytest.raises(UsageError, match=r"postgresql\+psycopg") as refused:
        Ledger(url, tmp_path).cohorts()
    assert "PASSWORD" not in str(refused.value)


def test_a_file_beside_where_a_command_was_called_stays_that_file_elsewhere(tmp_path, monkeypatch):
    """A worker, and what it starts, stand in another folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMDIAG_LEDGER", "sqlite:///mine.db")
    url = Workspace(tmp_path / "w").ledger_url
    assert url == f"sqlite:///{tmp_path / 'mine.db'}" == absolute_url(url)
    assert absolute_url("postgresql+psycopg://u@h/d") == "postgresql+psycopg://u@h/d"


def test_sqlite_puts_nothing_into_a_folder_for_temporary_files(tmp_path):
    """A sort of many rows would: patients' values outside of the workspace."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.record_predictions("k", make_predictions())
    with ledger.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA temp_store").scalar() == 2


def test_what_a_killed_writer_left_beside_a_ledger_is_read_by_who_may_only_read(
    tmp_path, monkeypatch
):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    written = Ledger(url)
    written.record_predictions("k", make_predictions())  # its connection, and the log, stay open
    assert (tmp_path / "ledger.db-wal").stat().st_size
    monkeypatch.setattr("mmdiag.storage.database.writable", lambda _: False)
    assert Ledger(url).count_predictions() == 3


def old_ledger(tmp_path):
    """A ledger as a version wrote it that knew fewer columns."""
    from sqlalchemy import text

    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    ledger.record_predictions("k", make_predictions(base=0.5, logit=1.0))
    with ledger.engine.begin() as connection:
        for column in ("base", "logit", "weights", "attention"):
            connection.execute(text(f"alter table predictions drop column {column}"))
    ledger.engine.dispose()
    return Ledger(ledger.url)


def test_a_ledger_of_an_earlier_version_is_read_without_being_changed(tmp_path):
    ledger = old_ledger(tmp_path)
    before = (tmp_path / "ledger.db").read_bytes()
    found = ledger.predictions()
    assert found["probability"].tolist() == [0.1, 0.5, 0.9] and found["base"].isna().all()
    assert ledger.answers_of("k", "c1")[0]["logit"] is None
    assert (tmp_path / "ledger.db").read_bytes() == before


def test_a_ledger_of_an_earlier_version_gets_its_columns_with_the_first_entry(tmp_path):
    ledger = old_ledger(tmp_path)
    assert not ledger.predictions().empty, "it was looked at before"
    ledger.record_predictions("k", make_predictions(1, version="v2", base=0.25, logit=0.75))
    found = Ledger(ledger.url).predictions().set_index(["case_id", "version"])
    assert found.loc[("c0", "v2"), "base"] == 0.25 and found.loc[("c0", "v2"), "logit"] == 0.75
    assert len(found) == 4 and found["base"].isna().sum() == 3


def test_two_processes_that_add_the_same_columns_do_not_meet(tmp_path):
    url = old_ledger(tmp_path).url
    barrier = Barrier(4)

    def write(number):
        ledger = Ledger(url)
        ledger.predictions()
        barrier.wait()
        ledger.record_predictions("k", make_predictions(1, version=f"n{number}", base=1.0))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    assert (Ledger(url).predictions()["base"] == 1.0).sum() == 4


def test_a_prediction_keeps_its_weights_and_attention(ledger):
    attention = {"member": "deep", "weight": 0.5, "modalities": ["flair"], "matrix": [[1.0]]}
    table = make_predictions(1, base=0.5, logit=1.0, weight_flair=1.0).assign(attention=[attention])
    ledger.record_predictions("k", table)
    ledger.record_predictions("k", table.assign(version="v2", scored_at="2024-05-07T00:00:00"))
    newest, first = ledger.answers_of("k", "c0")
    assert (newest["version"], first["version"]) == ("v2", "v1")
    assert first["attention"] == attention and first["weight_flair"] == 1.0
    assert not ledger.answers_of("k", "c0", "b-2") and not ledger.answers_of("k", "c1")


def test_contributions_that_come_later_change_no_answer(ledger):
    bare = make_predictions(1).drop(columns="contribution_flair").assign(logit=0.7)
    ledger.record_predictions("k", bare)
    assert ledger.unexplained("b-1", "k") == {("c0", "v1")}
    more = make_predictions(1, base=0.2, logit=9.9, probability=0.9, scored_at="2030-01-01")
    ledger.record_contributions("k", more)
    found = ledger.answers_of("k", "c0")[0]
    assert (found["base"], found["contribution_flair"]) == (0.2, 0.5)
    assert (found["logit"], found["probability"]) == (0.7, 0.1)
    assert found["scored_at"].startswith("2024") and not ledger.unexplained("b-1", "k")


def test_the_head_of_the_audit_lies_where_every_process_looks_for_it(tmp_path, monkeypatch):
    """A command, a flow and the dashboard write one: beside a file, of a server in the workspace."""
    workspace, elsewhere = Workspace(tmp_path / "w"), tmp_path / "elsewhere" / "ledger.db"
    assert Ledger.of(workspace).head_folder == workspace.path
    monkeypatch.setenv("MMDIAG_LEDGER", f"sqlite:///{elsewhere}")
    assert Ledger.of(workspace).head_folder == elsewhere.parent
    monkeypatch.setenv("MMDIAG_LEDGER", "postgresql://db.example/mmdiag")
    assert Ledger.of(workspace).head_folder == workspace.path


@pytest.mark.parametrize("flow", ["ingest", "score", "refit", "train"])
def test_flows_write_into_the_ledger_with_its_head(flow):
    """Where the database is a server's, a head that lags does not show rows that were cut off."""
    code = (ROOT / "flows" / f"{flow}.py").read_text()
    assert "Ledger.of(" in code and "Ledger(" not in code
