"""The vectors of all cases that lie in one table, read once a process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from mmdiag.description import ModalityDescription
from mmdiag.errors import ReadError
from mmdiag.ingest.read import stamp_of
from mmdiag.readers.embeddings import checked_vectors, require_size
from mmdiag.readers.tables.delimited import as_description_error
from mmdiag.sandbox.cells import unpack_texts
from mmdiag.sandbox.limits import require_regular_files
from mmdiag.sandbox.pool import shared_sandbox

TABLE = "embedding_table"


@dataclass(frozen=True, slots=True)
class CaseVectors:
    """The vectors of some cases, one after the other.

    Args:
        rows: Case -> which of the vectors are its own.
        lengths: Numbers of each vector.
        starts: Where each begins among the numbers.
    """

    rows: Mapping[str, Int64[ndarray, "_"]]
    lengths: Int64[ndarray, "vector"]
    starts: Int64[ndarray, "vector"]
    numbers: Float32[ndarray, "number"]

    def widths(self, case_id: str) -> list[int]:
        """Every width that the vectors of a case have."""
        return [int(width) for width in np.unique(self.lengths[self.rows[case_id]])]

    def of(self, case_id: str, name: str) -> Float32[ndarray, "vector number"]:
        """The vectors of a case.

        Args:
            name: The table's name, for messages.

        Raises:
            ReadError: They differ in width, are too many, or hold what is no finite number.
        """
        rows, widths = self.rows[case_id], self.widths(case_id)
        if len(widths) > 1:
            raise ReadError("embedding_width", f"{name} has vectors of {len(widths)} widths for it")
        require_size(len(rows), widths[0] if widths else 0, name)
        starts = self.starts[rows]
        found = self.numbers[starts[:, None] + np.arange(widths[0])]
        return checked_vectors(found, name)


def case_vectors(files: Sequence[Path], modality: ModalityDescription) -> CaseVectors:
    """The vectors of all cases of a table.

    Raises:
        DescriptionError: It is not what it should be.
    """
    column = modality.column
    return _case_vectors(tuple(files), stamp_of(files), str(modality.key), column)


@lru_cache(maxsize=2)
def _case_vectors(
    files: tuple[Path, ...], stamp: tuple[int, ...], key: str, column: str | None
) -> CaseVectors:
    del stamp  # only there so that a changed file is read again
    pool, names = shared_sandbox(), [*map(str, files)]
    with as_description_error():
        require_regular_files(files)
        outcome = pool.call(TABLE, **pool.limits(files), files=names, key=key, column=column)
        if outcome.code and not any(file.name in outcome.detail for file in files):
            raise ReadError(outcome.code, f"{files[0].name}: {outcome.detail}")
        _, arrays = outcome.value()
    keys, lengths = unpack_texts(arrays), np.asarray(arrays["lengths"])
    order = np.argsort(arrays["case"], kind="stable")
    ends = np.searchsorted(arrays["case"][order], np.arange(len(keys) + 1))
    rows = {key: order[ends[i] : ends[i + 1]] for i, key in enumerate(keys)}
    starts = np.cumsum(lengths) - lengths
    return CaseVectors(rows, lengths, starts, np.asarray(arrays["numbers"]))
