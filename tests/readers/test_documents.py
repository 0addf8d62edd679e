"""Documents that carry a note: what is displayed of HTML, CDA and FHIR, in the character set that
they declare; what was withdrawn or lies elsewhere is refused.
"""

import base64
import bz2
import contextlib
import gzip
import json
import zlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processor_time import grows_in_proportion

from mmdiag.errors import ReadError
from mmdiag.readers.documents.charsets import declared_text
from mmdiag.readers.documents.html import html_text
from mmdiag.readers.text.notes import clean_note
from mmdiag.reasons import REASONS

RUSSIAN = "Заключение: очаг 14 мм в левой доле."
CZECH = "Nález: ložisko 14 mm v levém laloku, řeč bez poruchy."

PAGES = {
    "<p>No\n   <b>oedema</b>.</p><p>End": "No oedema.\n\nEnd",
    "a<script>b</script><style>p{color:red}</style>c<!-- d --><noscript>e</noscript>": "ac",
    "<head><title>Report</title><meta charset=utf-8></head><body>Text</body>": "Text",
    "Lesion of <del>9</del> <ins>12</ins> mm": "Lesion of 12 mm",
    "<s>9</s> <strike>10</strike> <p style='text-decoration: red line-through'>11</p>12 mm": "12 mm",
    "<style>.x { text-decoration-line:line-through }</style><b class=x>9</b>12 mm": "12 mm",
    "<u style='text-decoration: underline'>12</u> mm <small>a</small>": "12 mm a",
    '<div hidden>a</div><div style="DISPLAY : none">b<p>c</p></div>d': "d",
    '<style>.old, td.x { display:none }</style><p class="old">a</p><td class="x">b</td><p>c</p>': "c",
    "<p hidden>a<p>b": "b",
    "<table><tr><td>Ki-67<td>5 %<tr><td>ER<td>0 %</table>": "Ki-67\t5 %\nER\t0 %",
    "<pre>a  b\nc</pre>": "a b\nc",
    "<select><option>benign<option selected>malignant</select>": "malignant",
    "<select><option>benign</option><option>malignant</option></select>": "benign",
    "<input type=checkbox checked>yes<br><input type=checkbox>no": "☒ yes\n☐ no",
    '<input type=hidden value=x>Size: <input value="12 mm">': "Size: 12 mm",
    "5 &lt; 12 &amp; &#956;g &nbsp;x": "5 < 12 & μg x",
}


@pytest.mark.parametrize("page", PAGES)
def test_html_gives_what_a_browser_shows(page):
    assert html_text(page, "n.html") == PAGES[page]


@pytest.mark.parametrize("name", ["n.html", "n.txt", "n.htm"])
@pytest.mark.parametrize(
    ("head", "codec"),
    [
        ('<meta charset="iso-8859-2">', "iso8859-2"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=windows-1250">', "cp1250"),
        ('<meta charset="utf-8">', "utf-8"),
        ("", "utf-16"),
        ("", "utf-8-sig"),
    ],
)
def test_html_is_told_by_its_content_and_read_in_its_own_character_set(name, head, codec):
    page = f"<!DOCTYPE html><html><head>{head}</head><body><p>{CZECH}</p></body></html>"
    note = clean_note(page.encode(codec), name)
    assert (note.text, note.format) == (CZECH, "html")


def test_a_part_of_a_page_is_html_and_a_comparison_is_not():
    assert clean_note(b"<div><p>Lesion.</p></div>", "n.txt").text == "Lesion."
    assert clean_note(b"<5 mm nodule, >3 others.", "n.txt").text == "<5 mm nodule, >3 others."
    assert clean_note(b"<b>IMPRESSION:</b> none<br>seen", "n.txt").text == "IMPRESSION: none\nseen"


@given(st.sampled_from(["cp1251", "koi8-r", "iso8859-5", "utf-8", "utf-16", "utf-16-le", "cp866"]))
def test_a_declared_character_set_is_used(codec):
    assert declared_text(RUSSIAN.encode(codec), codec, "n") == RUSSIAN


def test_a_character_set_that_is_none_is_refused():
    for charset in ("rot13", "hex", "unicode_escape", "utf-7", "no-such", "idna", "punycode"):
        with pytest.raises(ReadError, match="encoding"):
            declared_text(b"text", charset, "n")
    with pytest.raises(ReadError, match="not in the character set"):
        declared_text(RUSSIAN.encode("cp1251"), "utf-8", "n")
    assert declared_text(b"\x93x\x94", "ISO-8859-1", "n") == "“x”"
    assert declared_text("plain".encode("utf-16-le"), "UTF-16", "n") == "plain"


def reference(inside: bytes, media_type: str = "text/plain", **facts) -> bytes:
    attachment = {"contentType": media_type, "data": base64.b64encode(inside).decode()}
    resource = {"resourceType": "DocumentReference", "status": "current"}
    resource |= {"date": "2024-03-02T10:00:00Z", "content": [{"attachment": attachment}]}
    return json.dumps(resource | facts).encode()


@pytest.mark.parametrize(
    ("content", "media_type", "text"),
    [
        (RUSSIAN.encode("cp1251"), "text/plain; charset=windows-1251", RUSSIAN),
        (RUSSIAN.encode("utf-16-le"), 'text/plain;charset="UTF-16LE"', RUSSIAN),
        (CZECH.encode("iso8859-2"), "Text/Plain; CHARSET=ISO-8859-2", CZECH),
        (RUSSIAN.encode(), "text/plain", RUSSIAN),
        (CZECH.encode("cp1250"), "text/html; charset=windows-1250", CZECH),
        (rb"{\rtf1\ansi Lesion {\v x}of 12 mm.}", "application/rtf", "Lesion of 12 mm."),
        (rb"{\rtf1\ansi Lesion of 12 mm.}", "text/plain", "Lesion of 12 mm."),
        (RUSSIAN.encode(), "", RUSSIAN),
    ],
)
def test_an_attachment_is_read_by_what_it_declares(content, media_type, text):
    assert clean_note(reference(content, media_type), "n.json").text.strip() == text


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"status": "entered-in-error"}, "not_final"),
        ({"status": "superseded"}, "not_final"),
        ({"docStatus": "preliminary"}, "not_final"),
        ({"docStatus": "entered-in-error"}, "not_final"),
        ({"resourceType": "DiagnosticReport", "status": "cancelled"}, "not_final"),
        ({"content": []}, "not_text"),
        ({"content": [{"attachment": {"url": "http://x/y.pdf"}}]}, "text_elsewhere"),
        ({"content": [{"attachment": {"data": "!!"}}]}, "unreadable"),
    ],
)
def test_a_document_that_does_not_hold_or_has_no_text_is_no_note(facts, code):
    with pytest.raises(ReadError) as refusal:
        clean_note(reference(b"A large tumour.", **facts), "n.json")
    assert refusal.value.code == code and code in REASONS


def attached(content: bytes, media_type: str, **facts) -> dict:
    data = base64.b64encode(content).decode()
    return {"attachment": {"contentType": media_type, "data": data, **facts}}


def test_of_several_attachments_the_best_that_can_be_read_is_taken():
    broken = attached(b"\xff\xfe\x00", "text/plain; charset=utf-8")
    link = {"attachment": {"contentType": "text/plain", "url": "http://x"}}
    page = attached(b"<p>Lesion.</p>", "text/html")
    rtf = attached(b"{\\rtf1 Lesion of 12 mm.}", "text/rtf")
    content = [link, broken, rtf, page]
    assert clean_note(reference(b"", content=content), "n.json").text == "Lesion."
    content = [link, broken, rtf]
    assert clean_note(reference(b"", content=content), "n.json").text == " Lesion of 12 mm.".strip()
    parts = [attached(b"one", "text/plain"), attached(b"two", "text/plain")]
    assert clean_note(reference(b"", content=parts), "n.json").text == "one\n\ntwo"


@pytest.mark.parametrize(
    "facts",
    [
        {"date": "2024-06-15T10:00:00Z"},
        {"context": {"period": {"end": "2024-06-15"}}},
        {"date": "2024-06-15T23:30:00-05:00"},
        {"resourceType": "DiagnosticReport", "status": "final", "issued": "2024-06-15T10:00:00Z"},
        {"content": [attached(b"Lesion.\nElectronically signed on 06/15/2024", "text/plain")]},
    ],
)
def test_the_latest_date_of_a_document_and_of_its_text_counts(facts):
    content = facts.pop("content", [attached(b"Lesion.", "text/plain")])
    forms = {"content": content, "presentedForm": [item["attachment"] for item in content]}
    assert clean_note(reference(b"", **forms, **facts), "n.json").written == date(2024, 6, 15)


def cda(body: str, date_: str = '<effectiveTime value="20240302"/>', prefix: str = "") -> str:
    tags = f"<title>Report</title>{date_}<component>{body}</component>"
    document = f'<ClinicalDocument xmlns="urn:hl7-org:v3">{tags}</ClinicalDocument>'
    if prefix:
        document = document.replace("xmlns=", f"xmlns:{prefix}=").replace("</", f"</{prefix}\0")
        document = document.replace("<", f"<{prefix}:").replace(
            f"<{prefix}:/{prefix}\0", f"</{prefix}:"
        )
    return f'<?xml version="1.0" encoding="UTF-8"?>{document}'


SECTION = (
    "<structuredBody><component><section><title>Findings</title><text><paragraph>Lesion of "
    '14 mm.</paragraph><content revised="delete">gone</content></text></section></component>'
    "</structuredBody>"
)


def test_a_cda_with_a_prefix_or_in_another_character_set_is_read():
    assert clean_note(cda(SECTION, prefix="h").encode(), "n.xml").text == (
        "Report\nFindings:\nLesion of 14 mm."
    )
    czech = cda(SECTION.replace("Lesion of 14 mm.", CZECH)).replace("UTF-8", "ISO-8859-2")
    assert CZECH in clean_note(czech.encode("iso8859-2"), "n.xml").text


@pytest.mark.parametrize(
    "dates",
    [
        '<effectiveTime><low value="20240302"/><high value="20240615"/></effectiveTime>',
        '<effectiveTime value="202406151000+0100"/>',
        '<effectiveTime value="20240302"/><legalAuthenticator><time value="20240615"/></legalAuthenticator>',
        '<author><time value="20240615101500"/></author>',
    ],
)
def test_the_latest_date_of_a_cda_counts(dates):
    assert clean_note(cda(SECTION, dates).encode(), "n.xml").written == date(2024, 6, 15)


def deflated(content: bytes) -> bytes:
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return machine.compress(content) + machine.flush()


@pytest.mark.parametrize(
    ("packed", "pack"),
    [("DF", deflated), ("ZL", zlib.compress), ("GZ", gzip.compress), ("BZ", bz2.compress)],
)
def test_a_compressed_body_of_a_cda_is_inflated(packed, pack):
    data = base64.b64encode(pack(b"Lesion of 14 mm.")).decode()
    facts = f'mediaType="text/plain" representation="B64" compression="{packed}"'
    body = f"<nonXMLBody><text {facts}>{data}</text></nonXMLBody>"
    assert clean_note(cda(body).encode(), "n.xml").text == "Report\nLesion of 14 mm."
    with pytest.raises(ReadError, match="unreadable"):
        clean_note(cda(body.replace(data, data[:8])).encode(), "n.xml")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (
            '<nonXMLBody><text mediaType="application/pdf"><reference value="r.pdf"/></text></nonXMLBody>',
            "text_elsewhere",
        ),
        (
            '<nonXMLBody><text mediaType="image/png" representation="B64">AA==</text></nonXMLBody>',
            "not_text",
        ),
        ("<structuredBody/>", "not_text"),
    ],
)
def test_a_cda_without_a_text_of_its_own_is_refused(body, code):
    with pytest.raises(ReadError) as refusal:
        clean_note(cda(body).encode(), "n.xml")
    assert refusal.value.code == code and code in REASONS


NO_TEXT = {
    b"PK\x03\x04\x14\x00word/document.xml": "not_text",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "not_text",
    b"\x89PNG\r\n\x1a\n": "not_text",
    b"\x1f\x8b\x08\x00": "not_text",
    b"MSH|^~\\&|LAB|HOSP\rPID|1||4711\r": "not_text",
    b'{"report": "Lesion of 12 mm."}': "not_text",
    b'<?xml version="1.0"?><a>x</a>': "not_text",
    b"\x01\x02\x03": "control_characters",
}


@pytest.mark.parametrize("content", NO_TEXT, ids=range(len(NO_TEXT)))
def test_what_is_no_text_is_no_note_whatever_its_name(content):
    with pytest.raises(ReadError) as refusal:
        clean_note(content, "n.txt")
    assert refusal.value.code == NO_TEXT[content]


@pytest.mark.parametrize(
    "text", ["", " \n\t\xa0", "nan", "NULL", "None", "<NA>", "---", "N/A ", "."]
)
def test_what_says_nothing_is_no_note(text):
    assert clean_note(text.encode(), "n.txt") is None


def test_text_that_begins_like_json_is_text():
    assert clean_note(b"[Addendum] Lesion.", "n.txt").text == "[Addendum] Lesion."
    assert clean_note(b"{see image} Lesion.", "n.txt").text == "{see image} Lesion."


@pytest.mark.parametrize("piece", ["<p>x", "<div>", "</p>", "<td>a", "<b hidden>", "a &amp; "])
def test_no_page_makes_reading_slow(piece):
    def read(size: int) -> None:
        with contextlib.suppress(ReadError):
            html_text(piece * (size // len(piece)), "n")

    assert grows_in_proportion(read, 60_000)


@pytest.mark.parametrize("name", ["n.html", "n.HTM", "n.rtf", "n.xml"])
def test_inspection_takes_a_document_for_a_note(tmp_path, name):
    from mmdiag.ingest.inspect import kind_of

    (tmp_path / name).write_bytes(b"<p>Lesion.</p>")
    assert kind_of(tmp_path / name) == "note"
