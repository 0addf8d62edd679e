"""The logs of a workspace that is up for a year: each is bounded, old failures are forgotten."""

import shutil
import time
from pathlib import Path

LARGEST = 5 * 2**20  # bytes of one log; as much again is kept in the file beside it
DAY = 24 * 60 * 60


def bound(logs: Path) -> None:
    """Move what a log that grew too large holds into the file beside it, and begin it anew; who
    writes to it goes on writing, because it is open for appending.
    """
    for log in logs.glob("up-*.log"):
        if log.stat().st_size > LARGEST:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            with log.open("r+b") as writable:
                writable.truncate(0)


def forget_old(logs: Path, days: int) -> None:
    """Remove the files of failures that are older than so many days."""
    oldest = time.time() - days * DAY
    for file in logs.glob("failure-*"):
        if file.stat().st_mtime < oldest:
            file.unlink(missing_ok=True)
