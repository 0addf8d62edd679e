"""A word of a note is one word however a program wrote it, and a message between systems is no
note.
"""

import unicodedata

import pytest

from mmdiag.errors import ReadError
from mmdiag.prepare.tfidf import terms_of
from mmdiag.readers.text.notes import clean_note
from mmdiag.sandbox.requests import masked_note

PLAIN = "Kein Pneumothorax. Größe des Ödems: 8 mm."


@pytest.mark.parametrize(
    "written",
    [
        unicodedata.normalize("NFD", PLAIN),
        PLAIN.replace("mothorax", "mo\u00adtho\u00adrax"),
        PLAIN.replace("mothorax", "mo\u00ad\nthorax"),
        PLAIN.replace("mothorax", "mo\u00ad\r\n   thorax"),
        PLAIN.replace("mothorax", "mo\u2060tho\u2060rax"),
    ],
    ids=["accents apart", "soft hyphens", "broken", "broken and indented", "joiners"],
)
def test_a_word_is_one_word(written):
    note = clean_note(written.encode(), "note.txt")
    assert note is not None and note.text == PLAIN
    assert terms_of(note.text) == terms_of(PLAIN)


def test_a_soft_hyphen_before_a_list_breaks_no_line():
    note = clean_note("Links:\u00ad\n- keiner\nRechts\u00ad\n1. klein".encode(), "note.txt")
    assert note is not None and note.text == "Links:\n- keiner\nRechts\n1. klein"


LINES = {
    r"Befund:\nKein Erguss.\nMilz:\tnormal": "Befund:\nKein Erguss.\nMilz:\tnormal",
    r"Befund:\r\nkein Erguss.\r\n": "Befund:\nkein Erguss.\n",
    "Befund:\\nKein Erguss.\nMilz normal": "Befund:\nKein Erguss.\nMilz normal",
    "Befund:_x000D_\nKein Erguss._x000D_": "Befund:\nKein Erguss.\n",
    r"Befund:\.br\Kein Erguss \T\ \H\Milz\N\ normal": "Befund:\nKein Erguss & Milz normal",
    r"Bilder unter S:\new\neu und S:\reports": r"Bilder unter S:\new\neu und S:\reports",
    r"Server \\nas\new, Bild C:\neu.png": r"Server \\nas\new, Bild C:\neu.png",
    r"befund:\nkein erguss.\nmilz normal": "befund:\nkein erguss.\nmilz normal",
    r"Faktor \alpha, 5\mm": r"Faktor \alpha, 5\mm",
}


@pytest.mark.parametrize("written", LINES)
def test_line_ends_that_are_written_as_characters_are_line_ends(written):
    note = clean_note(written.encode(), "note.txt")
    assert note is not None and note.text == LINES[written]


@pytest.mark.parametrize("between", [r"\n", r"\r\n", "\\.br\\", "_x000D_", r"\t"])
def test_the_subjects_name_behind_a_written_line_end_is_masked(tmp_path, between):
    text = f"Patient{between}Grzywacz{between}Leokadia{between}No effusion.\\n"
    for written in (text, text.replace("G", "g").replace("L", "l")):
        (tmp_path / "note.txt").write_text(written)
        reply, _ = masked_note(str(tmp_path / "note.txt"), ["Grzywacz^Leokadia"])
        assert "zywacz" not in reply["text"] and "eokadia" not in reply["text"]


PID, OBX = "PID|1||123^^^H||DOE^JOHN", "OBX|1|TX|R||No pneumothorax"
MESSAGES = {
    "HL7": f"MSH|^~\\&|LAB|H\r{PID}\r{OBX}\r",
    "HL7 behind a byte order mark": f"\ufeffMSH|^~\\&|LAB|H\r{PID}\r{OBX}\r",
    "HL7 without its head": f"{PID}\r\nOBR|1||A|CT\r\n{OBX}\r\n",
    "HL7 findings alone": f"{OBX}\n",
    "EDIFACT": "UNA:+.? 'UNB+UNOC:3+LAB+DOC+240102:1200+1'UNH+1+MEDRPT:1'PNA+PAT+++DOE:JOHN'",
    "xDT": "01380008220\r\n0163101Mueller\r\n0143102Erika\r\n",
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_between_systems_is_no_note(kind):
    with pytest.raises(ReadError, match=f"is a message (of|in) {kind.split()[0]}") as refusal:
        clean_note(MESSAGES[kind].encode(), "note.txt")
    assert refusal.value.code == "not_text"


@pytest.mark.parametrize(
    "text",
    [
        "Findings: no effusion.\nOBX|1| was the number of the form.\n",
        "0120 mg in the morning\n0240 mg in the evening\n0120 mg at night\n",
        "UNB was not seen. UNA.\n",
    ],
)
def test_prose_is_a_note(text):
    assert clean_note(text.encode(), "note.txt").text == text
