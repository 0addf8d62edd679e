"""The subjects that a model was trained on, as keyed hashes: who holds the key can ask whether a
subject is among them; nobody can list them, and without the key nobody can guess them.
"""

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdiag.privacy.pseudonyms import ENVIRONMENT, read_key

DIGITS = 24  # hexadecimal, of a subject's hash
KEY_DIGITS = 16  # of what a key is recognised by


@dataclass(frozen=True, slots=True)
class SubjectKeys:
    """Hashes of some subjects.

    Args:
        salt: Goes into every hash: the hash of the cohort as it was then.
        keys: HMAC-SHA-256, shortened to 24 hexadecimal digits.
        key_id: By what the key is recognised; empty = made without a key, by a version before 0.2,
            and open to whoever guesses.
    """

    salt: str
    keys: frozenset[str]
    key_id: str = ""

    @staticmethod
    def of(subjects: Iterable[str], salt: str, key: bytes) -> "SubjectKeys":
        """The hashes of some subjects."""
        found = frozenset(_keyed(subject, salt, key) for subject in subjects)
        return SubjectKeys(salt, found, key_id_of(key))

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> "SubjectKeys":
        """What `to_json` gave."""
        return SubjectKeys(
            str(found["salt"]), frozenset(map(str, found["keys"])), str(found.get("key_id") or "")
        )

    def to_json(self) -> dict[str, Any]:
        """For a file, in an order that says nothing."""
        keyed = {"key_id": self.key_id} if self.key_id else {}
        return {"salt": self.salt, "keys": sorted(self.keys), **keyed}

    def readable(self, key: bytes | None) -> bool:
        """Whether this key, or none, is the one that they were made with."""
        return not self.key_id or (key is not None and key_id_of(key) == self.key_id)

    def holds(self, subject_id: str, key: bytes | None) -> bool | None:
        """Whether a subject is among them; None where that cannot be told without the right key."""
        if not self.key_id:
            return _unkeyed(subject_id, self.salt) in self.keys
        if key is None or not self.readable(key):
            return None
        return _keyed(subject_id, self.salt, key) in self.keys


def workspace_key(folder: Path) -> bytes | None:
    """The key of a workspace: the file that `MMDIAG_KEY_FILE` names, else `key` in the workspace;
    None where it is missing.

    Raises:
        UsageError: Others may read it, or it is no key.
    """
    file = _key_file(folder)
    return read_key(file) if file.exists() else None


def made_workspace_key(folder: Path) -> bytes:
    """The same key, made where it is missing. Raises as `workspace_key`."""
    return read_key(_key_file(folder))


def _key_file(folder: Path) -> Path:
    named = os.environ.get(ENVIRONMENT)
    return Path(named).expanduser() if named else folder / "key"


def key_id_of(key: bytes) -> str:
    """By what a key is recognised, which gives nothing of it away."""
    return hmac.new(key, b"mmdiag key", hashlib.sha256).hexdigest()[:KEY_DIGITS]


def _keyed(subject_id: str, salt: str, key: bytes) -> str:
    text = f"mmdiag subject\x1f{salt}\x1f{subject_id}".encode("utf-8", "surrogatepass")
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:DIGITS]


def _unkeyed(subject_id: str, salt: str) -> str:
    return hashlib.sha256(f"{salt}\x1f{subject_id}".encode()).hexdigest()[:DIGITS]
