"""What may be shown of a failure that nobody foresaw: its kind, where it happened and a reference,
never its text, which could hold a patient's value.
"""

import errno
import json
import os
import re
import secrets
import traceback
from datetime import UTC, datetime
from pathlib import Path

from mmdiag.errors import MmdiagError
from mmdiag.regular_files import file_shown
from mmdiag.workspace import is_full, no_space

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class StepFailed(MmdiagError):
    """A failure that crosses a process or flow boundary: only what may be shown, and the exit code.

    Args:
        sentence: Rule, fact and cure.
        exit_code: As in `mmdiag.errors`.
        worth_a_retry: The cause may pass by itself, such as a connection or a network drive.
    """

    def __init__(self, sentence: str, *, exit_code: int = 1, worth_a_retry: bool = False) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
        self.worth_a_retry = worth_a_retry


def redact(error: BaseException, logs: Path) -> StepFailed:
    """Bring any failure to what may be shown, stored and logged.

    Args:
        error: What was raised.
        logs: Folder of the logs; the places of an unforeseen failure are written there, under the
            reference that the sentence names.
    """
    if isinstance(error, StepFailed):
        return error
    if isinstance(error, MmdiagError):
        return StepFailed(str(error), exit_code=error.exit_code)
    if isinstance(error, OSError) and _number(error) is not None:
        number = errno.ENOSPC if error.errno is None and is_full(logs.parent) else _number(error)
        return StepFailed(
            _of_the_machine(error, number or errno.EIO, logs.parent),
            worth_a_retry=number not in NO_SPACE,
        )
    if isinstance(error, MemoryError):
        return StepFailed(
            "A step must fit into memory, and the machine had none left: close other programs or "
            "take a smaller image size in cohort.toml, and run again."
        )
    return StepFailed(
        f"The program failed and should not have: {type(error).__name__} at "
        f"{last_own_line(error)}. {_cure(_write(error, logs))}"
    )


def last_own_line(error: BaseException) -> str:
    """File and line of the last frame of this project, else of the last frame, as
    `mmdiag/storage/store.py:12`.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if _short(frame.filename).startswith(("mmdiag/", "flows/", "dashboards/"))
    ]
    if not frames:
        return "an unknown place"
    last = (own or frames)[-1]
    return f"{_short(last.filename)}:{last.lineno}"


def _number(error: OSError) -> int | None:
    """The system's number of an error; Arrow writes it into the text alone."""
    if error.errno is not None:
        return error.errno
    found = re.search(r"[Ee]rrno:? (\d+)", str(error))
    if found:
        return int(found.group(1))
    inner = error.__cause__ or error.__context__
    return (
        _number(inner)
        if isinstance(inner, OSError)
        else errno.ENOSPC
        if "o space left" in str(error)
        else errno.EIO
    )


def _of_the_machine(error: OSError, number: int, workspace: Path) -> str:
    where = f" at {_place(error.filename, workspace)}" if error.filename else ""
    if number in NO_SPACE:
        return no_space(where)
    if number == errno.EROFS:
        return (
            f"Writing needs a file system that may be written, and this one is read-only{where}: "
            "make it writable and run the same command again, it picks up where it stopped."
        )
    fact = errno.errorcode.get(number, "EIO")
    return (
        f"Files and connections must answer, found {type(error).__name__} ({fact}){where}: "
        "fix that and run the same command again, it picks up where it stopped."
    )


def _place(filename: object, workspace: Path) -> str:
    """Where a file of the workspace lies, whose names are ours; of another, whose folders may be
    called after people, what its own name may show.
    """
    path = Path(os.fsdecode(filename)) if isinstance(filename, bytes) else Path(str(filename))
    return str(path) if path.is_relative_to(workspace) else file_shown(path)


def _write(error: BaseException, logs: Path) -> str | None:
    if not logs.parent.is_dir():  # a command that has not made a workspace yet leaves none behind
        return None
    reference = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    chain: list[dict[str, object]] = []
    current: BaseException | None = error
    while current is not None and len(chain) < 10:
        frames = [
            f"{_short(f.filename)}:{f.lineno} {f.name}"
            for f in traceback.extract_tb(current.__traceback__)
        ]
        chain.append({"type": type(current).__name__, "frames": frames})
        current = current.__cause__ or current.__context__
    try:
        logs.mkdir(exist_ok=True)
        (logs / f"failure-{reference}.json").write_text(
            json.dumps(chain, indent=1), encoding="utf-8"
        )
    except OSError:
        return None
    return reference


def _cure(reference: str | None) -> str:
    again = "Set MMDIAG_DEBUG=1 to see the whole traceback, which may show patients' values"
    return f"Reference {reference} in the workspace's logs. {again}." if reference else f"{again}."


def _short(filename: str) -> str:
    parts = Path(filename).parts
    for index, part in enumerate(parts[:-1]):
        if part in ("site-packages", "mmdiag", "flows", "dashboards"):
            return "/".join(parts[index + (part == "site-packages") :])
    return "/".join(parts[-2:])
