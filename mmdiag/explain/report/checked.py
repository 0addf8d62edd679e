"""Whether the explanations of a model can be relied on, as people read it: the same table and
sentence on the command line and on the pages.
"""

from collections.abc import Mapping, Sequence
from typing import Any

# completeness (log-odds), share of parts with their modality's sign, rank correlation with shuffled
# weights, share of the effect that lies where no patient is: beyond them nothing is relied on
COMPLETE, SIGN, DEPENDS, OUTSIDE = 1e-3, 0.95, 0.5, 0.02
UNCHECKED = "Whether the explanations of this model hold was not checked"
Facts = Mapping[str, Any]


def checked_rows(facts: Facts) -> list[tuple[str, str, str]]:
    """What was checked, what was found, and what is asked for.

    Args:
        facts: As `mmdiag explain --checks --json` shows them.
    """
    deletion = facts["deletion"]
    return [
        ("completeness (log-odds)", f"{facts['completeness']:.1e}", f"< {COMPLETE:.0e}"),
        (
            "parts with the sign of their modality",
            _share(facts["same_sign"]),
            f"at least {SIGN:.0%}",
        ),
        ("deletion, filled with nothing", _interval(deletion["null"]), "above 0"),
        ("deletion, filled with what is usual", _interval(deletion["mean"]), "above 0"),
        ("agreement with shuffled weights", _number(facts["randomised"]), f"at most {DEPENDS}"),
        ("agreement with models of other folds", _number(facts["stability"]), ""),
        (
            "effect outside of the body or on headings",
            _share(facts["outside_tissue"]),
            f"at most {OUTSIDE:.0%}",
        ),
    ]


def checked_sentence(facts: Facts) -> str:
    """Whether they can be relied on, and why not; what could not be asked is no success."""
    if not facts["reliable"]:
        return not_reliable(facts["reasons"])
    said = f"The explanations of this model hold on {facts['cases']} cases"
    unknown = [what for what, found, asked in checked_rows(facts) if asked and not found]
    if not unknown:
        return f"{said}."
    return f"{said}, as far as they have parts enough to ask; not asked: {'; '.join(unknown)}."


def not_reliable(reasons: Sequence[str]) -> str:
    """Said wherever an explanation of such a model is drawn."""
    return f"Explanations are not reliable for this model: {'; '.join(reasons)}."


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _interval(found: Facts) -> str:
    if found["value"] is None:
        return ""
    return f"{found['value']:+.2f} ({found['low']:+.2f} to {found['high']:+.2f})"
