"""DICOM series: choose by header, sort by geometry, decode, rescale. The only file that parses DICOM, but for the phantom."""

import fnmatch
import hashlib
import io
import struct
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from jaxtyping import Float32
from numpy import ndarray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, MediaStorageDirectoryStorage

from mmdiag.errors import ReadError

HEADER_TAGS = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription", "Modality", "PatientID", "ImagePositionPatient", "ImageOrientationPatient",
    "PixelSpacing", "SliceThickness", "Rows", "Columns", "NumberOfFrames", "InstanceNumber", "ImageType", "StudyDate", "SeriesNumber", "ProtocolName",
)  # fmt: skip
BROKEN = (
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
    NotImplementedError,
    RuntimeError,
    OSError,
    struct.error,
    EOFError,
    MemoryError,
)
SAME_MM = 0.01  # positions nearer than this are one position
DELIMITER = b"\xfe\xff\xdd\xe0"  # Sequence Delimitation Item, the end of encapsulated pixel data
MODALITIES_WITH_UNITS = ("CT",)


@dataclass(frozen=True, slots=True)
class Series:
    """One series in physical order.

    Args:
        volume: Values after rescale, (slice, row, column); MONOCHROME1 inverted, colour as luminance.
        spacing_mm: Between rows and between columns; NaN where the header does not say.
        gap_mm: Median distance of neighbouring slices; NaN for one slice.
        modality: DICOM modality, such as MR.
        sha256: Of the files' hashes, in the order of the slices.
    """

    volume: Float32[ndarray, "slice row column"]
    spacing_mm: tuple[float, float]
    gap_mm: float
    modality: str
    photometric: str
    patient_id: str
    files: int
    sha256: str


def read_series(files: Sequence[Path], select: Mapping[str, str]) -> Series | None:
    """Read the one series of a folder that `select` means.

    Args:
        files: All files of the folder.
        select: DICOM keyword -> text or glob, case-insensitive; empty = every image.

    Returns:
        The series, or None where no image matches: it was not acquired.

    Raises:
        ReadError: A file is not DICOM, is cut short or does not decode; the series is mixed or ambiguous.
    """
    headers = [(file, _header(file)) for file in files]
    chosen = [(file, header) for file, header in headers if "Rows" in header and _matches(header, select)]
    if not chosen:
        return None
    series = {str(header.get("SeriesInstanceUID", "")) for _, header in chosen}
    if len(series) > 1:
        raise ReadError("several_series", f"{len(series)} series match")
    patients = {str(header.get("PatientID", "")) for _, header in chosen}
    if len(patients) > 1:
        raise ReadError("patient_mismatch", f"{len(patients)} patients in one series of {len(chosen)} files")
    ordered, gap = _sorted(chosen)
    planes = [_plane(file) for file, _ in ordered]
    if len({plane.values.shape[1:] for plane in planes}) > 1:
        raise ReadError("mixed_geometry", "slices differ in rows or columns")
    first = ordered[0][1]
    spacing = [float(x) for x in first.get("PixelSpacing") or (np.nan, np.nan)]
    return Series(
        volume=np.concatenate([plane.values for plane in planes]),
        spacing_mm=(spacing[0], spacing[1]),
        gap_mm=gap,
        modality=str(first.get("Modality", "")),
        photometric=planes[0].photometric,
        patient_id=patients.pop(),
        files=len(planes),
        sha256=hashlib.sha256("".join(plane.sha256 for plane in planes).encode()).hexdigest(),
    )


@dataclass(frozen=True, slots=True)
class Plane:
    """Frames of one file, after rescale."""

    values: Float32[ndarray, "frame row column"]
    photometric: str
    sha256: str


def check_file(file: Path) -> None:
    """Read one file to the end.

    Raises:
        ReadError: As `read_series`.
    """
    header = _header(file)
    if "Rows" not in header:
        raise ReadError("no_pixel_data", file.name)
    _plane(file)


def _header(file: Path) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(HEADER_TAGS))
        except InvalidDicomError:
            raise ReadError("not_dicom", file.name) from None
        except EOFError:
            raise ReadError("truncated", file.name) from None
        except BROKEN as error:
            raise ReadError("unreadable", f"{file.name} ({type(error).__name__})") from None
    if len(header) == 0 and header.file_meta.get("MediaStorageSOPClassUID") != MediaStorageDirectoryStorage:
        raise ReadError("truncated", file.name)  # a prefix and nothing behind it; a DICOMDIR has none of these tags and is no image
    return header


def _matches(header: Dataset, select: Mapping[str, str]) -> bool:
    return all(fnmatch.fnmatchcase(_text(header, keyword), pattern.lower()) for keyword, pattern in select.items())


def _text(header: Dataset, keyword: str) -> str:
    value = header.get(keyword, "")
    return ("\\".join(map(str, value)) if isinstance(value, list | pydicom.multival.MultiValue) else str(value)).strip().lower()


def _sorted(chosen: Sequence[tuple[Path, Dataset]]) -> tuple[list[tuple[Path, Dataset]], float]:
    """Slices along the normal of their plane, and their median distance in mm.

    Reference:
        DICOM PS3.3 C.7.6.2, Image Plane Module.
    """
    if len(chosen) == 1:
        return list(chosen), float("nan")
    orientations = [header.get("ImageOrientationPatient") for _, header in chosen]
    positions = [header.get("ImagePositionPatient") for _, header in chosen]
    if any(value is None or len(value) == 0 for value in [*orientations, *positions]):
        raise ReadError("missing_geometry", f"of {len(chosen)} slices, some have no position or orientation")
    first = np.asarray(orientations[0], dtype=float)
    if any(np.abs(np.asarray(other, dtype=float) - first).max() > 1e-3 for other in orientations):
        raise ReadError("mixed_geometry", "slices differ in orientation")
    places = np.asarray(positions, dtype=float) @ np.cross(first[:3], first[3:])
    order = np.argsort(places, kind="stable")
    gaps = np.diff(places[order])
    if gaps.min() < SAME_MM:
        raise ReadError("duplicate_slice", f"{int((gaps < SAME_MM).sum())} of {len(chosen)} slices lie where another does")
    return [chosen[i] for i in order], float(np.median(gaps))


def _plane(file: Path) -> Plane:
    content = file.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(io.BytesIO(content))
        except EOFError:
            raise ReadError("truncated", file.name) from None
        except BROKEN as error:
            raise ReadError("unreadable", f"{file.name} ({type(error).__name__})") from None
        _complete(dataset, content, file)
        try:
            stored = dataset.pixel_array
        except BROKEN as error:
            raise ReadError("undecodable_pixels", f"{file.name} ({type(error).__name__})") from None
    values, photometric = _grey(dataset, stored, file)
    return Plane(_rescaled(dataset, values, file), photometric, hashlib.sha256(content).hexdigest())


def _complete(dataset: Dataset, content: bytes, file: Path) -> None:
    """Refuse pixel data that is absent, shorter than its header says, or without its end."""
    syntax = UID(dataset.file_meta.get("TransferSyntaxUID", "")) if hasattr(dataset, "file_meta") else UID("")
    encapsulated = bool(syntax) and syntax.is_compressed and not syntax.is_deflated
    if encapsulated and DELIMITER not in content[-65_536:]:  # pydicom gives an empty data set here, and a warning
        raise ReadError("truncated", file.name)
    if "PixelData" not in dataset:
        raise ReadError("truncated" if "BitsAllocated" in dataset else "no_pixel_data", file.name)
    if encapsulated:
        return
    frames = int(dataset.get("NumberOfFrames") or 1)
    expected_bytes = dataset.Rows * dataset.Columns * int(dataset.get("SamplesPerPixel", 1)) * frames * dataset.BitsAllocated // 8
    if len(dataset.PixelData) < expected_bytes:
        raise ReadError("truncated", file.name)


def _grey(dataset: Dataset, stored: np.ndarray, file: Path) -> tuple[Float32[ndarray, "frame row column"], str]:
    """Frames of grey values; colour as luminance (ITU-R BT.601)."""
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    frames = stored if int(dataset.get("NumberOfFrames") or 1) > 1 else stored[None]
    values = frames.astype(np.float32)
    if photometric in ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"):
        values = values @ np.asarray([0.299, 0.587, 0.114], dtype=np.float32) if photometric == "RGB" else values[..., 0]
    elif photometric == "MONOCHROME1":
        values = values.max() + values.min() - values
    elif photometric not in ("MONOCHROME2", "PALETTE COLOR"):
        raise ReadError("unknown_photometric", file.name)
    if values.ndim != 3:
        raise ReadError("unknown_photometric", file.name)
    return values, photometric


def _rescaled(dataset: Dataset, values: np.ndarray, file: Path) -> Float32[ndarray, "frame row column"]:
    """output = slope * stored + intercept.

    Reference:
        DICOM PS3.3 C.11.1.1.2, Modality LUT; C.8.2.1, CT Image Module.
    """
    there = [tag for tag in ("RescaleSlope", "RescaleIntercept") if dataset.get(tag) is not None]
    if not there and dataset.get("Modality") not in MODALITIES_WITH_UNITS:
        return values
    if len(there) < 2:  # a guess of (1, 0) would shift every density in the volume
        raise ReadError("missing_rescale", file.name)
    return (values * np.float32(dataset.RescaleSlope) + np.float32(dataset.RescaleIntercept)).astype(np.float32)


def series_descriptions(files: Sequence[Path]) -> set[str]:
    """SeriesDescription (0008,103E) of the images among some files.

    Raises:
        ReadError: A file is not DICOM.
    """
    headers = [_header(file) for file in files]
    return {str(header.get("SeriesDescription", "")) for header in headers if "Rows" in header}
