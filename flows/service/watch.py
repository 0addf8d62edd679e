"""Shortens the wait for new cases: where files below a cohort's root change, the scheduled look
begins once they have been still for a while. The schedule is the truth; what is not seen here, as
on many network drives, is found at its next time.

python -m flows.service.watch
"""

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from watchfiles import Change, watch

from flows.service.server_calls import NoAnswer, call
from mmdiag.description import read_description
from mmdiag.errors import MmdiagError

LOOK = "mmdiag-score/scheduled"
STILL_MS = 5_000  # without a change, before a look begins
LONGEST_MS = 60_000  # of changes without a pause
BETWEEN_SECONDS = 30.0  # the least time between two looks that are begun here
AT_WORK = ("PENDING", "RUNNING")
Call = Callable[..., Any]


def watched(cohort: Path) -> list[Path]:
    """The folders of a cohort: its root, and that of its description.

    Raises:
        MmdiagError: It cannot be read.
    """
    description = read_description(cohort)
    folders = {description.root.resolve(), cohort.resolve().parent}
    return sorted(
        one for one in folders if not any(other in one.parents for other in folders - {one})
    )


def counts(workspace: Path) -> Callable[[Change, str], bool]:
    """Which changes count: none of the workspace, which a look itself writes, and none of a file
    that an editor or a copy has not finished.
    """
    own = workspace.resolve()

    def change_counts(_: Change, path: str) -> bool:
        found = Path(path)
        unfinished = found.name.startswith(".") or found.name.endswith(("~", ".tmp", ".part"))
        return not unfinished and found != own and own not in found.parents

    return change_counts


def look_soon(ask: Call = call) -> bool:
    """Let the scheduled deployment run now, unless a run of it is at work: that one may have read
    what changed, or not, so the caller asks again.

    Raises:
        NoAnswer: The server does not answer.
    """
    deployment = ask(f"/deployments/name/{LOOK}")["id"]
    at_work = ask(
        "/flow_runs/filter",
        {
            "deployments": {"id": {"any_": [deployment]}},
            "flow_runs": {"state": {"type": {"any_": list(AT_WORK)}}},
            "limit": 1,
        },
    )
    if at_work:
        return False
    ask(f"/deployments/{deployment}/create_flow_run", {})
    return True


def main() -> None:
    """Watch the cohort of MMDIAG_COHORT until this process is ended."""
    workspace, cohort = (Path(os.environ[f"MMDIAG_{name}"]) for name in ("WORKSPACE", "COHORT"))
    begun, waiting = 0.0, False
    for changes in watch(
        *watched(cohort),
        watch_filter=counts(workspace),
        debounce=LONGEST_MS,
        step=STILL_MS,
        rust_timeout=STILL_MS,
        yield_on_timeout=True,
        raise_interrupt=False,
    ):
        waiting = waiting or bool(changes)
        if waiting and time.monotonic() - begun > BETWEEN_SECONDS:
            with suppress(NoAnswer):  # the schedule comes anyway; asked again at the next turn
                waiting, begun = not look_soon(), time.monotonic()


if __name__ == "__main__":
    try:
        main()
    except (OSError, MmdiagError) as error:
        # no path: its names may be a patient's
        sys.stderr.write(f"The cohort's folders cannot be watched ({type(error).__name__}).\n")
        sys.exit(1)
