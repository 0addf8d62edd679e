"""Lists of given and family names, and which of them are ordinary words too: such a word counts as
a name by the words beside it.
"""

import importlib
import pkgutil
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

from mmdiag.privacy.name_exceptions import EPONYMS, NAMES_FIRST, NO_NAMES, OF_REPORTS
from mmdiag.privacy.normalise import fold
from mmdiag.readers.text.dates import MONTHS

# per cent of the people of the United States' census of 1990 whose family names may stand alone
COMMON_SHARE = 75.0
SHORTEST = 3  # letters of a name that may stand alone
# languages of whose ordinary words Faker has a list
ORDINARY: Final = ("cs_CZ", "da_DK", "de_DE", "fr_FR", "it_IT", "nl_NL", "pl_PL", "es_ES")
# PaO, ANAs
_MIXED = re.compile(r"(?<!\bMc)(?<!\bMac)(?<![\s'-])(?<!\b[DLO]e)(?<!\bL[ae])(?<!\bDi)(?<!^)[A-Z]")
WORD: Final = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_GAP = re.compile(r"[ \t]{1,3}|\.[ \t]{0,2}")
# fmt: off
_AFTER = re.compile(
    r"(?:'?s)?[ -](?:disease|syndrome|sign|scor|scal|stag|grad|lymphom|sarcom|tumou?r|cell|cathet|procedure|classif|criteri|index|test|method|stain|"
    r"type|bod(?:y|ies)|duct|gland|node|operation|fracture|hernia|reaction|virus|nodul|ring|loop|position|line|palsy|paralysis|ulcer|contracture|anemia|"
    r"anaemia|phenomenon|reflex|manoeuvre|maneuver|triad|law|lesion|nev|spot|space|pouch|fascia|ligament|triangle|point|plexus|needle|drain|tube|clamp|"
    r"stent|coil|valve|shunt|retractor|protocol|regimen|formula|equation|thickness|level|unit|agar|solution|lactate|chorea|dementia|esophag|oesophag|"
    r"encephalopathy|thyroiditis|arteritis|purpura|granul|carcinoma|epitheli|adenoma|polyp|kidney|cancer|hospital|clinic|university)",
    re.IGNORECASE,
)
# fmt: on


@dataclass(frozen=True, slots=True)
class NameLists:
    """Names in small letters, folded.

    Args:
        given: Given names of many countries.
        family: Family names that are common, or of other countries.
        rare_family: Every family name of the census: a name only in company.
        words: Ordinary English words.
        others: Ordinary words of other languages, which do not stand alone for a person.
    """

    given: frozenset[str]
    family: frozenset[str]
    rare_family: frozenset[str]
    words: frozenset[str]
    others: frozenset[str]

    def is_word(self, name: str) -> bool:
        """Whether a name is an ordinary or a clinical word as well: then it takes company to be
        masked.
        """
        if name in NAMES_FIRST:
            return False
        if name in EPONYMS or name in NO_NAMES or name in MONTHS:
            return True
        return any(stem in self.words for part in name.split("-") for stem in _stems(part))

    def is_listed(self, name: str) -> bool:
        """Whether a word is in one of the lists."""
        return all(
            part in self.given or part in self.family or part in self.rare_family
            for part in name.split("-")
        )

    def stands_alone(self, name: str) -> bool:
        """Whether a word is a name by itself."""
        parts = name.split("-")
        return (
            len(name) >= SHORTEST
            and any((p in self.given or p in self.family) and len(p) >= SHORTEST for p in parts)
            and name not in self.others
            and not any(map(self.is_word, [name, *parts]))
        )


def find_names(text: str) -> Iterator[tuple[int, int]]:
    """Where the people of the lists stand in folded text.

    A capitalised listed name that is no word counts by itself, unless a disease, sign or device is
    called after it; one that is a word as well
    (Brown, Bell, Young, Graves) counts beside another: a given name before a family name, or next
    to a name that counts by itself.
    """
    lists = name_lists()
    tokens = list(WORD.finditer(text))
    in_small_letters = {token.group() for token in tokens if token.group().islower()}
    marked = [
        _stands_alone(lists, text, token) and token.group().lower() not in in_small_letters
        for token in tokens
    ]
    extended = list(marked)
    for i, token in enumerate(tokens[:-1]):
        following = tokens[i + 1]
        if not _adjacent(text, token, following):
            continue
        through_initial = extended[i] and len(token.group()) == 1
        if (marked[i] or through_initial) and not marked[i + 1]:
            extended[i + 1] |= _may_follow(lists, following.group())
        if marked[i + 1] and not marked[i]:
            extended[i] |= _may_precede(lists, token.group())
        if (
            not marked[i]
            and not marked[i + 1]
            and _is_pair(lists, token.group(), following.group())
        ):
            extended[i] = extended[i + 1] = True
    for token, found in zip(tokens, extended, strict=True):
        if found:
            yield token.span()


@lru_cache(maxsize=1)
def name_lists() -> NameLists:
    """The lists, read once a process."""
    census = [line.split() for line in (files("names") / "dist.all.last").read_text().splitlines()]
    given = {
        line.split()[0].lower()
        for sex in ("male", "female")
        for line in (files("names") / f"dist.{sex}.first").read_text().splitlines()
    }
    first, last = _international()
    english = (
        (files("spylls") / "hunspell/data/en/en_US.dic").read_text(encoding="utf-8").splitlines()
    )
    words = frozenset(entry.partition("/")[0] for entry in english[1:] if entry[:1].islower())
    common = {row[0].lower() for row in census if float(row[2]) <= COMMON_SHARE}
    return NameLists(
        frozenset(given | first),
        frozenset(common | last),
        frozenset(row[0].lower() for row in census),
        words,
        _ordinary(given | first),
    )


def _ordinary(given: Collection[str]) -> frozenset[str]:
    """Ordinary words of several languages, folded: those of reports, and of Faker's lists, without
    given names and, of the Spanish list, which has names of the news in it, its family names.
    """
    found: set[str] = set()
    for language in ORDINARY:
        words = importlib.import_module(f"faker.providers.lorem.{language}").Provider.word_list
        nouns = language == "de_DE"  # elsewhere a capital is that of a proper name
        found |= _parts({word for word in words if nouns or word[0].islower()})
    people = importlib.import_module("faker.providers.person.es_ES").Provider
    found.difference_update(given, _parts(set(map(str, people.last_names))))
    return OF_REPORTS | found


def _international() -> tuple[set[str], set[str]]:
    """Given and family names in Latin letters of every country that Faker knows."""
    people = importlib.import_module("faker.providers.person")
    first: set[str] = set()
    last: set[str] = set()
    for module in pkgutil.iter_modules(people.__path__):
        provider = importlib.import_module(f"faker.providers.person.{module.name}").Provider
        for attribute in dir(provider):
            names = (
                first if attribute.startswith("first_") else last if "last_" in attribute else None
            )
            values = getattr(provider, attribute) if names is not None else None
            if names is not None and isinstance(values, Collection):
                names.update(map(str, values))
    return _parts(first), _parts(last)


def _parts(names: set[str]) -> set[str]:
    """The words of some names, folded; those in other letters than Latin are left out."""
    words = re.split(r"[\s-]+", fold("\n".join(names)).text.lower())
    return {
        word
        for word in words
        if len(word) >= SHORTEST and word.isascii() and word.replace("'", "").isalpha()
    }


def _stems(word: str) -> Iterator[str]:
    """A word and what it may be a form of."""
    yield word
    for ending in ("s", "es", "ed", "ing", "er", "ly"):
        if word.endswith(ending) and len(word) - len(ending) > SHORTEST:
            yield word[: -len(ending)]
            if ending in ("ed", "ing", "er"):
                yield word[: -len(ending)] + "e"


def _stands_alone(lists: NameLists, text: str, token: re.Match[str]) -> bool:
    word = token.group()
    # in capitals an abbreviation looks the same: CEA, ELISA
    if not word[0].isupper() or word.isupper() or _MIXED.search(word):
        return False
    name = word.lower().removesuffix("'s")
    return lists.stands_alone(name) and not _AFTER.match(text, token.end())


def _adjacent(text: str, token: re.Match[str], following: re.Match[str]) -> bool:
    gap = text[token.end() : following.start()]
    if gap.startswith(".") and len(token.group()) > 1:
        return False  # the end of a sentence, and no initial
    return bool(_GAP.fullmatch(gap))


def _may_follow(lists: NameLists, word: str) -> bool:
    """Behind a name: an initial, a listed name, or a capitalised word that no list of words has."""
    name = word.lower()
    if len(word) == 1:
        return word.isupper()
    return (
        word[0].isupper()
        and not word.isupper()
        and (lists.is_listed(name) or not lists.is_word(name))
    )


def _may_precede(lists: NameLists, word: str) -> bool:
    """Before a name: an initial or a given name, or a listed name that is no word."""
    name = word.lower()
    if len(word) == 1:
        return word.isupper() and word not in "AI"
    return (
        word[0].isupper()
        and not word.isupper()
        and (name in lists.given or (lists.is_listed(name) and not lists.is_word(name)))
    )


def _is_pair(lists: NameLists, word: str, following: str) -> bool:
    """A given name and a family name that are both words: Grace Hall, Mark Young."""
    if (
        len(word) < SHORTEST
        or len(following) < SHORTEST
        or not (word[0].isupper() and following[0].isupper())
        or word.isupper() != following.isupper()
    ):
        return False
    given, family = word.lower(), following.lower()
    if given not in lists.given or family not in lists.family or family in MONTHS:
        return False
    # in capitals a heading looks the same
    return not word.isupper() or not (
        min(len(given), len(family)) < 4 or lists.is_word(given) or lists.is_word(family)
    )
