"""Expressions for one part of a name in letters: its spellings, and its forms in the languages that
inflect names.

Covered: Russian, Ukrainian, Bulgarian, Serbian, Polish, Czech, Slovak, Croatian, Slovene, German,
English, the Scandinavian languages, Dutch, Romanian, Lithuanian, Latvian, Finnish, Estonian,
Hungarian, Turkish and Greek endings; the words that Arabic and Hebrew write before a name without a
blank. A name of five letters or more may have any ending of up to four letters.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mmdiag.privacy.names import name_lists
from mmdiag.privacy.normalise import fold

LONG_STEM = 5  # letters of a stem that may have any ending
SHORT_STEM = 3  # letters of a stem that may have a known ending
LONGEST_ENDING = 4
_LETTER = r"[^\W\d_]"
# what follows an apostrophe: 's, Turkish cases
_AFTER_APOSTROPHE = rf"(?:'{_LETTER}{{1,6}})?"
_BREAKABLE = 5  # letters of a name that a line's end may part

_LATIN_ENDINGS = (
    "s es ens ns "  # German, English, Dutch, Scandinavian
    "a e i y o u om em am im ym ami ach ich ych imi ymi iem ie io ia iego iemu ego emu ej ou ho mu "
    "owi ovi ow ov owie owa owej owna ova ove ovou ovo oj in ina ine ino ka ke ku ko "  # Slavic
    "ei ului lui "  # Romanian
    "as is us os ai ui iui iu iai ius es iene aite yte ute aus ies "  # Baltic
    "n on an en in un lle lla lta ssa sta seen han hin hon ksi na ta tta ga le lt st ni "  # Finnic
    "t at et ot nak nek val vel ne nee ek ok hoz hez tol ban ben ba be rol bol ert "  # Hungarian
    "ra re "
    "nin nun da de dan den te tan ten la yla yle ya ye yi yu nda nde lar ler dir"  # Turkish
)
_CYRILLIC_ENDINGS = (
    "а я ы и у ю е о ой ей ою ею ом ем ам ям ами ями ах ях ов ев ова ева ого его ому "
    "ему ым им ая яя "
    "ую юю ые ие ых их ыми ими ия ию ием ии ья ью ьем ье ьи ову еву овой евой овым евым овы евы "
    "ові еві єві єм єю ої ії ій ій і ї їм ця ці цю цем че ка ке ку ко ин ина иной ину "
    "ът та то те"
)
_GREEK_ENDINGS = (
    "ος ου ο ε οι ων ους ης η ηδες ηδων ας α αδες αδων ις ι εως εων εις ω ως ω ιδος "
    "ιδα ες εα ει ον "
    "ιου ια ιας ιο"
)
_SCRIPTS: Final = {
    "latin": (_LATIN_ENDINGS, "aeiouy"),
    "cyrillic": (_CYRILLIC_ENDINGS, "аеиоуыьъэюяєії"),
    "greek": (_GREEK_ENDINGS, "αεηιουως"),
}
_ENDINGS: Final = {
    script: frozenset(fold(ending).text for ending in endings.split())
    for script, (endings, _) in _SCRIPTS.items()
}
# the last consonant before an ending of e or i, in Slavic languages
_SOFTENED: Final = {
    "k": ("c",),
    "g": ("dz", "z"),
    "h": ("s", "z"),
    "ch": ("s", "sz"),
    "r": ("rz",),
    "t": ("c",),
    "d": ("dz",),
    "st": ("sc",),
    "к": ("ц",),
    "г": ("з",),
    "х": ("с",),
}
_HUNGARIAN_PAIRS: Final = ("cs", "gy", "sz", "ny", "zs", "ty", "ly")
_BEFORE_HEBREW = "(?:[ושהבלמכ]{1,3})?"
_BEFORE_ARABIC = "(?:[وفبلك]{0,2}(?:ال)?|لل)"
_WITH_E = "äöüÄÖÜøØ"
_LONG_VOWELS: Final = {"ou": "o[uh]?", "oo": "o[oh]?", "oh": "oh?", "uu": "uu?"}


def spelt_forms(word: str, *, is_word: bool, apart: bool) -> Iterator[str]:
    """Expressions of one word of a name as it is, in its spellings.

    Args:
        word: As a header has it.
        is_word: Whether it is an ordinary word as well: then it is sought with a capital only.
        apart: Whether its syllables may be written apart, and its long vowels short: the name has
            another form in ideographs.
    """
    folded = fold(word).text
    script = script_of(folded)
    if script == "latin":
        yield _latin(word, folded, is_word=is_word, apart=apart) + _AFTER_APOSTROPHE
    elif script == "arabic":
        bare = folded.removeprefix("ال") if len(folded) > 4 else folded
        last = "[يى]" if bare.endswith(("ي", "ى")) and bare != "علي" else re.escape(bare[-1])
        yield f"{_BEFORE_ARABIC}{re.escape(bare[:-1])}{last}"
    elif script == "hebrew":
        yield _BEFORE_HEBREW + re.escape(folded)
    else:
        yield re.escape(folded) + _AFTER_APOSTROPHE
    yield from damaged_forms(word)


@dataclass(frozen=True, slots=True)
class Inflections:
    """What the words of names become with other endings.

    Args:
        stems: Script -> stems in small letters; an ending that the script's languages have, or of a
            long stem any short one, makes a form of it.
        forms: Whole words, whose stem changes before its ending.
    """

    stems: Mapping[str, frozenset[str]]
    forms: frozenset[str]

    @staticmethod
    def of(words: Iterable[str]) -> "Inflections":
        """Those of some words as a header has them."""
        stems: dict[str, set[str]] = {}
        forms: set[str] = set()
        for word in words:
            folded = fold(word).text.replace("'", "").casefold()
            script = script_of(folded)
            if script not in _SCRIPTS or len(folded) < SHORT_STEM:
                continue
            vowels = _SCRIPTS[script][1]
            found = {s for spelling in _spellings(word, folded) for s in _stems(spelling, vowels)}
            shortest = SHORT_STEM if len(folded) > SHORT_STEM else SHORT_STEM - 1
            stems.setdefault(script, set()).update(s for s in found if len(s) >= shortest)
            forms.update(form for stem in found for form in _changed(stem, script))
        return Inflections(
            {script: frozenset(of) for script, of in stems.items()}, frozenset(forms)
        )

    def expression(self) -> str:
        """Words that begin like one of the forms; `includes` tells the others from them."""
        begin = {stem[: SHORT_STEM - 1] for of in self.stems.values() for stem in of}
        begin |= {form[: SHORT_STEM - 1] for form in self.forms}
        if not begin:
            return ""
        return rf"(?:{'|'.join(map(re.escape, sorted(begin)))}){_LETTER}{{0,40}}"

    def includes(self, word: str) -> bool:
        """Whether a folded word is a form of one of the names: in small letters only of a long
        one, and where it is no ordinary word.
        """
        small = word.casefold()
        capital = word[0] != small[0]
        if capital and small in self.forms:
            return True
        if not capital and name_lists().is_word(small):
            return False
        script = script_of(small)
        stems, endings = self.stems.get(script, frozenset()), _ENDINGS.get(script, frozenset())
        return any(
            small[:length] in stems
            and (
                (small[length:] in endings and (capital or length >= LONG_STEM))
                or (capital and length >= LONG_STEM and len(small) - length <= LONGEST_ENDING)
            )
            for length in range(SHORT_STEM - 1, len(small) + 1)
        )


def script_of(folded: str) -> str:
    """`latin`, `cyrillic`, `greek`, `hebrew`, `arabic` or `other`, by the first letter."""
    first = ord(folded[0]) if folded else 0
    if first < 0x250:
        return "latin"
    for script, begin, end in (
        ("greek", 0x370, 0x400),
        ("cyrillic", 0x400, 0x530),
        ("hebrew", 0x590, 0x600),
        ("arabic", 0x600, 0x780),
    ):
        if begin <= first < end:
            return script
    return "other"


def damaged_forms(word: str) -> Iterator[str]:
    """A name with letters beyond ASCII as earlier conversions leave it: without them (`M?ller`), or
    read in another encoding than it was written in (`MÃ¼ller`).
    """
    if word.isascii():
        return
    if any(letter.isascii() and letter.isalpha() for letter in word):
        yield "".join(
            re.escape(letter) if letter.isascii() else r"[?\ufffd\u00bf]{1,3}" for letter in word
        )
    for written in ("utf-8", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "cp850", "cp866"):
        try:
            read = word.encode(written).decode("cp1252")
        except UnicodeError:
            continue
        folded = fold(read).text
        if len(folded) > SHORT_STEM and folded.lower() != fold(word).text.lower():
            yield re.escape(folded)


def _latin(word: str, folded: str, *, is_word: bool, apart: bool) -> str:
    """A name's letters, which a line's end may part; with a capital where the name is a word as
    well.
    """
    plain = folded.replace("'", "")
    pieces = _pieces(word, plain, apart=apart)
    if is_word and not pieces[0].startswith("("):
        pieces[0] = f"(?-i:{plain[0].upper()}){pieces[0][1:]}"
    gap = r"(?:['-]?\n)?" if len(plain) >= _BREAKABLE else ""
    if apart:
        gap = r"(?:['-]?\n|[\s-])?"
    if folded[1:2] == "'":
        return rf"{pieces[0]}['\s]?{gap.join(pieces[1:])}"
    return gap.join(pieces)


def _pieces(word: str, plain: str, *, apart: bool) -> list[str]:
    """Expressions of a name's letters: an umlaut with or without its e, syllables that begin with
    a capital joined or not.
    """
    letters, pieces, place = [*word.replace("'", "").replace("\u2019", "")], [], 0
    aligned = len(letters) == len(plain)
    while place < len(plain):
        letter, pair = plain[place], plain[place : place + 2].casefold()
        dotted = aligned and letters[place] in _WITH_E
        if apart and pair in _LONG_VOWELS:
            pieces.append(_LONG_VOWELS[pair])
            place += 2
        elif pair in ("ae", "oe", "ue", "aa"):
            pieces.append(f"{re.escape(letter)}{pair[1]}?")
            place += 2
        elif dotted or (aligned and letters[place] in "åÅ"):
            pieces.append(f"{re.escape(letter)}{'e' if dotted else 'a'}?")
            place += 1
        else:
            pieces.append(re.escape(letter))
            place += 1
        if place < len(plain) and plain[place].isupper() and plain[place - 1].islower():
            pieces[-1] += r"[\s-]?"
    return pieces


def _spellings(word: str, folded: str) -> set[str]:
    """A name with its umlauts as one letter and as two."""
    dotted = fold(re.sub(f"([{_WITH_E}])", r"\1e", word)).text.replace("'", "").casefold()
    return {folded, dotted, re.sub("([aou])e", r"\1", folded)}


def _stems(name: str, vowels: str) -> Iterator[str]:
    """A name less what may be its ending."""
    yield name
    bare = name[:-1] if name[-1] in "sσ" else name
    yield bare
    for stem in (bare, bare[:-1]):
        if stem and stem[-1] in vowels:
            yield stem[:-1]
    if name[-2] in "aeoиео" and name[-1] not in vowels:
        yield name[:-2] + name[-1]  # Marek, Marka
        if name[-2] in "еио":
            yield f"{name[:-2]}ь{name[-1]}"  # Лев, Льва
    if name.endswith("nen"):
        yield name[:-3] + "s"  # Virtanen, Virtasen
    if name.endswith(("еи", "ии")):
        yield name[:-2] + "ь"  # Соловей, Соловья
    if len(name) > SHORT_STEM and name[-1] in vowels and name[-2] == name[-3]:
        yield name[:-3] + name[-2:]  # Pekka, Pekan


def _changed(stem: str, script: str) -> Iterator[str]:
    """Words of a stem whose last consonant changes before the ending."""
    if len(stem) < SHORT_STEM:
        return
    endings = ("ie", "e", "i", "y") if script == "latin" else ("и", "і", "е", "у")
    for last, others in _SOFTENED.items():
        if stem.endswith(last):
            yield from (stem[: -len(last)] + other + end for other in others for end in endings)
    if script == "latin":  # Hungarian: with, and into
        pair = stem.endswith(_HUNGARIAN_PAIRS)
        twice = stem[:-2] + stem[-2] + stem[-2:] if pair else stem + stem[-1]
        yield from (twice + end for end in ("al", "el", "a", "e"))
