"""Workbooks that are torn, swollen or none: each is refused with the reason that is true."""

import zipfile

import pytest
from workbook_builders import (
    KEYS,
    SHEET,
    column,
    compound,
    labs,
    ods,
    ods_cell,
    ods_table,
    set_cells,
    with_part,
    xls,
    xlsx,
    zipped,
)

from mmdiag.errors import ReadError
from mmdiag.readers.tables.cohort_tables import check_table
from mmdiag.reasons import REASONS

DTD = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def torn(file):
    file.write_bytes(file.read_bytes()[:-400])


def damaged(file):
    content = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as packed:
        at = packed.getinfo(SHEET).header_offset + 80
    content[at : at + 20] = bytes(20)
    file.write_bytes(bytes(content))


def overlapping(file):
    """Thousands of entries that all lead to the same large part."""
    big = b"<a>" + b" " * 2**24
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/workbook.xml", big)
        one = packed.infolist()[0]
        for number in range(40):
            again = zipfile.ZipInfo(f"{number:015d}")
            for fact in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
                setattr(again, fact, getattr(one, fact))
            packed.filelist.append(again)


HOSTILE = {
    "torn.xlsx": (torn, "truncated"),
    "damaged.xlsx": (damaged, "truncated"),
    "text.xlsx": (lambda f: f.write_text("case_id,a\nx,1\n"), "not_a_table"),
    "empty.xlsx": (lambda f: f.write_bytes(b""), "not_a_table"),
    "old.xlsx": (lambda f: compound(f, "EncryptedPackage", bytes(5000)), "not_a_table"),
    "zip.xlsx": (lambda f: zipped(f, {"a.txt": b"hello"}), "not_a_table"),
    "ods.xlsx": (lambda f: ods(f, ods_table(labs())), "not_a_table"),
    "page.xls": (lambda f: f.write_text("<html><table><tr><td>1</table>"), "not_a_table"),
    "csv.xls": (lambda f: f.write_text("case_id\ta\nx\t1\n"), "not_a_table"),
    "new.xls": (lambda f: xlsx(f.with_suffix(".xlsx"), labs()).rename(f), "not_a_table"),
    "other.xls": (lambda f: compound(f, "WordDocument", bytes(5000)), "unreadable"),
    "short.xls": (lambda f: f.write_bytes(xls(f, labs()).read_bytes()[:900]), "unreadable"),
    "entities.xlsx": (
        lambda f: with_part(f, SHEET, lambda x: DTD + x.replace(b"case_id", b"&b;")),
        "unreadable",
    ),
    "entities.ods": (lambda f: ods(f, ods_table(labs()), head=DTD.decode()), "unreadable"),
    "strings.xlsx": (lambda f: with_part(f, "xl/sharedStrings.xml", DTD + b"<sst/>"), "unreadable"),
    "utf16.xlsx": (
        lambda f: with_part(f, SHEET, lambda x: (DTD + x).decode().encode("utf-16")),
        "unreadable",
    ),
    "bomb.xlsx": (lambda f: with_part(f, "xl/media/a.bin", bytes(2**27)), "too_large"),
    "overlap.xlsx": (overlapping, "truncated"),
    "sparse.xlsx": (lambda f: xlsx(f, labs(), set_cells(XFD1048576=1)), "too_large"),
    "repeated.ods": (
        lambda f: ods(
            f,
            ods_table([[ods_cell(1, 'table:number-columns-repeated="16384"')]]).replace(
                "<table:table-row>", '<table:table-row table:number-rows-repeated="1000000">'
            ),
        ),
        "too_large",
    ),
    "beyond.xlsx": (
        lambda f: with_part(f, SHEET, lambda x: x.replace(b'r="A2"', b'r="A9999999"')),
        "unreadable",
    ),
    "broken.xlsx": (lambda f: with_part(f, SHEET, lambda x: x[:-30]), "unreadable"),
    "deep.xlsx": (
        lambda f: with_part(
            f,
            SHEET,
            lambda x: x.replace(b"<sheetData>", b"<a>" * 500 + b"</a>" * 500 + b"<sheetData>"),
        ),
        "unreadable",
    ),
    "turned.xlsx": (lambda f: xlsx(f, column(["a\u202eb", "c"])), "control_characters"),
    "nothing.xlsx": (lambda f: xlsx(f, []), "no_rows"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_book_is_refused_with_the_reason_that_is_true(tmp_path, name):
    spoil, code = HOSTILE[name]
    file = tmp_path / name
    if name.endswith(".xlsx"):
        xlsx(file, labs())
    spoil(file)
    with pytest.raises(ReadError) as refusal:
        check_table(file)
    assert refusal.value.code == code and code in REASONS
    assert refusal.value.detail.startswith(name) and KEYS[0] not in refusal.value.detail
