"""How counts are said."""

from collections.abc import Mapping


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
