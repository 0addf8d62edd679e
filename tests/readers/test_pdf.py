"""A PDF gives what its pages show: their text, forms and what is written onto them; a page that is a
picture, or whose letters cannot be told, is refused.
"""

from io import BytesIO

import pytest
from pypdf import PdfWriter
from pypdf.generic import (
    ArrayObject,
    DecodedStreamObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    StreamObject,
    TextStringObject,
)

from mmdiag.errors import ReadError
from mmdiag.readers.documents.pdf import pdf_text

LETTERS = "No metastasis is seen in the liver of the patient today"
HELVETICA = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
SCAN = "q 600 0 0 800 0 0 cm /Im1 Do Q"
KEY_IMAGE = "q 300 0 0 300 100 100 cm /Im1 Do Q"


def of(value):
    """A value of Python as one of PDF: `/x` is a name."""
    if isinstance(value, dict):
        return DictionaryObject({NameObject(key): of(one) for key, one in value.items()})
    if isinstance(value, list):
        return ArrayObject(map(of, value))
    if isinstance(value, int):
        return NumberObject(value)
    if isinstance(value, str):
        return NameObject(value) if value.startswith("/") else TextStringObject(value)
    return value


def pdf(*pages: str, font=HELVETICA, notes=()) -> bytes:
    """Pages by their operators, and annotations of the first one."""
    writer = PdfWriter()
    picture = StreamObject()
    picture._data = bytes(64 * 64)
    facts = {"/Type": "/XObject", "/Subtype": "/Image", "/Width": 64, "/Height": 64}
    picture.update(of(facts | {"/ColorSpace": "/DeviceGray", "/BitsPerComponent": 8}))
    if "/ToUnicode" in font:
        font = font | {"/ToUnicode": writer._add_object(font["/ToUnicode"])}
    resources = of({"/Font": {"/F1": of(font)}, "/XObject": {"/Im1": writer._add_object(picture)}})
    for operators in pages:
        page = writer.add_blank_page(600, 800)
        stream = DecodedStreamObject()
        stream.set_data(operators.encode())
        page[NameObject("/Resources")] = resources
        page[NameObject("/Contents")] = writer._add_object(stream)
    widgets = [
        writer._add_object(of({"/Type": "/Annot", "/Rect": [0, 0, 9, 9]} | n)) for n in notes
    ]
    if widgets:
        writer.pages[0][NameObject("/Annots")] = writer._add_object(of(widgets))
    writer.write(out := BytesIO())
    return out.getvalue()


def line(text: str, y: int = 700) -> str:
    return f"BT /F1 12 Tf 20 {y} Td ({text}) Tj ET "


def text_of(*pages: str, **facts) -> str:
    return pdf_text(pdf(*pages, **facts), "n.pdf")[0]


def refusal_of(*pages: str, **facts) -> str:
    with pytest.raises(ReadError, match="no_text_layer") as refusal:
        text_of(*pages, **facts)
    return refusal.value.detail


def composite(**facts) -> dict:
    """A font of glyphs that are named by their numbers."""
    system = {"/Registry": "Adobe", "/Ordering": "Identity", "/Supplement": 0}
    below = {"/Type": "/Font", "/Subtype": "/CIDFontType2", "/CIDSystemInfo": system, "/DW": 500}
    kind = {"/Type": "/Font", "/Subtype": "/Type0", "/Encoding": "/Identity-H"}
    return kind | {"/BaseFont": "/ABCDEF+Arial", "/DescendantFonts": [below]} | facts


GLYPHS = "".join(f"{ord(letter) - 29:04x}" for letter in LETTERS)


def letters_by_glyph() -> StreamObject:
    """Which letter each glyph is."""
    stream = DecodedStreamObject()
    rows = "".join(f"<{ord(one) - 29:04x}> <{ord(one):04x}>\n" for one in sorted(set(LETTERS)))
    count = len(set(LETTERS))
    stream.set_data(
        "begincmap\n1 begincodespacerange <0000> <ffff> endcodespacerange\n"
        f"{count} beginbfchar\n{rows}endbfchar\nendcmap".encode()
    )
    return stream


def test_letters_that_the_font_does_not_name_are_refused():
    shown = f"BT /F1 12 Tf 20 200 Td <{GLYPHS}> Tj ET"
    assert "font on page 1 of n.pdf" in refusal_of(shown, font=composite())
    named = composite(**{"/ToUnicode": letters_by_glyph()})
    assert text_of(shown, font=named) == LETTERS


def test_letters_of_a_font_with_codes_of_its_own_are_refused():
    codes = {letter: 33 + place for place, letter in enumerate(sorted(set(LETTERS)))}
    shown = "".join(f"{codes[letter]:02x}" for letter in LETTERS)
    font = {"/Type": "/Font", "/Subtype": "/TrueType", "/BaseFont": "/ABCDEF+Calibri"}
    assert "font on page 1" in refusal_of(f"BT /F1 12 Tf 20 200 Td <{shown}> Tj ET", font=font)
    for sound in (LETTERS, f"1.2 Findings {40 * '.'} 12", 40 * "." + 12 * " x"):
        assert text_of(line(sound), font=font) == sound


@pytest.mark.parametrize("pages", [(line(LETTERS), SCAN), (SCAN, line(LETTERS), line(LETTERS))])
def test_a_scanned_page_beside_others_is_refused(pages):
    number = pages.index(SCAN) + 1
    assert refusal_of(*pages) == f"page {number} of {len(pages)} of n.pdf is a picture"


@pytest.mark.parametrize(
    "pages",
    [
        (line(LETTERS) + KEY_IMAGE,),
        (SCAN + " 3 Tr " + line(LETTERS),),
        (SCAN + "".join(line(LETTERS, y) for y in range(100, 700, 50)),),
        (line(LETTERS), ""),
    ],
    ids=["picture beside text", "recognised text", "text over a picture", "blank page"],
)
def test_a_page_with_its_text_is_read_whatever_it_shows_beside_it(pages):
    assert LETTERS in text_of(*pages)


def test_a_scan_under_a_letterhead_is_a_picture():
    assert (
        refusal_of(line("University hospital, report of") + SCAN)
        == "page 1 of 1 of n.pdf is a picture"
    )


def widget(name: str, kind: str, value, **facts) -> dict:
    field = {"/Subtype": "/Widget", "/FT": kind, "/T": name, "/V": value, "/F": 4}
    return field | {f"/{key}": one for key, one in facts.items()}


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        (widget("Left mm", "/Tx", "2"), "Left mm: 2"),
        (widget("t1", "/Tx", "2", TU="Left mm"), "Left mm: 2"),
        (widget("c", "/Ch", "4", Ff=1 << 17, Opt=["0", "4"]), "c: 4"),
        (widget("c", "/Ch", "b4", Opt=[["b0", "BI-RADS 0"], ["b4", "BI-RADS 4"]]), "c: BI-RADS 4"),
        (widget("c", "/Ch", ["a", "b"], Opt=["a", "b"]), "c: a, b"),
        (widget("Metastasis", "/Btn", "/Yes", AS="/Yes"), "Metastasis: Yes"),
        (widget("side", "/Btn", "/1", AS="/1", Opt=["left", "right"]), "side: right"),
        ({"/Subtype": "/Widget", "/Parent": {"/FT": "/Tx", "/T": "Grade", "/V": "3"}}, "Grade: 3"),
        ({"/Subtype": "/FreeText", "/Contents": "ADDENDUM: lesion"}, "ADDENDUM: lesion"),
    ],
)
def test_what_is_filled_in_and_written_onto_a_page_is_text(field, shown):
    page = line("Report 2021: BI-RADS, Grade, Yes or 3")  # which has its values, too
    assert text_of(page, notes=[field]).split("\n")[1:] == [shown]


@pytest.mark.parametrize(
    "field",
    [
        widget("Metastasis", "/Btn", "/Off", AS="/Off"),
        widget("Print", "/Btn", "/On", AS="/On", Ff=1 << 16),
        widget("x", "/Tx", "gone") | {"/F": 2},
        widget("x", "/Tx", " "),
        {"/Subtype": "/FreeText", "/Contents": "gone", "/F": 2},
        {"/Subtype": "/Link"},
    ],
)
def test_what_is_not_set_or_not_shown_is_no_text(field):
    assert text_of(line(LETTERS), notes=[field]).strip() == LETTERS


@pytest.mark.parametrize(
    ("operators", "text"),
    [
        ("(10) Tj /F1 8 Tf 5 Ts (9) Tj 0 Ts /F1 12 Tf (/l of white cells) Tj", "10⁹/l of"),
        (
            "1 0 0 1 20 700 Tm (10) Tj /F1 8 Tf 1 0 0 1 33 705 Tm (-9) Tj /F1 12 Tf "
            "1 0 0 1 45 700 Tm (/l of white cells) Tj",
            "10⁻⁹ /l of",
        ),
        ("(10) Tj /F1 8 Tf -3 Ts (9) Tj 0 Ts /F1 12 Tf (/l of white cells) Tj", "109/l of"),
        ("(10) Tj /F1 8 Tf (9) Tj /F1 12 Tf (/l of white cells) Tj", "109/l of"),
    ],
    ids=["rise", "higher line", "lowered", "small"],
)
def test_raised_digits_are_shown_as_such(operators, text):
    assert text_of(f"BT /F1 12 Tf 20 700 Td {operators} ET").startswith(text)
