"""Keyed pseudonyms: a key file that only its owner can read, and the ids, UIDs and date shifts that
are derived from it.
"""

import base64
import hashlib
import hmac
import os
import stat
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from mmdiag.errors import ReadError, UsageError
from mmdiag.regular_files import open_regular

KEY_BYTES: Final = 32
LONGEST_KEY: Final = 4096
ENVIRONMENT: Final = "MMDIAG_KEY_FILE"
SHORTEST_SHIFT, LONGEST_SHIFT = 30, 3650  # days


def read_key(file: Path | None = None, *, outside: Sequence[Path] = ()) -> bytes:
    """Read the key; make it, at random and readable by its owner alone, where it is not there.

    Args:
        file: Default: `MMDIAG_KEY_FILE`, else `~/.config/mmdiag/key`.
        outside: Folders in which the key must not lie: what is handed on with them would undo the
            pseudonyms.

    Raises:
        UsageError: The key lies in one of these folders, others may read it, or it is not a key.
    """
    path = (
        (file or Path(os.environ.get(ENVIRONMENT) or "~/.config/mmdiag/key")).expanduser().resolve()
    )
    for folder in outside:
        if path.is_relative_to(folder.expanduser().resolve()):
            raise UsageError(
                f"the key must lie outside of what it protects, found {path}: set {ENVIRONMENT} "
                "to a file elsewhere."
            )
    if not path.exists():  # nothing is tried where it is: its folder may be read-only
        with suppress(FileExistsError):
            _make(path)
    return _checked(path)


def pseudonym(key: bytes, kind: str, value: str) -> str:
    """The pseudonym of an identifier: sixteen letters and digits, the same for the same key, kind
    and value.

    Args:
        key: As `read_key` gives it.
        kind: What is named, such as `patient`; the same value of another kind has another
            pseudonym.
        value: The identifier; blanks and NULs at its ends do not count, so that a header, a table
            and a FHIR resource agree.
    """
    return base64.b32encode(_digest(key, kind, value)[:10]).decode("ascii").lower()


def pseudonymous_uid(key: bytes, uid: str) -> str:
    """A UID in place of another, the same for the same key (PS3.5 B.2, `2.25.` and a UUID)."""
    return f"2.25.{uuid.UUID(bytes=_digest(key, 'uid', uid)[:16], version=5).int}"


def shift_date(key: bytes, subject: str, day: date) -> date:
    """A date earlier by 30 to 3650 days, so many for each subject: intervals stay.

    Raises:
        OverflowError: The year would be before 1.
    """
    days = SHORTEST_SHIFT + int.from_bytes(_digest(key, "days", subject)[:8], "big") % (
        LONGEST_SHIFT - SHORTEST_SHIFT + 1
    )
    return day - timedelta(days=days)


def _digest(key: bytes, kind: str, value: str) -> bytes:
    return hmac.new(
        key,
        "\0".join(("mmdiag 1", kind, value.strip(" \0"))).encode("utf-8", "surrogatepass"),
        hashlib.sha256,
    ).digest()


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as written:
            written.write(os.urandom(KEY_BYTES))
            written.flush()
            os.fsync(written.fileno())
        os.link(temporary, path)  # fails where the key is there, and never shows half of one
    finally:
        temporary.unlink()


def _checked(path: Path) -> bytes:
    try:
        opened = open_regular(path)
    except ReadError as refusal:
        raise UsageError(
            f"the key must be a regular file, {refusal.detail} ({refusal.code}): set {ENVIRONMENT} "
            "to a file."
        ) from None
    with opened:
        state = os.fstat(opened.fileno())
        if stat.S_IMODE(state.st_mode) & 0o077:
            raise UsageError(
                "the key must be readable by its owner alone, found mode "
                f"{stat.S_IMODE(state.st_mode):o}: chmod 600 {path}."
            )
        if state.st_uid != os.geteuid():
            raise UsageError(
                f"the key must belong to who uses it, found another owner of {path}: set "
                f"{ENVIRONMENT} to a file of your own."
            )
        key = opened.read(LONGEST_KEY)
    if len(key) < KEY_BYTES:
        raise UsageError(
            f"the key must have at least {KEY_BYTES} bytes, found {len(key)} in {path}: restore "
            "it, or remove it to have a new one made."
        )
    return key
