"""What may lie in place of a file: kind, as messages name it -> what makes one."""

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


SPECIAL = {
    "a pipe": make_pipe,
    "a socket": make_socket,
    "a folder": lambda path: path.mkdir(),
}
