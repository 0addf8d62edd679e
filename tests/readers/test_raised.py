"""Ten to the ninth is not one hundred and nine, in whatever form a note is written."""

from xml.etree import ElementTree

import docx
import pytest
from docx.oxml import parse_xml

from mmdiag.readers.documents.cda import narrative
from mmdiag.readers.documents.html import html_text
from mmdiag.readers.documents.raised import raised
from mmdiag.readers.documents.rtf import rtf_text
from mmdiag.readers.documents.word import word_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("9", "⁹"),
        ("-12", "⁻¹²"),
        (" 3 ", " ³ "),
        ("3a", "^3a"),
        ("st", "st"),
        ("*", "*"),
        ("", ""),
    ],
)
def test_a_raised_piece_is_told_from_one_on_the_line(text, shown):
    assert raised(text) == shown


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        ("<p>WBC 10<sup>9</sup>/l</p>", "WBC 10⁹/l"),
        ("<p>1<sup>st</sup> day, CO<sub>2</sub></p>", "1st day, CO2"),
        ("<p>10<sup><b>-3</b></sup> mol</p>", "10⁻³ mol"),
    ],
)
def test_html(html, shown):
    assert html_text(html, "n.html") == shown


def test_cda():
    block = ElementTree.fromstring("<text>WBC 10<sup>9</sup>/l, 1<sup>st</sup></text>")
    assert narrative(block) == "WBC 10⁹/l, 1st"


@pytest.mark.parametrize(
    "piece",
    [
        r"10{\super 9}/l",
        r"10\super 9\nosupersub /l",
        r"10\super 9\plain /l",
        r"10{\up6 9}/l",
        r"10\super 9\super0 /l",
    ],
)
def test_rtf(piece):
    note = rtf_text(rb"{\rtf1\ansi WBC " + piece.encode() + rb", CO{\sub 2}}", "n.rtf")[0]
    assert note.strip() == "WBC 10⁹/l, CO2"


@pytest.mark.parametrize("by_style", [False, True])
def test_word(tmp_path, by_style):
    document = docx.Document()
    paragraph = document.add_paragraph("WBC 10")
    if by_style:
        style = document.styles.add_style("Power", docx.enum.style.WD_STYLE_TYPE.CHARACTER)
        style.font.superscript = True
        paragraph.add_run("9", style="Power")
    else:
        paragraph.add_run("9").font.superscript = True
    paragraph.add_run("/l, CO")
    paragraph.add_run("2").font.subscript = True
    document.save(tmp_path / "n.docx")
    assert word_text((tmp_path / "n.docx").read_bytes(), "n.docx")[0].strip() == "WBC 10⁹/l, CO2"


def test_a_formula_of_word(tmp_path):
    space = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'

    def run(text):
        return f"<m:r><m:t>{text}</m:t></m:r>"

    half = f"<m:f><m:num>{run(1)}</m:num><m:den>{run(2)}</m:den></m:f>"
    power = f"<m:sSup><m:e>{run(10)}</m:e><m:sup>{run(9)}</m:sup></m:sSup>"
    document = docx.Document()
    paragraph = document.add_paragraph("dose ")
    for formula in (half, power):
        paragraph._p.append(parse_xml(f"<m:oMath {space}>{formula}</m:oMath>"))
        paragraph.add_run(" mg ")
    document.save(tmp_path / "n.docx")
    shown = word_text((tmp_path / "n.docx").read_bytes(), "n.docx")[0]
    assert shown.strip() == "dose 1/2 mg 10⁹ mg"
