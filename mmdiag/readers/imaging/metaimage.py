"""What the header of a MetaImage says of its numbers.

Reference:
    MetaIO, tag reference of MetaImage (itk.org/Wiki/MetaIO/Documentation).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from mmdiag.errors import ReadError
from mmdiag.readers.detached import HEAD, file_beside
from mmdiag.readers.imaging.layout import ZLIB, Layout, axes_of, one_volume
from mmdiag.regular_files import open_regular

LONGEST_LINE: Final = 1000  # characters
DATA: Final = "ElementDataFile"
DIRECTIONS: Final = ("TransformMatrix", "Rotation", "Orientation")
LENGTHS: Final = ("ElementSpacing", "ElementSize")
ORDERS: Final = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
UNIT: Final = "DistanceUnits"
UNITS_MM: Final = {"mm": 1.0, "um": 0.001, "cm": 10.0, "?": 1.0}  # of ?, mm, as every tool takes it
BYTES: Final = {
    "MET_CHAR": 1,
    "MET_UCHAR": 1,
    "MET_SHORT": 2,
    "MET_USHORT": 2,
    "MET_INT": 4,
    "MET_UINT": 4,
    "MET_LONG_LONG": 8,
    "MET_ULONG_LONG": 8,
    "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}


def metaimage_layout(file: Path) -> Layout:
    """Where the numbers of a MetaImage lie.

    Raises:
        ReadError: It is no MetaImage, is none of one volume of single values whose axes are known,
            or its data lies in another folder or in several files.
    """
    fields, end = _fields(file)
    name, kind = file.name, fields.get("ElementType", "")
    if fields.get("ObjectType", "Image") != "Image":
        raise ReadError("unreadable", f"{name} is a MetaIO object that is no image")
    if fields.get("ElementNumberOfChannels", "1") != "1" or kind.endswith("_ARRAY"):
        raise ReadError("not_one_value", f"{name} holds vectors or colours")
    lengths = _whole_numbers(fields, "DimSize", name)
    if len(lengths) != _whole_numbers(fields, "NDims", name)[0]:
        raise ReadError("unreadable", f"the header of {name} has other sizes than axes")
    shape = one_volume(lengths, name)
    _require_pose(fields, name)
    if kind not in BYTES or not _is_true(fields, "BinaryData"):
        raise ReadError("unreadable", f"{name} has numbers of a type or form that is not read")
    if any(
        fields.get(f"ElementToIntensityFunction{end}", "0") not in plain
        for end, plain in (("Slope", ("1", "0")), ("Offset", ("0",)))
    ):
        raise ReadError("unreadable", f"{name} says that its numbers mean others")
    if BYTES[kind] > 1 and len({_is_true(fields, one) for one in ORDERS if one in fields}) != 1:
        raise ReadError("unreadable", f"{name} does not say the order of its bytes")
    packed = ZLIB if _is_true(fields, "CompressedData") else ""
    data, start = file, end
    if fields[DATA].upper() != "LOCAL":
        if re.match(r"LIST\b|.*%", fields[DATA]):
            raise ReadError("several_volumes", f"{name} keeps its data in several files")
        data, start = file_beside(file, fields[DATA]), 0
    layout = Layout(shape, BYTES[kind], data, start, packed, UNITS_MM[fields.get(UNIT, "mm")])
    return _without_head(layout, fields, name)


def _without_head(layout: Layout, fields: Mapping[str, str], name: str) -> Layout:
    """With the bytes before the numbers (HeaderSize), and what is packed as long as is said."""
    there = layout.data.stat().st_size - layout.start
    stated = fields.get("CompressedDataSize", str(there))
    if layout.packed and stated != str(there):
        raise ReadError("truncated", f"{name} promises another length of what is packed")
    skipped = fields.get("HeaderSize", "0")
    if not re.fullmatch(r"-1|\d{1,15}", skipped) or (layout.packed and skipped != "0"):
        raise ReadError("unreadable", f"HeaderSize of {name} is no number of bytes")
    start = layout.start + (there - layout.size if skipped == "-1" else int(skipped))
    return replace(layout, start=start)


def _fields(file: Path) -> tuple[dict[str, str], int]:
    """The tags of a header, and where it ends: with the line that names the data."""
    with open_regular(file) as opened:
        head = opened.read(HEAD)
    last = re.search(rb"^ElementDataFile[ \t]*=[^\n]*(\n|\Z)", head, re.MULTILINE)
    if not re.match(rb"\s*[A-Za-z_]\w* *=", head) or last is None:
        raise ReadError("unreadable", f"{file.name} has no header of a MetaImage")
    fields = dict[str, str]()
    for line in head[: last.end()].decode("utf-8", "replace").replace("\r\n", "\n").split("\n"):
        name, separator, value = line.partition("=")
        name = name.strip()
        if not line.strip():
            continue
        if not separator or name in fields or "\r" in line or len(line) > LONGEST_LINE:
            raise ReadError("unreadable", f"the header of {file.name} is none of a MetaImage")
        fields[name] = value.strip()
    lacking = [one for one in ("NDims", "DimSize", "ElementType") if one not in fields]
    if lacking:
        raise ReadError("unreadable", f"the header of {file.name} lacks {', '.join(lacking)}")
    return fields, last.end()


def _is_true(fields: Mapping[str, str], name: str) -> bool:
    return fields.get(name, "False").lower() in ("true", "1")


def _whole_numbers(fields: Mapping[str, str], name: str, file: str) -> list[int]:
    parts = fields[name].split()
    if not 0 < len(parts) <= 10 or not all(re.fullmatch(r"\d{1,9}", part) for part in parts):
        raise ReadError("unreadable", f"{name} of {file} holds no whole numbers")
    return [*map(int, parts)]


def _require_pose(fields: Mapping[str, str], name: str) -> None:
    """Refuse a volume that does not say where its axes go, or how long its voxels are."""
    if fields.get(UNIT, "mm") not in UNITS_MM:
        raise ReadError("missing_geometry", f"the {UNIT} of {name} are no unit of length")
    for keys, count in ((DIRECTIONS, 9), (LENGTHS, 3)):
        stated = [fields[key].split() for key in keys if key in fields]
        if not stated or any(len(numbers) != count for numbers in stated):
            raise ReadError("missing_geometry", f"{name} lacks {keys[0]} of three axes")
        for numbers in stated:
            axes_of(numbers if count == 9 else _diagonal(numbers), name)


def _diagonal(lengths: Sequence[str]) -> list[str]:
    return [lengths[i] if i == j else "0" for i in range(3) for j in range(3)]
