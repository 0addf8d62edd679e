"""Expressions that find a person's name in folded text: in the order and spelling of the header and
in others, inflected, and in scripts that write names without blanks.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, NamedTuple

from mmdiag.privacy.inflection import Inflections, spelt_forms
from mmdiag.privacy.names import name_lists
from mmdiag.privacy.normalise import fold

SHORTEST_NAME = 3  # letters of a part of a name that is masked by itself
BETWEEN = r"[\s\-./,'^_()·]{0,3}"  # what may stand between the parts of a name, an id or an address
PARTICLES: Final = frozenset(
    re.findall(
        r"\w+",
        "van von der den de del della di da dos du la las le los el al bin ben ibn abu ter ten "
        "zu zum zur mac san st",
    )
)
_TITLES: Final = frozenset(
    re.findall(
        r"\w+", "dr prof professor mr mrs ms miss sir herr frau md phd jr sr hr fr dipl med mme"
    )
)
# Han, kana, Hangul, Thai, Lao, Burmese, Khmer: written without blanks between words
_UNSPACED: Final = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1100, 0x11FF),
    (0x1780, 0x17FF),
    (0x2E80, 0x9FFF),
    (0xAC00, 0xD7FF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_SYLLABLES = "\u1100-\u11ff"  # Hangul as folded text has it
_CHARACTER = rf"[\u2e80-\u9fff\uf900-\ufaff{_SYLLABLES}]"
_HANGUL_END = r"(?![\u1160-\u11ff])"
# of a family name of one character, what stands beside it
_CALLED = "|".join(
    re.findall(
        r"\S+",
        fold(
            "先生 女士 小姐 太太 同学 老师 师傅 患者 病人 氏 某 さん 様 さま 殿 君 くん ちゃん "
            "씨 님 군 양 환자 선생"
        ).text,
    )
)
_LABELLED = "|".join(
    re.findall(
        r"\S+",
        fold("患者 病人 病患 患儿 姓名 氏名 お名前 名前 受检者 환자 환자명 성명 이름").text,
    )
)
_INSTITUTION_ENDS: Final = frozenset("院科室部門门所局学學校会會医醫病")
_UPPER = r"A-Z\u0391-\u03a9\u0400-\u042f\u0490"
_INITIAL = rf"(?-i:[{_UPPER}])"
CHEMICAL: Final = frozenset(
    re.findall(r"\w+", "na li ca mg fe zn cu co ba cl he ne ag au al si se as")
)


@dataclass(slots=True)
class Names:
    """The parts of a person's names.

    Args:
        words: Parts in letters that are written with blanks between words: raw part -> whether its
            syllables may be written apart.
        particles: Parts such as `van`, where they do not make the whole of a component (`^Ben`).
        wholes: Names in scripts without blanks: their parts in the order of the header.
    """

    words: dict[str, bool] = field(default_factory=dict)
    particles: set[str] = field(default_factory=set)
    wholes: dict[tuple[str, ...], None] = field(default_factory=dict)


def add_name(names: Names, value: str, institution: frozenset[str] = frozenset()) -> None:
    """Add a name as a header or a table has it.

    Args:
        value: Such as `Family^Given`, `Yamada^Tarou=山田^太郎`, `Family, Given` or `Given Family`.
        institution: Words of institutions, which are no names.
    """
    written = unicodedata.normalize("NFKC", value)
    groups = [name_tokens(group) for group in written.split("=")]
    apart = any(is_unspaced(token) for group in groups for token in group)
    whole = {tuple(name_tokens(part)) for part in re.split(r"[=^]", written) if "^" in written}
    names.particles |= {
        token.lower()
        for group in groups
        for token in group
        if token.lower() in PARTICLES and (token,) not in whole
    }
    for group in groups:
        if glued := tuple(token for token in group if is_unspaced(token)):
            names.wholes[glued] = None
        for token in group:
            plain = fold(token).text.lower().replace("'", "")
            if not is_unspaced(token) and plain not in institution and plain not in _TITLES:
                names.words[token] = names.words.get(token, False) or apart


def name_tokens(value: str) -> list[str]:
    """The words of a value: letters with the marks on them and apostrophes within."""
    runs = groupby(value, key=_is_of_word)
    words = ("".join(run).strip("'\u2019\u02bc") for of_word, run in runs if of_word)
    return [word for word in words if word]


def is_unspaced(token: str) -> bool:
    """Whether a word is of a script that puts no blanks between words."""
    return any(first <= ord(token[0]) <= last for first, last in _UNSPACED)


class NamePattern(NamedTuple):
    """An expression for folded text, to ignore case; its group `hit`, where there is one, is what
    is masked.

    Args:
        accept: Whether the group `name` of a hit is meant; None = always.
    """

    expression: str
    accept: Callable[[str], bool] | None = None


def name_patterns(names: Names) -> Iterator[NamePattern]:
    """Patterns of all forms of some names."""
    for parts in names.wholes:
        yield from map(NamePattern, _unspaced(parts))
    yield from _spaced(names.words, names.particles)


def _is_of_word(letter: str) -> bool:
    return letter.isalnum() or letter in "'\u2019\u02bc" or unicodedata.category(letter)[0] == "M"


def _unspaced(parts: Sequence[str]) -> Iterator[str]:
    """A name without blanks: as a whole in both orders, and each part of two characters or more by
    itself; of one that is not parted, its likely parts too.
    """
    whole = "".join(parts)
    if len(whole) < 2:
        return
    folded = [_folded(part) for part in parts]
    yield BETWEEN.join(folded) + _end(whole)
    if len(parts) > 1:
        yield BETWEEN.join([*folded[1:], folded[0]]) + _end(parts[0])
    alone = {part for part in parts if len(part) > 1}
    families = {parts[0]} if len(parts) > 1 else set()
    if len(parts) == 1 and 3 <= len(whole) <= 4 and _may_part(whole):
        families.add(whole[0])
        alone |= {whole[-2:], whole[1:], whole[:2]}
    for part in sorted(alone, key=len, reverse=True):
        yield _folded(part) + _end(part)
    for family in families:
        if len(family) == 1:
            yield from _beside_a_title(_folded(family) + _end(family))
    for part in parts:
        if len(part) == 1 and len(parts) > 1:
            yield rf"(?<!{_CHARACTER}){_folded(part)}{_end(part)}(?!{_CHARACTER})"


def _may_part(whole: str) -> bool:
    """Whether it is a person's name of Han or Hangul, rather than a place's."""
    han = all("\u3400" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7a3" for letter in whole)
    return han and not _INSTITUTION_ENDS.intersection(whole)


def _beside_a_title(family: str) -> Iterator[str]:
    """A family name of one character, which is a part of many words: where a title or a label says
    that it is one.
    """
    yield rf"{family}(?=\s?(?:{_CALLED}))"
    yield rf"(?:{_LABELLED})[\s:,]{{0,3}}(?P<hit>{family})(?!{_CHARACTER})"


def _folded(part: str) -> str:
    return re.escape(fold(part).text)


def _end(part: str) -> str:
    return _HANGUL_END if "\uac00" <= part[-1] <= "\ud7a3" else ""


def _spaced(words: Mapping[str, bool], particles: set[str]) -> Iterator[NamePattern]:
    """The parts of names as they are spelt, and inflected, with the initials and particles beside
    them.
    """
    is_word = name_lists().is_word
    spelt: set[str] = set()
    short: list[str] = []
    for word, apart in words.items():
        plain = fold(word).text.lower().replace("'", "")
        if len(plain) >= SHORTEST_NAME and plain not in particles:
            a_word = is_word(plain) or plain in PARTICLES
            spelt.update(spelt_forms(word, is_word=a_word, apart=apart))
            continue
        short.append(re.escape(plain))
        if len(plain) == 2 and not is_word(plain) and plain not in PARTICLES | CHEMICAL:
            spelt.add(rf"(?-i:{re.escape(plain.title())})")
    own = "".join(sorted({fold(word).text[0].upper() for word in words}))
    initials = rf"(?-i:(?:[{_UPPER}]\.\s?)?[{_UPPER}]\.|[A-Z{own}])"
    before = rf"(?:(?:{'|'.join([*short, *PARTICLES, initials])})[\s,.^]{{1,2}})?"
    others = "".join(rf"|[\s,^]{{1,2}}{part}(?![^\W_])" for part in short)
    after = rf"(?:[\s,^]{{1,2}}{_INITIAL}(?:\.\s?{_INITIAL}\.)?(?=[\s,.;:)]|$){others})?"
    if spelt:
        name = "|".join(sorted(spelt, key=len, reverse=True))
        yield NamePattern(bounded(f"{before}(?:{name}){after}"))
    inflections = Inflections.of(word for word in words if fold(word).text.lower() not in PARTICLES)
    if begins := inflections.expression():
        yield NamePattern(
            bounded(f"{before}(?P<name>{begins})(?![^\\W_]){after}"), inflections.includes
        )


def bounded(expression: str) -> str:
    """What no letter or digit stands beside."""
    return rf"(?<![^\W_])(?:{expression})(?![^\W_])"
