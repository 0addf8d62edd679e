"""What one rule on leakage found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SHOWN = 5  # case keys or columns named in one sentence


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule on one modality (or column).

    Args:
        failed: Case -> what was found, without a value.
        fact: What was found as a whole; a rule without failed cases is broken where it is not
            empty.
    """

    code: str
    column: str
    checked: int
    failed: Mapping[str, str] = field(default_factory=dict)
    fact: str = ""
