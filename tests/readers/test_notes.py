"""Notes: every encoding and document that is read gives its text, and what would mislead its reader
is refused by name.
"""

import base64
import json
from datetime import date

import pytest
from processor_time import grows_in_proportion

from mmdiag.errors import ReadError
from mmdiag.readers.text.dates import parse_date
from mmdiag.readers.text.notes import clean_note, read_note
from mmdiag.readers.text.sections import find_sections
from mmdiag.reasons import REASONS

TEXTS = {
    "Café".encode(): ("Café", "utf-8"),
    b"Caf\xe9 \x93x\x94": ("Café “x”", "cp1252"),
    b"\xef\xbb\xbfx": ("x", "utf-8-sig"),
    "Café".encode("utf-16"): ("Café", "utf-16"),
    "Café".encode("utf-32"): ("Café", "utf-32"),
    b"a\r\nb\rc\x0cd": ("a\nb\nc\nd", "utf-8"),
    "a\x85b\u2028c".encode(): ("a\nb\nc", "utf-8"),
}


@pytest.mark.parametrize("content", TEXTS)
def test_a_note_is_decoded_and_its_line_ends_are_newlines(tmp_path, content):
    (tmp_path / "n.txt").write_bytes(content)
    note = read_note(tmp_path / "n.txt")
    assert (
        (note.text, note.encoding) == TEXTS[content]
        and note.format == "plain"
        and note.written is None
    )


@pytest.mark.parametrize("content", [b"", b" \n\t ", "\u200b \ufeff\n".encode(), b"\xef\xbb\xbf"])
def test_a_blank_note_is_none(content):
    assert clean_note(content, "n.txt") is None


REFUSED = {
    b"a\x00b": "not_text",
    b"a\x07b": "control_characters",
    "a\x9bb".encode(): "control_characters",
    "\u202eesrever": "control_characters",
    "\u2066isolate\u2069": "control_characters",
    "hidden\U000e0041": "control_characters",
    "n" + "\u0301" * 20: "control_characters",
    b"\x81\x8d\x8f": "encoding",
    b"x \xed\xa0\x80 y": "encoding",
    "Café".encode() + b" \xe9": "encoding",
    b"\xff\xfea": "encoding",
    "x" * 20_000: "too_long",
    "ab " * 700_000: "too_long",
}


@pytest.mark.parametrize("content", REFUSED, ids=range(len(REFUSED)))
def test_what_would_mislead_the_reader_of_a_note_is_refused(content):
    with pytest.raises(ReadError) as refusal:
        clean_note(content if isinstance(content, bytes) else content.encode(), "n.txt")
    assert (
        refusal.value.code == REFUSED[content]
        and refusal.value.code in REASONS
        and str(refusal.value).count("n.txt") == 1
    )


@pytest.mark.parametrize("text", ["Nguyễn Thị Ánh", "שָׁלוֹם", "Blutbild ↑, p < 0.05"])
def test_letters_of_other_languages_are_no_reason_to_refuse(text):
    assert clean_note(text.encode(), "n.txt").text == text


def make_pdf(text: str) -> bytes:
    """One page with a line of text."""
    from io import BytesIO

    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    page = writer.add_blank_page(300, 300)
    stream = DecodedStreamObject()
    stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode())
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    fonts = DictionaryObject(
        {
            NameObject("/F1"): DictionaryObject(
                {NameObject(k): NameObject(v) for k, v in font.items()}
            )
        }
    )
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    page[NameObject("/Contents")] = writer._add_object(stream)
    writer.write(out := BytesIO())
    return out.getvalue()


def test_a_pdf_gives_its_text_and_a_scanned_one_says_that_it_has_none():
    note = clean_note(make_pdf("Impression: stable nodule in the lung."), "n.pdf")
    assert note.text == "Impression: stable nodule in the lung." and note.format == "pdf"
    with pytest.raises(ReadError, match="no_text_layer"):
        clean_note(make_pdf(""), "n.pdf")
    with pytest.raises(ReadError, match="unreadable"):
        clean_note(make_pdf("Impression: stable nodule.")[:60], "n.pdf")


def test_rtf_gives_its_text():
    note = clean_note(
        rb"{\rtf1\ansi{\fonttbl{\f0 Arial;}}{\*\generator x;}\f0 FINDINGS:\par Caf\'e9 au lait "
        rb"spots.\par}",
        "n.rtf",
    )
    assert (
        note.text.strip() == "FINDINGS:\nCafé au lait spots."
        and note.format == "rtf"
        and note.sections[0].name == "findings"
    )


CDA = """<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><title>Radiology report</title><effectiveTime value="20240302101500+0100"/>
<recordTarget><patientRole><id extension="hidden"/></patientRole></recordTarget><component><structuredBody><component><section>
<title>Findings</title><text><paragraph>Lesion of <content revised="delete">9</content>12 mm.</paragraph><table><tbody><tr><td>Ki-67</td><td>5 %</td></tr></tbody></table>
</text></section></component></structuredBody></component></ClinicalDocument>"""


def test_a_cda_document_gives_its_narrative_its_sections_and_its_date():
    note = clean_note(CDA.encode(), "n.xml")
    assert (
        note.text == "Radiology report\nFindings:\nLesion of 12 mm.\nKi-67\t5 %"
        and note.written == date(2024, 3, 2)
    )
    (section,) = note.sections
    assert (
        note.text[section.start : section.end] == "Lesion of 12 mm.\nKi-67\t5 %"
        and section.name == "findings"
    )
    body = (
        '<nonXMLBody><text mediaType="text/plain" '
        f'representation="B64">{base64.b64encode(b"No lesion.").decode()}</text></nonXMLBody>'
    )
    unstructured = (
        f'<ClinicalDocument xmlns="urn:hl7-org:v3"><component>{body}</component></ClinicalDocument>'
    )
    assert clean_note(unstructured.encode(), "n.xml").text == "No lesion."


def fhir(attached: bytes, media_type: str = "text/plain", **changes) -> bytes:
    attachment = {"contentType": media_type, "data": base64.b64encode(attached).decode()}
    return json.dumps(
        {
            "resourceType": "DocumentReference",
            "date": "2024-03-02T10:00:00Z",
            "content": [{"attachment": attachment}],
            **changes,
        }
    ).encode()


def test_a_fhir_document_reference_gives_the_text_of_its_attachment():
    assert clean_note(fhir(b"No lesion."), "n.json").text == "No lesion."
    note = clean_note(
        fhir(
            b"<html><head><title>x</title></head><p>No <b>lesion</b>.</p><script>y</script></html>",
            "text/html",
        ),
        "n.json",
    )
    assert (note.text, note.format, note.written) == ("No lesion.", "fhir", date(2024, 3, 2))
    assert (
        clean_note(fhir(make_pdf("No lesion in the liver."), "application/pdf"), "n.json").text
        == "No lesion in the liver."
    )
    report = {
        "resourceType": "DiagnosticReport",
        "issued": "2024-03-02T10:00:00Z",
        "conclusion": "No lesion.",
    }
    assert clean_note(json.dumps(report).encode(), "n.json").sections[0].name == "impression"


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "n.xml", "not_text"),
        (
            b"<!DOCTYPE ClinicalDocument><ClinicalDocument "
            b'xmlns="urn:hl7-org:v3"><title>x</title></ClinicalDocument>',
            "n.xml",
            "not_text",
        ),
        (b"<note>x</note>", "n.xml", "not_text"),
        (b"<note>", "n.xml", "unreadable"),
        (b"<a>" * 200 + b"</a>" * 200, "n.xml", "unreadable"),
        (b'{"a": 1, "a": 2}', "n.json", "duplicate_key"),
        (b'{"a": NaN}', "n.json", "not_text"),
        (b'{"a": 1}', "n.json", "not_text"),
        (b"[" * 100_000, "n.json", "unreadable"),
        (b"!!python/object/apply:os.system ['true']", "n.yaml", "not_text"),
        (fhir(b"", content=[{"attachment": {"url": "http://x"}}]), "n.json", "text_elsewhere"),
        (fhir(b"\x89PNG", "image/png"), "n.json", "not_text"),
    ],
)
def test_a_document_that_carries_no_note_is_refused(content, name, code):
    with pytest.raises(ReadError) as refusal:
        clean_note(content, name)
    assert refusal.value.code == code and code in REASONS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-02", date(2024, 3, 2)),
        ("20240302", date(2024, 3, 2)),
        ("2.3.2024", date(2024, 3, 2)),
        ("25/03/2024", date(2024, 3, 25)),
        ("03/25/2024", date(2024, 3, 25)),
        ("02/03/2024", None),
        ("31.02.2024", None),
        ("14 March 2026", date(2026, 3, 14)),
        ("March 14, 2026", date(2026, 3, 14)),
        ("14 de marzo de 2026", date(2026, 3, 14)),
        ("14. März 2026", date(2026, 3, 14)),
        ("12 mm", None),
    ],
)
def test_a_date_is_read_where_it_can_mean_one_day_only(text, expected):
    assert parse_date(text) == expected


def test_the_date_at_the_head_of_a_note_is_the_notes_date():
    assert clean_note(
        b"RADIOLOGY\nDate of report: 2024-03-02\n\nSurgery on 1 May 2019.", "n.txt"
    ).written == date(2024, 3, 2)
    assert clean_note(b"Surgery on 2019-05-01.", "n.txt").written is None


REPORT = """CT of the chest
HISTORY: Cough.
 TECHNIQUE
Helical CT.

1. Findings:
Nodule of 12 mm.
No findings elsewhere.
LUNG VOLUMES:
Normal.
Impression - Stable.
Beurteilung: stabil.
Diagnóstico: estable. Conclusion: stable."""


def test_sections_are_found_by_their_headings_and_their_offsets_are_into_the_text():
    found = [
        (section.name, REPORT[section.start : section.end]) for section in find_sections(REPORT)
    ]
    assert found == [
        ("history", "Cough."),
        ("technique", "Helical CT."),
        ("findings", "Nodule of 12 mm.\nNo findings elsewhere."),
        ("other", "Normal."),
        ("impression", "Stable."),
        ("impression", "stabil."),
        ("diagnosis", "estable."),
        ("impression", "stable."),
    ]
    assert find_sections("No headings, findings none: nothing.") == ()


@pytest.mark.parametrize(
    "piece", ["FINDINGS:\n", "A B:\n", "1. ", "history ", " \n", "{ ", "- \n", "\t"]
)
def test_no_text_makes_reading_slow(piece):
    assert grows_in_proportion(
        lambda size: clean_note((piece * (size // len(piece))).encode() + b"end", "n.txt"), 300_000
    )
