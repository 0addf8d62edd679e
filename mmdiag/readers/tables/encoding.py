"""The bytes of a delimited file, brought to UTF-8 and refused where they are no regular text;
nothing is parsed yet.
"""

import gzip
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdiag.errors import ReadError
from mmdiag.readers.text.encodings import windows_text
from mmdiag.regular_files import open_regular, read_regular

LARGEST = 2**31 - 1  # bytes after inflation: what Arrow parses in one block
SMALL = 1 << 26  # bytes after inflation that any compressed file may have
INFLATION = 100  # times its size that a larger one may have; text has less, and 1000 is possible
PIECE = 1 << 20  # bytes that are inflated at once
HEAD = 1 << 20  # bytes in which a delimiter is looked for
LOOKED_AT = 50  # lines among which the header is, as in a workbook
LONGEST_HEADER = 1 << 26  # bytes
NOT_TEXT = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip or a workbook",
    b"PAR1": "Parquet",
    b"%PDF": "PDF",
    b"\x89HDF": "HDF5",
    b"\xd0\xcf\x11\xe0": "a workbook",
}
CONTROLS = bytes(code for code in (*range(32), 127) if code not in b"\t\n\v\f\r")
# C1 controls, line and paragraph separators, and overrides of the writing direction, in UTF-8
HIDDEN = re.compile(rb"\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]")
MULTIBYTE = re.compile(
    rb"[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
NOT_ASCII = re.compile(rb"[^\n]{0,4096}[\x80-\xff][^\n]{0,4096}")
SAMPLE = 1 << 16  # bytes of lines with letters beyond ASCII by which an encoding is judged
PAGE = re.compile(rb"\s*<(!doctype|html|\?xml|head|body)", re.IGNORECASE)
SEPARATORS = (",", ";", "\t", "|")
# what spreadsheets are told by the first line of a table, which is none of its rows
TOLD = re.compile(rb'"?sep=([,;|\t])"?[,;|\t]*\r?\n', re.IGNORECASE)
TAB_SUFFIXES = (".tsv", ".txt", ".tab", ".maf", ".gct", ".gistic")


@dataclass(frozen=True, slots=True)
class DelimitedText:
    """The text of a delimited file.

    Args:
        name: The file's name, for messages.
        content: UTF-8 without byte order mark.
        separator: One character.
        quoted: Whether a cell may be put in quotes; in formats of genomics a quote is a character
            like others.
        above: Lines above the header, such as a title and remarks, which are not in `content`.
    """

    name: str
    content: bytes
    separator: str
    quoted: bool = True
    above: int = 0


def read_delimited_text(
    file: Path,
    *,
    separator: str | None = None,
    columns: Sequence[str] = (),
    check_delimiter: bool = True,
    strict: bool = True,
) -> DelimitedText:
    """Read a delimited file, plain or gzip, and check it as text.

    Args:
        strict: Whether NUL and control characters refuse the file; else they are left to whoever
            judges the cells.
        separator: None = tab where the name ends in .tsv, .txt, .tab, .maf or .gct, else comma;
            or what the header says, see `separator_by_header`.
        columns: Columns that the header must hold. Where the first line does not, the first of
            LOOKED_AT lines that does is the header.

    Raises:
        ReadError: `not_a_table`, `truncated`, `too_large`, `no_rows`, `encoding`, `nul_bytes`,
            `control_characters`, `line_ends` or `delimiter`.
    """
    name = file.name
    content = to_utf8(read_bytes(file), name, nul=not strict)
    if not content[:HEAD].strip() and not content.strip():
        raise ReadError("no_rows", f"{name} is empty")
    _require_text(content, name, strict)
    told = TOLD.match(content)
    by_name = told[1].decode() if told else separator_of(file)
    content = content[told.end() :] if told else content
    top = _header_start(content, separator, columns)
    above = sum(1 for line in content[:top].split(b"\n") if line.strip(b",;|\t \r"))
    content = content[top:]
    found = separator or separator_by_header(content, by_name, columns)
    if check_delimiter and found == by_name:
        _require_delimiter(content, found, name)
    return DelimitedText(name, content, found, above=above)


def read_head(
    file: Path, *, separator: str | None = None, columns: Sequence[str] = ()
) -> DelimitedText | None:
    """The first line of a delimited file; None where only the whole file tells what it is: another
    format or encoding, a line end within quotes, or a header below. Arguments as of
    `read_delimited_text`.
    """
    compressed = file.name.lower().endswith(".gz")
    try:
        with open_regular(file) as stored:
            content = gzip.GzipFile(fileobj=stored) if compressed else stored
            line = content.readline(LONGEST_HEADER).removeprefix(b"\xef\xbb\xbf")
    except (OSError, EOFError, zlib.error):
        return None
    if (
        not line.endswith(b"\n")
        or not line.isascii()
        or b"\0" in line
        or TOLD.match(line)
        or line.count(b'"') % 2
        or PAGE.match(line)
        or line.startswith(tuple(NOT_TEXT))
        or (columns and not _separators_of(line, columns, separator))
    ):
        return None
    found = separator or separator_by_header(line, separator_of(file), columns)
    return DelimitedText(file.name, line, found)


def separator_by_header(content: bytes, by_name: str, columns: Sequence[str]) -> str:
    """What separates a table whose header must hold some columns: what its name says, unless the
    header holds them only where it is cut by one other separator.
    """
    if not columns:
        return by_name
    end = content.find(b"\n", 0, LONGEST_HEADER)
    holding = _separators_of(content[: end if end >= 0 else LONGEST_HEADER], columns)
    return holding[0] if len(holding) == 1 else by_name


def _separators_of(line: bytes, columns: Sequence[str], separator: str | None = None) -> list[str]:
    """What a line may be cut by so that it holds some columns."""
    if not all(column.encode() in line for column in columns):
        return []
    head = line.decode("utf-8", "replace").rstrip("\r\n")
    return [
        mark
        for mark in ([separator] if separator else SEPARATORS)
        if set(columns) <= {cell.strip().strip('"') for cell in head.split(mark)}
    ]


def _header_start(content: bytes, separator: str | None, columns: Sequence[str]) -> int:
    """Where the header begins: with the first line that holds some columns; 0 where none does."""
    start, most = 0, LONGEST_HEADER
    for _ in range(LOOKED_AT if columns else 0):
        end = content.find(b"\n", start, start + most)
        line = content[start : end if end >= 0 else start + most]
        if _separators_of(line, columns, separator):
            return start
        if end < 0:
            break
        start, most = end + 1, HEAD
    return 0


def separator_of(file: Path) -> str:
    """Tab or comma, by the file's name."""
    return "\t" if file.name.lower().removesuffix(".gz").endswith(TAB_SUFFIXES) else ","


def read_bytes(file: Path) -> bytes:
    """A file's bytes, inflated where its name says that it is compressed.

    Raises:
        ReadError: `not_a_table` where another format lies under the name, `truncated` where the
            compressed stream is torn or followed by junk.
    """
    if file.stat().st_size > LARGEST:
        raise ReadError("too_large", f"{file.name} has more than {LARGEST} bytes")
    content = read_regular(file)
    if file.name.lower().endswith((".gz", ".bgz")):
        content = inflate(content, file.name)
    kind = next((kind for magic, kind in NOT_TEXT.items() if content.startswith(magic)), None)
    if kind:
        raise ReadError("not_a_table", f"{file.name} holds {kind}")
    return content


def inflate(content: bytes, name: str) -> bytes:
    """Inflate gzip or bgzip.

    Raises:
        ReadError: `not_a_table` where it is not compressed, `truncated` where it is torn or junk
            follows, `too_large` where it swells.
    """
    if not content.startswith(b"\x1f\x8b"):
        raise ReadError("not_a_table", f"{name} is not gzip")
    inflated, most = bytearray(), min(LARGEST, max(SMALL, INFLATION * len(content)))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            # in pieces: read at once, the most that it may be is allocated
            while piece := stream.read(PIECE):
                inflated += piece
                if len(inflated) > most:
                    raise ReadError("too_large", f"{name} inflates to more than {most} bytes")
            return bytes(inflated)
    except (OSError, EOFError, zlib.error):
        raise ReadError("truncated", f"{name} is a torn gzip stream, or junk follows it") from None


def to_utf8(content: bytes, name: str, *, nul: bool = False) -> bytes:
    """Bytes in UTF-8 without mark: from UTF-8, from UTF-16 with a mark, else from Windows-1252,
    which is what spreadsheets write, where it gives text of a Western language.

    Args:
        nul: Whether NUL bytes are let pass.

    Raises:
        ReadError: `nul_bytes`, or `encoding` where it is none of these, or two of them mixed.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return content.decode("utf-16").encode()
        except UnicodeError:
            raise ReadError("encoding", f"{name} begins as UTF-16 and is not") from None
    content = content.removeprefix(b"\xef\xbb\xbf")
    _require_no_nul(content, name, nul)
    if content.isascii():
        return content
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return _from_windows(content, name)
    return content


def _from_windows(content: bytes, name: str) -> bytes:
    if MULTIBYTE.search(content):
        raise ReadError("encoding", f"{name} mixes UTF-8 with another encoding")
    sample = bytearray()
    for line in NOT_ASCII.finditer(content):
        sample += line.group() + b"\n"
        if len(sample) > SAMPLE:
            break
    try:
        if windows_text(bytes(sample), 0) is not None:
            return content.decode("cp1252").encode()
    except UnicodeDecodeError:
        pass
    raise ReadError("encoding", f"{name} is neither UTF-8 nor certainly Windows-1252")


def _require_no_nul(content: bytes, name: str, nul: bool) -> None:
    count = content.count(b"\0")
    if not count:
        return
    if min(content[::2].count(b"\0"), content[1::2].count(b"\0")) * 8 < count and count * 4 > len(
        content
    ):
        raise ReadError("encoding", f"{name} is UTF-16 without its byte order mark")
    if not nul:
        raise ReadError("nul_bytes", f"{name} holds NUL bytes ({count})")


def _require_text(content: bytes, name: str, strict: bool) -> None:
    if PAGE.match(content, 0, HEAD):
        raise ReadError("not_a_table", f"{name} holds a web page")
    if strict:
        require_plain(content, name)
    if b"\n" not in content and b"\r" in content.rstrip(b"\r"):
        raise ReadError("line_ends", f"{name} ends its lines with CR alone")


def require_plain(content: bytes, name: str) -> None:
    """Refuse text that shows something else than it says.

    Args:
        content: UTF-8.

    Raises:
        ReadError: `control_characters`.
    """
    controls = len(content) - len(content.translate(None, CONTROLS))
    hidden = 0 if content.isascii() else sum(1 for _ in HIDDEN.finditer(content))
    if controls or hidden:
        raise ReadError("control_characters", f"{name} holds {controls + hidden}")


def _require_delimiter(content: bytes, separator: str, name: str) -> None:
    end = content.find(b"\n", 0, HEAD)
    header = re.sub(rb'"[^"]*"', b"", content[: end if end >= 0 else HEAD])
    counts = {other: header.count(other) for other in (b",", b";", b"\t", b"|")}
    of_separator = counts.pop(separator.encode())
    if max(counts.values()) > of_separator:
        names = {b",": "commas", b";": "semicolons", b"\t": "tabs", b"|": "bars"}
        separated_by = names[max(counts, key=lambda other: counts[other])]
        raise ReadError(
            "delimiter",
            f"{name} is separated by {separated_by}, its name says {names[separator.encode()]}",
        )
