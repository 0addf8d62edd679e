"""What holds for every process that a command starts: it ends when the process that started it
ends, so that a killed command leaves none behind, and it runs no file of the current folder.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)
# its environment: else a file numpy.py among the data would be taken for the module
NO_MODULES_HERE = {"PYTHONSAFEPATH": "1"}


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
