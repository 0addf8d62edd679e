"""The parts of `mmdiag up` that need no server: what is asked, which processes are ours, which runs
are dead, what the automations expect, what systemd is told.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from repository import ROOT
from table_builders import rows, write_cohort

from flows import settings
from flows.service import dead_runs, logs, systemd
from flows.service import request as requests
from flows.service import up as service
from flows.service.processes import Process, end_all, process, with_variable
from mmdiag.errors import UsageError
from mmdiag.storage.turns import hold_if_free

RUN = "01a22896-4b96-7864-95d5-caf4de35d0b0"
SLEEPS = "import time; time.sleep(900)"


def sleeping(**variables: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", SLEEPS], env={**os.environ, **variables})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A server that knows `runs` and keeps what it is told in `told`."""
    known: dict[str, Any] = {"runs": [], "told": []}

    def call(path: str, document: Any = None) -> Any:
        if path == "/flow_runs/filter":
            state = document["flow_runs"]["state"]
            kind, names = next(iter(state.items()))
            return [run for run in known["runs"] if run["state"][kind] in names["any_"]]
        known["told"].append((path.split("/")[2], document["state"]["type"]))
        return {"status": "ACCEPT"}

    monkeypatch.setattr(dead_runs, "call", call)
    return known


def run_in(workspace: Path, kind: str, seconds: float) -> dict[str, Any]:
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    state = {"type": kind, "name": kind.title(), "timestamp": since.isoformat()}
    return {"id": RUN, "state": state, "parameters": {"workspace": str(workspace)}}


def test_a_running_run_whose_lock_is_held_is_left(server: dict[str, Any], tmp_path: Path) -> None:
    server["runs"] = [run_in(tmp_path, "RUNNING", 9999)]
    held = hold_if_free(settings.run_lock(tmp_path, RUN))
    assert held is not None
    assert dead_runs.crash_dead_runs(tmp_path) == []
    os.close(held)
    assert dead_runs.crash_dead_runs(tmp_path) == [RUN]
    assert server["told"] == [(RUN, "CRASHED")]


def test_a_pending_run_is_dead_once_no_process_is_seen_of_it(
    server: dict[str, Any], tmp_path: Path
) -> None:
    server["runs"] = [run_in(tmp_path, "PENDING", 30)]
    assert dead_runs.crash_dead_runs(tmp_path) == []  # it may be on its way
    server["runs"] = [run_in(tmp_path, "PENDING", 90)]
    on_its_way = sleeping(PREFECT__FLOW_RUN_ID=RUN)
    try:
        assert dead_runs.crash_dead_runs(tmp_path) == []
    finally:
        on_its_way.kill()
        on_its_way.wait()
    assert dead_runs.crash_dead_runs(tmp_path) == [RUN]


def test_runs_of_another_workspace_are_left(server: dict[str, Any], tmp_path: Path) -> None:
    server["runs"] = [run_in(tmp_path / "other", "PENDING", 9999)]
    assert dead_runs.crash_dead_runs(tmp_path) == []


@pytest.mark.parametrize(("seconds", "ended"), [(-60, True), (60, False)])
def test_only_what_began_before_a_run_was_given_up_is_ended(
    server: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    ended: bool,
) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(Process, "send", lambda self, number: sent.append((self.pid, number)))
    server["runs"] = [run_in(tmp_path, "CRASHED", seconds)]
    at_work = sleeping(PREFECT__FLOW_RUN_ID=RUN)
    try:
        dead_runs.crash_dead_runs(tmp_path)
        assert sent == ([(at_work.pid, signal.SIGKILL)] if ended else [])
    finally:
        at_work.kill()
        at_work.wait()


def test_a_process_that_loads_a_flow_holds_the_lock_of_its_run(tmp_path: Path) -> None:
    code = "import sys, flows.steps; print('held', flush=True); sys.stdin.read()"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT__FLOW_RUN_ID": RUN,
        "MMDIAG_WORKSPACE": str(tmp_path),
    }
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as flow:
        assert flow.stdout is not None and flow.stdout.readline() == b"held\n"
        assert hold_if_free(settings.run_lock(tmp_path, RUN)) is None
        flow.kill()
    held = hold_if_free(settings.run_lock(tmp_path, RUN))
    assert held is not None
    os.close(held)


def test_a_number_that_another_process_has_now_is_not_ours() -> None:
    ours = process(os.getpid())
    assert ours is not None and ours.runs()
    assert not Process(ours.pid, ours.started - 1).runs()


def test_all_that_bears_the_mark_is_ended_and_nothing_else() -> None:
    marked, other = sleeping(MMDIAG_UP="a1"), sleeping(MMDIAG_UP="a11")
    try:
        assert end_all("MMDIAG_UP", "a1", grace_seconds=5.0) == 1
        assert marked.wait() != 0 and other.poll() is None
        assert [found.pid for found in with_variable("MMDIAG_UP", "a11")] == [other.pid]
    finally:
        for one in (marked, other):
            one.kill()
            one.wait()


def test_a_request_keeps_its_secrets_for_its_owner_and_for_the_next_one(tmp_path: Path) -> None:
    first = requests.ask(tmp_path, tmp_path / "cohort.toml", 15, 8601)
    requests.write(first)
    assert requests.read(tmp_path) == first
    second = requests.ask(tmp_path, tmp_path / "cohort.toml", 5, 8602)
    assert (second.token, second.password, second.id) == (first.token, first.password, first.id)
    assert second.every == 5 and second.port == 8602
    assert first.token not in repr(first) and first.password not in repr(first)


def test_a_ledger_elsewhere_is_that_of_what_systemd_starts_and_of_no_other_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, cohort, url = (
        tmp_path / "w",
        tmp_path / "cohort.toml",
        "postgresql+psycopg://u:p@h/d",
    )
    monkeypatch.setenv("MMDIAG_LEDGER", url)
    systemd.install(workspace, cohort, 15, 8601)
    monkeypatch.delenv("MMDIAG_LEDGER")
    asked = requests.read(workspace)
    assert asked is not None and asked.environment()["MMDIAG_LEDGER"] == url
    assert url not in repr(asked)
    monkeypatch.setattr(service, "_supervisor", lambda _: process(os.getpid()))
    with pytest.raises(UsageError, match="up with another") as refused:
        service.up(workspace, cohort, 15, 8601, lambda _: None)
    assert url not in str(refused.value)
    monkeypatch.setenv("MMDIAG_LEDGER", "sqlite:///up.env.db")  # of up.env, which is nearer
    assert asked.environment()["MMDIAG_LEDGER"] == "sqlite:///up.env.db"


def test_a_copy_of_a_workspace_ends_nothing_of_the_one_that_it_was_copied_from(
    tmp_path: Path,
) -> None:
    """Such as a backup that is put beside it to be looked at."""
    place, copy, moved = tmp_path / "w", tmp_path / "copy", tmp_path / "moved"
    first = requests.ask(place, tmp_path / "cohort.toml", 15, 8601)
    requests.write(first)
    shutil.copytree(place, copy)
    at_work = sleeping(MMDIAG_UP=first.id)
    try:
        assert service.down(copy) == 0 and at_work.poll() is None
        other = requests.ask(copy, tmp_path / "cohort.toml", 15, 8602)
        assert not {other.id, other.token, other.password} & {first.id, first.token, first.password}
        assert service.down(place) == 1
    finally:
        at_work.kill()
        at_work.wait()
    place.rename(moved)
    assert requests.ask(moved, tmp_path / "cohort.toml", 15, 8601).token == first.token


def test_what_is_started_listens_on_loopback_behind_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql+asyncpg://db")
    asked = requests.ask(tmp_path, tmp_path / "cohort.toml", 15, 8601)
    environment = asked.environment()
    assert environment["PREFECT_SERVER_API_HOST"] == "127.0.0.1"
    assert environment["PREFECT_API_URL"] == f"http://127.0.0.1:{asked.server_port}/api"
    assert environment["PREFECT_SERVER_API_AUTH_STRING"] == f"mmdiag:{asked.password}"
    assert environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == "postgresql+asyncpg://db"
    assert environment["PREFECT_HOME"].startswith(str(tmp_path))


def test_prefect_reads_the_retention_that_the_pages_state(tmp_path: Path) -> None:
    asked = requests.ask(tmp_path, tmp_path / "cohort.toml", 15, 8601)
    code = (
        "from prefect.settings import get_current_settings as now; s = now().server; "
        "print(s.services.db_vacuum.retention_period.days, s.events.retention_period.days, "
        "sorted(s.services.db_vacuum.enabled), s.concurrency.lease_storage.rpartition('.')[2])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=asked.environment(), capture_output=True, text=True
    )
    assert done.stdout == "30 7 ['events', 'flow_runs', 'orphans'] filesystem\n", done.stderr


def test_the_interval_of_prefect_yaml_becomes_what_was_asked() -> None:
    from flows.service.register import declared

    plain = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    changed = declared(ROOT, 7)
    intervals = [
        schedule["interval"]
        for deployment in changed["deployments"]
        for schedule in deployment.get("schedules", ())
        if "interval" in schedule
    ]
    assert intervals == [420] and len(changed["deployments"]) == len(plain["deployments"])


def test_every_automation_spares_a_run_that_has_ended() -> None:
    from flows.service.automations import ENDED, Times, automations

    proactive = [one for one in automations(Times()) if one.trigger.posture == "Proactive"]
    assert len(proactive) == 2
    for automation in proactive:
        assert {f"prefect.flow-run.{state}" for state in ENDED} <= automation.trigger.expect
        assert automation.actions[0].force is False
    descriptions = [one.description for one in automations(Times())]
    assert len(set(descriptions)) == 5
    assert descriptions == [one.description for one in automations(Times())]
    assert descriptions[0] != automations(Times(pending_seconds=15))[0].description


def test_a_log_that_grew_is_moved_beside_itself(tmp_path: Path) -> None:
    log = tmp_path / "up-server.log"
    with log.open("ab") as writer:
        writer.write(b"x" * (logs.LARGEST + 1))
        writer.flush()
        logs.bound(tmp_path)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert (tmp_path / "up-server.log.1").stat().st_size == logs.LARGEST + 1


def test_old_failures_are_forgotten_and_other_logs_are_not(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("failure-1.txt", "failure-2.txt", "training.log")]
    for file in files:
        file.write_text("x")
    os.utime(files[0], (0, 0))
    os.utime(files[2], (0, 0))
    logs.forget_old(tmp_path, 30)
    assert [file.exists() for file in files] == [False, True, True]


def test_a_unit_of_systemd_names_the_workspace_and_holds_no_secret(tmp_path: Path) -> None:
    workspace = tmp_path / "50 % $HOME"
    answer = systemd.install(workspace, tmp_path / "cohort.toml", 15, 8601)
    text = Path(answer["unit"]).read_text()
    asked = requests.read(workspace)
    assert asked is not None and asked.token not in text and asked.password not in text
    lines = text.splitlines()
    argument = str(workspace).replace("%", "%%").replace("$", "$$")
    assert f'ExecStart="{sys.executable}" -m flows.service.supervisor "{argument}"' in lines
    assert f"WorkingDirectory={str(workspace).replace('%', '%%')}" in lines
    assert {"Restart=on-failure", "WantedBy=default.target"} <= set(lines)
    assert answer["enable"][0] == f"systemctl --user enable --now '{answer['unit']}'"


def test_a_port_that_is_taken_is_said_before_anything_is_written(tmp_path: Path) -> None:
    import socket

    from mmdiag.cli import cli

    cohort = write_cohort(tmp_path / "c", rows({"a": [str(number) for number in range(12)]}))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(
            cli, ["up", "--cohort", str(cohort), "--port", port, "--workspace", f"{tmp_path}/w"]
        )
    assert getattr(done.exception, "exit_code", 0) == 2 and f"{port} is not" in str(done.exception)
    assert not (tmp_path / "w").exists()


def test_what_is_not_up_is_not_taken_for_up(tmp_path: Path) -> None:
    ours = process(os.getpid())
    assert ours is not None
    kept = {"supervisor": {"pid": ours.pid, "started": ours.started}}
    (tmp_path / "up.json").write_text(json.dumps(kept))
    assert service.state(tmp_path) == kept
    kept["supervisor"]["started"] += 1  # the number was given to another process
    (tmp_path / "up.json").write_text(json.dumps(kept))
    assert service.state(tmp_path) is None
