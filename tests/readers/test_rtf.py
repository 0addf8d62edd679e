"""RTF: the text that a word processor shows, each character in the code page of its font."""

import contextlib
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processor_time import grows_in_proportion
from striprtf.striprtf import rtf_to_text

from mmdiag.errors import ReadError
from mmdiag.readers.documents.rtf import rtf_text
from mmdiag.readers.text.notes import clean_note


def shown(body: str | bytes, head: str = r"\ansi\deff0{\fonttbl{\f0\fcharset0 Arial;}}") -> str:
    content = body if isinstance(body, bytes) else body.encode("latin-1")
    return rtf_text(b"{\\rtf1" + head.encode() + b"\\pard " + content + b"}", "n.rtf")[0]


SHOWN = {
    r"Lesion of {\v 9 }12 mm.": "Lesion of 12 mm.",
    r"Lesion of \v 9 \v0 12 mm.": "Lesion of 12 mm.",
    r"{\v hidden \plain shown}": "shown",
    r"Lesion of {\deleted\revauthdel1 9 }{\revised 12} mm.": "Lesion of 12 mm.",
    r"Lesion of {\strike 9 }{\striked1 10 }\strike 11 \strike0 12 mm.": "Lesion of 12 mm.",
    r"Lesion of {\strike 9 \plain 12} mm {\striked0 wide}.": "Lesion of 12 mm wide.",
    r"{\field{\*\fldinst {FORMDROPDOWN {\*\formfield{\fftype2\ffres1\ffdefres0{\*\ffl no}{\*\ffl "
    r"caf\'e9}}}}}{\fldrslt }} today": "café today",
    r"{\field{\*\fldinst {FORMDROPDOWN {\*\formfield{\fftype2\ffres25\ffdefres1{\*\ffl no}"
    r"{\*\ffl y\u233?s}}}}}{\fldrslt }} a": "yés a",
    r"{\field{\*\fldinst {FORMDROPDOWN {\*\formfield{\fftype2\ffres0{\*\ffl no}{\*\ffl yes}}}}}"
    r"{\fldrslt no}} a": "no a",
    r"{\strike {\field{\*\fldinst {FORMDROPDOWN {\*\formfield{\fftype2\ffres0{\*\ffl no}}}}}"
    r"{\fldrslt }}}a": "a",
    r"See {\field{\*\fldinst HYPERLINK http://x}{\fldrslt the report}}.": "See the report.",
    r"{\field{\*\fldinst DATE}{\fldrslt 15.06.2024}}": "15.06.2024",
    r"{\field\fldedit{\*\fldinst {FORMCHECKBOX {\*\formfield{\fftype1\ffres1{\*\ffname a}}}}}{\fldrslt}}malignant": "\u2612 malignant",
    r"{\field{\*\fldinst {FORMCHECKBOX {\*\formfield{\fftype1\ffres25\ffdefres0}}}}{\fldrslt}}benign": "\u2610 benign",
    r"{\header Hospital}Body{\footer Page 1}": "Hospital\nBody\nPage 1",
    r"{\headerf First}{\headerr Hospital}Body": "Hospital\nBody",
    r"\titlepg{\headerf First}Body": "First\nBody",
    r"Body{\footnote See text.} goes on": "BodySee text.\n goes on",
    r"Lesion{\*\annotation was 9 mm}{\annotation x}.": "Lesion.",
    r"caf\'e9 na\'efve": "café naïve",
    r"\u8804?12 mm, \u-10179?\u-8704?": "≤12 mm, \U0001f600",
    r"\uc2\u233\'c3\'a9\uc1 t\u233e": "été",
    r"\uc0\u8804 12": "≤12",
    r"{\upr{caf?}{\*\ud{caf\u233?}}}": "café",
    r"a\~b\_c\-d\emdash e\bullet\lquote f\rquote": "a\xa0b\u2011cd\u2014e\u2022\u2018f\u2019",
    r"one\par two\line three\tab four": "one\ntwo\nthree\tfour",
    r"\trowd Ki-67\cell 5 %\cell\row next": "Ki-67\t5 %\nnext",
    r"{\listtext\tab 1.}Nodule{\*\pn\pndec x}": "\t1.Nodule",
    r"{\pict\pngblip 89504e470d0a}after": "after",
    r"{\*\shppict{\pict 00ff}}{\nonshppict{\pict 00}}after": "after",
    r"{\shp{\*\shpinst{\sp{\sn x}{\sv 1}}{\shptxt In a box}}{\shprslt{\*\do{\dptxbxtext In a box}}}}": "In a box\n",
    r"{\object{\*\objdata 00ff}{\result 5 mm}}": "5 mm",
    r"{\info{\title Secret}{\author Dr. X}}Body{\xe index}": "Body",
    r"a{\*\unknown b}c{\unknown d}": "acd",
    r"\{12\} \\ \'7b": "{12} \\ {",
    "over\r\ntwo lines\\\nnew": "overtwo lines\nnew",
}


@pytest.mark.parametrize("body", SHOWN)
def test_the_text_is_what_a_word_processor_shows(body):
    assert shown(body) == SHOWN[body]


FONTS = (
    r"\ansi\ansicpg1252\deff0{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204{\*\fname x;}Arial CYR;}"
    r"{\f2\fcharset238 Arial CE;}{\f3\fcharset128 MS Mincho;}{\f4\fcharset2 Symbol;}"
    r"{\f5\fnil Times CYR;}{\f6\fcharset161 Arial;}{\f7\fcharset134 SimSun;}{\f8\fcharset2 Wingdings;}}"
)


@pytest.mark.parametrize(
    ("font", "codec", "text"),
    [
        (0, "cp1252", "größer"),
        (1, "cp1251", "Очаг 14 мм"),
        (2, "cp1250", "ložisko"),
        (3, "cp932", "肺に表示ソ"),
        (5, "cp1251", "Очаг"),
        (6, "cp1253", "βλάβη"),
        (7, "gbk", "病灶"),
    ],
)
def test_characters_are_in_the_code_page_of_their_font(font, codec, text):
    coded = "".join(rf"\'{byte:02x}" for byte in text.encode(codec))
    assert shown(rf"\f{font} {coded}\f0 .", FONTS) == f"{text}."
    # a trail byte may be a letter of ASCII
    mixed = "".join(
        chr(byte) if chr(byte).isalpha() and byte < 128 else rf"\'{byte:02x}"
        for byte in text.encode(codec)
    )
    assert shown(rf"{{\f{font} {mixed}}}.", FONTS) == f"{text}."


def test_symbol_fonts_show_their_glyphs_and_not_letters():
    assert (
        shown(r"5 {\f4 m}g, {\f4 \'a3}12, {\f4 a}-fetoprotein", FONTS)
        == "5 \u03bcg, ≤12, \u03b1-fetoprotein"
    )
    assert shown(r"{\f8 \'fe} yes {\f8 \'a8} no \u-3913?", FONTS) == "☑ yes ☐ no •"


def test_the_code_page_of_the_document_holds_where_a_font_says_none():
    assert shown(r"\'ce\'f7\'e0\'e3", r"\ansi\ansicpg1251{\fonttbl{\f0 Arial;}}") == "Очаг"
    assert shown(r"\'8a", r"\mac ") == "ä"


def test_characters_that_are_not_escaped_are_utf_8_where_they_can_be():
    assert shown("Очаг".encode()) == "Очаг" and shown("größer".encode("cp1252")) == "größer"


def test_binary_pictures_are_skipped_and_the_end_is_the_end():
    assert shown(b"a{\\pict\\bin5 }{\\x}}b") == "ab"
    content = rb"{\rtf1 Lesion.}" + b"\x00 trailing"
    assert rtf_text(content, "n.rtf")[0] == "Lesion."


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (rb"{\rtf1 cut {\b short", "truncated"),
        (rb"{\rtf1 one}{\rtf1 two}", "unreadable"),
        (b"{\\rtf1" + b"{" * 5000 + b"}" * 5001, "unreadable"),
        (rb"{\rtf1{\fonttbl{\f0\fcharset128 x;}}\f0 \'81}", "encoding"),
        (rb"{\rtf1 \u-10179?}", ""),
    ],
)
def test_what_is_damaged_is_refused(content, code):
    if not code:
        assert rtf_text(content, "n.rtf")[0] == ""
        return
    with pytest.raises(ReadError) as refusal:
        rtf_text(content, "n.rtf")
    assert refusal.value.code == code


def test_rtf_is_told_by_its_content_and_a_blank_one_is_no_note():
    content = rb"{\rtf1\ansi FINDINGS:\par Lesion.}"
    note = clean_note(content, "n.txt")
    assert (note.text, note.format) == ("FINDINGS:\nLesion.", "rtf")
    assert clean_note(rb"{\rtf1\ansi\par {\v hidden} }", "n.rtf") is None


def test_the_day_on_which_it_was_made_counts_where_its_text_says_none():
    made = rb"{\rtf1{\info{\creatim\yr2024\mo6\dy15\hr10}}"
    assert clean_note(made + b"Lesion.}", "n.rtf").written == date(2024, 6, 15)
    dated = clean_note(made + rb"Date: 2024-01-05\par Lesion.}", "n.rtf")
    assert dated.written == date(2024, 1, 5)


WORDS = st.text("abcdefghij ÄÖÜäöüßéè°±µ²-,.;:()0123456789", min_size=1, max_size=12)
RUNS = st.lists(
    st.one_of(
        WORDS.map(lambda text: "".join(c if c.isascii() else rf"\'{ord(c):02x}" for c in text)),
        WORDS.map(lambda text: "".join(c if c.isascii() else rf"\u{ord(c)}?" for c in text)),
        st.sampled_from([r"\par ", r"\tab ", r"\b ", r"\b0 ", r"\fs24 ", r"\line ", r"\emdash "]),
        WORDS.map(lambda text: "{\\i " + text.encode("ascii", "ignore").decode() + "}"),
        WORDS.map(lambda text: "{\\*\\xyz " + text.encode("ascii", "ignore").decode() + "}"),
    ),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(RUNS)
def test_plain_documents_read_as_another_package_reads_them(runs):
    document = (
        r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fcharset0 Arial;}}" + "".join(runs) + "}"
    )
    # the other one ends a document without a text at its first group
    expected = rtf_to_text(document)
    assert rtf_text(document.encode(), "n.rtf")[0].split() == expected.split()


@pytest.mark.parametrize("piece", [r"{\b x}", r"\'e9", r"\u233?", r"\par ", "{", r"{\*\a b}", "x"])
def test_no_document_makes_reading_slow(piece):
    def read(size: int) -> None:
        body = piece * (size // len(piece))
        with contextlib.suppress(ReadError):
            rtf_text(b"{\\rtf1 " + body.encode() + b"}", "n.rtf")

    assert grows_in_proportion(read, 60_000)
