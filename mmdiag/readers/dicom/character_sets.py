"""Text of a DICOM header in the character set that SpecificCharacterSet (0008,0005) names, and in
others where that is absent, unknown or contradicted.

Reference:
    DICOM PS3.5 6.1 (character repertoires), PS3.3 C.12.1.1.2 (SpecificCharacterSet).
"""

import re
import unicodedata
import warnings
from collections.abc import Iterator
from typing import Final

from pydicom.charset import convert_encodings, decode_bytes, python_encoding

DELIMITERS: Final = {0x5C, 0x5E, 0x3D, 0x0D, 0x0A, 0x0C}  # after which the first set holds again
_ESCAPE = b"\x1b"
_ESCAPES = re.compile(r"\x1b[$(),\-./]{1,2}[0-~]")  # those that pydicom leaves in the text
# what files hold whose header names no character set, or ISO_IR 100
_MULTIBYTE: Final = ("utf-8", "gb18030", "shift_jis", "euc_kr", "euc_jp", "big5")
_SINGLE_BYTE: Final = (
    "cp1251", "koi8_r", "cp866", "iso8859_5", "cp1253", "cp1255", "cp1256", "iso8859_6", "cp874",
    "cp1252", "cp1250", "cp1254", "cp1257", "iso8859_2",
)  # fmt: skip


def is_encoded(content: bytes) -> bool:
    """Whether bytes are more than ASCII: ISO 2022 brings other sets into seven bits by escape
    sequences.
    """
    return not content.isascii() or _ESCAPE in content


def character_set_names(value: bytes) -> list[str]:
    """The values of SpecificCharacterSet, in the spelling of the standard where they are one of
    the usual misspellings.
    """
    names = [part.strip() for part in value.decode("ascii", "replace").rstrip("\0 ").split("\\")]
    return [_SPELLINGS.get(_bare(name), name) for name in names]


def decoded(content: bytes, character_set: bytes) -> str:
    """Text in the named character set; what does not decode is shown as replaced, never dropped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            encodings = convert_encodings(character_set_names(character_set))
            return _ESCAPES.sub("", decode_bytes(content, encodings, DELIMITERS))
        except (LookupError, ValueError):
            return content.decode("utf-8", "replace")


def other_readings(content: bytes, character_set: bytes) -> Iterator[str]:
    """What bytes may mean besides: their text in other character sets, as far as its words are
    letters of one script each.
    """
    names = [name for name in character_set_names(character_set) if name]
    known = [name for name in names if name in python_encoding]
    declared = known and not set(known) <= {"ISO_IR 6", "ISO 2022 IR 6"}
    if declared and _holds(content, known):
        return
    for codec in (*_MULTIBYTE, *_SINGLE_BYTE):
        try:
            text = content.decode(codec)
        except UnicodeDecodeError:
            continue
        if codec == "utf-8" or _is_of_one_script(text, pure=bool(declared)):
            yield text


def _holds(content: bytes, names: list[str]) -> bool:
    """Whether the named set is one that other bytes would break, and these do not."""
    if len(names) > 1 or names[0] not in ("ISO_IR 192", "GB18030", "GBK"):
        return len(names) > 1 and _ESCAPE in content
    try:
        content.decode(str(python_encoding[names[0]]))
    except UnicodeDecodeError:
        return False
    return True


def _is_of_one_script(text: str, *, pure: bool) -> bool:
    """Whether each word has letters of one script.

    Args:
        pure: Whether a word with letters outside of ASCII must have no other: a single-byte set is
            believed unless another gives whole words in another script.
    """
    for word in re.findall(r"[^\s^=\\,;.()/-]+", text):
        scripts = {_script(letter) for letter in word if not letter.isascii()}
        latin = any(letter.isascii() and letter.isalpha() for letter in word)
        if len(scripts) > 1 or "" in scripts or (latin and scripts - {"LATIN"}):
            return False
        if pure and scripts and (latin or scripts == {"LATIN"}):
            return False
    return True


def _script(letter: str) -> str:
    """The first word of a letter's name; that of an ideograph or a kana is CJK. Empty for what is
    no letter.
    """
    if unicodedata.category(letter)[0] not in "LM":
        return ""
    script = unicodedata.name(letter, "").partition(" ")[0]
    return "CJK" if script in ("HIRAGANA", "KATAKANA", "IDEOGRAPHIC") else script


def _bare(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).upper()


_SPELLINGS: Final = {_bare(name): name for name in python_encoding if "IR" in name} | {
    "UTF8": "ISO_IR 192",
    "ISOIR58": "ISO 2022 IR 58",
    "GB2312": "GBK",
    "LATIN1": "ISO_IR 100",
    "ISO88591": "ISO_IR 100",
    "ISO88592": "ISO_IR 101",
    "ISO88595": "ISO_IR 144",
    "ISO88597": "ISO_IR 126",
    "ISO88599": "ISO_IR 148",
    "SHIFTJIS": "ISO_IR 13",
}
