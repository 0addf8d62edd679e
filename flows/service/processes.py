"""Processes of this machine that can be told for certain: by what stands in their environment and
by when they started, never by a number alone, which the system gives to another one later.
"""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
STAT_STARTED = 19  # of the fields of /proc/PID/stat that follow the name, in clock ticks


@dataclass(frozen=True, slots=True)
class Process:
    """One process.

    Args:
        started: Clock ticks between the start of the machine and that of the process.
    """

    pid: int
    started: int

    def runs(self) -> bool:
        """Whether it is this very process that has the number now, and it has not ended."""
        found = process(self.pid)
        return found is not None and found.started == self.started

    def send(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.runs():
            with suppress(OSError):
                os.kill(self.pid, number)

    def started_at(self) -> float:
        """Seconds since 1970 at which it started, exact to a tick."""
        booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        return booted + self.started / os.sysconf("SC_CLK_TCK")


def process(pid: int) -> Process | None:
    """The process of a number; None where there is none, or it has ended and nobody asked yet."""
    try:
        fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else Process(pid, int(fields[STAT_STARTED]))
    except (OSError, ValueError, IndexError):
        return None


def with_variable(name: str, value: str) -> list[Process]:
    """Every other process of this user that was started with a variable of that value."""
    return by_value(name).get(value, [])


def by_value(name: str) -> dict[str, list[Process]]:
    """Value of a variable -> every other process of this user that was started with it."""
    looked_for = f"{name}=".encode()
    found: dict[str, list[Process]] = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # another user's, or it has just ended
            continue
        values = [one for one in variables if one.startswith(looked_for)]
        one = process(int(folder.name)) if values else None
        if one is not None and one.pid != os.getpid():
            found.setdefault(os.fsdecode(values[0][len(looked_for) :]), []).append(one)
    return found


def end_all(name: str, value: str, *, grace_seconds: float = 0.0) -> int:
    """End every process with a variable of that value, and those that they start meanwhile.

    Args:
        grace_seconds: How long they may put themselves in order, before they are killed.

    Returns:
        How many were found.
    """
    ended: set[Process] = set()
    deadline = time.monotonic() + grace_seconds
    while found := with_variable(name, value):
        late = time.monotonic() >= deadline
        for one in found:
            if late or one not in ended:
                one.send(signal.SIGKILL if late else signal.SIGTERM)
        ended.update(found)
        time.sleep(0.1)
    return len(ended)
