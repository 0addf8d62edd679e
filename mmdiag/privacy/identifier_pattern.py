"""What a pattern of identifiers is, and what a text must hold before it is worth searching."""

import importlib
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final, NamedTuple

# what five digits count, rather than being a postcode
COUNTED: Final = (
    r"(?:Leukozyten|Thrombozyten|Erythrozyten|Einheiten|Zellen|Patienten|Kalorien|Euro|Schritte"
    r"|Kopien|IE|Falle|Personen|Gesichtsfelder|Uhr|Meter|Jahre|Wochen|Tage|Stunden|Minuten|Gramm"
    r"|Leucocitos|Plaquetas|Hematies|Unidades|Celulas|Pacientes)\b"
)
# behind three numbers: they are sizes or doses, and no date (10-12-14 mm)
NO_UNIT: Final = r"(?!(?i:[ \t]?(?:mm|cm|ml|mg|mcg|kg|iu|units?|mmhg)\b|[ \t]?%))"
MOST_WORDS: Final = 128  # of a list of words one of which an expression needs
MOST_LISTS: Final = 3  # that are looked for, the shortest first
_EDGE: Final = "\b"  # stands for a word's edge, within a word that is needed
_EVERYWHERE: Final = " .,-\n"
_START: Final = 3  # letters of a word that are looked up first
_NOTHING: Final = frozenset(("",))
_NO_WORD: Final = re.compile(r"\W")
_PARSER: Final[Any] = importlib.import_module("re._parser")


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


class NeededWords:
    """Words in small letters of which a text needs one.

    Args:
        words: With marks at the edges that they must have.
    """

    def __init__(self, words: frozenset[str]) -> None:
        self.short: list[tuple[str, bool]] = []
        self.by_start: dict[str, list[tuple[str, bool]]] = {}
        for word in sorted(words):
            edged = word[0] == _EDGE or word[-1] == _EDGE
            apart = _NO_WORD.sub(" ", word)
            sought = (apart if edged else word, edged)
            if len(apart) < _START:
                self.short.append(sought)
            else:
                self.by_start.setdefault(apart[:_START], []).append(sought)


class Needs(NamedTuple):
    """What every text has in which an expression is found.

    Args:
        digits: At least so many.
        lists: Of each of them one word.
    """

    digits: int
    lists: tuple[NeededWords, ...]


class Searched:
    """A text that many expressions are sought in: says cheaply of most that they are not there."""

    def __init__(self, text: str) -> None:
        # beyond ASCII a letter has more than one small form
        self.known = text.isascii()
        self.small = text.lower() if self.known else ""
        self.apart = f" {_NO_WORD.sub(' ', self.small)} "
        self.digits = sum(map(self.small.count, "0123456789"))
        self.starts = {
            self.apart[start : start + _START] for start in range(len(self.apart) - _START + 1)
        }
        self.seen: dict[NeededWords, bool] = {}

    def may_have(self, needs: Needs) -> bool:
        """Whether an expression that needs so much may be found; False only where it cannot."""
        return not self.known or (
            self.digits >= needs.digits and all(map(self._has_one, needs.lists))
        )

    def _has_one(self, words: NeededWords) -> bool:
        found = self.seen.get(words)
        if found is None:
            begun = (words.by_start[start] for start in words.by_start.keys() & self.starts)
            found = self.seen[words] = any(
                word in (self.apart if edged else self.small)
                for some in (words.short, *begun)
                for word, edged in some
            )
        return found


def needs_of(expression: re.Pattern[str]) -> Needs:
    """What an expression needs, read from itself, so that both say the same."""
    whole = _sequence(_PARSER.parse(expression.pattern, expression.flags))
    lists = {_telling(words) for words in (*whole.lists, whole.words or _NOTHING)}
    told = sorted(filter(None, lists), key=lambda words: (len(words), sorted(words)))
    return Needs(max(whole.digits, whole.beside), tuple(map(_needed_words, told[:MOST_LISTS])))


@cache
def _needed_words(words: frozenset[str]) -> NeededWords:
    """One object for one list, which several expressions need."""
    return NeededWords(words)


class _Part(NamedTuple):
    """What a part of an expression needs.

    Args:
        words: All that it matches, edges marked; None where that is too much to list.
        lists: Of each of them one word is in the text, beside or within the part.
        digits: That it matches at least.
        beside: That are at least in the text where it matches: what looks ahead counts here.
    """

    words: frozenset[str] | None = None
    lists: tuple[frozenset[str], ...] = ()
    digits: int = 0
    beside: int = 0


def _sequence(items: Any) -> _Part:
    """Parts that follow one another: words are joined as long as they can be listed."""
    run, listed = _NOTHING, True
    lists: list[frozenset[str]] = []
    digits = beside = 0
    for part in (_part(str(operator), argument) for operator, argument in items):
        digits, beside = digits + part.digits, max(beside, part.beside)
        lists.extend(part.lists)
        if part.words is not None and len(run) * len(part.words) <= MOST_WORDS:
            run = frozenset(before + word for before in run for word in part.words)
            continue
        lists.append(run)
        run, listed = part.words or _NOTHING, False
    if listed:
        return _Part(run, tuple(lists), digits, beside)
    return _Part(None, (*lists, run), digits, beside)


def _part(operator: str, argument: Any) -> _Part:
    """One part of an expression as Python has parsed it; of one that is not known here nothing is
    said.
    """
    if operator == "LITERAL":
        return _Part(frozenset((chr(argument).lower(),)), digits=int(chr(argument) in "0123456789"))
    if operator == "IN":
        return _of_class(argument)
    if operator == "AT":
        return _Part(frozenset((_EDGE,)) if str(argument) == "AT_BOUNDARY" else _NOTHING)
    if operator == "SUBPATTERN":
        return _sequence(argument[-1])
    if operator == "BRANCH":
        return _branches([_sequence(items) for items in argument[1]])
    if operator in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return _repeated(argument[0], argument[1], _sequence(argument[2]))
    if operator == "ASSERT":
        ahead = _sequence(argument[1])
        return _Part(
            _NOTHING, (*ahead.lists, ahead.words or _NOTHING), 0, max(ahead.digits, ahead.beside)
        )
    return _Part(_NOTHING) if operator == "ASSERT_NOT" else _Part()


def _of_class(members: Any) -> _Part:
    """One character of several."""
    named = [(str(kind), value) for kind, value in members]
    digits = all(
        (kind == "LITERAL" and chr(value) in "0123456789")
        or (kind == "RANGE" and value[0] >= ord("0") and value[1] <= ord("9"))
        or (kind == "CATEGORY" and str(value) == "CATEGORY_DIGIT")
        for kind, value in named
    )
    listed = all(kind == "LITERAL" for kind, _ in named)
    words = frozenset(chr(value).lower() for _, value in named) if listed else None
    return _Part(words, digits=int(digits))


def _branches(parts: list[_Part]) -> _Part:
    """One of several parts: the word of any of them."""
    digits = min(part.digits for part in parts)
    beside = min(max(part.digits, part.beside) for part in parts)
    together = [part.words for part in parts if part.words is not None]
    if len(together) == len(parts) and sum(map(len, together)) <= MOST_WORDS:
        return _Part(frozenset().union(*together), (), digits, beside)
    best = [_best((*part.lists, part.words or _NOTHING)) for part in parts]
    lists = (frozenset().union(*best),) if all(best) else ()
    return _Part(None, lists, digits, beside)


def _best(lists: Iterable[frozenset[str]]) -> frozenset[str]:
    """The list that tells most; an empty one where none tells anything."""
    told = [words for words in lists if _telling(words)]
    return min(told, key=len, default=frozenset())


def _repeated(least: int, most: int, part: _Part) -> _Part:
    if part.words is not None and (least, most) in ((0, 1), (1, 1)):
        return part if least else _Part(part.words | _NOTHING)
    if not least:
        return _Part()
    return _Part(None, (*part.lists, part.words or _NOTHING), least * part.digits, part.beside)


def _telling(words: frozenset[str]) -> frozenset[str]:
    """Words as they are looked for, without those that have another one in them; none where one of
    them is in nearly every text.
    """
    sought = frozenset(map(_sought, words))
    if len(sought) > MOST_WORDS or not all(map(_tells, sought)):
        return frozenset()
    return frozenset(
        word for word in sought if not any(other != word and other in word for other in sought)
    )


def _tells(word: str) -> bool:
    plain = word.strip(_EDGE)
    return bool(plain.strip(_EVERYWHERE)) and (len(word) > 1 or not plain.isalnum())


def _sought(word: str) -> str:
    """A word with marks only where it begins or ends with a letter or digit that has an edge."""
    plain = word.replace(_EDGE, "")
    if not plain:
        return ""
    begins = word[0] == _EDGE and not _NO_WORD.match(plain[0])
    ends = word[-1] == _EDGE and not _NO_WORD.match(plain[-1])
    return f"{_EDGE * begins}{plain}{_EDGE * ends}"
