"""Searches, fits and explanations of a run side by side: processes that do one piece of work after
the other, and end with the process that started them.

On stored features a fit keeps one core busy, so a machine does as many at once as it has cores;
what trains networks on originals, or has a GPU, uses the
machine by itself and is done here. `MMDIAG_PROCESSES` sets their number.

python -m mmdiag.workers.pool      (one of them: reads a piece of work a line, says how far it is)
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmdiag.config import FROZEN, IMAGE_NETWORKS, RunConfig
from mmdiag.errors import UsageError
from mmdiag.experiment.fit_id import FitId
from mmdiag.experiment.run import Run
from mmdiag.failures import StepFailed, redact
from mmdiag.progress import Progress
from mmdiag.sandbox.parent import end_with_parent, own_modules

SEARCH, FIT, EXPLAIN = "search", "fit", "explain"
FEW = 3  # pieces that are sooner done here than a process has started
MEMORY = 3 * 2**30  # bytes that one may need
VARIABLE = "MMDIAG_PROCESSES"


@contextmanager
def at_work(folder: Path, pieces: int) -> Iterator[int]:
    """Have worker processes ready for the pieces of a run; gives their number, 1 where this process
    does it alone.
    """
    run = Run.open(folder)
    n_workers = min(_worker_count(run.config), pieces)
    if n_workers < 2 or pieces < FEW:
        yield 1
        return
    from mmdiag.experiment.run import open_data

    open_data(run)  # features are made and stored once, before several processes look for them
    pool = _WorkerPool(n_workers, run.workspace.logs)
    _pools.append(pool)
    try:
        yield n_workers
    finally:
        _pools.remove(pool)
        pool.close()


def do(kind: str, folder: Path, item: Any, progress: Progress | None = None) -> None:
    """Do one piece of a run: search or fit a model by its name, or explain some cases; in a process
    that is ready, else in this one.

    Raises:
        StepFailed: It failed in the other process, or that one was killed.
    """
    if _pools:
        _pools[-1].do(kind, folder, item, progress)
    else:
        _piece(kind, folder, item, progress)


def each(
    kind: str, folder: Path, items: Sequence[Any], callback: Callable[[int, str], None]
) -> None:
    """Do the pieces of a run, several at once where processes are ready.

    Args:
        callback: Called with how many are done, and what is being done.
    """
    with at_work(folder, len(items)) as n_workers, ThreadPoolExecutor(n_workers) as threads:
        done = 0

        def one(item: Any) -> None:
            name = item if isinstance(item, str) else ""
            do(
                kind,
                folder,
                item,
                lambda part, of, text: callback(done, f"{name} {part}/{of}: {text}".strip()),
            )

        waiting = [threads.submit(one, item) for item in items]
        try:
            for future in as_completed(waiting):
                future.result()
                done += 1
                callback(done, "")
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _piece(kind: str, folder: Path, item: Any, progress: Progress | None) -> None:
    if kind == SEARCH:
        from mmdiag.tuning.trials import run_trials

        name, until_trial = (item, None) if isinstance(item, str) else item
        run_trials(Run.open(folder), FitId.parse(name), until_trial, progress)
    elif kind == FIT:
        from mmdiag.experiment.fit import fit

        fit(Run.open(folder), FitId.parse(item), progress=progress)
    else:
        from mmdiag.explain.run import explain

        explain(Run.open(folder), item)


def _worker_count(config: RunConfig) -> int:
    """How many processes the machine has room for."""
    asked = os.environ.get(VARIABLE, "")
    if asked:
        if not asked.isdecimal() or not int(asked):
            raise UsageError(
                f"{VARIABLE} is a number of processes from 1, found {asked!r}: correct it, or "
                "leave it out for one a core."
            )
        return int(asked)
    originals = (
        config.image.encoder in IMAGE_NETWORKS and config.image.training != FROZEN
    ) or config.text.training != FROZEN
    if originals or len(os.sched_getaffinity(0)) == 1:
        return 1
    import torch

    room = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MEMORY
    return 1 if torch.cuda.is_available() else max(1, min(len(os.sched_getaffinity(0)), room))


class _WorkerPool:
    """Processes, started when they are needed; as many threads as there are processes may ask at
    once, others wait.
    """

    def __init__(self, n_workers: int, logs: Path) -> None:
        self.logs = logs
        self.free = threading.Semaphore(n_workers)
        self.lock = threading.Lock()
        self.idle: list[_Worker] = []
        self.all: list[_Worker] = []

    def do(self, kind: str, folder: Path, item: Any, progress: Progress | None) -> None:
        with self.free:
            with self.lock:
                worker = self.idle.pop() if self.idle else _Worker(self.logs)
                if worker not in self.all:
                    self.all.append(worker)
            worker.do({"kind": kind, "folder": str(folder), "item": item}, progress)
            with self.lock:
                self.idle.append(worker)

    def close(self) -> None:
        for worker in self.all:
            worker.end()


class _Worker:
    """The parent's end of one process."""

    def __init__(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", VARIABLE: "1", **own_modules()}
        with (logs / "training.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mmdiag.workers.pool", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )

    def do(self, piece: dict[str, Any], progress: Progress | None) -> None:
        """Hand over a piece and wait until it is done.

        Raises:
            StepFailed: It failed, or the process was killed.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(piece) + "\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it has died, which reading finds
        for line in self.process.stdout:
            if not line.startswith("{"):
                continue
            message = json.loads(line)
            if "failed" in message:
                raise StepFailed(
                    message["failed"],
                    exit_code=message["exit_code"],
                    worth_a_retry=message["worth_a_retry"],
                )
            if "ended" in message:
                return
            if progress is not None:
                progress(message["done"], message["of"], message["text"])
        raise StepFailed(
            "A process that fits models must end by itself, one was killed: look whether the "
            "machine had memory left, and run the same command again, "
            "it picks up where it stopped."
        )

    def end(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


_pools: list[_WorkerPool] = []


def main(parent: int) -> int:
    """One of the processes: do what is asked for, line by line, until nobody asks."""
    end_with_parent(parent)
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer

    def emit(**facts: object) -> None:
        out.write(json.dumps(facts) + "\n")
        out.flush()

    for line in sys.stdin:
        asked = json.loads(line)
        folder = Path(asked["folder"])
        try:
            _piece(
                asked["kind"],
                folder,
                asked["item"],
                lambda done, of, text: emit(done=done, of=of, text=text),
            )
            emit(ended=True)
        except Exception as error:  # noqa: BLE001 - a process boundary; no value is shown
            failure = redact(error, Run.open(folder).workspace.logs)
            emit(
                failed=str(failure),
                exit_code=failure.exit_code,
                worth_a_retry=failure.worth_a_retry,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
