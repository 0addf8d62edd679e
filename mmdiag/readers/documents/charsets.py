"""Text in the character set that its document declares."""

import codecs
import re
from typing import Final

from mmdiag.errors import ReadError

BYTE_ORDER_MARKS: Final = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
# Python's names of the sets that text is exchanged in; its other codecs transform, run code or
# mean bytes
KNOWN: Final = frozenset(
    re.findall(
        r"[\w-]+",
        "ascii utf-8 utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be iso8859-1 "
        "iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-9 "
        "iso8859-10 iso8859-11 iso8859-13 iso8859-14 iso8859-15 iso8859-16 cp1250 cp1251 "
        "cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp437 cp737 cp775 cp850 cp852 cp855 "
        "cp857 cp858 cp860 cp861 cp862 cp863 cp864 cp865 cp866 cp869 cp874 cp932 cp949 cp950 "
        "koi8-r koi8-u koi8-t kz1048 ptcp154 mac-roman mac-latin2 mac-cyrillic mac-greek mac- "
        "turkish mac-iceland mac-croatian mac-romanian tis-620 shift_jis shift_jis_2004 "
        "shift_jisx0213 euc_jp euc_jis_2004 euc_jisx0213 iso2022_jp iso2022_jp_1 iso2022_jp_2 "
        "iso2022_jp_2004 iso2022_jp_3 iso2022_jp_ext gb2312 gbk gb18030 hz big5 big5hkscs "
        "euc_kr iso2022_kr johab",
    )
)
_CHARSET: Final = re.compile(r"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:()+-]{1,40})", re.IGNORECASE)
_C1: Final = re.compile("[\x80-\x9f]")


def charset_of(media_type: str) -> str | None:
    """The character set that a media type names (`text/plain; charset=windows-1251`)."""
    named = _CHARSET.search(media_type)
    return named[1] if named else None


def declared_text(content: bytes, charset: str, name: str) -> str:
    """Bytes in the character set that is declared for them; a byte order mark goes before.

    Args:
        charset: By any of its names.
        name: The document's name, for messages.

    Raises:
        ReadError: `encoding`, where the set is not known, or the bytes are not in it.
    """
    marked = next((c for mark, c in BYTE_ORDER_MARKS.items() if content.startswith(mark)), None)
    try:
        codec = marked or codecs.lookup(charset).name
        if codec not in KNOWN and codec != "utf-8-sig":
            raise LookupError
        if codec in ("utf-16", "utf-32") and marked is None:
            codec = _byte_order(content, codec)
        text = content.decode(codec)
        if codec == "iso8859-1" and _C1.search(text):
            # what says Latin-1 and has its control characters is Windows-1252 (WHATWG Encoding)
            text = content.decode("cp1252")
    except LookupError:
        raise ReadError("encoding", f"{name} declares a character set that is not read") from None
    except UnicodeDecodeError:
        raise ReadError("encoding", f"{name} is not in the character set it declares") from None
    return text.removeprefix("\ufeff")


def _byte_order(content: bytes, codec: str) -> str:
    """Without its mark the order of the bytes is told by the zeros of Latin letters and blanks;
    where there are none, it is the network's (RFC 2781, 4.3).
    """
    width = 2 if codec == "utf-16" else 4
    first, last = content[::width].count(0), content[width - 1 :: width].count(0)
    return f"{codec}-le" if last > first else f"{codec}-be"
