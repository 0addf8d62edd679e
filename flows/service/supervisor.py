"""The process that holds all of it up: starts the server, tells it what is to be done, starts the
worker and the dashboard, starts again what ends, and looks for runs whose process is gone. It leads
a session of its own and holds nothing of who started it.

python -m flows.service.supervisor WORKSPACE
"""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.service import request as requests
from flows.service.dead_runs import crash_dead_runs
from flows.service.logs import bound, forget_old
from flows.service.processes import Process, end_all, process
from flows.service.request import MARK, Request
from flows.service.server_calls import NoAnswer, answers, call
from mmdiag.failures import last_own_line
from mmdiag.storage.turns import hold_if_free
from mmdiag.workspace import keep_from_others, write_text

TICK_SECONDS = 0.5
LOOK_SECONDS = 15.0  # between two looks for runs whose process is gone
LONGEST_PAUSE = 60.0  # before a part that keeps ending is started again
DEAF_SECONDS = 240.0  # a server that runs and does not answer for so long is started again
GRACE_SECONDS = 10.0  # for what is asked to end


@dataclass(slots=True)
class Part:
    """One process that is to run."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    once: bool = False  # whether its log is that of its last start alone
    started: "subprocess.Popen[bytes] | None" = None
    starts: int = 0
    next_start: float = field(default_factory=time.monotonic)

    def keep(self) -> None:
        """Start it if it does not run; after each end in short order wait longer."""
        if self.runs() or time.monotonic() < self.next_start:
            return
        self.starts += 1
        self.next_start = time.monotonic() + min(2.0 ** min(self.starts, 6), LONGEST_PAUSE)
        with self.log.open("wb" if self.once else "ab") as log:
            self.started = subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=self.environment["MMDIAG_ROOT"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self.started is not None and self.started.poll() is None

    def state(self) -> dict[str, Any]:
        """What `up.json` says of it."""
        found = process(self.started.pid) if self.started is not None and self.runs() else None
        return {
            "pid": found.pid if found else None,
            "started": found.started if found else None,
            "starts": self.starts,
        }


class Supervisor:
    """All parts of one request.

    Args:
        asked: What is to be up.
    """

    def __init__(self, asked: Request) -> None:
        self.asked = asked
        self.logs = asked.workspace / "logs"
        self.environment = asked.environment()
        self.ending = False
        self.ready = False
        self.registered: list[str] = []
        self.answered = False
        self.asked_at = 0.0
        self.heard = time.monotonic()
        self.looked = -math.inf
        self.server = self._part("server", *_server(asked))
        self.registration = self._part("registration", "-m", "flows.service.register")
        self.registration.once = True
        self.worker = self._part(
            "worker", "-m", "prefect", "worker", "start", "--pool", "local", "--type", "process",
            "--name", "mmdiag",
        )  # fmt: skip
        self.watch = self._part("watch", "-m", "flows.service.watch")
        self.dashboard = self._part("dashboard", *_dashboard(asked))
        self.dashboard.environment["MMDIAG_DASHBOARD_TOKEN"] = asked.token
        os.environ.update({k: v for k, v in self.environment.items() if k.startswith("PREFECT_A")})

    def _part(self, name: str, *arguments: str) -> Part:
        return Part(
            name,
            [sys.executable, *arguments],
            {**self.environment},
            self.logs / f"up-{name}.log",
        )

    def run(self) -> None:
        """Hold everything up until this process is asked to end."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self._write()
        while not self.ending:
            try:
                self._keep_all()
            except Exception as error:  # noqa: BLE001 - the process boundary: this must not end
                sys.stderr.write(f"{type(error).__name__} at {last_own_line(error)}\n")
            time.sleep(TICK_SECONDS)
        self.end()

    def _keep_all(self) -> None:
        self.server.keep()
        self.dashboard.keep()
        if self._server_answers():
            self._keep_the_rest()
        self._write()

    def end(self) -> None:
        """End every part and what they started: the worker first, so that it begins nothing."""
        parts = (self.watch, self.worker, self.registration, self.dashboard, self.server)
        for part in parts:
            if part.started is not None and part.runs():
                part.started.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        while any(part.runs() for part in parts) and time.monotonic() < deadline:
            time.sleep(0.1)
        end_all(MARK, self.asked.id)

    def _keep_the_rest(self) -> None:
        """What needs the server: dead runs again and again, deployments once, then the worker."""
        about_to_start = bool(self.registered) and not self.worker.runs()
        if about_to_start or time.monotonic() - self.looked > LOOK_SECONDS:
            self._look()
        if not self.registered:
            self._register()
            return
        self.worker.keep()
        self.watch.keep()  # only shortens the wait: nothing waits for it
        self.ready = self.ready or self._all_answer()

    def _register(self) -> None:
        started = self.registration.started
        if started is not None and started.poll() == 0:
            lines = self.registration.log.read_text(encoding="utf-8").splitlines()
            told = [line for line in lines if line.startswith(("deployment ", "automation "))]
            self.registered = list(dict.fromkeys(told))
        else:
            self.registration.keep()

    def _look(self) -> None:
        """Look for dead runs and at the size of the logs."""
        self.looked = time.monotonic()
        try:
            crash_dead_runs(self.asked.workspace)
        except NoAnswer:  # the next look finds them
            return
        bound(self.logs)
        forget_old(self.logs, requests.KEPT_DAYS)

    def _server_answers(self) -> bool:
        """Whether the server answered a moment ago; one that is deaf for long is started again."""
        if not self.server.runs():
            self.answered, self.asked_at, self.heard = False, 0.0, time.monotonic()
            return False
        if not self.answered or time.monotonic() - self.asked_at > LOOK_SECONDS:
            self.asked_at = time.monotonic()
            self.answered = answers(f"{self.asked.api}/health")
        if self.answered:
            self.heard = time.monotonic()
        elif time.monotonic() - self.heard > DEAF_SECONDS and self.server.started is not None:
            self.server.started.kill()
        return self.answered

    def _all_answer(self) -> bool:
        if not answers(self.asked.dashboard):
            return False
        try:
            workers = call("/work_pools/local/workers/filter", {})
        except NoAnswer:
            return False
        return any(one["status"] == "ONLINE" for one in workers)

    def _write(self) -> None:
        """Say in `up.json` what runs; no secret stands there."""
        parts = (self.server, self.worker, self.dashboard)
        listed = (*parts, self.registration, self.watch)
        own = process(os.getpid()) or Process(os.getpid(), 0)
        state = {
            "supervisor": dataclasses.asdict(own),
            "id": self.asked.id,
            "cohort": str(self.asked.cohort),
            "every": self.asked.every,
            "ports": {"dashboard": self.asked.port, "server": self.asked.server_port},
            "parts": {part.name: part.state() for part in listed},
            "registered": self.registered,
            "ready": self.ready and all(part.runs() for part in parts),
        }
        text = json.dumps(state, indent=1)
        file = self.asked.workspace / "up.json"
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            write_text(file, text)


def _server(asked: Request) -> tuple[str, ...]:
    port = str(asked.server_port)
    return (
        "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app",
        "--host", "127.0.0.1", "--port", port, "--log-level", "warning",
    )  # fmt: skip


def _dashboard(asked: Request) -> tuple[str, ...]:
    page = str(Path(__file__).resolve().parents[2] / "dashboards" / "app.py")
    return (page, "--workspace", str(asked.workspace), "--port", str(asked.port))


def main(workspace: Path) -> None:
    """Hold up what the workspace's last request asks, unless another process does."""
    keep_from_others()
    held = hold_if_free(requests.home(workspace))
    asked = requests.read(workspace)
    if held is None or asked is None:
        sys.stderr.write("There is nothing to hold up, or another process holds it up.\n")
        sys.exit(1)
    os.environ[MARK] = asked.id
    # what an earlier one left that was killed
    end_all(MARK, asked.id)
    supervisor = Supervisor(asked)

    def end(*_: object) -> None:
        supervisor.ending = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    supervisor.run()
    (workspace / "up.json").unlink(missing_ok=True)
    os.close(held)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
