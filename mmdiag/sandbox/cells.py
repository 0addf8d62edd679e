"""Text on its way between a worker and its parent: all cells behind one another, and where each
ends. Data alone, which cannot be more than it seems.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

Arrays = dict[str, np.ndarray]
TEXT, ENDS, MISSING = "text", "ends", "missing"


def pack_frame(frame: pd.DataFrame) -> tuple[dict[str, Any], Arrays]:
    """A table of text as facts and arrays; missing cells stay missing."""
    columns = [_whole(frame.iloc[:, place]) for place in range(frame.shape[1])]
    facts = {
        "columns": [str(name) for name in frame.columns],
        "rows": len(frame),
        "objects": all(pd.api.types.is_object_dtype(kind) for kind in frame.dtypes),
    }
    return facts, _packed(columns)


def _whole(column: pd.Series) -> pa.LargeStringArray:
    """A column as one array of Arrow, also where it was put together of several files."""
    found = pa.array(column, pa.large_string(), from_pandas=True)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def unpack_frame(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The table that `pack_frame` packed."""
    rows, names = int(facts["rows"]), list(facts["columns"])
    cells = _unpacked(arrays, rows * len(names))
    columns = [cells.slice(place * rows, rows) for place in range(len(names))]
    if not names:
        return pd.DataFrame(index=range(rows))
    frame = pd.DataFrame(pa.Table.from_arrays(columns, names=names).to_pandas())
    if not facts["objects"]:
        return frame
    plain = frame.astype(object)
    return plain.where(plain.notna(), None) if MISSING in arrays else plain


def pack_texts(texts: Sequence[str]) -> Arrays:
    """A list of texts as arrays."""
    return _packed([pa.array(texts, pa.large_string())])


def unpack_texts(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """The texts that `pack_texts` packed."""
    found: list[str] = _unpacked(arrays, len(arrays[ENDS])).to_pylist()
    return found


def _packed(columns: Sequence[pa.LargeStringArray]) -> Arrays:
    """Offsets of Arrow without their leading 0, and the bytes that they divide."""
    parts, ends, missing, length = [], [], [], 0
    for column in columns:
        missing.append(column.is_null().to_numpy(zero_copy_only=False))
        whole = column.fill_null("") if column.null_count else column
        _, places, content = whole.buffers()
        offsets = np.frombuffer(places, np.int64)[whole.offset : whole.offset + len(whole) + 1]
        begin = int(offsets[0]) if len(offsets) else 0
        end = int(offsets[-1]) if len(offsets) else 0
        if content is not None:
            parts.append(np.frombuffer(content, np.uint8)[begin:end])
        ends.append(offsets[1:] - begin + length)
        length += end - begin
    arrays = {
        TEXT: np.concatenate([np.empty(0, np.uint8), *parts]),
        ENDS: np.concatenate([np.empty(0, np.int64), *ends]),
    }
    absent = np.concatenate([np.empty(0, bool), *missing])
    return arrays | ({MISSING: absent} if absent.any() else {})


def _unpacked(arrays: Mapping[str, np.ndarray], count: int) -> pa.LargeStringArray:
    offsets = np.concatenate([np.zeros(1, np.int64), arrays[ENDS]])
    cells = pa.LargeStringArray.from_buffers(
        count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(arrays[TEXT]))
    )
    cells.validate(full=True)  # of a worker that was taken over
    if MISSING in arrays:
        return pa.compute.if_else(pa.array(arrays[MISSING]), pa.scalar(None, cells.type), cells)
    return cells
