"""Workbooks that a test writes: .xlsx by openpyxl or part by part, .ods as a zip with its content,
.xls record by record.
"""

import struct
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import openpyxl

KEYS = [f"{number:04d}" for number in range(1, 13)]
SHEET = "xl/worksheets/sheet1.xml"
NAMES = {
    "office": "urn:oasis:names:tc:opendocument:xmlns:office:1.0",
    "table": "urn:oasis:names:tc:opendocument:xmlns:table:1.0",
    "text": "urn:oasis:names:tc:opendocument:xmlns:text:1.0",
    "calcext": "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0",
}
Change = Callable[[openpyxl.Workbook], object]


def labs(columns: Sequence[str] = ("a", "b"), keys: Sequence[str] = KEYS) -> list[list[object]]:
    """Rows of a table with a header: numbers that differ by row and column."""
    cells = [
        [key, *(round(at + 0.25 * n, 3) for n in range(len(columns)))]
        for at, key in enumerate(keys)
    ]
    return [["case_id", *columns], *cells]


def xlsx(file: Path, rows: Sequence[Sequence[object]], change: Change | None = None) -> Path:
    """A book with one sheet of rows, changed by a function of the book."""
    book = openpyxl.Workbook()
    book.active.title = "labs"
    for row in rows:
        book.active.append(list(row))
    if change is not None:
        change(book)
    book.save(file)
    return file


def with_part(file: Path, part: str, change: Callable[[bytes], bytes] | bytes) -> Path:
    """The same zip with a part changed or added."""
    with zipfile.ZipFile(file) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    parts[part] = change if isinstance(change, bytes) else change(parts[part])
    return zipped(file, parts)


def zipped(file: Path, parts: dict[str, bytes]) -> Path:
    """A zip of some parts."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    return file


def ods_cell(value: object, more: str = "") -> str:
    """One cell of an .ods by the type of its value."""
    head = f"<table:table-cell {more} office:value-type="
    if value is None:
        return f"<table:table-cell {more}/>"
    if isinstance(value, bool):
        return f'{head}"boolean" office:boolean-value="{str(value).lower()}"/>'
    if isinstance(value, datetime | date):
        return f'{head}"date" office:date-value="{value.isoformat()}"/>'
    if isinstance(value, float | int):
        return f'{head}"float" office:value="{value!r}"><text:p>{value}</text:p></table:table-cell>'
    return f'{head}"string"><text:p>{escape(str(value))}</text:p></table:table-cell>'


def ods_table(rows: Sequence[Sequence[object]], name: str = "labs", before: str = "") -> str:
    """One sheet of an .ods; a cell that is text and begins with `<table:` is taken as it is."""
    cells = (
        "".join(c if str(c).startswith("<table:") else ods_cell(c) for c in row) for row in rows
    )
    lines = "".join(f"<table:table-row>{row}</table:table-row>" for row in cells)
    return f"<table:table table:name={quoteattr(name)}>{before}{lines}</table:table>"


def ods(file: Path, *tables: str, head: str = "") -> Path:
    """An .ods of some sheets."""
    spaces = " ".join(f'xmlns:{prefix}="{name}"' for prefix, name in NAMES.items())
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<office:document-content {spaces} '
        f'office:version="1.3"><office:body><office:spreadsheet>{"".join(tables)}'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>'
        "</manifest:manifest>"
    )
    parts = {"mimetype": kind, "META-INF/manifest.xml": manifest, "content.xml": content}
    return zipped(file, {name: part.encode() for name, part in parts.items()})


def xls(file: Path, rows: Sequence[Sequence[object]], *, since_1904: bool = False) -> Path:
    """A BIFF8 book of one sheet; a date is a number in a style that shows one."""
    begin = record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 6))
    cells = b"".join(
        _record_of(at, column, value)
        for at, row in enumerate(rows)
        for column, value in enumerate(row)
        if value is not None
    )
    sheet = begin + cells + record(0x0A, b"")
    styles = b"".join(
        record(0xE0, struct.pack("<HHHHHHIIH", 0, form, *[0] * 7)) for form in (0, 14)
    )
    head = record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 0, 0, 6))
    head += record(0x22, struct.pack("<H", int(since_1904))) + styles
    named = struct.pack("<IBBBB", len(head) + 4 + 12 + 4, 0, 0, 4, 0) + b"labs"
    book = head + record(0x85, named) + record(0x0A, b"")
    return compound(file, "Workbook", (book + sheet).ljust(4096, b"\0"))


def record(kind: int, content: bytes) -> bytes:
    """One record of BIFF."""
    return struct.pack("<HH", kind, len(content)) + content


def _record_of(row: int, column: int, value: object) -> bytes:
    style = int(isinstance(value, date))
    place = struct.pack("<HHH", row, column, style)
    if isinstance(value, bool):
        return record(0x205, place + struct.pack("<BB", value, 0))
    if isinstance(value, date):
        value = (value - date(1899, 12, 30)).days
    if isinstance(value, float | int):
        return record(0x203, place + struct.pack("<d", value))
    if str(value).startswith("#"):
        return record(0x205, place + struct.pack("<BB", 0x07, 1))
    text = str(value).encode("utf-16-le")
    return record(0x204, place + struct.pack("<HB", len(text) // 2, 1) + text)


def compound(file: Path, name: str, stream: bytes) -> Path:
    """A compound file (MS-CFB) of one stream of at least 4096 bytes."""
    stream = stream.ljust(-(-len(stream) // 512) * 512, b"\0")
    count = len(stream) // 512
    chain = [0xFFFFFFFD, 0xFFFFFFFE, *range(3, count + 2), 0xFFFFFFFE]
    assert len(chain) <= 128
    fat = struct.pack("<128I", *chain, *[0xFFFFFFFF] * (128 - len(chain)))
    none = 0xFFFFFFFF
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    head += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    head += struct.pack("<109I", 0, *[none] * 108)

    def entry(title: str, kind: int, child: int, start: int, size: int) -> bytes:
        text = (title + "\0").encode("utf-16-le")
        facts = struct.pack("<HBBIII", len(text), kind, 1, none, none, child)
        return text.ljust(64, b"\0") + facts + bytes(36) + struct.pack("<IQ", start, size)

    folder = entry("Root Entry", 5, 1, 0xFFFFFFFE, 0) + entry(name, 2, none, 2, len(stream))
    folder += (bytes(64) + struct.pack("<HBBIII", 0, 0, 0, none, none, none) + bytes(48)) * 2
    file.write_bytes(head + fat + folder + stream)
    return file


def set_cells(**cells):
    """A change of cells by their places."""

    def change(book):
        for place, value in cells.items():
            book.active[place] = value

    return change


def column(values, name="a"):
    """A table of one column beside its keys."""
    return [["case_id", name], *[[key, value] for key, value in zip(KEYS, values, strict=False)]]
