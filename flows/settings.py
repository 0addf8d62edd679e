"""How Prefect is set for mmdiag: offline, silent, its own files in the workspace. Imports no
Prefect, which reads its settings as it is imported.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmdiag.storage.turns import hold_if_free
from mmdiag.workspace import keep_from_others

RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"  # set by a worker for the process of a run
SERVER_SERVICES = ("SCHEDULER", "LATE_RUNS", "TRIGGERS", "FOREMAN", "CANCELLATION_CLEANUP")
Report = Callable[..., None]
_reports: list[Report] = []
_held_runs: list[int] = []  # descriptors, open until the process ends


def prepare(workspace: Path, *, quiet: bool = True) -> None:
    """Set the environment of this process; what the user has set stays.

    Args:
        workspace: Absolute path; Prefect's own database goes into its folder `prefect`.
        quiet: Show nothing of Prefect's log, whose lines would carry tracebacks.

    The process of a run that a worker started looks for runs whose process is gone, too.
    """
    keep_from_others()
    os.environ["MMDIAG_WORKSPACE"] = str(workspace)
    level = "CRITICAL" if quiet else "INFO"
    wanted = {
        "PREFECT_HOME": str(workspace / "prefect"),
        "PREFECT_LOGGING_LEVEL": level,
        "PREFECT_LOGGING_INTERNAL_LEVEL": level,
        "PREFECT_SERVER_LOGGING_LEVEL": level,
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # a server of `mmdiag up` misses its silence
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # never a pickle, not even of a failure
        # the default of 20 s is too near on a busy machine
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
        **{f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in SERVER_SERVICES},
    }
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    if os.environ.get(RUN_VARIABLE) and os.environ.get("PREFECT_API_URL"):
        from flows.service.dead_runs import look_if_it_answers  # which imports this file

        look_if_it_answers(workspace)


def run_lock(workspace: Path, run: str) -> Path:
    """The folder that the process of a run holds for as long as it lives."""
    return workspace / "prefect" / "running" / run


def hold_run() -> None:
    """Hold the lock of the run whose process this is, until the process ends: it tells others that
    the run is alive. Whoever has it already, a process of the same run that was given up, is as
    alive.
    """
    run, workspace = os.environ.get(RUN_VARIABLE), os.environ.get("MMDIAG_WORKSPACE")
    if not run or not workspace or _held_runs:
        return
    lock = run_lock(Path(workspace), run)
    while True:
        try:
            held = hold_if_free(lock)
            if held is None:
                return
            if os.path.samestat(lock.stat(), os.fstat(held)):
                _held_runs.append(held)
                return
            os.close(held)
        except FileNotFoundError:  # who tidies up took the folder away between two steps
            continue


def workspace_logs() -> Path:
    """Folder of the logs of the workspace that this process works in."""
    return Path(os.environ.get("MMDIAG_WORKSPACE", "workspace")) / "logs"


@contextmanager
def reporting(progress: Report) -> Iterator[None]:
    """Send the progress of flows in this process to `progress(stage, done, total, detail="")`."""
    _reports.append(progress)
    try:
        yield
    finally:
        _reports.remove(progress)


def somebody_listens() -> bool:
    """Whether a command in this process shows what its flow does."""
    return bool(_reports)


def report(stage: str, done: int, total: int, detail: str = "") -> None:
    """Say how far a stage is, to whoever listens."""
    for progress in _reports:
        progress(stage, done, total, detail)
