"""What `mmdiag up` and `mmdiag down` do: start the supervisor apart from this process and wait
until every part answers; end it and all that it started.
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows.service import request as requests
from flows.service.processes import PROC, Process, end_all
from flows.service.request import MARK, Request
from mmdiag.errors import UsageError
from mmdiag.failures import StepFailed
from mmdiag.roles import require_operator
from mmdiag.storage.turns import hold_if_free
from mmdiag.workspace import Workspace, keep_from_others

STARTUP_SECONDS = 600  # 45 to 70 s were measured on two busy cores
END_SECONDS = 60
MOST_STARTS = 4  # of one part while `up` waits
Say = Callable[[str], None]


def up(workspace: Path, cohort: Path, every: int, port: int, say: Say) -> dict[str, Any]:
    """Have it all up; what died of it is started again.

    Args:
        every: Minutes between two looks for new cases.
        port: Of the dashboard.
        say: Called with what is waited for.

    Returns:
        `state` (`started` or `already_up`), the addresses, what was registered.

    Raises:
        UsageError: It is up otherwise, the port is taken, the machine is no Linux, or the user's
            role only looks or reviews.
        StepFailed: A part does not answer.
    """
    keep_from_others()
    require_operator(workspace)
    _require_linux()
    asked = requests.ask(workspace, cohort, every, port)
    running = _supervisor(workspace)
    if running is not None:
        _require_same(workspace, asked)
        say("is up already: looking whether every part answers")
        return _answer(asked, _until_ready(workspace, say), "already_up")
    if not requests.is_free(port):
        raise UsageError(
            f"The dashboard needs a free port on 127.0.0.1, {port} is not: name another by --port."
        )
    Workspace(workspace).make()
    end_all(MARK, asked.id)  # of a supervisor that was killed
    (workspace / "up.json").unlink(missing_ok=True)
    requests.write(_with_free_server_port(asked))
    asked = requests.read(workspace) or asked
    try:
        _start(asked)
        return _answer(asked, _until_ready(workspace, say), "started")
    except BaseException:  # what is begun is put in order, whatever ends this
        _end(workspace)
        raise


def down(workspace: Path) -> int:
    """End everything that `up` started for a workspace, also what outlived its supervisor.

    Returns:
        The processes that were found: the supervisor, which ends its own, and what outlived one.

    Raises:
        UsageError: The user's role only looks or reviews.
    """
    require_operator(workspace)
    return _end(workspace)


def _end(workspace: Path) -> int:
    running, asked, ended = _supervisor(workspace), requests.read(workspace), 0
    if running is not None:
        running.send(signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        while running.runs() and time.monotonic() < deadline:
            time.sleep(0.1)
        running.send(signal.SIGKILL)
        ended = 1
    if asked is not None:
        ended += end_all(MARK, asked.id)
    (workspace / "up.json").unlink(missing_ok=True)
    return ended


def state(workspace: Path) -> dict[str, Any] | None:
    """What `up.json` says, if its supervisor runs."""
    try:
        kept: dict[str, Any] = json.loads((workspace / "up.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return kept if Process(**kept["supervisor"]).runs() else None


def _supervisor(workspace: Path) -> Process | None:
    """The supervisor of a workspace; it holds a folder for as long as it lives."""
    home = requests.home(workspace)
    if not home.is_dir():
        return None
    held = hold_if_free(home)
    if held is not None:
        os.close(held)
        return None
    deadline = time.monotonic() + END_SECONDS
    while (kept := state(workspace)) is None and time.monotonic() < deadline:
        time.sleep(0.1)  # it has just begun
    return Process(**kept["supervisor"]) if kept else None


def _require_linux() -> None:
    if not PROC.is_dir():
        raise UsageError(
            "`mmdiag up` needs Linux, whose /proc tells the processes that it started from others: "
            "elsewhere start server and worker by hand (docs/interface.md, On a schedule)."
        )


def _require_same(workspace: Path, asked: Request) -> None:
    """Say where it is up with something else."""
    now = requests.read(workspace)
    if now is not None and now.ledger != asked.ledger:  # which may hold a password
        raise UsageError(
            "A workspace is up with one ledger at a time; this one is up with another: run "
            "`mmdiag down` first, or ask for the same."
        )
    for name in ("cohort", "every", "port"):
        if now is not None and getattr(now, name) != getattr(asked, name):
            raise UsageError(
                f"A workspace is up for one cohort at a time; this one is up with --{name} "
                f"{getattr(now, name)}: run `mmdiag down` first, or ask for the same."
            )


def _with_free_server_port(asked: Request) -> Request:
    """The request, with another port of the server where somebody took its port."""
    if requests.is_free(asked.server_port):
        return asked
    return dataclasses.replace(asked, server_port=requests.free_port())


def _start(asked: Request) -> None:
    """Start the supervisor: in a session of its own, with none of this process's pipes."""
    logs = asked.workspace / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / "up-supervisor.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "flows.service.supervisor", str(asked.workspace)],
            env=asked.environment(),
            cwd=asked.workspace,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _until_ready(workspace: Path, say: Say) -> dict[str, Any]:
    """Wait until every part answers; gives what `up.json` says then."""
    deadline, said = time.monotonic() + STARTUP_SECONDS, ""
    while time.monotonic() < deadline:
        kept = state(workspace)
        if kept is not None and kept["ready"]:
            return kept
        if kept is not None and (ending := _keeps_ending(kept)):
            raise StepFailed(
                f"Every part must stay up, and the {ending} ended {MOST_STARTS} times: "
                f"{workspace / 'logs'}/up-{ending}.log says why; then run the same command again."
            )
        waiting = _waits_for(kept)
        if waiting != said:
            say(waiting)
            said = waiting
        time.sleep(0.2)
    raise StepFailed(
        f"Every part must answer within {STARTUP_SECONDS} s, and the last thing waited for was: "
        f"{said}. {workspace / 'logs'}/up-*.log say why; then run the same command again."
    )


def _keeps_ending(kept: dict[str, Any]) -> str:
    """The first part that ends each time that it is started; empty = none."""
    parts = kept["parts"].items()
    return next(
        (name for name, part in parts if part["starts"] >= MOST_STARTS and part["pid"] is None), ""
    )


def _waits_for(kept: dict[str, Any] | None) -> str:
    if kept is None:
        return "waits for the supervisor"
    if not kept["registered"]:
        return "waits for the server and its deployments"
    return "waits for the worker and the dashboard"


def _answer(asked: Request, kept: dict[str, Any], how: str) -> dict[str, Any]:
    told = [line.partition(" ") for line in kept["registered"]]
    return {
        "state": how,
        "dashboard": f"{asked.dashboard}?token={asked.token}",
        "server": asked.api,
        "every": asked.every,
        "deployments": [name for kind, _, name in told if kind == "deployment"],
        "automations": [name for kind, _, name in told if kind == "automation"],
        "logs": str(asked.workspace / "logs"),
    }
