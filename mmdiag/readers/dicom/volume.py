"""The files of a series: their headers, then their pixels as a volume, every file decoded, the
wanted slices kept, brought to size, to their units or to the grey levels that headers ask for.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Num
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.clutter import left_by_a_viewer
from mmdiag.readers.dicom.elements import PIXELS
from mmdiag.readers.dicom.header import Header
from mmdiag.readers.dicom.pixels import Frame, frames
from mmdiag.readers.dicom.prescan import scan
from mmdiag.readers.dicom.suv import scan_start, suv_factor
from mmdiag.readers.imaging.colour import WHITE, shrink_colours
from mmdiag.readers.imaging.display import DisplaySlices
from mmdiag.readers.imaging.geometry import Plane, planes_of
from mmdiag.readers.imaging.grey_levels import Voi, inverted
from mmdiag.readers.imaging.pixel_format import GREY, PixelFormat, padding_of, pixel_format
from mmdiag.readers.imaging.resample import shrink

HEAD = 65_536  # bytes that are read of a file to know what it is
NO_DICOM = ("not_dicom", "picture_form")
WHOLE = 2**23  # bytes up to which a file that is alone is read at once, and once


def heads_of(files: Sequence[Path]) -> tuple[list[tuple[Path, Header]], tuple[str, ...]]:
    """The headers of a folder's DICOM files, and the names of what was left out: parts of a CD that
    are no DICOM and do not claim to be.

    Raises:
        ReadError: A file that should be DICOM is not, or none is.
    """
    found, left_out = [], []
    refused: ReadError | None = None
    for file in files:
        if file.name.upper().startswith("DICOMDIR"):
            left_out.append(file.name)
            continue
        try:
            found.append((file, head_of(file, WHOLE if len(files) == 1 else HEAD)))
        except ReadError as refusal:
            if refusal.code not in NO_DICOM or not left_by_a_viewer(file):
                raise
            refused = refused or refusal
            left_out.append(file.name)
    if not found and refused is not None:
        raise refused
    return found, tuple(left_out)


def head_of(file: Path, whole: int = HEAD) -> Header:
    """The header of a file, from its first bytes where they hold it.

    Args:
        whole: Bytes up to which the file is read as a whole.
    """
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        content = opened.read() if size <= whole else opened.read(HEAD)
        try:
            return Header(scan(content, size=max(size, len(content))))
        except ReadError as refusal:
            if refusal.code == "not_dicom" and _is_half_of_a_pair(file):
                raise ReadError("volume_in_two_files", f"{file.name} is half of it") from None
            if refusal.code != "incomplete":
                raise ReadError(refusal.code, f"{file.name}: {refusal.detail}") from None
        try:
            return Header(scan(content + opened.read()))
        except ReadError as refusal:
            raise ReadError(refusal.code, f"{file.name}: {refusal.detail}") from None


def _is_half_of_a_pair(file: Path) -> bool:
    """Whether a file is the header or the data of a volume in two files, as SPM and FSL wrote
    NIfTI and Analyze.
    """
    pair = [file.with_suffix(ending) for ending in (".hdr", ".img")]
    return file.suffix.lower() in (".hdr", ".img") and all(one.is_file() for one in pair)


@dataclass(frozen=True, slots=True)
class SliceFile:
    """One file of a series, with what its header says of its frames."""

    path: Path
    header: Header
    pixels: PixelFormat
    planes: list[Plane]
    inverted: bool


def described(path: Path, header: Header, voi: bool) -> SliceFile:
    """What a header says of a file's frames.

    Args:
        voi: Whether to read how its values are shown.

    Raises:
        ReadError: As `pixel_format` and `planes_of`, naming the file.
    """
    try:
        pixels = pixel_format(header)
        grey = pixels.photometric in GREY
        return SliceFile(
            path,
            header,
            pixels,
            planes_of(header, pixels, voi=voi and grey),
            inverted(header, pixels),
        )
    except ReadError as refusal:
        raise ReadError(refusal.code, f"{path.name}: {refusal.detail}") from None


def without_copies(read: Sequence[SliceFile]) -> list[SliceFile]:
    """Files without those that are copies of one before them: byte for byte, or the same instance
    with the same place and pixels, as an archive that corrects a header sends it again.

    Raises:
        ReadError: One of several files of an instance does not decode.
    """
    bytes_of: dict[str, SliceFile] = {}
    for file in read:
        with file.path.open("rb") as opened:
            bytes_of.setdefault(hashlib.file_digest(opened, "sha256").hexdigest(), file)
    kept, instances = list(bytes_of.values()), dict[str, SliceFile]()
    for file in list(kept):
        uid = file.header.text("SOPInstanceUID")
        if uid and uid in instances and _is_same(instances[uid], file):
            kept.remove(file)
        instances.setdefault(uid, file)
    return kept


def _is_same(one: SliceFile, other: SliceFile) -> bool:
    """Whether two files show the same at the same place."""
    said = [
        (file.inverted, file.pixels, [replace(plane, voi=None) for plane in file.planes])
        for file in (one, other)
    ]
    return said[0] == said[1] and all(
        np.array_equal(a.stored, b.stored)
        and np.array_equal(_or_nothing(a.colours), _or_nothing(b.colours))
        and _is_shown_alike(first.voi, second.voi)
        for a, b, first, second in zip(
            _frames(one), _frames(other), one.planes, other.planes, strict=True
        )
    )


def _or_nothing(colours: Num[ndarray, "row column 3"] | None) -> Num[ndarray, "..."]:
    return np.empty(0) if colours is None else colours


def _is_shown_alike(one: Voi | None, other: Voi | None) -> bool:
    if one is None or other is None:
        return one is other
    first, second = (np.empty(0) if voi.levels is None else voi.levels for voi in (one, other))
    return replace(one, levels=None) == replace(other, levels=None) and np.array_equal(
        first, second
    )


def _frames(file: SliceFile) -> Iterator[Frame]:
    try:
        yield from frames(_with_content(file.path, file.header), file.pixels)
    except ReadError as refusal:
        raise ReadError(refusal.code, f"{file.path.name}: {refusal.detail}") from None


@dataclass(frozen=True, slots=True)
class Volume:
    """The decoded slices of a series.

    Args:
        values: In their units, or grey levels; of colour, luminance.
        colours: Red, green and blue from 0 to 255; none where all slices are grey.
    """

    values: Float32[ndarray, "slice row column"]
    colours: tuple[Float32[ndarray, "slice row column"], ...] = ()


def is_measured(file: SliceFile) -> bool:
    """Whether each pixel of a file has a value, by its header alone: whole numbers, none of which
    stands for no image, brought to their units along a line.
    """
    header = file.header
    return (
        PIXELS[header.scan.pixels] == "PixelData"
        and padding_of(header, file.pixels) is None
        and all(plane.voi is None and plane.rescale.is_safe for plane in file.planes)
        and header.text("Modality") != "PT"
    )


def decoded_volume(
    read: Sequence[SliceFile],
    slots: Mapping[int, int],
    size: int | None,
    aspect: float,
    *,
    colour: bool = False,
    display: DisplaySlices | None = None,
) -> Volume:
    """Decode every frame, keep those that have a slot.

    Args:
        colour: Whether the channels of frames in colour are wanted, too.
        display: What is filled with the frames as they are to be looked at.
    """
    planes: list[ndarray | None] = [None] * len(slots)
    coloured: dict[int, ndarray] = {}
    number, scale = 0, np.float32(1)
    headers = [file.header for file in read]
    is_pet = any(header.text("Modality") == "PT" for header in headers)
    began = scan_start(headers) if is_pet else None
    for file in read:
        try:
            header = _with_content(file.path, file.header)
            factor = suv_factor(header, began) if is_pet else 1.0
            padding = padding_of(header, file.pixels)
            decoded = frames(header, file.pixels, padding)
            for plane, frame in zip(file.planes, decoded, strict=True):
                if display is not None:
                    display.take(number, frame, plane.rescale, factor)
                if number in slots:
                    values = _values(frame.stored, frame.unmeasured, plane, size, aspect)
                    if colour and frame.colours is not None:
                        shrunk = shrink_colours(frame.colours, size, aspect=aspect)
                        scale = np.float32(WHITE / frame.white)
                        coloured[slots[number]] = shrunk * scale
                    grey = plane.voi is not None or factor == 1
                    planes[slots[number]] = values if grey else values * np.float32(factor)
                number += 1
        except ReadError as refusal:
            raise ReadError(refusal.code, f"{file.path.name}: {refusal.detail}") from None
    kept = [plane for plane in planes if plane is not None]
    volume = kept[0][np.newaxis] if len(kept) == 1 else np.stack(kept)
    volume = volume.astype(np.float32, copy=False)
    return Volume(volume, _channels(volume * scale, coloured) if coloured else ())


def _channels(
    luminance: Float32[ndarray, "slice row column"],
    coloured: Mapping[int, Float32[ndarray, "row column 3"]],
) -> tuple[Float32[ndarray, "slice row column"], ...]:
    """The channels of all slices, of which some are in colour; a grey one among them is three
    times its luminance.
    """
    slices = [coloured.get(number, plane[..., None]) for number, plane in enumerate(luminance)]
    return tuple(
        np.stack([plane[..., min(channel, plane.shape[-1] - 1)] for plane in slices])
        for channel in range(3)
    )


def _values(
    stored: Num[ndarray, "row column"],
    unmeasured: Bool[ndarray, "row column"] | None,
    plane: Plane,
    size: int | None,
    aspect: float,
) -> Float32[ndarray, "new_row new_column"]:
    """Resized, then rescaled, which is the same for a linear rescale and cheaper; what is looked up
    in a table is looked up first, because between its entries lies nothing.
    """
    if plane.voi is not None and plane.voi.levels is not None:
        values = plane.voi(plane.rescale(stored))
    elif plane.rescale.table is not None:
        values = plane.rescale(stored)
    else:
        values = plane.rescale(_resized(stored, unmeasured, size, aspect))
        return values if plane.voi is None else plane.voi(values)
    values = _resized(values, unmeasured, size, aspect)
    return values if plane.voi is None or plane.voi.levels is not None else plane.voi(values)


def _resized(
    plane: Num[ndarray, "row column"],
    unmeasured: Bool[ndarray, "row column"] | None,
    size: int | None,
    aspect: float,
) -> Num[ndarray, "new_row new_column"]:
    return shrink(plane, size, aspect=aspect, unmeasured=unmeasured)


def _with_content(file: Path, header: Header) -> Header:
    # smaller than a head, larger because it had to be, or inflated: whole
    if len(header.scan.content) != HEAD or header.scan.start == 0:
        return header
    return header.of_whole_file(file.read_bytes())
