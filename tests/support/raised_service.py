"""`mmdiag up` for tests, with deployments of a flow that waits until it is told to go on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repository import ROOT
from table_builders import rows, write_cohort

HANG = 900.0  # seconds, which only end a hang
TIMES = {"MMDIAG_SILENT_SECONDS": "45", "MMDIAG_PENDING_SECONDS": "60"}
WAITS = """
import time
from pathlib import Path

import flows.steps  # holds the lock of the run
from prefect import flow


@flow(name="waits", persist_result=False)
def waits(workspace: Path, name: str) -> None:
    with (workspace / f"{name}.began").open("a") as began:
        began.write("x")
    while not (workspace / f"{name}.go").exists():
        time.sleep(0.1)
"""


def until(happened: Callable[[], Any], what: str) -> Any:
    """What `happened` gives, once it is something."""
    from flows.service.server_calls import NoAnswer

    deadline = time.monotonic() + HANG
    while time.monotonic() < deadline:
        with suppress(NoAnswer):  # a busy server says so by 503
            if found := happened():
                return found
        time.sleep(0.2)
    raise AssertionError(f"never happened: {what}")


@dataclass
class Raised:
    """A workspace that is up."""

    folder: Path

    @property
    def workspace(self) -> Path:
        return self.folder / "w"

    def mmdiag(self, *arguments: str, expect: int = 0) -> str:
        """Run a command with pipes, which nothing that it leaves behind may hold."""
        done = subprocess.run(
            [sys.executable, "-m", "mmdiag", *arguments, "--workspace", str(self.workspace)],
            env={**os.environ, **TIMES},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=HANG,
            check=False,
        )
        assert done.returncode == expect, done.stderr
        return done.stdout if expect == 0 else done.stderr

    def up(self, port: int) -> dict[str, Any]:
        cohort = self.folder / "c" / "cohort.toml"
        if not cohort.exists():
            write_cohort(cohort.parent, rows({"a": [str(number) for number in range(12)]}))
        asked = ("up", "--cohort", str(cohort), "--port", str(port), "--every", "600", "--json")
        return json.loads(self.mmdiag(*asked))

    def state(self) -> dict[str, Any]:
        return json.loads((self.workspace / "up.json").read_text())

    def pid(self, part: str) -> int:
        """Of a part, once it runs."""
        return until(lambda: self.state()["parts"][part]["pid"], f"{part} runs")

    def deploy(self, name: str, *, pool: str | None = "local") -> str:
        """A deployment of the flow that waits, one run at a time; gives its id.

        Args:
            pool: None = no worker ever takes its runs.
        """
        from flows.service.server_calls import call

        (self.folder / "waits.py").write_text(WAITS)
        flow = until(lambda: call("/flows/", {"name": "waits"})["id"], "the flow is known")
        step = "prefect.deployments.steps.set_working_directory"
        document = {
            "name": name,
            "flow_id": flow,
            "entrypoint": "waits.py:waits",
            "pull_steps": [{step: {"directory": str(self.folder)}}],
            "parameters": {"workspace": str(self.workspace), "name": name},
            "concurrency_limit": 1,
            "concurrency_options": {"collision_strategy": "ENQUEUE"},
            **({"work_pool_name": pool} if pool else {}),
        }
        return str(until(lambda: call("/deployments/", document)["id"], "it is deployed"))

    def begin(self, deployment: str, name: str = "") -> str:
        """A run of a deployment; gives its id.

        Args:
            name: Under which the flow works; empty = that of the deployment.
        """
        from flows.service.server_calls import call

        given = {"workspace": str(self.workspace), "name": name}
        document = {"parameters": given} if name else {}
        path = f"/deployments/{deployment}/create_flow_run"
        return str(until(lambda: call(path, document)["id"], "a run is made"))

    def begun(self, name: str) -> int:
        """How often the flow of a deployment began."""
        file = self.workspace / f"{name}.began"
        return len(file.read_text()) if file.exists() else 0

    def go(self, name: str) -> None:
        (self.workspace / f"{name}.go").touch()


def run_state(run: str) -> dict[str, Any]:
    """The state of a run."""
    from flows.service.server_calls import call

    state: dict[str, Any] = call(f"/flow_runs/{run}")["state"]
    return state


def states_of(deployment: str) -> list[str]:
    """Names of the states of all runs of a deployment, sorted."""
    from flows.service.server_calls import call

    asked = {"flow_runs": {"deployment_id": {"any_": [deployment]}}}
    return sorted(run["state"]["name"] for run in call("/flow_runs/filter", asked))


def newest(deployment: str) -> str:
    """Id of the run of a deployment that was made last."""
    from flows.service.server_calls import call

    asked = {"flow_runs": {"deployment_id": {"any_": [deployment]}}}
    return str(max(call("/flow_runs/filter", asked), key=lambda run: run["created"])["id"])


def kill_run(run: str, number: int = signal.SIGKILL) -> None:
    """Send a signal to the processes of a run."""
    from flows.service.processes import with_variable

    for found in with_variable("PREFECT__FLOW_RUN_ID", run):
        found.send(number)
