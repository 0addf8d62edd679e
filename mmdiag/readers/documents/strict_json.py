"""JSON as every program reads it: no key twice, no number that is none, no endless nesting."""

import json
import math
import re
from typing import Any, Final

DEEPEST: Final = 64  # objects and lists within each other; FHIR needs about 20
_STRUCTURE: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}]')


class NotStrict(ValueError):
    """Text that is no strict JSON; `why` is not_json, duplicate_key, not_a_number or too_deep."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def parse_json(text: str) -> Any:
    """Parse JSON strictly.

    Raises:
        NotStrict: It is none, or two programs would read two different things from it.
    """
    if text.count("{") + text.count("[") > DEEPEST:
        _require_shallow(text)
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
        )
    except NotStrict:
        raise
    except (ValueError, RecursionError):
        raise NotStrict("not_json") from None


def _require_shallow(text: str) -> None:
    depth = 0
    for match in _STRUCTURE.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth > DEEPEST:
            raise NotStrict("too_deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotStrict("duplicate_key")
    return found


def _no_constant(name: str) -> float:  # noqa: ARG001 - the parser's signature
    raise NotStrict("not_a_number")


def _finite(text: str) -> float:
    if not math.isfinite(float(text)):
        raise NotStrict("not_a_number")
    return float(text)
