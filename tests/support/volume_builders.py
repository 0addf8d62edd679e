"""Volumes as NRRD, MetaImage, MGH and DICOM, written from the text of their formats."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

TYPES = {
    "i1": ("int8", "MET_CHAR"),
    "u1": ("uchar", "MET_UCHAR"),
    "i2": ("short", "MET_SHORT"),
    "u2": ("uint16", "MET_USHORT"),
    "i4": ("int", "MET_INT"),
    "u4": ("uint32", "MET_UINT"),
    "f4": ("float", "MET_FLOAT"),
    "f8": ("double", "MET_DOUBLE"),
}
SPACES = {  # to LPS, of vectors that are given in each
    "left-posterior-superior": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
}


def packed(values: np.ndarray, order: str) -> bytes:
    """The numbers of (x, y, z), x fastest."""
    return values.astype(values.dtype.newbyteorder(order)).tobytes(order="F")


def write_nrrd(
    file: Path,
    values: np.ndarray,
    lps: np.ndarray,
    *,
    space: str = "left-posterior-superior",
    encoding: str = "raw",
    order: str = "<",
    fields: dict[str, str] | None = None,
    keys: str = "",
    data: str = "",
    skip: int = 0,
    end: str = "\n",
) -> Path:
    """A NRRD of values (x, y, z) whose axes go along the columns of `lps`, in mm.

    Args:
        fields: Replace what would be written; None's text is left out.
        data: Name of the file of the numbers; empty = behind the header.
        skip: Bytes before the numbers.
    """
    columns = (lps * np.asarray(SPACES.get(space, (1, 1, 1)))[:, None]).T
    said = {
        "type": TYPES[values.dtype.str[1:]][0],
        "dimension": str(values.ndim),
        "space": space,
        "sizes": " ".join(map(str, values.shape)),
        "space directions": " ".join("(" + ",".join(map(repr, c)) + ")" for c in columns.tolist()),
        "kinds": " ".join(["domain"] * values.ndim),
        "endian": "little" if order == "<" else "big",
        "encoding": encoding,
        "space origin": "(1,2,3)",
        **({"byte skip": str(skip)} if skip else {}),
        **({"data file": data} if data else {}),
        **(fields or {}),
    }
    lines = ["NRRD0004", *(f"{name}: {text}" for name, text in said.items() if text)]
    content = bytes(max(skip, 0)) + packed(values, order)
    content = content if encoding == "raw" else gzip.compress(content, 1, mtime=0)
    if data:
        (file.parent / data).write_bytes(content)
        content = b""
    head = end.join([*lines, *([keys] if keys else []), "", ""]).encode()
    file.write_bytes(head + content)
    return file


def write_metaimage(
    file: Path,
    values: np.ndarray,
    lps: np.ndarray,
    *,
    order: str = "<",
    compressed: bool = False,
    tags: dict[str, str] | None = None,
    data: str = "LOCAL",
    head_bytes: int = 0,
) -> Path:
    """A MetaImage of values (x, y, z) whose axes go along the columns of `lps`, in mm."""
    lengths = np.linalg.norm(lps, axis=0)
    content = bytes(head_bytes) + packed(values, order)
    content = zlib.compress(content) if compressed else content
    said = {
        "ObjectType": "Image",
        "NDims": str(values.ndim),
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": str(order == ">"),
        "CompressedData": str(compressed),
        **({"CompressedDataSize": str(len(content))} if compressed else {}),
        "TransformMatrix": " ".join(map(repr, (lps / lengths).T.ravel().tolist())),
        "Offset": "1 2 3",
        "ElementSpacing": " ".join(map(repr, lengths.tolist())),
        "DimSize": " ".join(map(str, values.shape)),
        **({"HeaderSize": str(head_bytes)} if head_bytes else {}),
        "ElementType": TYPES[values.dtype.str[1:]][1],
        **(tags or {}),
        "ElementDataFile": data,
    }
    head = "".join(f"{name} = {text}\n" for name, text in said.items() if text).encode()
    if data != "LOCAL":
        (file.parent / data).write_bytes(content)
        content = b""
    file.write_bytes(head + content)
    return file


def write_mgh(
    file: Path,
    values: np.ndarray,
    lps: np.ndarray,
    *,
    frames: int = 1,
    good: int = 1,
    version: int = 1,
    tail: bytes = b"",
) -> Path:
    """An MGH, by its ending gzipped, of values (x, y, z) whose axes go along the columns of
    `lps`, in mm.
    """
    kinds = {"u1": 0, "i4": 1, "f4": 3, "i2": 4}
    lengths = np.linalg.norm(lps, axis=0)
    ras = (lps / lengths) * np.asarray([[-1], [-1], [1]])
    shape = (*values.shape, frames)[:4]
    head = struct.pack(">7ih", version, *shape, kinds[values.dtype.str[1:]], 0, good)
    head += struct.pack(">15f", *lengths, *ras.T.ravel(), 0, 0, 0)
    content = head.ljust(284, b"\0") + packed(values, ">") + tail
    file.write_bytes(gzip.compress(content, 1) if file.suffix == ".mgz" else content)
    return file
