"""The worker pool of the sandbox: each file is parsed in a process with limits of memory and time;
a worker that dies is replaced, and costs the verdict of one file.

A small process (the fork server) has imported the readers and forks workers from itself, so that a
new worker costs milliseconds. A worker serves many files and is replaced after so many, or when one
kills it.
"""

import atexit
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmdiag.errors import DescriptionError, MmdiagError, ReadError
from mmdiag.sandbox.fork_server import pack, receive, receive_exactly
from mmdiag.sandbox.limits import allowance
from mmdiag.sandbox.parent import own_modules

SECONDS = 10.0  # of computing; on a busy machine that may take longer
PATIENCE = 3.0  # times the seconds of computing that are waited for
TICK = 0.5  # seconds between two looks at what a worker has used
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
MEGABYTES = 900  # beyond what an idle worker holds, which is about 100
IDLE_MEGABYTES = 1024  # of addresses, that an idle worker may have
AT_ONCE = 2  # requests of a worker: one that it works on, one that waits in its connection
SENT_AHEAD = 2**16  # bytes of a request that may wait there
FILES_A_WORKER = 500  # after so many it is replaced: a decoder may leak
STARTUP_SECONDS = 60.0
# glibc: pages of one file serve the next, which saves a third of its time
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**26),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request.

    Args:
        facts: What the reader found; None where it refused.
        arrays: Its arrays.
        code, detail: Why it refused; empty where it did not.
        seconds: Wall time.
        peak_mb: Largest resident memory of the worker while it worked; the limit where it died.
    """

    facts: Any = None
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    code: str = ""
    detail: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0

    def value(self) -> tuple[Any, Mapping[str, np.ndarray]]:
        """Facts and arrays.

        Raises:
            ReadError: The reader refused, or died.
        """
        if self.code:
            raise ReadError(self.code, self.detail)
        return self.facts, self.arrays


class Sandbox:
    """A pool of workers; any thread may use it.

    Args:
        workers: Processes that read at the same time.
        seconds: Time of computing that one request may take; waiting is given three times as long.
        megabytes: Memory that one request may take.
    """

    def __init__(
        self, workers: int | None = None, *, seconds: float = SECONDS, megabytes: int = MEGABYTES
    ) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))
        self.seconds, self.megabytes = seconds, megabytes
        self._fork_server: _ForkServer | None = None
        self._members: list[_Worker] = []
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(AT_ONCE * self.workers, thread_name_prefix="sandbox")

    def submit(
        self,
        function: str,
        *,
        seconds: float | None = None,
        megabytes: int | None = None,
        **arguments: Any,
    ) -> "Future[Outcome]":
        """Ask for a function of `functions.FUNCTIONS` (arguments and facts are what JSON has).

        Args:
            seconds, megabytes: In place of the pool's own limits; with more memory than a file is
                given, a worker of its own answers, and ends.
        """
        limits = seconds or self.seconds, megabytes or self.megabytes
        return self._threads.submit(self._ask, function, arguments, *limits)

    def call(self, function: str, **arguments: Any) -> Outcome:
        """Ask as `submit`, and wait for the outcome."""
        return self.submit(function, **arguments).result()

    def limits(self, files: Iterable[Path]) -> dict[str, Any]:
        """`seconds` and `megabytes` for tables, by their size."""
        seconds, megabytes = allowance(files)
        return {"seconds": self.seconds + seconds, "megabytes": self.megabytes + megabytes}

    def map(self, function: str, requests: Iterable[Mapping[str, Any]]) -> Iterator[Outcome]:
        """Outcomes in the order of the requests, a few requests ahead."""
        return self.each({"function": function, **request} for request in requests)

    def each(self, requests: Iterable[Mapping[str, Any]]) -> Iterator[Outcome]:
        """As `map`, where each request names its own function."""
        waiting: list[Future[Outcome]] = []
        for request in requests:
            waiting.append(self.submit(**request))
            if len(waiting) > 4 * self.workers:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()

    def close(self) -> None:
        """End all workers."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for member in self._members:
                member.end()
            self._members = []
            if self._fork_server is not None:
                self._fork_server.end()
                self._fork_server = None

    def _ask(
        self, function: str, arguments: Mapping[str, Any], seconds: float, megabytes: int
    ) -> Outcome:
        alone = megabytes > self.megabytes
        while True:
            member = self._forked(megabytes) if alone else self._take()
            try:
                answer, arrays, taken = member.ask(
                    {"function": function, "arguments": arguments}, seconds
                )
                break
            except _KilledByAnotherError:
                continue
            except TimeoutError:
                return self._lost(member, "too_slow", f"it took more than {seconds:.0f} s")
            except (EOFError, OSError, ValueError):
                return self._lost(member, "reader_died", "its reader was killed by it")
        if alone or member.dead:
            member.end()
        else:
            self._give_back(member)
        if "error" in answer:
            raise (DescriptionError if answer["error"] == "DescriptionError" else MmdiagError)(
                answer["detail"]
            )
        return Outcome(
            answer.get("facts"),
            arrays,
            answer.get("code", ""),
            answer.get("detail", ""),
            taken,
            float(answer["peak_mb"]),
        )

    def _lost(self, member: "_Worker", code: str, detail: str) -> Outcome:
        with self._lock:
            if member in self._members:
                self._members.remove(member)
        taken = member.end()
        return Outcome(None, {}, code, detail, taken, float(member.megabytes))

    def _forked(self, megabytes: int) -> "_Worker":
        """A worker of its own, which nobody else is given."""
        with self._lock:
            if self._fork_server is None:
                self._fork_server = _ForkServer()
            return self._fork_server.worker(megabytes)

    def _take(self) -> "_Worker":
        """A worker that has nothing to do, else a new one, else one that will soon have nothing: it
        then finds its next request waiting.
        """
        with self._lock:
            self._members = [member for member in self._members if not member.dead]
            free = min(
                (member for member in self._members if member.served < FILES_A_WORKER),
                key=lambda member: member.asked,
                default=None,
            )
            if free is None or (free.asked and len(self._members) < self.workers):
                if self._fork_server is None:
                    self._fork_server = _ForkServer()
                free = self._fork_server.worker(self.megabytes)
                self._members.append(free)
            free.asked += 1
            free.served += 1
            return free

    def _give_back(self, member: "_Worker") -> None:
        with self._lock:
            member.asked -= 1
            over = member.served >= FILES_A_WORKER and not member.asked
            if over and member in self._members:
                self._members.remove(member)
        if over:
            member.end()


class _KilledByAnotherError(Exception):
    """The worker died of the request before: this one is asked again elsewhere."""


class _Worker:
    """The parent's end of one worker. Requests are answered in the order in which they were sent;
    the second waits in the connection while the first is worked on.
    """

    def __init__(self, connection: socket.socket, process: int, megabytes: int) -> None:
        self.connection, self.process, self.megabytes = connection, process, megabytes
        self.asked, self.served = 0, 0  # now, and ever; kept by the pool
        self.dead = False
        self._turn = threading.Condition()
        self._order: deque[object] = deque()
        self._began = time.perf_counter()

    def ask(
        self, request: Mapping[str, Any], seconds: float
    ) -> tuple[Any, Mapping[str, np.ndarray], float]:
        """Send a request and wait for its answer, which comes with the seconds it took.

        Raises:
            TimeoutError: It computed for more than `seconds`, or nothing came for three times as
                long.
            EOFError: The worker died of it.
            _KilledByAnotherError: The worker died of the request before.
        """
        content, ticket = pack(request), object()
        with self._turn:
            self._order.append(ticket)
            ahead = (
                self._order[0] is not ticket
                and len(content) < SENT_AHEAD
                and not self.dead
                and self._sent_ahead(content)
            )
            self._turn.wait_for(lambda: self.dead or self._order[0] is ticket)
            if self.dead:
                raise _KilledByAnotherError
            try:
                self._began = time.perf_counter()
                self.connection.settimeout(PATIENCE * seconds)
                if not ahead:  # while nobody else can send, or the order would be another
                    self.connection.sendall(content)
            except OSError:
                self._die()
                raise
        try:
            answer = self._answer(seconds)
        except BaseException:
            with self._turn:
                self._die()
            raise
        with self._turn:
            if answer[0].get("worn"):  # what it holds would be lacking to the next file
                self._die()
            else:
                self._order.popleft()
                self._turn.notify_all()
        return *answer, time.perf_counter() - self._began

    def _sent_ahead(self, content: bytes) -> bool:
        """Send before its turn what is so little that the connection takes it at once; a worker
        that has died is the finding of whose turn it is.
        """
        try:
            self.connection.sendall(content)
        except OSError:
            return False
        return True

    def _die(self) -> None:
        self.dead = True
        self._turn.notify_all()

    def _answer(self, seconds: float) -> tuple[Any, Mapping[str, np.ndarray]]:
        began, tick, spent = time.monotonic(), min(TICK, seconds), -1.0
        while not select.select([self.connection], [], [], tick)[0]:
            # most files are read before anybody looks
            spent = self._computed() - tick if spent < 0 else spent
            if time.monotonic() - began > PATIENCE * seconds or self._computed() - spent > seconds:
                raise TimeoutError
        return receive(self.connection, (self.megabytes + IDLE_MEGABYTES) * 2**20)

    def _computed(self) -> float:
        """Seconds of computing that the worker has used; 0 where the system does not say."""
        try:
            fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def end(self) -> float:
        """Kill it, whatever it does; seconds since it began with its last request."""
        import contextlib
        import signal

        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)
        self.connection.close()
        return time.perf_counter() - self._began


class _ForkServer:
    """The process that forks workers."""

    def __init__(self) -> None:
        self.orders, theirs = socket.socketpair()
        command = [
            sys.executable,
            "-c",
            "import sys; from mmdiag.sandbox.fork_server import serve; "
            "serve(int(sys.argv[1]), int(sys.argv[2]))",
        ]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            **KEEP_MEMORY,
            **own_modules(),
        }
        with theirs:
            self.process = subprocess.Popen(
                [*command, str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self.orders.settimeout(STARTUP_SECONDS)

    def worker(self, megabytes: int) -> _Worker:
        """Fork a worker.

        Raises:
            MmdiagError: The fork server does not start.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self.orders, [str(megabytes).encode()], [theirs.fileno()])
            (process,) = struct.unpack("<i", receive_exactly(self.orders, 4))
        except (OSError, EOFError):
            ours.close()
            raise MmdiagError(
                "Readers run in processes of their own, and none could be started: check memory "
                "and process limits, and run again."
            ) from None
        return _Worker(ours, process, megabytes)

    def end(self) -> None:
        """End it; its workers die with it."""
        self.process.kill()
        self.process.wait()
        self.orders.close()


_shared: Sandbox | None = None
_making = threading.Lock()


def shared_sandbox() -> Sandbox:
    """The pool of this process; one for all, so that starting it is paid once."""
    global _shared
    with _making:
        if _shared is None:
            _shared = Sandbox()
            atexit.register(_shared.close)
        return _shared
