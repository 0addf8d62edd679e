"""One ingestion of a cohort at a time: a second one waits until the first is done or killed."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(logs: Path, cohort: str, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold a cohort alone; the system lets go of it with the process, however that ends.

    Args:
        logs: Folder of the file that is locked; it stays, and is empty.
        waiting: Called once where another process holds it.
    """
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / f"ingestion-{cohort}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            pass
        yield
