"""Runs whose process is gone: set Crashed, so that they give back the only slot of their deployment
and are started again. No heartbeat sees them where the server went away with them.

The process of a run holds a lock in the workspace from before Prefect calls the run Running until
it ends, however it ends (`flows.settings.hold_run`); before that it is known by its environment.
"""

import os
import signal
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.service.processes import PROC, Process, by_value
from flows.service.server_calls import NoAnswer, call
from flows.settings import RUN_VARIABLE, run_lock
from mmdiag.storage.turns import hold_if_free

UNDER_WAY = ["RUNNING", "PENDING", "CANCELLING"]
GRACE_SECONDS = 60.0  # between Pending and the start of the process: it was 1 to 15 s
PAGE = 200
MESSAGE = "the process of this run is gone"


def crash_dead_runs(workspace: Path, *, grace_seconds: float = GRACE_SECONDS) -> list[str]:
    """Set every run of this workspace Crashed whose process is gone, and end what still works for a
    run that was given up.

    Args:
        grace_seconds: How long a run that no process is seen of may be on its way to one.

    Returns:
        Ids of the runs that were set Crashed.

    Raises:
        NoAnswer: The server does not answer.
    """
    under_way = _runs(workspace, {"type": {"any_": UNDER_WAY}})
    given_up = _runs(workspace, {"name": {"any_": ["Crashed"]}})
    seen = by_value(RUN_VARIABLE)  # after the states were read: who ended since has said so
    crashed = [
        run["id"]
        for run in under_way
        if _is_dead(workspace, run, run["id"] in seen, grace_seconds) and _crash(run["id"])
    ]
    for run in given_up:
        for found in seen.get(run["id"], ()):
            _end_if_older(found, run)
    _forget_locks(workspace)
    return crashed


def look_if_it_answers(workspace: Path) -> None:
    """Look for dead runs as a run of a deployment starts; a server that does not answer now will be
    asked by the next one.
    """
    with suppress(NoAnswer):
        crash_dead_runs(workspace)


def _runs(workspace: Path, state: dict[str, Any]) -> list[dict[str, Any]]:
    """Runs of deployments that work in this workspace; the newest of them."""
    asked = {"flow_runs": {"state": state, "deployment_id": {"is_null_": False}}, "limit": PAGE}
    found = call("/flow_runs/filter", {**asked, "sort": "EXPECTED_START_TIME_DESC"})
    return [run for run in found if run["parameters"].get("workspace") == str(workspace)]


def _crash(run: str) -> bool:
    """Set a run Crashed; False where it has ended meanwhile, or the server does not say."""
    state = {"type": "CRASHED", "message": MESSAGE}
    try:
        answer = call(f"/flow_runs/{run}/set_state", {"state": state, "force": False})
    except NoAnswer:
        return False
    return bool(answer["status"] == "ACCEPT")


def _is_dead(workspace: Path, run: dict[str, Any], seen: bool, grace_seconds: float) -> bool:
    """Whether nothing is at work on a run.

    Args:
        seen: Whether a process has its id in the environment.
    """
    lock = run_lock(workspace, run["id"])
    taken = lock.is_dir()  # it is taken before the run is Running
    held = hold_if_free(lock) if taken else None
    if taken and held is None:
        return False
    if held is not None:
        os.close(held)
    if seen:
        return False
    if not PROC.is_dir() and not taken:  # only a lock tells, and there was none: time will
        return False
    begun = taken and run["state"]["type"] == "RUNNING"
    return begun or _age(run) > grace_seconds


def _age(run: dict[str, Any]) -> float:
    """Seconds since the run came into its state."""
    return (datetime.now(UTC) - _since(run)).total_seconds()


def _since(run: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(run["state"]["timestamp"])


def _end_if_older(found: Process, run: dict[str, Any]) -> None:
    """Kill what was at work on a run before it was set Crashed: stopped or stuck, it would hold the
    cohort against the one that is started in its place.
    """
    if found.started_at() < _since(run).timestamp():
        found.send(signal.SIGKILL)


def _forget_locks(workspace: Path) -> None:
    """Remove the locks of runs that ended; a run whose lock is free and that is under way was set
    Crashed before.
    """
    for lock in run_lock(workspace, "x").parent.glob("*"):
        held = hold_if_free(lock)
        if held is not None:
            with suppress(OSError):
                lock.rmdir()
            os.close(held)
