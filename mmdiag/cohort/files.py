"""The files below a cohort's root: what a pattern stands for, and why it stands for none that may
be read.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from mmdiag.errors import ReadError
from mmdiag.readers.clutter import left_by_a_system, named_by_a_system
from mmdiag.regular_files import NOT_A_FILE, file_shown, other_kind

OUTSIDE = "outside_root"
OPEN = re.compile(r"[*?\[]|\.\.|^/|^\.?$|/$")  # of a pattern that is more than one plain path
Faulty = tuple[str, str]  # a reason code, and what was found
Entry = tuple[Path, Faulty | None]


class Matches:
    """Files below a cohort's root, each pattern and each folder looked up once.

    Args:
        root: The cohort's root, resolved.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[str, tuple[Path, ...]] = {}
        self._faults: dict[str, Faulty] = {}
        self._folders: dict[Path, Path] = {}
        self._below_root: dict[str, bool] = {}

    def of(self, pattern: str) -> tuple[Path, ...]:
        """The files that a pattern stands for, sorted; a folder stands for all files below it. What
        systems leave behind (`readers.clutter`) is none.

        Raises:
            ReadError: `outside_root` where a link leads out of the root, `not_a_file` where
                something else than a file is among them, `unreadable` where a folder is closed.
        """
        if pattern not in self._known:
            self._look_up(pattern)
        if pattern in self._faults:
            raise ReadError(*self._faults[pattern])
        return self._known[pattern]

    def _look_up(self, pattern: str) -> None:
        one = self._one_file(pattern)
        if one is not None:
            self._known[pattern] = one
            return
        files: list[Path] = []
        for path in self._found(pattern):
            plain = self._is_plain(path)
            for file, fault in [(path, None)] if plain else sorted(_entries(path, self.root)):
                if left_by_a_system(file.relative_to(self.root)):
                    continue
                if fault is not None:
                    self._faults.setdefault(pattern, fault)
                files.append(file)
        self._known[pattern] = tuple(files)

    def _one_file(self, pattern: str) -> tuple[Path, ...] | None:
        """What most patterns stand for, in one question to the system: a regular file in a folder
        below the root, or nothing; None where it has to be looked at closely.
        """
        if OPEN.search(pattern):
            return None
        text = f"{self.root}/{pattern}"
        try:
            mode = os.lstat(text).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except (OSError, ValueError):
            return None
        folder = text.rpartition("/")[0]
        if folder not in self._below_root:
            self._below_root[folder] = Path(os.path.realpath(folder)).is_relative_to(self.root)
        plain = stat.S_ISREG(mode) and self._below_root[folder]
        return (Path(text),) if plain and not named_by_a_system(pattern.split("/")) else None

    def _found(self, pattern: str) -> list[Path]:
        """What is there of a pattern; most are a path in which nothing is open."""
        if OPEN.search(pattern):
            return sorted(self.root.glob(pattern))
        path = self.root / pattern
        try:
            return [path] if path.exists() else []
        except PermissionError:  # glob finds nothing there either
            return []
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # no file can be called so
                return []
            raise

    def _is_plain(self, path: Path) -> bool:
        """Whether it is a regular file and no link, in a folder that is below the root."""
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                return False
            if path.parent not in self._folders:
                self._folders[path.parent] = path.parent.resolve(strict=True)
        except (OSError, RuntimeError):
            return False
        return self._folders[path.parent].is_relative_to(self.root)


def _entries(path: Path, root: Path) -> Iterator[Entry]:
    """What a path stands for: itself, or all that lies in its folder."""
    try:
        found = path.resolve(strict=True)
        if not found.is_relative_to(root):
            yield path, (OUTSIDE, f"{file_shown(path)} is a link that leads out of it")
        elif found.is_dir():
            yield from _below(path, root)
        else:
            yield path, _not_a_file(found, file_shown(path))
    except (FileNotFoundError, RuntimeError):  # RuntimeError: a link to itself
        yield path, (NOT_A_FILE, f"{file_shown(path)} is a link to nothing")
    except PermissionError:
        yield path, ("unreadable", f"{file_shown(path)} may not be looked at")


def _below(folder: Path, root: Path) -> Iterator[Entry]:
    """All that lies below a folder; a link to another folder below the root is not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            if entry.is_file(follow_symlinks=False):
                yield path, None
            elif not (entry.is_symlink() and _is_folder_below(path, root)):
                yield from _entries(path, root)


def _is_folder_below(path: Path, root: Path) -> bool:
    return path.is_dir() and path.resolve().is_relative_to(root)


def _not_a_file(path: Path, name: str) -> Faulty | None:
    kind = other_kind(path.stat().st_mode)
    return (NOT_A_FILE, f"{name} is {kind}") if kind else None
