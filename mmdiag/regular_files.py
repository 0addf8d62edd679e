"""Files are files: what is no regular file is told by its kind, and never opened to wait for what
is behind it.
"""

import os
import stat
from io import BufferedReader
from pathlib import Path

from mmdiag.errors import ReadError

NOT_A_FILE = "not_a_file"
# a device may act on being opened, and a pipe waits until somebody writes to it
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
OPENED = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def other_kind(mode: int) -> str:
    """What lies there instead of a regular file, by its mode; empty where it is one."""
    if stat.S_ISREG(mode):
        return ""
    return next((kind for is_kind, kind in KINDS if is_kind(mode)), "something else")


def require_regular(path: Path) -> None:
    """Refuse what is no regular file, links resolved; nothing is opened.

    Raises:
        ReadError: `not_a_file`.
        OSError: It is not there, or may not be looked at.
    """
    _refuse(other_kind(path.stat().st_mode), path)


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for its bytes.

    Raises:
        ReadError: `not_a_file`, also where it was one when it was looked at and is none any more.
        OSError: As `open`.
    """
    require_regular(path)
    descriptor = os.open(path, OPENED)
    try:
        _refuse(other_kind(os.fstat(descriptor).st_mode), path)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path) -> bytes:
    """The bytes of a regular file. Raises as `open_regular`."""
    with open_regular(path) as opened:
        return opened.read()


def _refuse(kind: str, path: Path) -> None:
    if kind:
        raise ReadError(NOT_A_FILE, f"{path.name} is {kind}")
