"""`Reason`: what a reason code means to the person who reads it."""

from typing import NamedTuple


class Reason(NamedTuple):
    """What a reason code means to the person who reads it."""

    rule: str
    cure: str
