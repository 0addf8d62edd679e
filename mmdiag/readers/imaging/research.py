"""Reads NRRD and MetaImage volumes, by SimpleITK, and MGH volumes, by nibabel, in the pose of the
store.

Each library believes its header. What the header says is therefore read here first, and held
against the bytes that are there.
"""

import gzip
import importlib
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Num
from numpy import ndarray

from mmdiag.errors import ReadError
from mmdiag.readers.imaging.layout import require_axes, require_complete
from mmdiag.readers.imaging.metaimage import metaimage_layout
from mmdiag.readers.imaging.mgh import require_mgh
from mmdiag.readers.imaging.nrrd import nrrd_layout
from mmdiag.readers.imaging.raster_nifti import Raster, posed, read_nifti
from mmdiag.regular_files import open_regular

NIFTI: Final = (".nii", ".nii.gz")
NRRD: Final = (".nrrd", ".nhdr")
METAIMAGE: Final = (".mha", ".mhd")
MGH: Final = (".mgh", ".mgz")
RESEARCH: Final = (*NRRD, *METAIMAGE, *MGH)
VOLUMES: Final = (*NIFTI, *RESEARCH)  # endings of files that hold one volume
FROM_RAS: Final = np.asarray(
    [-1.0, -1.0, 1.0]
)  # x to the right and y to the front, to x to the left


def read_volume(file: Path) -> Raster:
    """A volume in the pose of the store, by the ending of its file.

    Raises:
        ReadError: It does not load, is not one volume of single values, holds labels, or does not
            say which side is left.
    """
    name = file.name.lower()
    if name.endswith(NIFTI):
        return read_nifti(file)
    return _read_mgh(file) if name.endswith(MGH) else _read_by_simpleitk(file)


def _read_by_simpleitk(file: Path) -> Raster:
    nrrd = file.name.lower().endswith(NRRD)
    layout = nrrd_layout(file) if nrrd else metaimage_layout(file)
    require_complete(layout, file.name)
    image, values = _load(file, "NrrdImageIO" if nrrd else "MetaImageIO")
    if image.GetNumberOfComponentsPerPixel() != 1 or image.GetSize() != layout.shape:
        raise ReadError("unreadable", f"{file.name} is read as another volume than its header says")
    columns = np.asarray(image.GetDirection(), dtype=np.float64).reshape(3, 3)
    lengths = np.asarray(image.GetSpacing(), dtype=np.float64) * layout.unit_mm
    return _raster(values, columns.T[::-1], lengths[::-1], file.name)


def _load(file: Path, form: str) -> tuple[Any, Num[ndarray, "..."]]:
    """One file and its values, by SimpleITK's reader of a form and no other."""
    itk: Any = importlib.import_module("SimpleITK")
    itk.ProcessObject.GlobalWarningDisplayOff()
    itk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    reader = itk.ImageFileReader()
    reader.SetImageIO(form)
    reader.SetFileName(str(file))
    try:
        image = reader.Execute()
    except RuntimeError as error:
        if "alloc" in str(error):
            raise MemoryError from None
        raise ReadError("unreadable", f"{file.name} (SimpleITK)") from None
    return image, itk.GetArrayFromImage(image)


def _read_mgh(file: Path) -> Raster:
    import nibabel
    from nibabel.spatialimages import HeaderDataError

    layout = require_mgh(file)
    try:
        with open_regular(file) as opened:
            content: Any = gzip.GzipFile(fileobj=opened) if layout.packed else opened
            image: Any = nibabel.freesurfer.mghformat.MGHImage.from_stream(content)
            values = np.asarray(image.dataobj).reshape(layout.shape)
        columns = np.asarray(image.affine, dtype=np.float64)[:3, :3].T * FROM_RAS
    except (HeaderDataError, OSError, ValueError, EOFError, zlib.error) as error:
        raise ReadError("unreadable", f"{file.name} ({type(error).__name__})") from None
    return _raster(values, columns, np.linalg.norm(columns, axis=1), file.name)


def _raster(
    values: Num[ndarray, "a b c"],
    directions: Num[ndarray, "axis xyz"],
    lengths: Num[ndarray, " axis"],
    name: str,
) -> Raster:
    """A volume in the pose of the store.

    Args:
        directions: Where each axis of the array goes in the patient (x to the left, y to the back,
            z to the head).
        lengths: Of a voxel along each axis in mm.
    """
    require_axes(directions, name)
    require_axes(np.diag(lengths), name)
    if values.dtype.kind in "iu" and _is_mask(values):
        raise ReadError("segmentation", f"{name} holds two whole numbers and no more: a mask")
    a, b, c = lengths.tolist()
    return posed(values.astype(np.float32), directions, (a, b, c))


def _is_mask(values: Num[ndarray, "a b c"]) -> bool:
    """Whether a volume of whole numbers holds two of them and no more."""
    low, high = values.min(), values.max()
    return bool(low < high and ((values == low) | (values == high)).all())
