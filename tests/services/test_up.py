"""`mmdiag up` on a real server: every part answers; what dies is started again; a run whose process,
worker or server is gone is Crashed, gives back its slot and is started again.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from raised_service import Raised, kill_run, newest, run_state, states_of, until

from flows.service import request as requests
from flows.service.processes import end_all, with_variable
from flows.service.server_calls import call

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture(scope="module")
def raised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raised]:
    """A workspace that is up, and this process a client of its server."""
    service = Raised(tmp_path_factory.mktemp("raised"))
    try:
        service.answer = service.up(requests.free_port())  # type: ignore[attr-defined]
        asked = requests.read(service.workspace)
        assert asked is not None
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PREFECT_API_URL", asked.api)
            patch.setenv("PREFECT_API_AUTH_STRING", asked.auth)
            yield service
    finally:
        service.mmdiag("down")


def test_every_part_answers_and_only_with_its_secret(raised: Raised) -> None:
    answer = raised.answer  # type: ignore[attr-defined]
    assert answer["state"] == "started" and answer["every"] == 600
    assert {"mmdiag-score/scheduled", "mmdiag-refit/weekly"} <= set(answer["deployments"])
    assert len(answer["automations"]) == 5
    with urllib.request.urlopen(answer["dashboard"].partition("?")[0]) as shell:
        assert shell.status == 200 and b"?token=" in shell.read()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{answer['server']}/version")
    assert call("/version")
    secret = (requests.home(raised.workspace) / "request.json").stat()
    assert secret.st_mode & 0o777 == 0o600
    asked = requests.read(raised.workspace)
    assert asked and asked.token not in (raised.workspace / "up.json").read_text()


def test_asked_again_it_says_so_and_otherwise_refuses(raised: Raised) -> None:
    port = raised.state()["ports"]["dashboard"]
    before = raised.state()["supervisor"]
    assert raised.up(port)["state"] == "already_up" and raised.state()["supervisor"] == before
    cohort = str(raised.folder / "c" / "cohort.toml")
    said = raised.mmdiag("up", "--cohort", cohort, "--port", str(port), "--every", "7", expect=2)
    assert "this one is up with --every 600" in said and "mmdiag down" in said


def test_what_worker_and_flow_did_that_are_killed_together_is_taken_up(raised: Raised) -> None:
    deployment = raised.deploy("together")
    run = raised.begin(deployment, name="given")
    until(lambda: raised.begun("given") == 1, "the flow begins")
    os.kill(raised.pid("worker"), signal.SIGKILL)
    kill_run(run)
    until(lambda: raised.begun("given") == 2, "another begins in its place, as it was asked")
    raised.go("given")
    until(lambda: states_of(deployment) == ["Completed", "Crashed"], "the other ends")
    assert run_state(run)["message"] == "the process of this run is gone"


def test_a_run_whose_heartbeat_stops_is_crashed_and_another_does_its_work(raised: Raised) -> None:
    deployment = raised.deploy("silent")
    run = raised.begin(deployment)
    until(lambda: raised.begun("silent") == 1, "the flow begins")
    stopped = with_variable("PREFECT__FLOW_RUN_ID", run)
    kill_run(run, signal.SIGSTOP)
    until(lambda: raised.begun("silent") == 2, "another begins in its place")
    assert run_state(run)["message"] == "no heartbeat for 45 s"
    until(lambda: not any(one.runs() for one in stopped), "the stopped one is ended")
    raised.go("silent")
    until(lambda: states_of(deployment) == ["Completed", "Crashed"], "the other ends")


def test_a_run_that_stays_pending_is_crashed(raised: Raised) -> None:
    deployment = raised.deploy("pending", pool=None)
    run = raised.begin(deployment)
    # somebody has its id in the environment, so that its process does not count as gone
    command = [sys.executable, "-c", "import time; time.sleep(900)"]
    on_its_way = subprocess.Popen(command, env={**os.environ, "PREFECT__FLOW_RUN_ID": run})
    try:
        call(f"/flow_runs/{run}/set_state", {"state": {"type": "PENDING"}})
        until(lambda: len(states_of(deployment)) == 2, "another is started in its place")
        assert run_state(run)["name"] == "Crashed"
        assert run_state(run)["message"] == "Pending for 60 s"
    finally:
        on_its_way.kill()
        on_its_way.wait()


def test_a_finished_run_is_not_flipped_by_a_late_heartbeat(raised: Raised) -> None:
    run = raised.begin(raised.deploy("finished", pool=None))
    call(f"/flow_runs/{run}/set_state", {"state": {"type": "COMPLETED"}, "force": True})
    moment = call(f"/flow_runs/{run}")["state"]["timestamp"]
    beat = {
        "event": "prefect.flow-run.heartbeat",
        "occurred": moment,
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"},
        "id": "0" * 8 + run[8:],
    }
    call("/events", [beat])
    acted = {"filter": {"event": {"prefix": ["prefect.automation.action."]}}, "limit": 50}
    about = f"prefect.flow-run.{run}"
    until(lambda: about in json.dumps(call("/events/filter", acted)), "the automation acts")
    assert run_state(run)["name"] == "Completed"


def test_a_deployment_is_started_again_three_times_an_hour(raised: Raised) -> None:
    restless, other = raised.deploy("restless", pool=None), raised.deploy("other", pool=None)
    raised.begin(restless)
    for times in (1, 2, 3):
        crash(newest(restless))
        until(lambda n=times: len(states_of(restless)) == n + 1, f"start {times}")
    crash(newest(restless))
    crash(raised.begin(other))  # events are met in their order
    until(lambda: len(states_of(other)) == 2, "the other is started again")
    assert states_of(restless) == ["Crashed"] * 4


def crash(run: str) -> None:
    call(f"/flow_runs/{run}/set_state", {"state": {"type": "CRASHED"}})


def test_after_a_power_cut_the_slot_is_free_and_the_run_is_taken_up(raised: Raised) -> None:
    deployment = raised.deploy("cut")
    run, behind = raised.begin(deployment), raised.begin(deployment)
    until(lambda: raised.begun("cut") == 1, "the flow begins")
    asked, port = requests.read(raised.workspace), raised.state()["ports"]["dashboard"]
    assert asked is not None
    for found in with_variable(requests.MARK, asked.id):
        found.send(signal.SIGKILL)
    end_all(requests.MARK, asked.id)
    assert raised.up(port)["state"] == "started"
    until(lambda: raised.begun("cut") == 2, "one of the two begins")
    raised.go("cut")
    until(lambda: states_of(deployment) == ["Completed", "Completed", "Crashed"], "all runs end")
    assert sorted(run_state(one)["name"] for one in (run, behind)) == ["Completed", "Crashed"]


def test_down_leaves_nothing_behind(raised: Raised, tmp_path: Path) -> None:
    asked = requests.read(raised.workspace)
    assert asked and with_variable(requests.MARK, asked.id)
    assert raised.mmdiag("down") == "Down.\n"
    assert not with_variable(requests.MARK, asked.id)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            said = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        assert str(raised.workspace).encode() not in said, said
    assert not (raised.workspace / "up.json").exists()
    assert raised.mmdiag("down") == "Nothing was up.\n"
