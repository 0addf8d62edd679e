"""A note comes into the store with its own letters or not at all: no encoding is guessed."""

from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdiag.errors import ReadError
from mmdiag.privacy.mask import has_own_name, mask_note
from mmdiag.readers.tables.encoding import to_utf8
from mmdiag.readers.text.notes import clean_note

# language -> encodings that its notes come in, a report, and a name in its letters
NOTES = {
    "German": ("cp1252 cp850 mac_roman iso8859_15", "Befund: Kein Erguss. Läsion rechts, Größe 14 mm – unverändert. Übrige Lunge ohne Befund.", "Größler, Jürgen"),
    "French": ("cp1252 cp850 mac_roman", "Conclusion : lésion du lobe supérieur à gauche, œdème modéré, à contrôler dans 3 mois.", "Lefèvre, Zoé"),
    "Spanish": ("cp1252 cp850 mac_roman", "Paciente con lesión en el lóbulo izquierdo. No se observa edema. ¿Metástasis? Se pedirá control mañana.", "Núñez, Andrés"),
    "Portuguese": ("cp1252 cp850 mac_roman", "Lesão no pulmão direito, sem derrame. Não há edema. Conclusão: controle em três meses.", "Gonçalves, João"),
    "Italian": ("cp1252 cp850 mac_roman", "Lesione del lobo sinistro, non c’è versamento. Il paziente è stabile, attività normale.", "Nicolò, Désirée"),
    "Swedish": ("cp1252 cp850 mac_roman", "Förändring i höger lunga, ingen vätska. Patienten har inte ont och mår bra efter åtgärd.", "Sjöström, Åsa"),
    "Danish": ("cp1252 cp865 mac_roman", "Forandring i højre lunge uden væske. Patienten har ikke smerter og er på vej hjem.", "Sørensen, Åse"),
    "English": ("cp1252 mac_roman cp437", "The patient’s “nodule” – stable in the right lobe. No effusion is seen, 37 °C.", "Müller, Zoë"),
    "Polish": ("cp1250 iso8859_2 cp852", "Wniosek: zmiana ogniskowa średnicy 14 mm w płucu prawym, bez obrzęku.", "Wiśniewska, Łucja"),
    "Czech": ("cp1250 iso8859_2 cp852", "Závěr: ložisko v pravé plíci, bez výpotku. Pacient je při vědomí.", "Dvořák, Jiří"),
    "Hungarian": ("cp1250 cp852", "Vélemény: a bal tüdőben elváltozás, folyadék nélkül. Nőbeteg.", "Erdős, Győző"),
    "Turkish": ("cp1254 cp857", "Sonuç: sağ akciğerde nodül var, efüzyon yok. Şüpheli lezyon izlendi.", "Yıldız, Gülşah"),
    "Lithuanian": ("cp1257 cp775", "Išvada: dešinėje plaučio židinys, skysčio nėra.", "Žukauskas, Šarūnas"),
    "Russian": ("cp1251 koi8_r cp866 iso8859_5", "Заключение: очаг 14 мм в правом лёгком, MRI без особенностей.", "Кузнецова, Тамара"),
    "Ukrainian": ("cp1251 koi8_u", "Висновок: вогнище 14 мм у правій легені, її стан задовільний.", "Коваленко, Ольга"),
    "Greek": ("cp1253 iso8859_7 cp737", "Συμπέρασμα: εστία 14 mm στον δεξιό πνεύμονα, χωρίς υγρό.", "Παπαδόπουλος, Γιώργος"),
    "Hebrew": ("cp1255 iso8859_8", "סיכום: נגע של 14 ממ בריאה הימנית, ללא נוזל.", "שרון, דבורה"),
    "Arabic": ("cp1256 iso8859_6", "الخلاصة: آفة 14 في الرئة اليمنى بدون سائل.", "قباني, لنزار"),
    "Thai": ("cp874", "สรุป พบก้อนขนาด 14 มม. ที่ปอดขวา ไม่มีน้ำ", "สมชาย, ใจดี"),
    "Japanese": ("cp932 euc_jp", "所見：右肺に14mmの結節を認める。胸水なし。", "鈴木, 一郎"),
    "Chinese": ("gb18030", "影像所见：右肺见14毫米结节，无胸腔积液。", "张, 晓明"),
    "Taiwanese": ("big5", "影像所見：右肺見結節，無胸腔積液。", "陳, 曉明"),
    "Korean": ("cp949 euc_kr", "소견: 우측 폐에 14mm 결절이 있음. 흉수 없음.", "홍, 길동"),
}  # fmt: skip
PAIRS = [
    (language, codec) for language, (codecs, _, _) in NOTES.items() for codec in codecs.split()
]
WESTERN = ("German", "French", "Spanish", "Portuguese", "Italian", "Swedish", "Danish", "English")


def encoded(text, codec):
    """The bytes of a text; an old page has plain quotes, dashes and ligatures."""
    if codec in ("cp850", "cp437", "cp865", "iso8859_15", "cp852"):
        text = text.translate(str.maketrans("–’“”", '-\'""')).replace("œ", "oe")
    return text, text.encode(codec)


def read(content, *own):
    """The note's text; None where it is refused for its encoding."""
    try:
        note = clean_note(content, "n.txt", partial(has_own_name, own))
    except ReadError as refusal:
        if refusal.code not in ("encoding", "control_characters"):
            raise
        return None
    return note.text if note else None  # a dash alone is no note


@pytest.mark.parametrize("language", WESTERN)
def test_windows_1252_is_read_where_it_gives_text_of_a_western_language(language):
    text = NOTES[language][1]
    assert read(text.encode("cp1252")) == text


@pytest.mark.parametrize(("language", "codec"), PAIRS)
def test_a_note_in_an_encoding_that_is_not_proven_is_refused_and_never_other_letters(
    language, codec
):
    text, content = encoded(NOTES[language][1], codec)
    western = codec in ("cp1252", "iso8859_15") or content.isascii()
    assert read(content) in ((None, text) if western else (None,))


@pytest.mark.parametrize(("language", "codec"), PAIRS)
def test_the_cases_own_name_proves_the_encoding_and_is_masked(language, codec):
    _, text, name = NOTES[language]
    family, given = name.split(", ")
    joined = "" if language in ("Japanese", "Chinese", "Taiwanese", "Korean") else " "
    note, content = encoded(f"{text} {family}{joined}{given}. {text}", codec)
    found = read(content, f"{family}^{given}")
    assert found == note
    masked = mask_note(found, [f"{family}^{given}"], names=False)
    assert masked.text.count("[NAME]") == 1 and family not in masked.text


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(PAIRS), st.data())
def test_no_part_of_a_note_becomes_other_letters(pair, data):
    language, codec = pair
    words = NOTES[language][1].split(" ") + NOTES[language][2].split(", ")
    text = " ".join(data.draw(st.lists(st.sampled_from(words), min_size=1, max_size=12)))
    text, content = encoded(text, codec)
    with suppress(UnicodeDecodeError):  # a lone letter may happen to be one of UTF-8, which is read
        text = content.decode("utf-8")
    assert read(content) in (None, text)


@pytest.mark.parametrize(("text", "codec"), [("без MRI MRI", "cp866"), ("у MRI", "cp1251")])
def test_signs_and_lone_letters_are_no_western_text(text, codec):
    assert read(text.encode(codec)) is None


@pytest.mark.parametrize("codec", ["iso2022_jp", "iso2022_kr"])
def test_iso_2022_says_what_it_is(codec):
    language = "Japanese" if codec == "iso2022_jp" else "Korean"
    text = NOTES[language][1].replace("～", "")
    assert read(text.encode(codec)) == text


@pytest.mark.parametrize("text", ["Läsion", "Größe 14 mm – kein Ödem", "Заключение", "Łucja"])
def test_utf_8_that_was_encoded_twice_is_refused(text):
    twice = "".join(
        bytes([byte]).decode("cp1252") if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else chr(byte)
        for byte in text.encode()
    )
    assert read(f"Befund: {twice}".encode()) is None
    assert read(f"Befund: {text}".encode()) == f"Befund: {text}"


def test_the_seven_bit_form_of_chinese_is_refused():
    assert read("影像所见：右肺见结节".encode("hz")) is None
    assert read(b"a ~{ b") == "a ~{ b"


def test_a_mark_or_valid_utf_8_needs_no_proof():
    for language in NOTES:
        text = NOTES[language][1]
        for codec in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
            assert read(text.encode(codec)).removeprefix("\ufeff") == text


@pytest.mark.parametrize(
    "language", ["Polish", "Russian", "Greek", "Hebrew", "Arabic", "Japanese", "Chinese", "Turkish"]
)
def test_a_table_in_another_encoding_than_windows_1252_is_refused(language):
    codecs, text, name = NOTES[language]
    table = f"id,person,note\n1,{name.replace(', ', ' ')},{text.replace(',', ';')}\n"
    with pytest.raises(ReadError, match="encoding"):
        to_utf8(table.encode(codecs.split()[0]), "t.csv")


@pytest.mark.parametrize(
    "name",
    [
        "Peña",
        "Müller",
        "Größler",
        "François",
        "Zoë",
        "Ångström",
        "Sørensen",
        "naïve",
        "37 °C",
        "5 µg",
        "cm²",
        "“x”",
    ],
)
def test_a_table_that_a_western_spreadsheet_wrote_is_read(name):
    assert (
        to_utf8(f"id,person\n1,{name}\n".encode("cp1252"), "t.csv").decode().endswith(f"1,{name}\n")
    )


@pytest.mark.parametrize(
    ("damaged", "name"),
    [
        ("MÃ¼ller", "Müller^Jörg"),
        ("M?ller", "Müller^Jörg"),
        ("Êóçíåöîâà", "Кузнецова^Тамара"),
        ("Wiœniewska", "Wiśniewska^Anna"),
    ],
)
def test_a_name_that_an_earlier_conversion_damaged_is_masked(damaged, name):
    assert mask_note(f"1 {damaged} 2", [name], names=False).text == "1 [NAME] 2"
