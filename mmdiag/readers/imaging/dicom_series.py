"""Reads a DICOM series: chosen by header, grouped, sorted by geometry, decoded, and brought to the
modality's own units.
"""

import fnmatch
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Num
from numpy import ndarray
from pydicom.sequence import Sequence as DicomSequence

from mmdiag.errors import ReadError
from mmdiag.readers.imaging.dicom_dates import recorded_day
from mmdiag.readers.imaging.dicom_header import Header
from mmdiag.readers.imaging.dicom_pixels import (
    PixelFormat,
    frames,
    pixel_format,
    read_attributes,
)
from mmdiag.readers.imaging.dicom_prescan import scan
from mmdiag.readers.imaging.geometry import Arrangement, Plane, arrange, planes_of
from mmdiag.readers.imaging.resample import shrink, spread
from mmdiag.readers.imaging.suv import suv_factor

HEAD = 65_536  # bytes that are read of a file to know what it is


@dataclass(frozen=True, slots=True)
class Series:
    """One series in physical order.

    Args:
        volume: Values in the modality's units (HU for CT, SUV for PT), (slice, row, column);
            MONOCHROME1 inverted, colour as luminance.
        rows, columns: Of the file, before any resampling.
        slices: Of the series, before any were left out.
        spacing_mm: Between rows and between columns of the file; NaN where the header does not say.
        gap_mm: Median distance of neighbouring slices; NaN for one slice.
        missing_slices: Gaps in the series, in slices.
        tilt_degrees: Of the gantry; NaN for one slice.
        localizers: Files of the selection that were left out because they are localizers.
        modality: DICOM modality, such as MR.
        recorded: ISO date of the last day on which it was recorded (`dicom_dates`); empty where no
            header says.
        window: Lowest and highest value that the header asks to be shown (VOI), in the modality's
            units; NaN where it does not.
        attributes: Keyword -> values as text, of what `read_series` was asked for and a header has,
            of all files.
    """

    volume: Float32[ndarray, "slice row column"]
    rows: int
    columns: int
    slices: int
    spacing_mm: tuple[float, float]
    gap_mm: float
    missing_slices: int
    tilt_degrees: float
    localizers: int
    modality: str
    patient_id: str
    recorded: str
    window: tuple[float, float]
    attributes: Mapping[str, tuple[str, ...]]
    files: int


def read_series(
    files: Sequence[Path],
    select: Mapping[str, str],
    *,
    size: int | None = None,
    slices: int | None = None,
    attributes: Sequence[str] = (),
) -> Series | None:
    """Read the one series of a folder that `select` means.

    Args:
        files: All files of the folder.
        select: DICOM keyword -> text or glob, case-insensitive; empty = every image.
        size: Longest side in pixels that slices are brought to as they are decoded, aspect kept;
            None = as they are.
        slices: At most so many are kept, evenly spaced; the others are read and checked all the
            same.
        attributes: DICOM keywords whose values are wanted as they are (`Series.attributes`).

    Returns:
        The series, or None where no image matches: it was not acquired.

    Raises:
        ReadError: A file is not DICOM, is cut short or does not decode; the series is mixed or
            ambiguous.
    """
    matching = [
        (file, header)
        for file, header in ((file, _head(file)) for file in files)
        if _is_image(header) and _matches(header, select)
    ]
    chosen = [pair for pair in matching if "LOCALIZER" not in pair[1].text("ImageType").split("\\")]
    if not matching:
        return None
    if not chosen:
        raise ReadError("localizer", f"all {len(matching)} images that match are localizers")
    series = {header.text("SeriesInstanceUID") for _, header in chosen}
    if len(series) > 1:
        raise ReadError("several_series", f"{len(series)} series match")
    patients = {header.text("PatientID") for _, header in chosen}
    if len(patients) > 1:
        raise ReadError(
            "patient_mismatch", f"{len(patients)} patients in one series of {len(chosen)} files"
        )
    return _read(chosen, size, slices, len(matching) - len(chosen), attributes)


def check_file(file: Path) -> None:
    """Read one file to the end, as a series of its own.

    Raises:
        ReadError: As `read_series`.
    """
    header = _head(file)
    if not _is_image(header):
        raise ReadError("no_pixel_data", file.name)
    _read([(file, header)], 8, None, 0)


def series_descriptions(files: Sequence[Path]) -> set[str]:
    """SeriesDescription (0008,103E) of the images among some files.

    Raises:
        ReadError: A file is not DICOM.
    """
    headers = [_head(file) for file in files]
    return {header.text("SeriesDescription") for header in headers if _is_image(header)}


def _head(file: Path) -> Header:
    """The header of a file, from its first bytes where they hold it."""
    with file.open("rb") as opened:
        content = opened.read(HEAD)
        size = os.fstat(opened.fileno()).st_size
        try:
            return Header(scan(content, size=size))
        except ReadError as refusal:
            if refusal.code != "incomplete":
                raise ReadError(refusal.code, f"{file.name}: {refusal.detail}") from None
        try:
            return Header(scan(content + opened.read()))
        except ReadError as refusal:
            raise ReadError(refusal.code, f"{file.name}: {refusal.detail}") from None


def _with_content(file: Path, header: Header) -> Header:
    """The header with the content of the whole file: what its first bytes said stays true."""
    # smaller than a head, larger because it had to be, or inflated: whole
    if len(header.scan.content) != HEAD or header.scan.start == 0:
        return header
    return Header(replace(header.scan, content=file.read_bytes()))


def _is_image(header: Header) -> bool:
    return header.scan.pixels != 0 or header.has("Rows")


def _matches(header: Header, select: Mapping[str, str]) -> bool:
    return all(
        fnmatch.fnmatchcase(header.text(keyword).lower(), pattern.lower())
        for keyword, pattern in select.items()
    )


@dataclass(frozen=True, slots=True)
class _File:
    """One file of a series, with what its header says of its frames."""

    path: Path
    header: Header
    pixels: PixelFormat
    planes: list[Plane]


def _read(
    chosen: Sequence[tuple[Path, Header]],
    size: int | None,
    slices: int | None,
    localizers: int,
    attributes: Sequence[str] = (),
) -> Series:
    shapes = {(header.integer("Rows"), header.integer("Columns")) for _, header in chosen}
    if len(shapes) > 1:
        raise ReadError("mixed_geometry", "slices differ in rows or columns")
    read = [_described(path, header) for path, header in chosen]
    arrangement = arrange([plane for file in read for plane in file.planes], len(read))
    count = len(arrangement.order)
    kept = arrangement.order[spread(count, slices or count)]
    volume = _decoded(chosen, read, {int(number): slot for slot, number in enumerate(kept)}, size)
    return _series(
        read[0].header,
        read[0].pixels,
        read[0].planes[0],
        arrangement,
        volume,
        len(read),
        localizers,
        _values_of_all([file.header for file in read], attributes),
        recorded_day([header for _, header in chosen]),
    )


def _described(path: Path, header: Header) -> _File:
    try:
        pixels = pixel_format(header)
        return _File(path, header, pixels, planes_of(header, pixels.frames))
    except ReadError as refusal:
        raise ReadError(refusal.code, f"{path.name}: {refusal.detail}") from None


def _decoded(
    chosen: Sequence[tuple[Path, Header]],
    read: Sequence[_File],
    slots: Mapping[int, int],
    size: int | None,
) -> Float32[ndarray, "slice row column"]:
    """Decode every frame, keep those that have a slot."""
    planes: list[ndarray | None] = [None] * len(slots)
    number = 0
    for (path, head), file in zip(chosen, read, strict=True):
        try:
            header = _with_content(path, head)
            factor = suv_factor(header) if header.text("Modality") == "PT" else 1.0
            for plane, stored in zip(file.planes, frames(header, file.pixels), strict=True):
                if number in slots:
                    values = _values(stored, plane, size)
                    values = (
                        _inverted(values, file.pixels, plane)
                        if file.pixels.photometric == "MONOCHROME1"
                        else values
                    )
                    planes[slots[number]] = values if factor == 1 else values * np.float32(factor)
                number += 1
        except ReadError as refusal:
            raise ReadError(refusal.code, f"{path.name}: {refusal.detail}") from None
    return np.stack([plane for plane in planes if plane is not None]).astype(np.float32, copy=False)


def _values(
    stored: Num[ndarray, "row column"], plane: Plane, size: int | None
) -> Float32[ndarray, "new_row new_column"]:
    """Resized, then rescaled, which is the same for a linear rescale and cheaper; a table is looked
    up first, because between its entries lies nothing.
    """
    if plane.rescale.table is not None:
        return shrink(plane.rescale(stored), size)
    return plane.rescale(shrink(stored, size))


def _inverted(
    values: Float32[ndarray, "row column"], pixels: PixelFormat, plane: Plane
) -> Float32[ndarray, "row column"]:
    """MONOCHROME1 shows its lowest value white (PS3.3 C.7.6.3.1.2): every stored value is taken
    from the highest that there can be, plus the lowest.
    """
    if plane.rescale.table is not None:
        reversed_table: ndarray = values.max() + values.min() - values
        return reversed_table
    both = -1 if pixels.signed else 2**pixels.bits_stored - 1
    turned: ndarray = plane.rescale.slope * both + 2 * plane.rescale.intercept - values
    return turned


def _series(
    header: Header,
    pixels: PixelFormat,
    plane: Plane,
    arrangement: Arrangement,
    volume: Float32[ndarray, "slice row column"],
    files: int,
    localizers: int,
    attributes: Mapping[str, tuple[str, ...]],
    recorded: date | None,
) -> Series:
    spacing = plane.spacing or (float("nan"), float("nan"))
    return Series(
        volume=volume,
        rows=pixels.rows,
        columns=pixels.columns,
        slices=len(arrangement.order),
        spacing_mm=(spacing[0], spacing[1]),
        gap_mm=arrangement.gap_mm,
        missing_slices=arrangement.missing,
        tilt_degrees=arrangement.tilt_degrees,
        localizers=localizers,
        modality=header.text("Modality"),
        patient_id=header.text("PatientID"),
        recorded=recorded.isoformat() if recorded else "",
        window=_voi(header),
        attributes=attributes,
        files=files,
    )


def _voi(header: Header) -> tuple[float, float]:
    """The first window of the VOI LUT Module (PS3.3 C.11.2.1.2)."""
    centre, width = header.numbers("WindowCenter"), header.numbers("WindowWidth")
    if not centre or not width or width[0] < 1:
        return float("nan"), float("nan")
    exact = header.text("VOILUTFunction") in ("LINEAR_EXACT", "SIGMOID")
    half = width[0] / 2 if exact else (width[0] - 1) / 2
    middle = centre[0] if exact else centre[0] - 0.5
    return middle - half, middle + half


def attribute_values(header: Header, keywords: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The values of some attributes as text, those that are empty or absent left out.

    Args:
        keywords: Of a sequence, the PatientID of each item counts as its values.
    """
    values = {
        keyword: _item_ids(header, keyword)
        if header.is_sequence(keyword)
        else tuple(part for text in header.readings(keyword) for part in text.split("\\") if part)
        for keyword in keywords
        if header.has(keyword)
    }
    return {keyword: texts for keyword, texts in values.items() if texts}


def _values_of_all(
    headers: Sequence[Header], keywords: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The values of some attributes in all files of a series; most are alike in all."""
    values = attribute_values(headers[0], keywords)
    first = {keyword: headers[0].raw(keyword) for keyword in keywords}
    for header in headers[1:]:
        others = [keyword for keyword in keywords if header.raw(keyword) != first[keyword]]
        for keyword, texts in attribute_values(header, others).items():
            values[keyword] = tuple(dict.fromkeys((*values.get(keyword, ()), *texts)))
    return values


def _item_ids(header: Header, keyword: str) -> tuple[str, ...]:
    items = read_attributes(header, [keyword]).get(keyword)
    if not isinstance(items, DicomSequence):  # bytes that do not parse as items
        return ()
    return tuple(filter(None, (str(item.get("PatientID", "")).strip() for item in items)))
