"""The exception tree: every error says rule, fact and cure, and carries the exit code of the
command line.

MmdiagError                 1   a fault of the machine or of the program; a rerun picks up
|- UsageError               2   wrong use: nothing was written
|  |- DescriptionError      2   cohort.toml or its tables are not what they should be
|  |- UnknownNameError      2   a name that is not one of the known ones; the nearest is named
|  `- BundleError           2   a bundle is incomplete or was changed since it was saved
|- ContractError            2   a table breaks a rule of severity `block`
`- ReadError                -   one file or row is refused with a reason code; it ends in
                                quarantine, never in a crash
"""

import difflib
from collections.abc import Iterable


class MmdiagError(Exception):
    """A failure that the user can read: rule, fact, cure. Never holds a patient's value."""

    exit_code = 1


class UsageError(MmdiagError):
    """Wrong use; nothing was written."""

    exit_code = 2


class DescriptionError(UsageError):
    """A `cohort.toml`, or a table that it names, is not what it should be."""


class BundleError(UsageError):
    """A bundle is incomplete, or its files differ from its manifest."""


class ContractError(MmdiagError):
    """A table breaks a rule whose severity is `block`."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not one of the known ones."""

    def __init__(self, what: str, name: str, known: Iterable[str], where: str = "") -> None:
        names = sorted(known)
        hint = f"{did_you_mean(name, names)} known are {', '.join(names)}.".lstrip()
        super().__init__(f"{what} must be one of the known ones, found {name!r}{where}: {hint}")


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The question "did you mean 'x'?", where x is the known name nearest to another; empty where
    none is near.

    Args:
        cutoff: Likeness from 0 (any name) to 1 (the same) that counts as near.
    """
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"did you mean {nearest[0]!r}?" if nearest else ""


class ReadError(MmdiagError):
    """One file, series, note or row is refused.

    Args:
        code: A key of `mmdiag.reasons.REASONS`.
        detail: What was found, without any patient's value (a file name, a tag name, a count).
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
