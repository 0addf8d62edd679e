"""What a pattern of identifiers is."""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

# what five digits count, rather than being a postcode
COUNTED: Final = (
    r"(?:Leukozyten|Thrombozyten|Erythrozyten|Einheiten|Zellen|Patienten|Kalorien|Euro|Schritte"
    r"|Kopien|IE|Falle|Personen|Gesichtsfelder|Uhr|Meter|Jahre|Wochen|Tage|Stunden|Minuten|Gramm"
    r"|Leucocitos|Plaquetas|Hematies|Unidades|Celulas|Pacientes)\b"
)


class IdentifierPattern(NamedTuple):
    """A kind, an expression whose group `hit` (or the whole) is the identifier, and what it must
    hold besides.

    Args:
        accept: Gives the stretch to mask within the hit, or None.
    """

    kind: str
    expression: re.Pattern[str]
    accept: Callable[[str], tuple[int, int] | None] | None = None


def pattern(
    kind: str,
    expression: str,
    accept: Callable[[str], tuple[int, int] | None] | None = None,
    flags: int = 0,
) -> IdentifierPattern:
    """A pattern of an expression that is not compiled yet."""
    return IdentifierPattern(kind, re.compile(expression, flags), accept)
