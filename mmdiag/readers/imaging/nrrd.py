"""What the header of an NRRD says of its numbers.

Reference:
    Definition of the NRRD file format (teem.sourceforge.net/nrrd/format.html), NRRD0001 to 0005.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mmdiag.errors import ReadError
from mmdiag.readers.detached import HEAD, file_beside
from mmdiag.readers.imaging.layout import GZIP, Layout, axes_of, one_volume
from mmdiag.regular_files import open_regular

MAGIC: Final = re.compile(rb"NRRD000[1-5]\r?\n")
PATIENT: Final = frozenset(
    ("right-anterior-superior", "left-anterior-superior", "left-posterior-superior")
)
SHORT: Final = {"ras": "right-", "las": "left-", "lps": "left-"}
UNITS_MM: Final = {"mm": 1.0, "millimeter": 1.0, "um": 0.001, "cm": 10.0, "m": 1000.0}
PACKED: Final = {"raw": "", "gzip": GZIP, "gz": GZIP}
QUANTISED: Final = ("old min", "oldmin", "old max", "oldmax")  # what the least and greatest were
SPATIAL: Final = frozenset(("domain", "space", "???", "none"))
SEVERAL: Final = frozenset(("list", "time"))
BYTES: Final = {
    name: size
    for size, names in {
        1: "signed char,int8,int8_t,uchar,unsigned char,uint8,uint8_t",
        2: "short,short int,signed short,signed short int,int16,int16_t,ushort,unsigned short,"
        "unsigned short int,uint16,uint16_t",
        4: "int,signed int,int32,int32_t,uint,unsigned int,uint32,uint32_t,float",
        8: "longlong,long long,long long int,signed long long,signed long long int,int64,int64_t,"
        "ulonglong,unsigned long long,unsigned long long int,uint64,uint64_t,double",
    }.items()
    for name in names.split(",")
}


def nrrd_layout(file: Path) -> Layout:
    """Where the numbers of an NRRD lie.

    Raises:
        ReadError: It is no NRRD, is none of one volume of single values in the patient's own axes,
            or its data lies in another folder or in several files.
    """
    fields, start = _fields(file)
    name, lengths = file.name, _whole_numbers(fields, "sizes", file.name)
    if len(lengths) != _whole_numbers(fields, "dimension", name)[0]:
        raise ReadError("unreadable", f"the header of {name} has other sizes than axes")
    kinds = fields.get("kinds", "").lower().split()
    vectors = [kind for kind in kinds if kind not in SPATIAL | SEVERAL]
    if vectors or fields["type"] == "block":
        raise ReadError("not_one_value", f"{name} holds vectors, colours or blocks")
    shape = one_volume(lengths, name)
    _require_pose(fields, name)
    if any(re.match(r"Segment\d+_", key) for key in fields):
        raise ReadError("segmentation", f"{name} says that it holds segments")
    if fields["type"] not in BYTES or fields["encoding"].lower() not in PACKED:
        raise ReadError(
            "unreadable", f"{name} has a type or an encoding that is not read: write it as gzip"
        )
    if any(field in fields for field in QUANTISED):
        raise ReadError("unreadable", f"{name} says that its numbers mean others")
    each, packed = BYTES[fields["type"]], PACKED[fields["encoding"].lower()]
    if each > 1 and fields.get("endian") not in ("little", "big"):
        raise ReadError("unreadable", f"{name} does not say the order of its bytes")
    layout = Layout(shape, each, file, start, packed, _unit_mm(fields, name))
    return _placed(layout, fields)


def _placed(layout: Layout, fields: Mapping[str, str]) -> Layout:
    """With the file that holds the numbers, and the bytes of it that are skipped."""
    file, start, detached = layout.data, layout.start, fields.get("data file")
    if detached is not None:
        if re.match(r"LIST\b|.*%", detached):
            raise ReadError("several_volumes", f"{file.name} keeps its data in several files")
        start = 0
    data = file_beside(file, detached) if detached is not None else file
    skipped, lines = fields.get("byte skip", "0"), fields.get("line skip", "0")
    if lines != "0" or not re.fullmatch(r"-1|\d{1,15}", skipped):
        raise ReadError("unreadable", f"{file.name} skips lines, or a number of bytes that is none")
    if layout.packed and skipped != "0":
        raise ReadError("unreadable", f"{file.name} skips bytes of what is packed")
    start = data.stat().st_size - layout.size if skipped == "-1" else start + int(skipped)
    return Layout(layout.shape, layout.voxel_bytes, data, start, layout.packed, layout.unit_mm)


def _fields(file: Path) -> tuple[dict[str, str], int]:
    """The fields and keys of a header, and where it ends."""
    with open_regular(file) as opened:
        head = opened.read(HEAD)
    if not MAGIC.match(head):
        raise ReadError("unreadable", f"{file.name} does not begin as an NRRD")
    end = re.search(rb"\r?\n\r?\n", head)
    if end is None and len(head) == HEAD:
        raise ReadError("too_large", f"the header of {file.name} has more than {HEAD} bytes")
    text = head[: end.start() if end else len(head)].replace(b"\r\n", b"\n")
    fields = dict[str, str]()
    for line in text.decode("utf-8", "replace").split("\n")[1:]:
        if line.startswith("#") or not line.strip():
            continue
        name, separator, value = re.match(r"([^:]*)(:=|: ?|)(.*)", line, re.DOTALL).groups()  # type: ignore[union-attr]
        name = name if separator == ":=" else name.strip().replace("datafile", "data file")
        if not separator or name in fields or "\r" in line:
            raise ReadError("unreadable", f"the header of {file.name} is none of an NRRD")
        fields[name] = value.strip()
    lacking = [one for one in ("dimension", "sizes", "type", "encoding") if one not in fields]
    if lacking:
        raise ReadError("unreadable", f"the header of {file.name} lacks {', '.join(lacking)}")
    return fields, end.end() if end else len(head)


def _whole_numbers(fields: Mapping[str, str], name: str, file: str) -> list[int]:
    parts = fields[name].split()
    if not 0 < len(parts) <= 16 or not all(re.fullmatch(r"\d{1,9}", part) for part in parts):
        raise ReadError("unreadable", f"{name} of {file} holds no whole numbers")
    return [*map(int, parts)]


def _require_pose(fields: Mapping[str, str], name: str) -> None:
    """Refuse a volume that does not say where its axes go in the patient."""
    space = fields.get("space", "").lower()
    if space not in PATIENT and space not in ("ras", "las", "lps"):
        raise ReadError("missing_geometry", f"{name} does not say the patient's axes by its space")
    vectors = re.findall(r"\([^()]*\)", fields.get("space directions", ""))
    if len(vectors) != 3:
        raise ReadError("missing_geometry", f"{name} has no space directions of three axes")
    axes_of([number for vector in vectors for number in vector[1:-1].split(",")], name)


def _unit_mm(fields: Mapping[str, str], name: str) -> float:
    """The length of its unit in mm; mm where nothing is said, as every tool takes it."""
    units = set(re.findall(r'"([^"]*)"', fields.get("space units", ""))) - {""}
    if not units:
        return 1.0
    if len(units) > 1 or not units <= UNITS_MM.keys():
        raise ReadError("missing_geometry", f"the space units of {name} are no unit of length")
    return UNITS_MM[units.pop()]
