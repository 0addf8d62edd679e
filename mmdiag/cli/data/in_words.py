"""How counts are said."""

from collections.abc import Mapping
from typing import Any

import click


def counts_in_words(counts: Mapping[str, int], *but: str) -> str:
    """Such as "2 refused, 1 unreadable"; without the counts that are named."""
    return (
        ", ".join(
            f"{number} {name.replace('_', ' ')}"
            for name, number in counts.items()
            if name not in but
        )
        or "none"
    )


def show_accounting(rows: Mapping[str, Mapping[str, Any]], what: str = "") -> None:
    """A line a kind of what was used of it, and of why the rest was not.

    Args:
        rows: Kind -> `in`, `used` and `left_out`, the counts by reason.
        what: What is counted, such as "events "; empty = the kind itself.
    """
    for kind, row in rows.items():
        reasons = counts_in_words(row["left_out"])
        click.echo(
            f"  {kind}: {row['used']} of {row['in']} {what}"
            f"used{', left out: ' + reasons if row['left_out'] else ''}"
        )
