"""One file of the Medical Event Data Standard.

Reference:
    MEDS 0.4, data schema: subject_id (int64), time (timestamp, null = static), code (string),
    numeric_value (float32, nullable), text_value (string, optional).
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import UInt64
from numpy import ndarray
from pyarrow import compute

from mmdiag.readers.events.batches import batches, columns_by_name
from mmdiag.readers.events.cells import decimals, refuse_type, timestamps, whole_numbers
from mmdiag.readers.events.rows import Collected, EventRows

NEEDED = ("subject_id", "time", "code")
OPTIONAL = ("numeric_value", "text_value")


def read_meds(file: Path, subjects: Collection[int]) -> EventRows:
    """The events of some subjects, in the order of the file.

    Raises:
        ReadError: It is no Parquet file, or torn.
        DescriptionError: A column is missing or of another type.
    """
    names = columns_by_name(file, NEEDED, standard="MEDS")
    found = Collected(subjects)
    for part in batches(file, names, (*NEEDED, *OPTIONAL)):
        _require_types(part, file.name)
        subject, present = whole_numbers(part["subject_id"], "subject_id", file.name)
        mine = found.of_subjects(subject, present)
        if not mine.any():
            continue
        kept = {name: cells.filter(pa.array(mine)) for name, cells in part.items()}
        number, _, infinite = decimals(
            kept.get("numeric_value", pa.nulls(int(mine.sum()))), "numeric_value", file.name
        )
        found.add(
            subject[mine],
            kept["code"],
            timestamps(kept["time"], "time", file.name),
            number,
            _hashes(kept.get("text_value"), len(number)),
            {"not_finite": infinite},
        )
    return found.rows()


def _require_types(part: dict[str, pa.Array], name: str) -> None:
    """Text in place of a number is another standard's, also where it looks like one."""
    subjects, codes, values = part["subject_id"], part["code"], part.get("numeric_value")
    if not pa.types.is_integer(subjects.type):
        refuse_type(subjects.type, "subject_id", name, "whole numbers")
    if not pa.types.is_string(codes.type):
        refuse_type(codes.type, "code", name, "text")
    if values is not None and pa.types.is_string(values.type):
        refuse_type(values.type, "numeric_value", name, "numbers")


def _hashes(texts: pa.Array | None, count: int) -> UInt64[ndarray, " event"]:
    """A number for each text, 0 where there is none."""
    if texts is None or not pa.types.is_string(texts.type) or texts.null_count == count:
        return np.zeros(count, np.uint64)
    there = compute.is_valid(texts).to_numpy(zero_copy_only=False)
    plain = compute.fill_null(texts, "").to_numpy(zero_copy_only=False)
    hashed = pd.util.hash_array(plain.astype(object), categorize=False)
    return np.where(there, hashed, np.uint64(0))
