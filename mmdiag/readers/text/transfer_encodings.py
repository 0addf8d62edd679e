"""Text that nobody can read before it is decoded: base64, hexadecimal digits and percent signs, as
databases and web forms export what they hold, and e-mails. No name would be found in it. And line
ends that databases, workbooks and messages write as characters, which are read.

Reference:
    RFC 4648 (base64), RFC 3986 2.1 (percent-encoding), RFC 5322 2.2 and RFC 2045 6 (e-mails).
"""

import base64
import binascii
import re
from typing import Final

SHORTEST: Final = 40  # characters without a blank, from which on text is no word or number
_MOST_HEAD: Final = 65_536  # characters of an e-mail's header
_DATA_URI: Final = re.compile(r"data:[\w.+/;=-]{0,100},", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_HEXADECIMAL: Final = re.compile(r"(?:0x|\\x)?(?:[0-9a-f]{2})+", re.IGNORECASE)
_PERCENT: Final = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)
_LEAST_PERCENT: Final = 3
# the lines of a header: a name and what goes on in the lines below it
_FIELD: Final = r"[!-9;-~]+:[^\n]*(?:\n[ \t][^\n]*)*"
_HEADER: Final = re.compile(rf"(?:From [^\n]*\n)?(?:{_FIELD}\n)+(?=\n|\Z)")
_MULTIPART: Final = re.compile(r"^Content-Type:\s*multipart/", re.IGNORECASE | re.MULTILINE)
_ENCODED: Final = re.compile(
    r"^Content-Transfer-Encoding:\s*(?:base64|quoted-printable)", re.IGNORECASE | re.MULTILINE
)

# a line end or a tab by its escape; in a path of Windows (`S:\\new`) none stands
_ESCAPED: Final = re.compile(r"\\(?:r\\n|[nrt])")
_PATH: Final = re.compile(r"(?<!\w)(?:[A-Za-z]:|\\)\\[^\s\\]+\S*")
_OF_WORKBOOKS: Final = re.compile(r"_x000D_\n?")  # ECMA-376 22.9.2.19
# HL7 version 2.5.1, 2.7: formatting commands, highlighting and the separators themselves
_OF_HL7: Final = re.compile(r"\\(?:\.(?:br|sp|fi|nf|ce|in|ti|sk)[+-]?\d*|[HNFSTRE])\\")
_HL7_CHARACTERS: Final = {"H": "", "N": "", "F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}


def with_line_ends(text: str) -> str:
    """A text with line ends and tabs where their escapes stand: `\\n` and `\\t` where an `\\n` is
    outside of a path of Windows, `_x000D_` of workbooks, `\\.br\\` of HL7.
    """
    text = _OF_HL7.sub(lambda one: _HL7_CHARACTERS.get(one[0][1:-1], "\n"), text)
    text = _OF_WORKBOOKS.sub("\n", text)
    if "\\n" in _PATH.sub("", text):
        text = _ESCAPED.sub(lambda one: "\t" if one[0] == "\\t" else "\n", text)
    return text


def transfer_encoding(text: str) -> str:
    """What a text is that has to be decoded first, in words; empty of plain text.

    Args:
        text: Line ends are newlines.
    """
    header = _HEADER.match(text.lstrip("\n"), 0, _MOST_HEAD)
    if header and (_MULTIPART.search(header[0]) or _ENCODED.search(header[0])):
        return "an e-mail whose text is encoded or in parts"
    whole = text.strip()
    is_uri = _DATA_URI.match(whole)
    lines = [line.strip() for line in whole[is_uri.end() if is_uri else 0 :].split("\n")]
    joined = "".join(lines)
    wrapped = {len(line) for line in lines[:-1]}  # words that each stand on a line differ in length
    if re.search(r"\s", joined) or len(wrapped) > 1 or min(wrapped, default=SHORTEST) < SHORTEST:
        return ""
    if is_uri:
        return "a data URI"
    if len(joined) < SHORTEST:
        return ""
    if len(_PERCENT.findall(joined)) >= _LEAST_PERCENT:
        return "percent-encoded"
    if _HEXADECIMAL.fullmatch(joined) and not joined.isdigit():
        return "in hexadecimal digits"
    return "encoded as base64" if _is_base64(joined) else ""


def _is_base64(text: str) -> bool:
    """Whether a text decodes, and mixes small letters, capitals and signs as no word does."""
    mixed = all(any(map(kind, text)) for kind in (str.islower, str.isupper))
    if not _BASE64.fullmatch(text) or not mixed or text.isalpha():
        return False
    plain = text.rstrip("=")
    try:
        base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        return False
    return True
