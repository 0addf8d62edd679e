"""Where a file that a cohort.toml names may lie: below the root, or below a folder of `also_read`,
and nowhere else.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdiag.description.fields import texts_of
from mmdiag.errors import DescriptionError
from mmdiag.regular_files import NOT_A_FILE, other_kind

# Files that belong to no cohort; they may lie in a folder of `also_read`
REFERENCE_FILES = ("gene_names", "gene_sets")
BELOW_ROOT = "below the root"
BELOW_ROOT_OR_ELSEWHERE = "below the root or a folder of also_read"


def file_below(
    root: Path, named: str, what: str, where: str, *, also_read: Sequence[Path] | None = None
) -> Path:
    """The regular file that a cohort.toml names.

    Args:
        root: The cohort's root, resolved.
        named: Relative to the root, without `..`; an absolute path only below `also_read`.
        what: The key and its heading, for the message.
        also_read: Folders of reference files, resolved; None = the file is none.

    Raises:
        DescriptionError: It lies elsewhere, links resolved, is not there, or is no regular file.
    """
    place = BELOW_ROOT if also_read is None else BELOW_ROOT_OR_ELSEWHERE
    fault = place_fault(root, named, also_read or ())
    if not fault:
        kind = other_kind((root / named).stat().st_mode)
        fault = f"is no regular file but {kind} ({NOT_A_FILE})" if kind else ""
    if fault:
        raise DescriptionError(
            f"{what} must name a file {place}, {named!r} in {where} {fault}: correct it"
            + (", or name its folder in also_read under [cohort]." if also_read == () else ".")
        )
    return root / named


def place_fault(root: Path, named: str, also_read: Sequence[Path] = ()) -> str:
    """What is wrong with where a path leads, links resolved; empty where it is there and lies below
    the root, or below one of the other folders.
    """
    path = Path(named)
    if not named.isprintable():
        return "holds characters that do not show"
    if ".." in path.parts:
        return "leads upwards by '..'"
    if path.is_absolute() and not any(path.is_relative_to(folder) for folder in also_read):
        return "is an absolute path"
    try:
        found = (root / path).resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return "is not there"
    except (OSError, RuntimeError):  # a link to itself, or a folder that may not be entered
        return "cannot be reached"
    if not any(found.is_relative_to(folder) for folder in (root, *also_read)):
        return "is a link that leads out of it"
    return ""


def read_also_read(section: Mapping[str, Any], file: Path) -> tuple[Path, ...]:
    """The folders of reference files, resolved; relative to the cohort.toml, as the root is.

    Raises:
        DescriptionError: One is no folder.
    """
    folders = []
    for named in texts_of(section.get("also_read", ()), "also_read", "[cohort]", file.name):
        folder = (file.parent / os.path.expandvars(named)).resolve()
        if not folder.is_dir():
            raise DescriptionError(
                f"also_read under [cohort] of {file.name} must name folders, {named!r} is none: "
                "correct it."
            )
        folders.append(folder)
    return tuple(folders)
