"""One process at a time at a cohort or at a run: a second one waits until the first is done or
killed, and finds what it left. What a first ingestion has begun is taken away where it turns out to
be wrong use: nothing is left then.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmdiag.errors import MmdiagError, UsageError
from mmdiag.roles import require_operator
from mmdiag.workspace import Workspace

WAITS = "waits: another process is at work on this cohort"
WAITS_FOR_RUN = "waits: another process is at work on this run"


@contextmanager
def turn(workspace: Workspace, cohort: str, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold a cohort alone; the system lets go of it with the process, however that ends. On one
    machine, or on a network drive with locks, that is all that several schedulers at once need to
    score each case once: the second one finds in the ledger what the first one did. It is no lease
    that runs out, so a process that is stopped keeps it until it is killed.

    Args:
        waiting: Called once where another process holds it.

    Raises:
        UsageError: users.toml gives the user of the system a role that only looks or reviews.
    """
    require_operator(workspace.path)
    folder = workspace.cohort(cohort)
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    workspace.make()
    with alone(folder, waiting):
        first = not any(folder.iterdir())
        try:
            yield
        except MmdiagError as error:
            if error.exit_code == UsageError.exit_code and first:
                _empty(folder)
            raise
        finally:
            remove_empty(missing)


@contextmanager
def alone(folder: Path, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold a folder alone, which is made if it is missing.

    Args:
        waiting: Called once where another process holds it.
    """
    held = _hold(folder, waiting)
    try:
        yield
    finally:
        os.close(held)


def hold_if_free(folder: Path) -> int | None:
    """A descriptor that holds a folder alone until it is closed; None where another has it.

    Args:
        folder: Made if it is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    if _locked(held, fcntl.LOCK_NB):
        return held
    os.close(held)
    return None


def _locked(held: int, how: int = 0) -> bool:
    """Lock an open folder; False where another process has it and `how` is not to wait."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | how)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True


def remove_empty(folders: list[Path]) -> None:
    """Remove folders, the innermost first, as long as nothing is in them."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _hold(folder: Path, waiting: Callable[[], object]) -> int:
    """The folder, open and locked; whoever had it before may have left none."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        if not _locked(held, fcntl.LOCK_NB):
            waiting()
            _locked(held)
        if folder.exists() and os.path.samestat(folder.stat(), os.fstat(held)):
            return held
        os.close(held)
