"""What may lie in place of a file: kind, as messages name it -> what makes one. And files that are
called after modules.
"""

import os
import socket
from pathlib import Path


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket is short
        try:
            listening.bind(path.name)
        finally:
            os.chdir(here)


def plant_modules(folder: Path) -> Path:
    """Files among the data that Python takes for modules which it looks for in this folder.

    Returns:
        What is there once one of them has been run.
    """
    ran = folder / "ran"
    folder.mkdir()
    for name in ("json", "socket", "struct", "numpy", "torch", "pydicom", "mmdiag"):
        (folder / f"{name}.py").write_text(f"open({str(ran)!r}, 'w')\n")
    return ran


SPECIAL = {
    "a pipe": make_pipe,
    "a socket": make_socket,
    "a folder": lambda path: path.mkdir(),
}
