"""Names in a header are read in every character set of the standard, and in those that a header
fails to name.
"""

import io
import struct

import pytest
from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import PersonName

from mmdiag.readers.dicom.attributes import attribute_values
from mmdiag.readers.dicom.header import Header
from mmdiag.readers.dicom.prescan import scan

DECLARED = {
    "ISO_IR 100": "Müller^Jörg",
    "ISO_IR 101": "Wiśniewska^Łucja",
    "ISO_IR 109": "Ġorġ^Ħal",
    "ISO_IR 110": "Bērziņš^Jānis",
    "ISO_IR 126": "Παπαδόπουλος^Γιώργος",
    "ISO_IR 127": "قباني^لنزار",
    "ISO_IR 138": "שרון^דבורה",
    "ISO_IR 144": "Кузнецова^Тамара",
    "ISO_IR 148": "Çavuşoğlu^Işık",
    "ISO_IR 166": "สมชาย^ใจดี",
    "ISO_IR 13": "ﾔﾏﾀﾞ^ﾀﾛｳ",
    "ISO_IR 192": "Wang^XiaoDong=王^小東=",
    "GB18030": "Wang^XiaoDong=王^小东",
    "GBK": "Wang^XiaoDong=王^小东",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "ISO 2022 IR 13\\ISO 2022 IR 87": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    "\\ISO 2022 IR 159": "Jo=丂^丂",
    "\\ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
    "ISO 2022 IR 100\\ISO 2022 IR 144": "Müller^Иван",
}


def header_of(raw, charset):
    """A header that holds a name as some bytes."""
    values = [(0x0005, b"CS", charset.encode()), (0x0016, b"UI", b"1.2.840.10008.5.1.4.1.1.4")]
    elements = [(0x0008, *value) for value in values] + [(0x0010, 0x0010, b"PN", raw)]
    body = b"".join(
        struct.pack("<HH2sH", group, element, vr, len(value) + len(value) % 2)
        + value
        + b" " * (len(value) % 2)
        for group, element, vr, value in elements
    )
    return Header(scan(meta() + body))


def as_written(name, charset):
    """The bytes that pydicom writes for a name."""
    return PersonName(name).encode(convert_encodings(charset.split("\\")))


def meta():
    """Preamble and file meta information of explicit little endian."""
    file_meta = FileMetaDataset()
    file_meta.MediaStorageSOPClassUID = file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = file_meta
    dataset.save_as(written := io.BytesIO(), enforce_file_format=True)
    return written.getvalue()


@pytest.mark.parametrize("charset", DECLARED)
def test_a_name_is_read_in_the_character_set_that_the_header_names(charset):
    assert header_of(as_written(DECLARED[charset], charset), charset).text(
        "PatientName"
    ) == DECLARED[charset].rstrip("=")


@pytest.mark.parametrize(
    "written",
    ["ISO IR 192", "ISO-IR 192", "iso_ir 192", "UTF-8", "utf8", "ISO_IR_192", "ISO IR192"],
)
def test_a_misspelt_character_set_is_understood(written):
    assert header_of("山田^太郎".encode(), written).text("PatientName") == "山田^太郎"


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("utf-8", "Müller^Jörg"),
        ("cp1251", "Кузнецова^Тамара"),
        ("koi8_r", "Кузнецова^Тамара"),
        ("cp1253", "Παπαδόπουλος^Γιώργος"),
        ("cp1255", "שרון^דבורה"),
        ("cp1256", "قباني^لنزار"),
        ("gb18030", "王^小东"),
        ("shift_jis", "山田^太郎"),
        ("euc_kr", "홍^길동"),
        ("cp874", "สมชาย^ใจดี"),
        ("big5", "陳^小明"),
    ],
)
@pytest.mark.parametrize("charset", ["", "ISO_IR 6", "ISO_IR 100", "WRONG"])
def test_a_name_in_a_character_set_that_the_header_does_not_name_is_among_the_readings(
    codec, name, charset
):
    found = attribute_values(header_of(name.encode(codec), charset), ["PatientName"])
    assert name in found["PatientName"]


def test_a_character_set_that_holds_is_not_doubted():
    for name, charset in (
        ("Müller^Jörg", "ISO_IR 100"),
        ("王^小东", "GB18030"),
        ("Müller^Jörg", "ISO_IR 192"),
    ):
        header = header_of(as_written(name, charset), charset)
        assert header.readings("PatientName") == (name,)


def test_chinese_of_iso_2022_is_read_although_its_bytes_are_no_letters_of_the_first_set():
    raw = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="  # PS3.5 K.2
    assert header_of(raw, "\\ISO 2022 IR 58").text("PatientName") == "Zhang^XiaoDong=张^小东="


def test_japanese_whose_bytes_are_ascii_is_read():
    raw = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"  # PS3.5 H.3.1
    assert raw.isascii()
    assert header_of(raw, "\\ISO 2022 IR 87").text("PatientName") == "Yamada^Tarou=山田^太郎"
