"""Where things lie: one folder holds the ledger, the cohorts, the bundles, the runs and the logs;
nothing is written outside it.
"""

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmdiag.regular_files import open_regular

LITTLE = 2**24  # bytes that are left on a disk that is full
BUNDLE_ID = re.compile(r"b-[0-9a-f]{12}")
SQLITE = "sqlite:///"
NO_FILE = ("", ":memory:")  # in place of a file of SQLite: nothing would be kept
OTHERS = 0o077  # the permissions of everybody but the owner


def keep_from_others() -> None:
    """Let every file and folder that this process and its children make be its owner's alone: what
    is made of cases is as private as they are.
    """
    os.umask(OTHERS)


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder that a command works in."""

    path: Path

    def make(self) -> None:
        """Make the folder, and close it to others, as one that an earlier version made was not."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        state = self.path.stat()
        if state.st_uid == os.geteuid() and state.st_mode & OTHERS:
            self.path.chmod(state.st_mode & ~OTHERS & 0o7777)

    @property
    def ledger_url(self) -> str:
        """The ledger: `MMDIAG_LEDGER`, else SQLite in the workspace."""
        url = os.environ.get("MMDIAG_LEDGER")
        return absolute_url(url) if url else self.ledger_inside

    @property
    def ledger_inside(self) -> str:
        """The URL of a ledger that nobody put elsewhere."""
        return f"{SQLITE}{self.path / 'ledger.db'}"

    def cohort(self, name: str) -> Path:
        """Folder of one cohort: cases.parquet, split.json, shards/, features/."""
        return self.path / "cohorts" / name

    @property
    def bundles(self) -> Path:
        """Folder of the saved models, one folder a bundle."""
        return self.path / "bundles"

    def bundle(self, identity: str) -> Path | None:
        """The folder of a bundle by its id: a run's own, or the model of one of its folds; None
        where there is none.
        """
        if not BUNDLE_ID.fullmatch(identity):
            return None
        found = [self.bundles / identity, *sorted(self.runs.glob(f"*/fits/*/{identity}"))]
        return next((folder for folder in found if folder.is_dir()), None)

    @property
    def pretrained(self) -> Path:
        """Folder of the weights that were pretrained here, one folder a pretraining."""
        return self.path / "pretrained"

    @property
    def runs(self) -> Path:
        """Folder of the runs, one folder a run."""
        return self.path / "runs"

    @property
    def logs(self) -> Path:
        """Folder of the logs, which hold case keys but no patient's value."""
        return self.path / "logs"


def sqlite_file(url: str) -> Path | None:
    """The file of a ledger in SQLite; None of another database."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


def absolute_url(url: str) -> str:
    """The URL of a ledger, a file of SQLite by its absolute path: other processes, such as those of
    `mmdiag up`, stand in another folder.
    """
    file = url.removeprefix(SQLITE)
    if not url.startswith(SQLITE) or file in NO_FILE:
        return url
    return f"{SQLITE}{Path(file).expanduser().absolute()}"


def is_full(folder: Path) -> bool:
    """Whether a disk has next to nothing left: neither Arrow nor SQLite always says why a write
    failed.
    """
    try:
        return folder.is_dir() and shutil.disk_usage(folder).free < LITTLE
    except OSError:
        return False


def no_space(where: str) -> str:
    """What is said of a full disk: rule, fact and cure.

    Args:
        where: ` at PATH`, or empty.
    """
    return (
        f"Writing needs free space, and there is next to none left{where}: free some and run the "
        "same command again, it picks up where it stopped."
    )


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary name beside `target`, and rename it onto `target` once it is written and on
    the disk.

    A process killed at any point leaves either the old file or the new one, never half of it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    own = f"{os.getpid()}-{threading.get_ident()}"
    temporary = target.with_name(f".{target.name}.{own}.tmp")
    try:
        yield temporary
        if temporary.is_file():
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        temporary.replace(target)
    finally:
        if temporary.is_file():
            temporary.unlink()


def write_text(target: Path, text: str) -> None:
    """Write a small text file atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(target: Path, content: bytes) -> None:
    """Write a file atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def file_sha256(path: Path) -> str:
    """SHA-256 of a regular file, as 64 hexadecimal digits."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
