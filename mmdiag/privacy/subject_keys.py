"""The subjects that a model was trained on, as salted hashes: whether a subject is among them can
be tested, but they cannot be listed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SubjectKeys:
    """Keys of some subjects.

    Args:
        salt: What the keys are made with: the hash of the cohort as it was then.
        keys: SHA-256, shortened to 24 hexadecimal digits.
    """

    salt: str
    keys: frozenset[str]

    @staticmethod
    def of(subjects: Iterable[str], salt: str) -> "SubjectKeys":
        """The keys of some subjects."""
        return SubjectKeys(salt, frozenset(subject_key(subject, salt) for subject in subjects))

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> "SubjectKeys":
        """What `to_json` gave."""
        return SubjectKeys(str(found["salt"]), frozenset(found["keys"]))

    def to_json(self) -> dict[str, Any]:
        """For a file, in an order that says nothing."""
        return {"salt": self.salt, "keys": sorted(self.keys)}

    def __contains__(self, subject_id: str) -> bool:
        return subject_key(subject_id, self.salt) in self.keys


def subject_key(subject_id: str, salt: str) -> str:
    """How a subject is named in a bundle."""
    return hashlib.sha256(f"{salt}\x1f{subject_id}".encode()).hexdigest()[:24]
