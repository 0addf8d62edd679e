"""Gene matrices in formats of their own, with cases brought to the rows: GCT 1.2 and 1.3, and h5ad
read through h5py.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float32
from numpy import ndarray
from pyarrow import csv as arrow_csv

from mmdiag.errors import ReadError
from mmdiag.readers.tables.delimited import MISSING_FORMS, require_columns
from mmdiag.readers.tables.encoding import read_delimited_text
from mmdiag.readers.tables.numbers import Numbers, to_numbers

GCT = (".gct", ".gct.gz")
H5AD = (".h5ad",)
INDEX = "index"  # the key that means the matrix's own name of a case
LARGEST = 2**31  # numbers of one matrix


@dataclass(frozen=True, slots=True)
class Matrix:
    """A gene matrix.

    Args:
        cases: One row a case: its name under `index`, and what the file says of it, as text.
        numbers: Genes x cases.
    """

    cases: pd.DataFrame
    numbers: Numbers


def is_matrix(file: Path) -> bool:
    """Whether a file is a gene matrix, by its name."""
    return file.name.lower().endswith((*GCT, *H5AD))


def read_matrix(file: Path, *, values: bool = True) -> Matrix:
    """A GCT or h5ad matrix.

    Args:
        values: False = the cases only, without their numbers.

    Raises:
        ReadError: It is not what its format defines.
    """
    return (
        read_h5ad(file, values=values)
        if file.name.lower().endswith(H5AD)
        else read_gct(file, values=values)
    )


def read_gct(file: Path, *, values: bool = True) -> Matrix:
    """A GCT matrix: genes in rows, named by the first column; 1.3 says more of genes and cases.

    Raises:
        ReadError: It is not GCT, a row is torn, or its size differs from what its second line says.

    Reference:
        GCT and GCT 1.3 (GCTx) formats, Broad Institute.
    """
    text = read_delimited_text(file, separator="\t", check_delimiter=False)
    first, _, rest = text.content.partition(b"\n")
    sizes, _, rest = rest.partition(b"\n")
    version, counts = first.strip(), sizes.decode().split()
    wanted = {b"#1.2": 2, b"#1.3": 4}.get(version)
    if len(counts) != wanted or not all(count.isascii() and count.isdigit() for count in counts):
        raise ReadError("gene_matrix", f"{file.name} does not begin as GCT 1.2 or 1.3 does")
    genes, cases, of_genes, of_cases = (*map(int, counts), 1, 0)[:4]
    lines = rest.split(b"\n", 1 + of_cases)
    fields = [line.decode().rstrip("\r").split("\t") for line in lines[: 1 + of_cases]]
    lead = 1 + of_genes
    if any(len(row) != lead + cases for row in fields) or len(fields) != 1 + of_cases:
        raise ReadError(
            "ragged", f"{file.name} has a header that is not as long as its second line says"
        )
    described = pd.DataFrame({row[0]: row[lead:] for row in fields[1:]}, dtype=object)
    described.insert(0, INDEX, fields[0][lead:], allow_duplicates=True)
    if not values:
        return Matrix(described, Numbers([], np.empty((0, cases), np.float32), None))
    body = lines[1 + of_cases] if len(lines) > 1 + of_cases else b""
    names, numbers = _gct_numbers(body, lead, cases, file.name)
    if len(names) != genes:
        raise ReadError(
            "truncated", f"{file.name} has {len(names)} genes, its second line says {genes}"
        )
    require_columns(names, file.name)
    wrong = None if numbers.wrong is None else numbers.wrong.T
    return Matrix(described, Numbers(names, numbers.values.T, wrong))


def _gct_numbers(body: bytes, lead: int, cases: int, name: str) -> tuple[list[str], Numbers]:
    columns = [f"{number}" for number in range(lead + cases)]
    texts = dict.fromkeys(columns[:lead], pa.string())
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(body),
            read_options=arrow_csv.ReadOptions(block_size=len(body) + 1, column_names=columns),
            parse_options=arrow_csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=arrow_csv.ConvertOptions(
                column_types=texts, null_values=MISSING_FORMS, strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        raise ReadError("ragged", f"{name} has rows that are not as long as its header") from None
    return table.column(0).to_pylist(), to_numbers(table.select(columns[lead:]))


def read_h5ad(file: Path, *, values: bool = True) -> Matrix:
    """An AnnData file: X dense, CSR or CSC, obs = cases, var = genes.

    Raises:
        ReadError: It is not h5ad of AnnData 0.7 or later, is torn, or names data outside of the
            file.

    Reference:
        AnnData on-disk format 0.1.0.
    """
    import h5py

    with _h5_errors(file.name), h5py.File(file, "r") as stored:
        _refuse_links(stored, file.name)
        described = _observations(stored["obs"])
        described.insert(
            0,
            INDEX,
            _texts(stored["obs"][_text_of(stored["obs"].attrs["_index"])]),
            allow_duplicates=True,
        )
        if not values:
            return Matrix(described, Numbers([], np.empty((0, len(described)), np.float32), None))
        genes = _texts(stored["var"][_text_of(stored["var"].attrs["_index"])])
        require_columns(genes, file.name)
        if len(genes) * len(described) > LARGEST:
            raise ReadError(
                "too_large", f"{file.name} has {len(described)} cases of {len(genes)} genes"
            )
        numbers = _x(stored["X"], (len(described), len(genes)))
    wrong = np.isinf(numbers)
    return Matrix(
        described,
        Numbers(genes, np.where(wrong, np.nan, numbers).T, wrong.T if wrong.any() else None),
    )


@contextmanager
def _h5_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (
        OSError,
        KeyError,
        ValueError,
        TypeError,
        RuntimeError,
        AttributeError,
        IndexError,
    ) as error:  # what h5py and scipy raise of torn files
        raise ReadError(
            "gene_matrix", f"{name} is not whole h5ad ({type(error).__name__})"
        ) from None


def _refuse_links(stored: Any, name: str) -> None:
    """A link or an external storage would read another file of this machine."""
    import h5py

    members = ["X", "obs", "var"] + [
        f"{group}/{child}"
        for group in ("X", "obs", "var")
        if isinstance(stored.get(group), h5py.Group)
        and isinstance(stored.get(group, getlink=True), h5py.HardLink)
        for child in stored[group]
    ]
    for member in members:
        link = stored.get(member, getlink=True)
        found = stored[member] if isinstance(link, h5py.HardLink) else None
        if found is None or (
            isinstance(found, h5py.Dataset) and (found.external or found.is_virtual)
        ):
            raise ReadError("gene_matrix", f"{name} keeps {member.split('/')[0]} outside of itself")


def _observations(group: Any) -> pd.DataFrame:
    """What is said of the cases, as text; numbers and other kinds are left out, for no key is made
    of them.
    """
    index = _text_of(group.attrs["_index"])
    columns: dict[str, list[str]] = {}
    for name in group:
        if name != index and not name.startswith("__"):
            found = _texts_or_none(group[name])
            if found is not None:
                columns[name] = found
    return pd.DataFrame(columns, dtype=object)


def _texts_or_none(item: Any) -> list[str] | None:
    import h5py

    if isinstance(item, h5py.Dataset):
        return (
            [str(text) for text in item.asstr()[:]] if h5py.check_string_dtype(item.dtype) else None
        )
    if "categories" in item and "codes" in item:
        categories = _texts_or_none(item["categories"])
        return (
            None
            if categories is None
            else [categories[code] if code >= 0 else "" for code in item["codes"][:]]
        )
    return _texts_or_none(item["values"]) if "values" in item else None


def _texts(item: Any) -> list[str]:
    found = _texts_or_none(item)
    if found is None:
        raise ValueError("an index is text")
    return found


def _text_of(attribute: Any) -> str:
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)


def _x(item: Any, shape: tuple[int, int]) -> Float32[ndarray, "case gene"]:
    """X as cases x genes, float32."""
    import h5py
    from scipy import sparse

    if isinstance(item, h5py.Dataset):
        if item.shape != shape:
            raise ValueError("X is not cases x genes")
        return np.asarray(item[:], np.float32)
    kinds: dict[str, Callable[..., Any]] = {
        "csr_matrix": sparse.csr_matrix,
        "csc_matrix": sparse.csc_matrix,
    }
    kind = _text_of(item.attrs.get("encoding-type", item.attrs.get("h5sparse_format", "")))
    declared = tuple(int(n) for n in item.attrs.get("shape", item.attrs.get("h5sparse_shape", ())))
    if declared != shape:
        raise ValueError("X is not cases x genes")
    built = kinds[kind if kind in kinds else f"{kind}_matrix"](
        (item["data"][:], item["indices"][:], item["indptr"][:]), shape=shape
    )
    built.check_format(full_check=True)
    return np.asarray(built.toarray(), np.float32)
