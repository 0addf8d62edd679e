"""PNG, JPEG and NIfTI, and how any image is brought to the form that the store keeps."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from mmdiag.errors import ReadError

CT_WINDOW_HU = (-1000.0, 1000.0)
PERCENTILES = (0.5, 99.5)


def read_picture(file: Path) -> Float32[ndarray, "slice row column"]:
    """One PNG or JPEG as grey values, colour as luminance, an alpha channel over black.

    Raises:
        ReadError: It does not decode.
    """
    content = np.frombuffer(file.read_bytes(), dtype=np.uint8)
    decoded = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    if decoded is None:
        raise ReadError("unreadable", file.name)
    image = decoded.astype(np.float32)
    if image.ndim == 3 and image.shape[2] == 4:
        image = image[..., :3] * (image[..., 3:] / float(2 ** (8 * decoded.dtype.itemsize) - 1))
    if image.ndim == 3:  # OpenCV gives blue, green, red
        image = image @ np.asarray([0.114, 0.587, 0.299], dtype=np.float32)
    return image[None].astype(np.float32)


def read_nifti(file: Path) -> Float32[ndarray, "slice row column"]:
    """A NIfTI volume, slices along its last axis turned to (slice, row, column) of the closest canonical orientation.

    Raises:
        ReadError: It does not load, or is not a volume.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        image = nibabel.as_closest_canonical(nibabel.load(file))  # type: ignore[no-untyped-call]
        values = np.asarray(image.dataobj, dtype=np.float32)
    except (ImageFileError, OSError, ValueError, EOFError) as error:
        raise ReadError("unreadable", f"{file.name} ({type(error).__name__})") from None
    if values.ndim != 3:
        raise ReadError("mixed_geometry", f"{file.name} has {values.ndim} axes")
    return np.ascontiguousarray(np.flip(values.transpose(2, 1, 0), axis=1))


@dataclass(frozen=True, slots=True)
class Stored:
    """An image as the store keeps it.

    Args:
        stack: Slices, padded with black to a square.
        low, high: Values that became 0 and 255.
    """

    stack: UInt8[ndarray, "slice size size"]
    low: float
    high: float


def to_stored(volume: Float32[ndarray, "slice row column"], size: int, slices: int, *, hounsfield: bool) -> Stored:
    """Window, resize by area and choose slices.

    Args:
        size: Height and width in pixels; the aspect is kept.
        slices: At most so many, evenly spaced.
        hounsfield: Whether values are in HU: then the window is fixed, else it is the series' own percentiles.
    """
    chosen = volume[np.unique(np.linspace(0, len(volume) - 1, min(slices, len(volume))).round().astype(int))]
    low, high = CT_WINDOW_HU if hounsfield else np.percentile(chosen, PERCENTILES)
    scale = 255.0 / max(float(high) - float(low), 1e-6)
    planes = [_fit((np.clip(plane, low, high) - low) * scale, size) for plane in chosen]
    return Stored(np.stack(planes), float(low), float(high))


def _fit(plane: np.ndarray, size: int) -> UInt8[ndarray, "size size"]:
    height, width = plane.shape
    scale = size / max(height, width)
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = (
        plane if target == (width, height) else cv2.resize(plane, target, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    )
    square = np.zeros((size, size), dtype=np.uint8)
    top, left = (size - target[1]) // 2, (size - target[0]) // 2
    square[top : top + target[1], left : left + target[0]] = np.clip(np.rint(small), 0, 255).astype(np.uint8)
    return square
