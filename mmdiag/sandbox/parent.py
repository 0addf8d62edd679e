"""What holds for every process that a command starts: it ends when the process that started it
ends, so that a killed command leaves none behind, and it runs no file of the current folder.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1  # prctl(2)


def own_modules() -> dict[str, str]:
    """What makes a process, by its environment, find this mmdiag and no module in the current
    folder: a file numpy.py among the data would be run. A checkout that is not installed is the
    current folder itself.
    """
    here, path = Path("mmdiag", "sandbox", Path(__file__).name), os.environ.get("PYTHONPATH")
    if not here.exists() or not here.samefile(__file__):
        return {"PYTHONSAFEPATH": "1"}
    root = str(Path(__file__).parents[2])
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(filter(None, (root, path)))}


def end_with_parent(parent: int | None = None) -> None:
    """End this process when its parent ends, however it ends; elsewhere than on Linux, only where
    it has ended already.

    Args:
        parent: Process id of the parent, where this process was given it; None = whose child it is.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:  # it ended before the line above
        os._exit(1)
