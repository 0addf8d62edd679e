"""What codes are called: the metadata of MEDS, or the concepts of OMOP."""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
from pyarrow import compute

from mmdiag.readers.events.batches import batches, columns_by_name
from mmdiag.readers.tables.form import PLAIN

LONGEST = 500  # characters of a description


def names_of(file: Path, key: str, name: str, codes: Collection[str]) -> dict[str, str]:
    """Code -> its description, for those of some codes that have one.

    Args:
        key, name: Columns of the codes and of their descriptions, in lower case.

    Raises:
        ReadError: It is not a regular table, or torn.
        DescriptionError: A column is missing.
    """
    form = PLAIN if file.suffix == ".parquet" else PLAIN.keyed(key)
    columns = columns_by_name(file, (key, name), form, "codes")
    wanted, found = pa.array(sorted(codes), pa.string()), dict[str, str]()
    for part in batches(file, columns, (key, name), form):
        written = compute.cast(part[key], pa.string())
        mine = compute.fill_null(compute.is_in(written, wanted), False)
        descriptions = compute.cast(part[name].filter(mine), pa.string())
        pairs = zip(written.filter(mine).to_pylist(), descriptions.to_pylist(), strict=True)
        for code, description in pairs:
            if description and description.strip():
                found.setdefault(code, " ".join(description.split())[:LONGEST])
    return found
