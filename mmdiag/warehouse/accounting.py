"""What became of every event of a warehouse: used, or left out and why."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

WHY: Final[dict[str, str]] = {
    "not_a_subject": "Its subject is none of the cases'.",
    "after_as_of": "It was recorded at or after the date of each of its subject's cases, or not "
    "precisely enough to be sure that it was not.",
    "rare": "Too few subjects have its code.",
    "duplicate": "It is there twice: the same subject, time, code and value.",
    "comparator": "Its value is a bound (such as <), not a number.",
    "no_subject": "It names no subject, or none that is a whole number.",
    "no_code": "It has no code, or the concept 0, which stands for none.",
    "no_time": "It has no date, or one that cannot be read.",
    "not_a_number": "Its value is no number.",
    "not_finite": "Its value is not finite.",
    "out_of_range": "Its value is larger than the numbers of tables (3.4e38).",
}
ORDINARY: Final = ("not_a_subject", "after_as_of", "rare", "duplicate", "comparator")
Account = dict[str, dict[str, Any]]


def row_of(read: int, used: int, left_out: Mapping[str, int]) -> dict[str, Any]:
    """The account of one table: `in`, `used` and `left_out` by reason; in = used + left out."""
    counts = Counter(left_out)
    return {
        "in": read,
        "used": used,
        "left_out": {why: counts[why] for why in WHY if counts[why]},
    }


def refused(account: Account) -> int:
    """How many events were left out because something is wrong with them."""
    return sum(
        number
        for row in account.values()
        for why, number in row["left_out"].items()
        if why not in ORDINARY
    )
