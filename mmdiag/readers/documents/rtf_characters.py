"""Characters of RTF: its named ones, the code pages of its fonts, and the glyphs of symbol fonts;
and which groups hold none of the document.

Reference:
    Microsoft RTF 1.9.1: Special Characters, Font Table (charset), Code Page Support; Adobe Symbol
    encoding.
"""

import re
from typing import Final

SPECIAL: Final = {
    "par": "\n",
    "line": "\n",
    "lbr": "\n",
    "sect": "\n",
    "page": "\n",
    "column": "\n",
    "row": "\n",
    "nestrow": "\n",
    "softline": "\n",
    "softpage": "\n",
    "cell": "\t",
    "nestcell": "\t",
    "tab": "\t",
    "emdash": "\u2014",
    "endash": "\u2013",
    "emspace": "\u2003",
    "enspace": "\u2002",
    "qmspace": "\u2005",
    "bullet": "\u2022",
    "lquote": "\u2018",
    "rquote": "\u2019",
    "ldblquote": "\u201c",
    "rdblquote": "\u201d",
    "~": "\xa0",
    "_": "\u2011",
    "-": "",  # where a word may be parted
    "{": "{",
    "}": "}",
    "\\": "\\",
    "\n": "\n",
    "\r": "\n",
    "\t": "\t",
}
# groups that hold no text of the document
SKIPPED: Final = frozenset(
    re.findall(
        r"[\w-]+",
        "annotation atnauthor atndate atnicn atnid atnparent atnref atntime atrfend atrfstart "
        "background bkmkend bkmkstart blipuid colorschememapping colortbl comment datafield "
        "datastore defchp defpap do docvar factoidname falt fchars ffdeftext ffentrymcr "
        "ffexitmcr ffformat ffhelptext ffname ffstattext file filetbl fldinst fldtype "
        "fontemb fontfile formprot ftnsep ftnsepc ftncn aftnsep aftnsepc aftncn generator "
        "gridtbl hl htmltag info latentstyles lchars list listlevel listname listoverride "
        "listoverridetable listpicture liststylename listtable mailmerge mhtmltag mmathPr "
        "nesttableprops nextfile nonesttables nonshppict objalias objclass objdata objname "
        "objsect objtime oldcprops oldpprops oldsprops oldtprops passwordhash password pgp "
        "pgptbl picprop pict pn pnseclvl pntxta pntxtb private protusertbl pxe revtbl rsidtbl "
        "rxe shprslt sn sp stylesheet sv tc template themedata txe userprops wgrffmtfilter "
        "windowcaption writereservation writereservhash xe xmlattrname xmlattrvalue xmlclose "
        "xmlname xmlnstbl xmlopen",
    )
)
# groups marked as dispensable (\*) that hold text nevertheless, or what it needs
KNOWN: Final = frozenset(
    {"shpinst", "shptxt", "ud", "formfield", "ffl", "fldinst", "info", "moMath", "moMathPara"}
)
SYMBOL: Final = "symbol"  # instead of a code page: codes are glyphs
DEFAULT: Final = ""  # instead of a code page: that of the document
CHARSETS: Final = {
    0: "cp1252",
    1: DEFAULT,
    2: SYMBOL,
    77: "mac-roman",
    78: "cp932",
    79: "cp949",
    80: "gbk",
    81: "big5",
    85: "mac-greek",
    86: "mac-turkish",
    88: "mac-latin2",
    89: "mac-cyrillic",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gbk",
    136: "cp950",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
    254: "cp437",
    255: "cp850",
}
CODE_PAGES: Final = {
    0: DEFAULT,
    42: SYMBOL,
    65001: "utf-8",
    10000: "mac-roman",
    10001: "cp932",
    10003: "cp949",
    10006: "mac-greek",
    10007: "mac-cyrillic",
    10029: "mac-latin2",
    10081: "mac-turkish",
    936: "gbk",
    54936: "gb18030",
    1361: "johab",
    20127: "cp1252",
    28591: "cp1252",
    28592: "iso8859-2",
    28595: "iso8859-5",
    28597: "iso8859-7",
    28599: "cp1254",
    20866: "koi8-r",
    21866: "koi8-u",
    **{
        page: f"cp{page}"
        for page in (
            *range(1250, 1259),
            *(437, 708, 720, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 864, 865),
            *(866, 869, 874, 932, 949, 950),
        )
    },
}
# fonts of Word before 97 name the letters they have
NAMED_AFTER: Final = {
    "CYR": "cp1251",
    "CE": "cp1250",
    "GREEK": "cp1253",
    "TUR": "cp1254",
    "BALTIC": "cp1257",
    "(HEBREW)": "cp1255",
    "(ARABIC)": "cp1256",
}
_SYMBOL_FONT: Final = (
    " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_"
    "‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼" + "\ufffd" * 33 + "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵"
    "ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪\ufffd〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭\ufffd"
)
_WINGDINGS: Final = {
    0x20: " ", 0x6C: "●", 0x6D: "❍", 0x6E: "■", 0x6F: "□", 0x70: "□", 0x71: "❑", 0x72: "❒",
    0x75: "◆", 0x76: "❖", 0x77: "◆", 0x78: "☒", 0x9F: "•", 0xA7: "▪", 0xA8: "☐", 0xD8: "➢",
    0xDF: "←", 0xE0: "→", 0xE1: "↑", 0xE2: "↓", 0xE7: "⇐", 0xE8: "⇒", 0xF0: "⇨", 0xFB: "✗",
    0xFC: "✓", 0xFD: "☒", 0xFE: "☑", 0x4A: "☺", 0x4C: "☹", 0x46: "☞", 0xAB: "★",
}  # fmt: skip
_WINGDINGS_2: Final = {
    0x20: " ", 0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒", 0xA3: "☐",
    0x97: "●", 0xA2: "■",
}  # fmt: skip

_SYMBOLS: Final = {0x20 + place: glyph for place, glyph in enumerate(_SYMBOL_FONT)}
_PICTURES: Final = {"wingdings": _WINGDINGS, "wingdings 2": _WINGDINGS_2}
_SYMBOL_FONTS: Final = ("symbol", "wingdings", "webdings")


def font_code_page(charset: int | None, code_page: int | None, name: str) -> str:
    """The code page in which text in a font is written, DEFAULT or SYMBOL."""
    if code_page is not None and code_page in CODE_PAGES:
        return CODE_PAGES[code_page]
    if charset is None or charset == 1:
        ending = name.strip(" ;").rpartition(" ")[2].upper()
        plain = re.match(r"\s*(?:symbol|wingdings|webdings)", name, re.IGNORECASE)
        return SYMBOL if plain and charset is None else NAMED_AFTER.get(ending, DEFAULT)
    return CHARSETS.get(charset, DEFAULT)


def glyphs(codes: bytes, font: str) -> str:
    """What codes of a symbol font show; the sign of replacement for a glyph that is not known."""
    name = font.strip(" ;").lower()
    own = name.startswith(("wingdings", "webdings"))  # those that are not here have others
    table = _PICTURES.get(name, {}) if own else _SYMBOLS
    return "".join(table.get(code, "\ufffd" if code >= 0x20 else "") for code in codes)


def is_symbol_font(font: str) -> bool:
    """Whether the codes of a font are glyphs, and no letters."""
    return font.strip(" ;").lower().startswith(_SYMBOL_FONTS)
