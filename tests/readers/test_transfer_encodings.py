"""What has to be decoded before anybody reads it is no note: no name would be found in it."""

import base64
from email.message import EmailMessage
from urllib.parse import quote

import pytest

from mmdiag.errors import ReadError
from mmdiag.readers.text.notes import clean_note

TEXT = "Patient Erik Müller was seen today. The lesion of 12 mm has not changed since."


def mail(encoding: str, *, html: bool = False) -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = "ward@hospital.org", "Report"
    message.set_content(TEXT, cte=encoding)
    if html:
        message.add_alternative(f"<p>{TEXT}</p>", subtype="html", cte=encoding)
    return message.as_bytes()


@pytest.mark.parametrize(
    "content",
    [
        mail("base64"),
        mail("quoted-printable"),
        mail("8bit", html=True),
        b"From ward Mon Mar  2 2020\n" + mail("base64"),
        base64.encodebytes(TEXT.encode()),
        base64.b64encode(TEXT.encode()),
        base64.b64encode(TEXT.encode()).rstrip(b"="),
        base64.b64encode(rb"{\rtf1 Patient Erik M\'fcller was seen today.}"),
        b"data:text/plain;base64," + base64.b64encode(b"Erik Miller"),
        TEXT.encode().hex().encode(),
        b"0x" + TEXT.encode().hex().upper().encode(),
        quote(TEXT).encode(),
    ],
    ids=range(12),
)
def test_a_note_that_must_be_decoded_first_is_refused(content):
    with pytest.raises(ReadError) as refusal:
        clean_note(content, "n.txt")
    assert refusal.value.code == "not_text"
    assert "Erik" not in str(refusal.value) and "n.txt" in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        mail("8bit").decode(),
        "From: ward\nTo: clinic\nSubject: report\n\nNo lesion.",
        "Pneumonoultramicroscopicsilicovolcanoconiosis",
        "Unauffaelliger\nThorax\nNormal\nHeart\nNo\nEffusion\nSeen\nToday",
        "No_acute_findings_in_2_views_of_the_chest_today",
        "Base excess: -2 mmol/l\nContent: 100 %20 of it",
        "Normal",
        "1234567890123456789012345678901234567890123456",
    ],
)
def test_a_note_that_only_looks_encoded_is_text(text):
    assert clean_note(text.encode(), "n.txt").text == text
