"""Reads PNG, JPEG and NIfTI files as planes of grey levels, in the pose of the store."""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Shaped
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.dicom.codestreams import decoded_picture
from mmdiag.readers.dicom.pixels import codestream_size
from mmdiag.readers.imaging.pose import Pose, turn_of

JPEGS = (".jpg", ".jpeg", ".jpe", ".jfif")
PICTURES = (".png", *JPEGS)
MOST_PIXELS = 2**27  # of a picture
MOST_VOXELS = 2**28  # of a volume
LUMINANCE_BGR = np.asarray([0.114, 0.587, 0.299], dtype=np.float32)  # as OpenCV orders colours
ORIENTATION = 0x0112  # EXIF (and TIFF 6.0), section 8
# EXIF orientation -> whether rows become columns, then whether rows and columns run backward
UPRIGHT = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
SAME_AXIS = 0.7  # cosine of 45 degrees: a registration turns by less
LABEL_MAP = 1002  # NIFTI_INTENT_LABEL
UNITS_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}


@dataclass(frozen=True, slots=True)
class Raster:
    """A picture or a volume.

    Args:
        volume: Values, NaN where there is no image: transparent, or not measured.
        pose: How it lies in the patient; of a picture only its shape is known.
        shown: The values that the file asks to be shown black and white; None where it does not.
        aspect: Height of a pixel over its width.
        colours: Red, green and blue, like the volume; none where the file has one channel.
        white: The largest value that the file could hold.
    """

    volume: Float32[ndarray, "slice row column"]
    pose: Pose
    shown: tuple[float, float] | None = None
    aspect: float = 1.0
    colours: tuple[Float32[ndarray, "slice row column"], ...] = ()
    white: float = 255.0


def read_picture(file: Path) -> Raster:
    """One PNG or JPEG, upright: its luminance, and its channels where it has three; what is half
    transparent over black.

    Raises:
        ReadError: It does not decode, or says of its pixels what cannot be honoured.
    """
    content = file.read_bytes()
    height, width = picture_size(content) or (0, 0)
    if height * width > MOST_PIXELS:
        raise ReadError("too_large", f"{file.name} has {height} x {width} pixels")
    try:
        decoded = decoded_picture(content) if height and width else None
    except ReadError as refusal:
        raise ReadError(refusal.code, f"{file.name}: {refusal.detail}") from None
    if decoded is None:
        raise ReadError("unreadable", f"{file.name} does not decode as PNG or JPEG")
    said = _picture_header(content, file.name)
    if said.inks:
        raise ReadError("unknown_photometric", f"{file.name} is in printing inks (CMYK)")
    white = float(2 ** (8 * decoded.dtype.itemsize) - 1)
    upright, *colours = (
        _upright(plane, said.orientation)[None] for plane in _planes(decoded, white)
    )
    swapped, nothing = UPRIGHT[said.orientation][0], float("nan")
    return Raster(
        upright,
        Pose("", "", (1, *upright.shape[1:]), (nothing, nothing, nothing)),
        aspect=1 / said.aspect if swapped else said.aspect,
        colours=tuple(colours),
        white=white,
    )


def _upright(plane: Float32[ndarray, "row column"], orientation: int) -> Float32[ndarray, "_ _"]:
    swapped, *backward = UPRIGHT[orientation]
    ends = tuple(slice(None, None, -1 if back else None) for back in backward)
    return np.ascontiguousarray((plane.T if swapped else plane)[ends])


def _planes(
    decoded: Shaped[ndarray, "row column *sample"], white: float
) -> list[Float32[ndarray, "row column"]]:
    """Luminance, then red, green and blue where channels differ; NaN where a picture is
    transparent.
    """
    image = decoded.astype(np.float32)
    if image.ndim == 2:
        return [image]
    samples = decoded[..., :3]
    differ = bool((samples != samples[..., :1]).any())
    planes = [image[..., :3] @ LUMINANCE_BGR]
    planes += [image[..., channel] for channel in (2, 1, 0)] if differ else []
    if image.shape[2] == 4:
        opaque = image[..., 3] / np.float32(white)
        planes = [np.where(opaque == 0, np.float32(np.nan), plane * opaque) for plane in planes]
    return planes


@dataclass(frozen=True, slots=True)
class _Said:
    """What a picture says of how its pixels are shown."""

    orientation: int
    aspect: float
    inks: bool


def _picture_header(content: bytes, name: str) -> _Said:
    """EXIF orientation, the shape of pixels, and whether colours are inks; by Pillow, which decodes
    nothing for it.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(content)) as picture:
                number = picture.getexif().get(ORIENTATION) or 1
                inks = picture.mode == "CMYK"
                across, down = _densities(picture.info)
        except (OSError, ValueError, SyntaxError, TypeError, struct.error, EOFError) as error:
            raise ReadError("unreadable", f"{name} ({type(error).__name__})") from None
    if number not in UPRIGHT:
        raise ReadError("unreadable", f"{name} has an EXIF orientation that is not 1 to 8")
    return _Said(int(number), across / down, inks)


def _densities(said: dict[Any, Any]) -> tuple[float, float]:
    """Pixels in a length across and down: PNG's pHYs and JFIF's density; equal where none is
    stated.
    """
    for keyword in ("aspect", "dpi", "jfif_density"):
        found = said.get(keyword)
        if isinstance(found, tuple) and len(found) == 2 and min(found) > 0:
            return float(found[0]), float(found[1])
    return 1.0, 1.0


def picture_size(content: bytes) -> tuple[int, int] | None:
    """Height and width that a PNG or JPEG declares, before anything is allocated; None where it is
    neither.
    """
    if content[:8] == b"\x89PNG\r\n\x1a\n" and len(content) >= 24:
        width, height = struct.unpack_from(">2I", content, 16)
        return height, width
    return codestream_size(content) if content[:2] == b"\xff\xd8" else None


def read_nifti(file: Path) -> Raster:
    """A NIfTI volume in the pose of the store, whatever the order and direction of its axes.

    Raises:
        ReadError: It does not load, is not one volume, or does not say which side is left.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image: Any = nibabel.load(file)
        if np.prod(image.shape, dtype=np.float64) > MOST_VOXELS:
            raise ReadError("too_large", f"{file.name} has more than {MOST_VOXELS} voxels")
        shape = _one_volume(image, file.name)
        directions, lengths = _axes(image, file.name)
        values = np.asarray(image.dataobj, dtype=np.float32).reshape(shape)
    except (ImageFileError, HeaderDataError, OSError, ValueError, EOFError, zlib.error) as error:
        raise ReadError("unreadable", f"{file.name} ({type(error).__name__})") from None
    low, high = float(image.header["cal_min"]), float(image.header["cal_max"])
    shown = (low, high) if np.isfinite([low, high]).all() and high > low else None
    return posed(values, directions, lengths, shown)


def posed(
    values: Float32[ndarray, "a b c"],
    directions: Float[ndarray, "axis xyz"],
    lengths: tuple[float, float, float],
    shown: tuple[float, float] | None = None,
) -> Raster:
    """A volume in the pose of the store; what is not finite was not measured.

    Args:
        directions: Where each axis of the array goes in the patient (x to the left, y to the back,
            z to the head).
        lengths: Of a voxel along each of them in mm.
        shown: The values that are asked to be shown black and white.
    """
    values[~np.isfinite(values)] = np.nan
    a, b, c = values.shape
    # of a single slice its plane is known
    single = values.shape.index(1) if 1 in values.shape else None
    turn = turn_of(directions, lengths, acquired=single, fixed=single is not None)
    along = turn.along(lengths)
    return Raster(
        np.ascontiguousarray(turn(values)),
        Pose(turn.orientation, "", turn.along((a, b, c)), along),
        shown,
        along[1] / along[2],
    )


def _one_volume(image: Any, name: str) -> tuple[int, int, int]:
    """The shape of the one volume of numbers in a NIfTI; axes of length 1 behind it are none."""
    shape = tuple(int(length) for length in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) > 3:
        raise ReadError("several_volumes", f"{name} has {len(shape)} axes, {shape[3]} volumes")
    if image.get_data_dtype().kind not in "iuf":
        raise ReadError("unreadable", f"{name} holds colours or complex numbers, not one value")
    if int(image.header["intent_code"]) == LABEL_MAP:
        raise ReadError("segmentation", f"{name} says that it holds labels")
    if not shape or min(shape) < 1:
        raise ReadError("unreadable", f"{name} is empty")
    full = (*shape, 1, 1)[:3]
    return full[0], full[1], full[2]


def _axes(image: Any, name: str) -> tuple[Float[ndarray, "axis xyz"], tuple[float, float, float]]:
    """Where the three axes go in the patient (x to the left, y to the back, z to the head), and the
    length of a voxel along each in mm.

    A file in which neither sform nor qform is set says nothing of left and right, and one whose two
    disagree says two things: neither is guessed.
    """
    header = image.header
    stated = [header.get_sform(coded=True), header.get_qform(coded=True)]
    affines = [affine for affine, code in stated if affine is not None and code > 0]
    if not affines:
        raise ReadError("missing_geometry", f"{name} sets neither sform nor qform")
    towards = []
    for affine in affines:
        columns = np.asarray(affine, dtype=np.float64)[:3, :3].T
        lengths = np.linalg.norm(columns, axis=1)
        if not np.isfinite(columns).all() or lengths.min() <= 0 or not np.linalg.det(columns):
            raise ReadError("missing_geometry", f"{name} has an affine that is none")
        towards.append(columns * np.asarray([-1.0, -1.0, 1.0]))  # from RAS to LPS
    along = [axes / np.linalg.norm(axes, axis=1, keepdims=True) for axes in towards]
    if (along[0] * along[-1]).sum(axis=1).min() < SAME_AXIS:
        raise ReadError(
            "missing_geometry", f"the sform and the qform of {name} disagree on where an axis goes"
        )
    factor = UNITS_MM.get(header.get_xyzt_units()[0], 1.0)
    x, y, z = (np.linalg.norm(towards[0], axis=1) * factor).tolist()
    return towards[0], (x, y, z)
