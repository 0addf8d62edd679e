"""Every file is parsed in a process of its own kind: limited in memory and time, written off when it dies, and never more than one verdict of loss.

A small process (the nursery) has imported the readers and forks workers from itself, so that a new worker costs milliseconds. A worker serves many files
and is replaced after so many, or when one kills it.
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
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmdiag.errors import DescriptionError, MmdiagError, ReadError
from mmdiag.readers import worker

SECONDS = 10.0  # of computing; on a busy machine that may take longer
PATIENCE = 3.0  # times the seconds of computing that are waited for
TICK = 0.5  # seconds between two looks at what a worker has used
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
MEGABYTES = 900  # beyond what an idle worker holds, which is about 100
FILES_A_WORKER = 500  # after so many it is replaced: a decoder may leak
STARTUP_SECONDS = 60.0


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

    def __init__(self, workers: int | None = None, *, seconds: float = SECONDS, megabytes: int = MEGABYTES) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))
        self.seconds, self.megabytes = seconds, megabytes
        self._nursery: _Nursery | None = None
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="sandbox")

    def submit(self, function: str, *, seconds: float | None = None, **arguments: Any) -> "Future[Outcome]":
        """Ask for `function` ("module:name" below mmdiag.readers, arguments and facts as JSON has them)."""
        return self._threads.submit(self._ask, function, arguments, seconds or self.seconds)

    def call(self, function: str, *, seconds: float | None = None, **arguments: Any) -> Outcome:
        """Ask, and wait for the outcome."""
        return self.submit(function, seconds=seconds, **arguments).result()

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
            for idle in self._idle:
                idle.end()
            self._idle = []
            if self._nursery is not None:
                self._nursery.end()
                self._nursery = None

    def _ask(self, function: str, arguments: Mapping[str, Any], seconds: float) -> Outcome:
        member, began = self._take(), time.perf_counter()
        try:
            answer, arrays = member.ask({"function": function, "arguments": arguments}, seconds)
        except TimeoutError:
            return self._lost(member, "too_slow", f"it took more than {seconds:.0f} s", began)
        except (EOFError, OSError, ValueError):
            return self._lost(member, "reader_died", "its reader was killed by it", began)
        taken = time.perf_counter() - began
        self._give_back(member)
        if "error" in answer:
            raise (DescriptionError if answer["error"] == "DescriptionError" else MmdiagError)(answer["detail"])
        return Outcome(answer.get("facts"), arrays, answer.get("code", ""), answer.get("detail", ""), taken, float(answer["peak_mb"]))

    def _lost(self, member: "_Worker", code: str, detail: str, began: float) -> Outcome:
        member.end()
        return Outcome(None, {}, code, detail, time.perf_counter() - began, float(self.megabytes))

    def _take(self) -> "_Worker":
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._nursery is None:
                self._nursery = _Nursery()
            return self._nursery.worker(self.megabytes)

    def _give_back(self, member: "_Worker") -> None:
        if member.served >= FILES_A_WORKER:
            member.end()
            return
        with self._lock:
            self._idle.append(member)


class _Worker:
    """The parent's end of one worker."""

    def __init__(self, connection: socket.socket, process: int) -> None:
        self.connection, self.process, self.served = connection, process, 0

    def ask(self, request: Mapping[str, Any], seconds: float) -> tuple[Any, Mapping[str, np.ndarray]]:
        """Send a request and wait for its answer.

        Raises:
            TimeoutError: It computed for more than `seconds`, or nothing came for three times as long.
            EOFError: The worker died.
        """
        self.served += 1
        began, tick, spent = time.monotonic(), min(TICK, seconds), -1.0
        self.connection.settimeout(PATIENCE * seconds)
        worker.send(self.connection, request)
        while not select.select([self.connection], [], [], tick)[0]:
            spent = self._computed() - tick if spent < 0 else spent  # most files are read before anybody looks
            if time.monotonic() - began > PATIENCE * seconds or self._computed() - spent > seconds:
                raise TimeoutError
        return worker.receive(self.connection)

    def _computed(self) -> float:
        """Seconds of computing that the worker has used; 0 where the system does not say."""
        try:
            fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def end(self) -> None:
        """Kill it, whatever it does."""
        import contextlib
        import signal

        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)
        self.connection.close()


class _Nursery:
    """The process that forks workers."""

    def __init__(self) -> None:
        self.orders, theirs = socket.socketpair()
        command = [sys.executable, "-c", "import sys; from mmdiag.readers.worker import nursery; nursery(int(sys.argv[1]), int(sys.argv[2]))"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with theirs:
            self.process = subprocess.Popen(
                [*command, str(theirs.fileno()), str(os.getpid())], pass_fds=[theirs.fileno()], env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        self.orders.settimeout(STARTUP_SECONDS)

    def worker(self, megabytes: int) -> _Worker:
        """Fork a worker.

        Raises:
            MmdiagError: The nursery does not start.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self.orders, [str(megabytes).encode()], [theirs.fileno()])
            (process,) = struct.unpack("<i", worker.exactly(self.orders, 4))
        except (OSError, EOFError):
            ours.close()
            raise MmdiagError("Readers run in processes of their own, and none could be started: check memory and process limits, and run again.") from None
        return _Worker(ours, process)

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
