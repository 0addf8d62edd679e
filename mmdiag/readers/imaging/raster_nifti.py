"""Reads PNG, JPEG and NIfTI files as planes of grey levels."""

import struct
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.imaging.dicom_pixels import codestream_size

MOST_PIXELS = 2**27  # of a picture
MOST_VOXELS = 2**28  # of a volume


def read_picture(file: Path) -> Float32[ndarray, "slice row column"]:
    """One PNG or JPEG as grey values, colour as luminance, an alpha channel over black.

    Raises:
        ReadError: It does not decode.
    """
    content = file.read_bytes()
    height, width = picture_size(content) or (0, 0)
    if height * width > MOST_PIXELS:
        raise ReadError("too_large", f"{file.name} has {height} x {width} pixels")
    decoded = (
        cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
        if height and width
        else None
    )
    if decoded is None:
        raise ReadError("unreadable", f"{file.name} does not decode as PNG or JPEG")
    image = decoded.astype(np.float32)
    if image.ndim == 3 and image.shape[2] == 4:
        image = image[..., :3] * (image[..., 3:] / float(2 ** (8 * decoded.dtype.itemsize) - 1))
    if image.ndim == 3:  # OpenCV gives blue, green, red
        image = image @ np.asarray([0.114, 0.587, 0.299], dtype=np.float32)
    return image[None].astype(np.float32)


def picture_size(content: bytes) -> tuple[int, int] | None:
    """Height and width that a PNG or JPEG declares, before anything is allocated; None where it is
    neither.
    """
    if content[:8] == b"\x89PNG\r\n\x1a\n" and len(content) >= 24:
        width, height = struct.unpack_from(">2I", content, 16)
        return height, width
    return codestream_size(content) if content[:2] == b"\xff\xd8" else None


def read_nifti(file: Path) -> Float32[ndarray, "slice row column"]:
    """A NIfTI volume, slices along its last axis turned to (slice, row, column) of the closest
    canonical orientation.

    Raises:
        ReadError: It does not load, or is not a volume.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        opened = nibabel.load(file)
        if np.prod(opened.shape, dtype=np.float64) > MOST_VOXELS:  # type: ignore[attr-defined]
            raise ReadError("too_large", f"{file.name} has more than {MOST_VOXELS} voxels")
        image = nibabel.as_closest_canonical(opened)  # type: ignore[no-untyped-call]
        values = np.asarray(image.dataobj, dtype=np.float32)
    except (ImageFileError, OSError, ValueError, EOFError) as error:
        raise ReadError("unreadable", f"{file.name} ({type(error).__name__})") from None
    if values.ndim != 3:
        raise ReadError("mixed_geometry", f"{file.name} has {values.ndim} axes")
    return np.ascontiguousarray(np.flip(values.transpose(2, 1, 0), axis=1))
