"""Reads an embedding: one vector or a bag of vectors, from .npy, .npz, .h5 or .safetensors. Sizes
are looked at before anything of that size is read; nothing is unpickled.
"""

import hashlib
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped
from numpy import ndarray

from mmdiag.errors import ReadError

MOST_VECTORS, MOST_NUMBERS, MOST_IN_ALL = 16_384, 8_192, 2**24  # of a case, of a vector, of both
NPY, NPZ, HDF5, SAFETENSORS = (".npy",), (".npz",), (".h5", ".hdf5"), (".safetensors",)
FILES = (*NPY, *NPZ, *HDF5, *SAFETENSORS)  # of one case
USUAL = "features"  # the array that pipelines for slides call so, beside its coordinates
HEADER = 10_000  # bytes of a .npy header
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2"}
TYPES |= {"I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1"}


@dataclass(frozen=True, slots=True)
class _Stored:
    """An array in a file, not yet read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None  # None = numbers that numpy has not
    load: Callable[[], Shaped[ndarray, "..."]]


def read_embedding(file: Path, array: str | None = None) -> Float32[ndarray, "vector number"]:
    """The vectors of one case.

    Args:
        array: Name of the array in a file of several; None = the one that is called features, or
            the only one.

    Raises:
        ReadError: It is no embedding, has no such array, or breaks what is asked of its numbers.
    """
    with _opened(file, array) as stored:
        shape = _shape(stored, file.name)
        return checked_vectors(np.asarray(stored.load()).reshape(shape), file.name)


def embedding_width(file: Path, array: str | None = None) -> int:
    """Numbers of a vector, by what the head of a file says. Raises as `read_embedding`."""
    with _opened(file, array) as stored:
        return _shape(stored, file.name)[1]


def checked_vectors(
    values: Shaped[ndarray, "vector number"], name: str
) -> Float32[ndarray, "vector number"]:
    """Vectors as the store keeps them.

    Raises:
        ReadError: `embedding_numbers`: not all are finite, or finite in 32 bits.
    """
    with np.errstate(over="ignore"):
        found: ndarray = values.astype(np.float32)
    wrong = int((~np.isfinite(found)).sum())
    if wrong:
        raise ReadError("embedding_numbers", f"{name} has {wrong} that are not finite")
    return found


def vector_facts(vectors: Float32[ndarray, "vector number"]) -> dict[str, Any]:
    """What the data contract is about."""
    content = np.ascontiguousarray(vectors)
    return {
        "n_vectors": len(content),
        "width": content.shape[1],
        "low": float(content.min()),
        "high": float(content.max()),
        "n_zero": int((~content.any(axis=1)).sum()),
        "pixel_sha256": hashlib.sha256(content.tobytes() + str(content.shape).encode()).hexdigest(),
    }


def require_size(vectors: int, numbers: int, name: str) -> None:
    """Refuse a bag that is empty or too large.

    Raises:
        ReadError: `embedding_shape`.
    """
    if not vectors or not numbers:
        raise ReadError("embedding_shape", f"{name} is empty")
    if vectors > MOST_VECTORS or numbers > MOST_NUMBERS or vectors * numbers > MOST_IN_ALL:
        raise ReadError("embedding_shape", f"{name} has {vectors} vectors of {numbers} numbers")


def _shape(stored: _Stored, name: str) -> tuple[int, int]:
    """Vectors and numbers of each, of an array that may be read."""
    if stored.dtype is None or stored.dtype.kind not in "fiu":
        raise ReadError("embedding_numbers", f"{name} holds {_kind(stored.dtype)}")
    shape = stored.shape
    while len(shape) > 2 and shape[0] == 1:  # a batch of one
        shape = shape[1:]
    if len(shape) == 1:
        shape = (1, *shape)
    if len(shape) != 2:
        raise ReadError("embedding_shape", f"{name} has {len(stored.shape)} dimensions")
    require_size(shape[0], shape[1], name)
    return shape[0], shape[1]


def _kind(dtype: np.dtype[Any] | None) -> str:
    kinds = {"O": "Python objects", "c": "complex numbers", "b": "yes or no", "V": "records"}
    return kinds.get(dtype.kind, "text") if dtype is not None else "numbers of another precision"


@contextmanager
def _opened(file: Path, array: str | None) -> Iterator[_Stored]:
    """The array of a file."""
    name = file.name.lower()
    with _errors(file.name):
        if name.endswith(NPY):
            with file.open("rb") as content:
                yield _npy(content, file.name)
        elif name.endswith(NPZ):
            with zipfile.ZipFile(file) as archive:
                members = [one for one in archive.namelist() if one.endswith(".npy")]
                chosen = _chosen([one.removesuffix(".npy") for one in members], array, file.name)
                with archive.open(f"{chosen}.npy") as content:
                    yield _npy(content, file.name)
        elif name.endswith(HDF5):
            with _hdf5(file, array) as stored:
                yield stored
        elif name.endswith(SAFETENSORS):
            with _safetensors(file, array) as stored:
                yield stored
        else:
            raise ReadError("not_an_embedding", file.name)


@contextmanager
def _errors(name: str) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    # what numpy, zipfile, h5py and safetensors raise of torn files
    except (
        OSError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        RuntimeError,  # encrypted, or compressed in a way that is not known
        OverflowError,
        zipfile.BadZipFile,
        zlib.error,
        SafetensorError,
    ) as error:
        raise ReadError("unreadable", f"{name} ({type(error).__name__})") from None


def _chosen(names: list[str], array: str | None, file: str) -> str:
    """Of several arrays the one that is named, that is called features, or the only one."""
    if array is not None and array not in names:
        raise ReadError("embedding_array", f"{file} has no array of this name")
    chosen = array or (USUAL if USUAL in names else names[0] if len(names) == 1 else None)
    if chosen is None or names.count(chosen) != 1:
        raise ReadError("embedding_array", f"{file} has {len(names)} arrays")
    return chosen


def _npy(content: Any, name: str) -> _Stored:
    """An array of numpy's own format, of a binary file.

    Reference:
        NEP 1, a simple file format for NumPy arrays.
    """
    version = np.lib.format.read_magic(content)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:  # the third is for names of fields
        return _Stored((), np.dtype("V1"), lambda: np.empty(0))
    shape, fortran, dtype = read[version](content, max_header_size=HEADER)

    def load() -> ndarray:
        size = math.prod(shape) * dtype.itemsize
        if len(raw := content.read(size)) < size:
            raise ReadError("truncated", name)
        return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")

    return _Stored(tuple(map(int, shape)), dtype, load)


@contextmanager
def _hdf5(file: Path, array: str | None) -> Iterator[_Stored]:
    """An array of an HDF5 file; a link or a storage outside would read another file of this
    machine.
    """
    import h5py

    def is_own(path: str) -> bool:
        steps = path.strip("/").split("/")
        heads = ["/".join(steps[:number]) for number in range(1, len(steps) + 1)]
        return all(isinstance(stored.get(head, getlink=True), h5py.HardLink) for head in heads)

    with h5py.File(file, "r") as stored:
        names = [one for one in stored if is_own(one) and isinstance(stored[one], h5py.Dataset)]
        if array is not None and array in stored and is_own(array):
            names.append(array)
        found = stored[_chosen(list(dict.fromkeys(names)), array, file.name)]
        if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
            raise ReadError("embedding_array", f"{file.name} keeps it outside of itself")
        yield _Stored(tuple(found.shape or ()), found.dtype, lambda: np.asarray(found[()]))


@contextmanager
def _safetensors(file: Path, array: str | None) -> Iterator[_Stored]:
    from safetensors import safe_open

    with safe_open(file, framework="np") as stored:
        name = _chosen(list(stored.keys()), array, file.name)
        part = stored.get_slice(name)
        dtype = TYPES.get(part.get_dtype())
        yield _Stored(
            tuple(part.get_shape()),
            np.dtype(dtype) if dtype else None,
            lambda: stored.get_tensor(name),
        )
