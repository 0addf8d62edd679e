"""Text in old 8-bit and multi-byte encodings that do not name themselves: read only where one
reading is proven, because any of them turns any bytes into some letters.

Windows-1252 is proven where its reading is text of a Western language, and no other code page gives
other text of a language as well. Any other encoding is proven by the case's own names: one reading
gives words of one script and has a name of the patient in it.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from mmdiag.readers.text.languages import OTHERS, WESTERN, Language

IsOwn = Callable[[str], bool]
MOST_LETTERS: Final = 6  # different letters of another script that make it another reading
FEW: Final = 3  # frequent words of a note whose letters beyond ASCII all stand alone
SURE: Final = 2  # frequent words that a note's reading has more than any other
_WESTERN = tuple(WESTERN)
_CONTINENTAL = tuple(name for name in WESTERN if name != "Icelandic")
_CENTRAL = ("Polish", "Czech", "Slovak", "Hungarian", "Croatian", "Romanian", "Albanian", "German")
_TURKISH = ("Turkish", "German", "French", "Spanish", "Italian", "Dutch", "English")
_BALTIC = ("Lithuanian", "Latvian", "Estonian", "Finnish", "German", "Polish", "English")
# encodings of Latin letters, and the languages that are written in them
_LATIN: Final = {
    "cp1252": _WESTERN,
    "iso8859_15": _WESTERN,
    "mac_roman": _CONTINENTAL,
    "cp850": _CONTINENTAL,
    "cp437": _CONTINENTAL,
    "cp865": ("Danish", "Norwegian"),
    "cp1250": _CENTRAL,
    "iso8859_2": _CENTRAL,
    "cp852": _CENTRAL,
    "mac_latin2": _CENTRAL,
    "cp1254": _TURKISH,
    "cp857": _TURKISH,
    "cp1257": _BALTIC,
    "iso8859_13": _BALTIC,
    "iso8859_4": _BALTIC,
    "cp775": _BALTIC,
    "cp1258": ("Vietnamese",),
}
_LANGUAGES: Final = {**WESTERN, **OTHERS}
# which count as other readings only with words of a language
_RARE: Final = frozenset(
    ("mac_latin2", "cp437", "cp857", "iso8859_13", "iso8859_4", "cp775", "cp865", "iso8859_15")
)
_SCRIPTS: Final = {
    "CYRILLIC": ("cp1251", "koi8_r", "koi8_u", "cp866", "iso8859_5", "mac_cyrillic", "cp855"),
    "GREEK": ("cp1253", "iso8859_7", "cp737", "mac_greek"),
    "HEBREW": ("cp1255", "iso8859_8", "cp862"),
    "ARABIC": ("cp1256", "iso8859_6"),
    "THAI": ("cp874",),
    "CJK": ("cp932", "euc_jp", "gb18030", "cp950", "cp949"),
}
_CJK_NAMES: Final = frozenset(("CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC", "HANGUL", "FULLWIDTH"))
# ISO 2022 names its sets in escape sequences, ISO-2022-KR once at the beginning
_SELF_NAMED: Final = ("iso2022_jp_2", "iso2022_jp_ext", "iso2022_kr", "iso2022_jp_3")
_DESIGNATION = re.compile(rb"\x1b\$[@B(ADC)]")
_HZ = re.compile(rb"~\{(?:[!-}][!-~]){1,200}?~\}")
# UTF-8 that was read as Windows-1252 and encoded once more: the lead bytes of two-byte letters
_TWICE = re.compile("[\u00c2\u00c3][\u0080-\u00bf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u2039\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u203a]")  # fmt: skip  # noqa: E501

_RUN = re.compile(r"[^\W\d_]+")
_AS_SYMBOLS = "\u00b5\u00aa\u00ba"  # micro and the ordinals, which Unicode counts as letters
_NO_SYMBOLS = dict.fromkeys(map(ord, _AS_SYMBOLS), " ")
_SINGLE = frozenset("àáèéêíòóôöåæøãõäîâ")  # letters that are words
_SYMBOLS = frozenset(
    "\u201c\u201d\u201e\u201a\u2018\u2019\u00ab\u00bb\u2039\u203a\u2013\u2014\u2026\u2022\u00b7"
    "\u00b0\u00b1\u00b2\u00b3\u00b9\u00d7\u00bd\u00bc\u00be\u00a7\u00a9\u00ae\u2122\u20ac\u00a3"
    "\u00a5\u00bf\u00a1\u00a0\u00ad\u2030\u2020\u00f7\u00b4" + _AS_SYMBOLS
)
_LETTER = r"[^\W\d_\u00b5\u00aa\u00ba]"
# symbols where no text has them, which are letters of another code page
_MISPLACED = re.compile(
    rf"{_LETTER}(?:[^\x00-\x7f\w\u2019\u00ad\u00b4\u00b7\u2013\u2014]|[\u00b2\u00b3])"
    rf"{_LETTER}|(?<!\w)[\u00b2\u00b3]{_LETTER}"
    rf"|{_LETTER}[\u201e\u201a\u00bf\u00a1\u00a3\u20ac\u00a5\u00bc-\u00be\u00b9\u2020\u2030\u00a7\u2022\u2018]"
    r"|[a-ln-z\u00df-\u017f][\u00b2\u00b3]"
    rf"|[\u201d\u2122\u00ae\u2020\u2030\u00b1\u00d7\u00f7\u00bc-\u00be\u00b9\u20ac\u00a3\u00a7]{_LETTER}"
    rf"|(?:^|\s)[\u201d]|[\u00ba\u00aa][a-z\u00df-\u017f]|\d[\u00c0-\u00d6\u00d8-\u00e7\u00e9-\u00f6\u00f8-\u017f]"
    r"|[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017f]\d|(?:^|\s)[\u02c6\u02dc\u00a8\u00af\u00b8]"
    r"|[\u00a1-\u00a9\u00ac\u00ae-\u00b6\u00b8-\u00ba\u00bc-\u00bf\u20ac\u2020\u2030]{2}",
    re.MULTILINE,
)
_ELISION = re.compile(rf"{_LETTER}[\u2019\u00b4]{_LETTER}")
_INNER_DASH = re.compile(rf"{_LETTER}[\u2013\u2014]{_LETTER}")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\u2500-\u259f]")


class Reading(NamedTuple):
    """Bytes read in one encoding.

    Args:
        score: How many frequent words of its likeliest language it has; in other scripts than
            Latin, how many different letters.
    """

    text: str
    codec: str
    score: int


def self_named(content: bytes) -> tuple[str, str] | None:
    """Text and encoding of bytes that say by escape sequences what they are; None where they do
    not, or are damaged.
    """
    if not _DESIGNATION.search(content):
        return None
    for codec in _SELF_NAMED:
        try:
            text = content.decode(codec)
        except UnicodeDecodeError:
            continue
        if "\x1b" not in text and "\x0e" not in text:
            return text, codec
    return None


def is_disguised(content: bytes, text: str) -> bool:
    """Whether valid UTF-8 hides other letters: it was encoded twice, or it is the seven-bit form HZ
    of Chinese.
    """
    if content.isascii():
        return bool(_HZ.search(content))
    return bool(_TWICE.search(text)) or _was_encoded_twice(text)


def legacy_text(content: bytes, is_own: IsOwn | None, *, windows: bool) -> tuple[str, str] | None:
    """Text and encoding of bytes that are no UTF-8; None where no reading is proven.

    Args:
        is_own: Whether a text has a name of the patient, written with letters beyond ASCII.
        windows: Whether Windows-1252 is a possible reading: nothing in the bytes is UTF-8.
    """
    if is_own is not None:
        own = {one.text: one for one in (*_latin(content), *_others(content)) if is_own(one.text)}
        if len(own) == 1:
            (only,) = own.values()
            return only.text, only.codec
        if own:
            return None
    return windows_text(content, SURE) if windows else None


def windows_text(content: bytes, margin: int) -> tuple[str, str] | None:
    """Text and encoding of bytes in Windows-1252; None where they are no Western text in it, or are
    text in another encoding as well.

    Args:
        margin: How many frequent words of a language it must have more than other readings; 0 = as
            many are enough.
    """
    read = list(_latin(content))
    if not read or read[0].codec != "cp1252":
        return None
    rivals = [
        one.score
        for one in read
        if one.text != read[0].text and (one.score or one.codec not in _RARE)
    ]
    rivals += [one.score for one in _others(content) if one.score >= MOST_LETTERS]
    if rivals and read[0].score < max(rivals) + margin:
        return None
    if read[0].score < FEW and not _has_letter_in_a_word(read[0].text):
        return None
    return read[0].text, "cp1252"


def _has_letter_in_a_word(text: str) -> bool:
    """Whether a letter beyond ASCII stands in a word with others, or there is no such letter: one
    that stands alone is a word of several languages, in several code pages.
    """
    runs = [run for run in _RUN.findall(text.translate(_NO_SYMBOLS)) if not run.isascii()]
    return not runs or any(len(run) > 1 for run in runs)


def _was_encoded_twice(text: str) -> bool:
    raw = bytearray()
    for letter in text:
        try:
            raw += letter.encode("cp1252")
        except UnicodeEncodeError:
            if ord(letter) > 0xFF:
                return False
            raw.append(ord(letter))
    try:
        return bytes(raw).decode("utf-8") != text
    except UnicodeDecodeError:
        return False


def _latin(content: bytes) -> Iterator[Reading]:
    """Readings that are text of a language which the encoding is used for."""
    for codec, languages in _LATIN.items():
        try:
            text = content.decode(codec)
        except UnicodeDecodeError:
            continue
        if _has_misplaced(text):
            continue
        found = [_score(text, _LANGUAGES[name]) for name in languages]
        if (score := max(found)) >= 0:
            yield Reading(text, codec, score)


def _has_misplaced(text: str) -> bool:
    """Whether letters of another encoding show: signs that no text has, or where none has them."""
    if _MISPLACED.search(text) or _has_unclosed(text):
        return True
    for letter in set(text):
        is_letter = unicodedata.category(letter)[0] in "LM"
        if not letter.isascii() and not is_letter and letter not in _SYMBOLS:
            return True
    words = _RUN.findall(text.translate(_NO_SYMBOLS))
    return any(not word.isascii() and _is_odd(word) for word in words)


def _has_unclosed(text: str) -> bool:
    """Whether a low quotation mark is not closed."""
    return text.count("\u201e") > len(re.findall("[\u201c\u201d]", text)) or text.count(
        "\u201a"
    ) > len(re.findall("[\u2018\u2019]", text))


def _is_odd(word: str) -> bool:
    """Whether no word is written so: without a letter of ASCII, or with capitals behind small
    letters.
    """
    foreign = sum(not letter.isascii() for letter in word)
    if len(word) == 1:
        return bool(foreign) and word.lower() not in _SINGLE
    if len(word) > 2 and foreign == len(word):
        return True
    return any(
        second.isupper() and first.islower() and not (first + second).isascii()
        for first, second in pairwise(word)
    )


def _score(text: str, language: Language) -> int:
    """How many words of a text are frequent in a language; -1 where it has letters or signs that
    the language has not.
    """
    beyond = {letter for letter in text if not letter.isascii() and letter.isalpha()}
    foreign = {letter.lower()[0] for letter in beyond - frozenset(_AS_SYMBOLS) - {"\u0130"}}
    if not foreign <= language.letters:
        return -1
    if not language.elides and _ELISION.search(text):
        return -1
    if _INNER_DASH.search(text) and "the" not in language.words:
        return -1
    if language.borrows and foreign:
        return 0  # its letters beyond ASCII are another language's, in a name
    return sum(word.lower() in language.words for word in _RUN.findall(text))


def _others(content: bytes) -> Iterator[Reading]:
    """Readings most of whose letters are of one other script, and whose words are of one script."""
    for script, codecs in _SCRIPTS.items():
        for codec in codecs:
            try:
                text = content.decode(codec)
            except UnicodeDecodeError:
                continue
            if _is_of(text, script):
                yield Reading(text, codec, len({letter for letter in text if letter > "\x7f"}))


def _is_of(text: str, script: str) -> bool:
    own = latin = 0
    for run in _RUN.findall(text):
        names = {_script(letter) for letter in run if not letter.isascii()}
        ascii_letters = sum(letter.isascii() for letter in run)
        if names and (names != {script} or (ascii_letters and script != "CJK")):
            return False
        if any(a.islower() and b.isupper() for a, b in pairwise(run) if names):
            return False
        own += len(run) - ascii_letters
        latin += ascii_letters
    return own > 0 and own >= latin and "\ufffd" not in text and not _CONTROL.search(text)


def _script(letter: str) -> str:
    name = unicodedata.name(letter, "").partition(" ")[0]
    return "CJK" if name in _CJK_NAMES else name
