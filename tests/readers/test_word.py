"""Word documents: the text that a person reads, in the order in which it is read."""

import io
import zipfile
from datetime import date, datetime

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from docx.shared import Inches
from workbook_builders import compound, with_part, zipped

from mmdiag.errors import ReadError
from mmdiag.privacy.mask import mask_note
from mmdiag.readers.text.notes import clean_note, read_note
from mmdiag.reasons import REASONS

W = nsdecls("w")
MAIN = "word/document.xml"


def saved(document, file=None):
    packed = io.BytesIO()
    document.save(packed)
    if file is not None:
        file.write_bytes(packed.getvalue())
    return packed.getvalue()


def text_of(document):
    found = clean_note(saved(document), "note.docx")
    assert found is None or found.format == found.encoding == "docx"
    return found.text if found else None


def with_body(*blocks):
    """A document whose body is some XML; `w:` is declared in each block."""
    document = docx.Document()
    for block in reversed(blocks):
        document.element.body.insert(0, parse_xml(block))
    return document


def p(inner, more=""):
    return f"<w:p {W} {more}>{inner}</w:p>"


def r(text, facts=""):
    return f"<w:r><w:rPr>{facts}</w:rPr><w:t xml:space='preserve'>{text}</w:t></w:r>"


def box(inner):
    """A text box, in the form of today's Word and in the old one, as Word writes it."""
    return (
        '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        '<mc:Choice Requires="wps"><w:drawing><wps:txbx xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape">'
        f"<w:txbxContent>{inner}</w:txbxContent></wps:txbx></w:drawing></mc:Choice>"
        f'<mc:Fallback><w:pict><v:textbox xmlns:v="urn:schemas-microsoft-com:vml"><w:txbxContent>{inner}</w:txbxContent></v:textbox></w:pict></mc:Fallback></mc:AlternateContent>'
    )


def field(instruction, result):
    return (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
        f"<w:r><w:instrText>{instruction}</w:instrText></w:r>"
        f'<w:r><w:fldChar w:fldCharType="separate"/></w:r>{result}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


TICKED = (
    '<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:checkBox><w:default w:val="0"/><w:checked/>'
    "</w:checkBox></w:ffData></w:fldChar></w:r><w:r><w:instrText>FORMCHECKBOX</w:instrText></w:r>"
    '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
)
CELL = "<w:tc>{facts}<w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:tc>"


def table(*rows):
    return f"<w:tbl {W}>" + "".join(f"<w:tr>{''.join(row)}</w:tr>" for row in rows) + "</w:tbl>"


def cell(text, facts=""):
    return CELL.format(text=text, facts=f"<w:tcPr>{facts}</w:tcPr>")


SHOWN = {
    "runs": ([p(r("No ") + r("lesion", "<w:b/>") + r("."))], "No lesion."),
    "breaks and tabs": (
        [
            p(
                "<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t></w:r>"
            )
        ],
        "a\tb\nc-d",
    ),
    "inserted by tracking": ([p(r("a") + f'<w:ins w:id="1">{r("b")}</w:ins>')], "ab"),
    "deleted by tracking": (
        [p(r("a") + '<w:del w:id="1"><w:r><w:delText>x</w:delText></w:r></w:del>' + r("b"))],
        "ab",
    ),
    "moved by tracking": (
        [
            p(
                f'<w:moveFrom w:id="1">{r("x")}</w:moveFrom>{r("a")}<w:moveTo w:id="2">{r("b")}</w:moveTo>'
            )
        ],
        "ab",
    ),
    "a paragraph's end deleted by tracking": (
        [p('<w:pPr><w:rPr><w:del w:id="1"/></w:rPr></w:pPr>' + r("a")), p(r("b"))],
        "ab",
    ),
    "a row deleted by tracking": (
        [
            f"<w:tbl {W}><w:tr><w:trPr><w:del w:id='1'/></w:trPr>{cell('x')}</w:tr><w:tr>{cell('a')}</w:tr></w:tbl>"
        ],
        "a",
    ),
    "struck out": ([p(r("a") + r("x", "<w:strike/>") + r("y", "<w:dstrike/>"))], "a"),
    "no longer struck out": ([p(r("a", '<w:strike w:val="0"/>'))], "a"),
    "hidden": ([p(r("a") + r("x", "<w:vanish/>"))], "a"),
    "a field": ([p(field("DATE", r("1.3.2024")))], "1.3.2024"),
    "a field within another": ([p(field(f"IF {'x'}", field("X", r("a")) + r("b")))], "ab"),
    "a box that is ticked": ([p(TICKED + r(" oedema"))], "\u2612 oedema"),
    "a link": ([p(f'<w:hyperlink w:anchor="x">{r("a")}</w:hyperlink>')], "a"),
    "a content control": (
        [p(f"<w:sdt><w:sdtPr/><w:sdtContent>{r('a')}</w:sdtContent></w:sdt>")],
        "a",
    ),
    "what a content control asks for": (
        [
            p(
                r("a")
                + f"<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>{r('Click here')}</w:sdtContent></w:sdt>"
            )
        ],
        "a",
    ),
    "a table": ([table([cell("Hb"), cell("13.2")], [cell("K"), cell("4.1")])], "Hb\t13.2\nK\t4.1"),
    "cells merged downwards": (
        [
            table(
                [cell("a", '<w:vMerge w:val="restart"/>'), cell("1")],
                [cell("x", "<w:vMerge/>"), cell("2")],
            )
        ],
        "a\t1\n2",
    ),
    "a table within a table": (
        [f"<w:tbl {W}><w:tr><w:tc>{table([cell('a'), cell('b')])}<w:p/></w:tc></w:tr></w:tbl>"],
        "a\tb",
    ),
    "paragraphs of a cell": (
        [f"<w:tbl {W}><w:tr><w:tc><w:p>{r('a')}</w:p><w:p>{r('b')}</w:p></w:tc></w:tr></w:tbl>"],
        "a\nb",
    ),
    "a text box": (
        [p(r("a") + f"<w:r>{box(f'<w:p>{r(chr(98))}</w:p>')}</w:r>"), p(r("c"))],
        "a\nb\nc",
    ),
    "a symbol": ([p('<w:r><w:sym w:font="Symbol" w:char="F061"/></w:r>')], "\u03b1"),
    "letters in a font of symbols": (
        [
            p(
                r("5 ")
                + r("m", '<w:rFonts w:ascii="Symbol" w:hAnsi="Symbol"/>')
                + r("g \uf06d", '<w:rFonts w:ascii="Arial"/>')
                + r("\uf0fe", '<w:rFonts w:ascii="Wingdings"/>')
            )
        ],
        "5 \u03bcg \u03bc\u2611",
    ),
    "symbols by the codes of letters": (
        [
            p(
                '<w:r><w:sym w:font="Wingdings" w:char="00FE"/><w:sym w:font="Symbol" w:char="006D"/>'
                '<w:sym w:font="Arial" w:char="0061"/></w:r>'
            )
        ],
        "\u2611\u03bca",
    ),
    "symbols of a font that is not known": (
        [
            p(
                '<w:r><w:sym w:font="Webdings" w:char="F0FC"/>'
                '<w:sym w:font="Wingdings 3" w:char="F0FE"/></w:r>' + r("a")
            )
        ],
        "\ufffd\ufffda",
    ),
    "a content control that no longer asks": (
        [
            p(
                '<w:sdt><w:sdtPr><w:showingPlcHdr w:val="0"/></w:sdtPr>'
                f"<w:sdtContent>{r('a')}</w:sdtContent></w:sdt>"
            )
        ],
        "a",
    ),
    "a box that is hidden": (
        [p(TICKED.replace("<w:r>", "<w:r><w:rPr><w:vanish/></w:rPr>") + r("a"))],
        "a",
    ),
    "lines in the XML": ([p(r("a\n\tb"))], "a b"),
    "letters read aloud": (
        [p(f"<w:r><w:ruby><w:rt>{r('x')}</w:rt><w:rubyBase>{r('a')}</w:rubyBase></w:ruby></w:r>")],
        "a",
    ),
}


@pytest.mark.parametrize("name", SHOWN)
def test_the_text_is_what_a_page_shows(name):
    blocks, text = SHOWN[name]
    assert text_of(with_body(*blocks)) == text


def test_body_lists_and_tables_stand_in_reading_order_and_letterheads_apart():
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "LETTERHEAD of a hospital"
    document.sections[0].footer.paragraphs[0].text = "Page 1"
    document.add_heading("Findings", 1)
    document.add_paragraph("No oedema.", style="List Bullet")
    grid = document.add_table(1, 2)
    grid.cell(0, 0).text, grid.cell(0, 1).text = "Haemoglobin", "13.2"
    document.add_paragraph("No lesion.")
    assert text_of(document) == "Findings\nNo oedema.\nHaemoglobin\t13.2\nNo lesion."


def test_python_docx_reads_the_same_paragraphs():
    document = docx.Document()
    for number in range(30):
        document.add_paragraph(f"Line {number}: no change.").add_run(" Stable.").bold = True
    again = docx.Document(io.BytesIO(saved(document)))
    assert text_of(document) == "\n".join(one.text for one in again.paragraphs)


def test_styles_hide_and_strike_out_and_a_run_may_undo_it():
    document = docx.Document()
    hidden = document.styles.add_style("Aside", 2)
    hidden.font.hidden = True
    based = document.styles.add_style("Deeper", 2)
    based.base_style = hidden
    old = document.styles.add_style("Old", 1)
    old.font.strike = True
    document.add_paragraph("a").add_run("x", style=hidden)
    document.add_paragraph("b").add_run("y", style=based)
    document.add_paragraph("z", style=old).add_run("c").font.strike = False
    assert text_of(document) == "a\nb\nc"


def test_a_style_may_name_a_font_of_symbols():
    document = docx.Document()
    greek = document.styles.add_style("Greek", 2)
    greek.font.name = "Symbol"
    based = document.styles.add_style("Deeper", 2)
    based.base_style = greek
    paragraph = document.add_paragraph("5 ")
    paragraph.add_run("m", style=based)
    paragraph.add_run("g")
    paragraph.add_run("m", style=greek).font.name = "Arial"
    assert text_of(document) == "5 \u03bcgm"


def test_a_field_without_an_end_is_refused_and_its_note_not_cut():
    begins = (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>DATE</w:instrText></w:r>'
    )
    with pytest.raises(ReadError) as caught:
        text_of(with_body(p(r("a") + begins), p(r("Metastasis."))))
    assert caught.value.code == "unreadable" and "Metastasis" not in str(caught.value)


def test_comments_are_no_note():
    document = docx.Document()
    run = document.add_paragraph("No lesion.").runs[0]
    document.add_comment(run, text="is this right?", author="X")
    assert text_of(document) == "No lesion."


def test_footnotes_follow_the_body():
    note = (
        f'<w:footnotes {W}><w:footnote w:id="1">{p(r("see MRI"))}</w:footnote>'
        f'<w:footnote w:id="2">{p(r("never cited"))}</w:footnote></w:footnotes>'
    )
    document = with_body(p(r("Mass.") + '<w:r><w:footnoteReference w:id="1"/></w:r>'))
    part = docx.opc.part.Part(
        docx.opc.packuri.PackURI("/word/footnotes.xml"),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml",
        note.encode(),
        document.part.package,
    )
    document.part.relate_to(
        part, "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    )
    assert text_of(document) == "Mass.\n\nsee MRI"


def test_dates_of_letterheads_and_of_the_file_say_when_it_was_written():
    document = docx.Document()
    document.core_properties.modified = datetime(2023, 5, 6)
    document.add_paragraph("No lesion.")
    assert clean_note(saved(document), "a.docx").written == date(2023, 5, 6)
    document.sections[0].header.paragraphs[0].text = "Date of report: 7 March 2024"
    assert clean_note(saved(document), "a.docx").written == date(2024, 3, 7)


def test_a_name_that_runs_and_tracking_part_is_masked_as_it_is_read():
    document = with_body(
        p(
            r("Mr. Jo", "<w:b/>")
            + '<w:del w:id="1"><w:r><w:delText>xx</w:delText></w:r></w:del>'
            + r("hn Do")
            + f'<w:ins w:id="2">{r("rian")}</w:ins>'
            + r(" has no lesion.")
        )
    )
    text = text_of(document)
    assert "John Dorian" in text and "Dorian" not in mask_note(text, ["Dorian^John"]).text


def with_picture(width=1, height=None, words=""):
    import numpy as np
    from PIL import Image

    picture = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(picture, "PNG")
    document = docx.Document()
    if words:
        document.add_paragraph(words)
    document.add_picture(picture, Inches(width), Inches(height or width))
    return document


LETTERHEAD = "University hospital, department of radiology, report of today, see below."


@pytest.mark.parametrize(
    ("width", "height", "words"), [(6, 7.5, LETTERHEAD), (6, 9, 5 * LETTERHEAD)]
)
def test_a_page_that_is_a_picture_is_refused_whatever_stands_above_it(width, height, words):
    with pytest.raises(ReadError, match=r"no_text_layer: a page of note.docx is a picture"):
        text_of(with_picture(width, height, words))


@pytest.mark.parametrize(
    ("width", "height", "words"), [(5, 5, LETTERHEAD), (6, 7.5, 5 * LETTERHEAD)]
)
def test_a_picture_beside_text_is_left_out_of_the_note(width, height, words):
    assert text_of(with_picture(width, height, words)) == words


def test_a_page_in_an_older_form_is_a_picture_too():
    shape = (
        '<w:pict xmlns:v="urn:schemas-microsoft-com:vml"><v:shape style="width:450pt;height:600pt">'
        "<v:imagedata/></v:shape></w:pict>"
    )
    with pytest.raises(ReadError, match=r"a page of note.docx is a picture"):
        text_of(with_body(p(r(LETTERHEAD)), p(f"<w:r>{shape}</w:r>")))


def test_a_blank_document_is_no_note():
    assert text_of(docx.Document()) is None


DTD = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


def relinked(file):
    """A document that wants its template, a picture and a part of its text from elsewhere."""
    link = (
        b'<Relationship Id="rId99" TargetMode="External" Target="http://127.0.0.1:9/x.docx" Type="'
        b'http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate"/>'
    )
    with_part(
        file,
        "word/_rels/document.xml.rels",
        lambda x: x.replace(b"</Relationships>", link + b"</Relationships>"),
    )


HOSTILE = {
    "torn.docx": (lambda f: f.write_bytes(f.read_bytes()[:-300]), "truncated"),
    "text.docx": (lambda f: f.write_text("No lesion."), "not_text"),
    "empty.docx": (lambda f: f.write_bytes(b""), "not_text"),
    "old.docx": (lambda f: compound(f, "WordDocument", bytes(5000)), "not_text"),
    "zip.docx": (lambda f: zipped(f, {"a.txt": b"hello"}), "not_text"),
    "entities.docx": (
        lambda f: with_part(f, MAIN, lambda x: x.replace(b"<w:document", DTD + b"<w:document")),
        "unreadable",
    ),
    "styles.docx": (
        lambda f: with_part(f, "word/styles.xml", lambda x: DTD + x.split(b"?>", 1)[1]),
        "unreadable",
    ),
    "bomb.docx": (lambda f: with_part(f, "word/media/a.bin", bytes(2**27)), "too_large"),
    "deep.docx": (
        lambda f: with_part(
            f,
            MAIN,
            lambda x: x.replace(b"<w:p>", b"<w:sdt>" * 3000 + b"</w:sdt>" * 3000 + b"<w:p>", 1),
        ),
        "unreadable",
    ),
    "broken.docx": (lambda f: with_part(f, MAIN, lambda x: x[:-40]), "unreadable"),
    "bodiless.docx": (lambda f: with_part(f, MAIN, f"<w:document {W}/>".encode()), "unreadable"),
    "macros.docx": (
        lambda f: with_part(
            f,
            "[Content_Types].xml",
            lambda x: x.replace(
                b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
                b"application/vnd.ms-word.document.macroEnabled.main+xml",
            ),
        ),
        "not_text",
    ),
    "chunk.docx": (lambda f: saved(with_body(f"<w:altChunk {W}/>"), f), "text_elsewhere"),
    "scan.docx": (lambda f: saved(with_picture(), f), "no_text_layer"),
    "long.docx": (lambda f: saved(with_body(p(r("x" * 20_000))), f), "too_long"),
    "turned.docx": (lambda f: saved(with_body(p(r("a\u202eb"))), f), "control_characters"),
    "note.txt": (lambda f: saved(docx.Document(), f), "not_text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused_with_the_reason_that_is_true(tmp_path, name):
    spoil, code = HOSTILE[name]
    file = tmp_path / name
    saved(with_body(p(r("No lesion."))), file)
    spoil(file)
    with pytest.raises(ReadError) as refusal:
        read_note(file)
    assert refusal.value.code == code and code in REASONS
    assert refusal.value.detail.startswith(name) and "lesion" not in refusal.value.detail


def test_links_are_not_followed_and_macros_beside_the_text_not_run(tmp_path, monkeypatch):
    file = tmp_path / "note.docx"
    saved(with_body(p(r("No lesion."))), file)
    relinked(file)
    with_part(file, "word/vbaProject.bin", b"\xcc")

    def refuse(*_):
        raise AssertionError("a document opened a connection")

    monkeypatch.setattr("socket.socket.connect", refuse)
    assert read_note(file).text == "No lesion."
    assert zipfile.is_zipfile(file)
