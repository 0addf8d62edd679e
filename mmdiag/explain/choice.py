"""What is explained before anybody asks for it."""

from mmdiag.errors import UsageError

NONE, MODALITIES, FULL = "none", "modalities", "full"
CHOICES = (NONE, MODALITIES, FULL)


def require_choice(explain: str, full_for: int | None) -> None:
    """See that a choice is one, before anything is read or written.

    Raises:
        UsageError: It is none, or a number of cases is given where none is explained in full.
    """
    if explain not in CHOICES:
        raise UsageError(
            f"Cases are explained as one of {', '.join(CHOICES)}, found {explain!r}: choose one."
        )
    if full_for is not None and (explain != FULL or full_for < 1):
        raise UsageError(
            "A number of cases to explain in full is at least 1 and goes with `--explain full`, "
            f"found {full_for} with {explain!r}: give both, or leave --full-for out."
        )
