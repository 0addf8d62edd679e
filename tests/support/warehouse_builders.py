"""Small warehouses: a MEDS folder, OMOP tables, and the cases that are asked of them."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

MEDS = {
    "subject_id": pa.int64(),
    "time": pa.timestamp("us"),
    "code": pa.string(),
    "numeric_value": pa.float32(),
    "text_value": pa.string(),
}


def write_meds(
    folder: Path,
    events: Sequence[tuple[Any, ...]],
    *,
    shard: str = "train/0",
    names: Mapping[str, str] | None = None,
    **types: pa.DataType,
) -> Path:
    """A MEDS folder of events (subject_id, time, code, numeric_value, text_value)."""
    schema = pa.schema(list((MEDS | types).items()))
    rows = [dict(zip(MEDS, (*event, None, None), strict=False)) for event in events]
    path = folder / "data" / f"{shard}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    (folder / "metadata").mkdir(exist_ok=True)
    (folder / "metadata" / "dataset.json").write_text(json.dumps({"meds_version": "0.4.0"}))
    said = dict(names or {})
    codes = {"code": list(said), "description": list(said.values())}
    parquet.write_table(pa.table(codes), folder / "metadata" / "codes.parquet")
    return folder


def write_cases(path: Path, rows: Iterable[tuple[Any, ...]], *more: str) -> Path:
    """A table of cases: case_id, subject_id, as_of, and further columns."""
    return write_rows(path, ("case_id", "subject_id", "as_of", *more), rows)


def write_rows(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], delimiter: str = ","
) -> Path:
    """A delimited table; None is an empty cell."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([header, *rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.getvalue())
    return path


def cases_of(*rows: tuple[str, int, str]) -> Any:
    """Checked cases (case_id, subject_id, as_of) without a file."""
    from mmdiag.warehouse.cases import event_cases

    texts = [[case, str(subject), as_of] for case, subject, as_of in rows]
    table = pd.DataFrame(texts, columns=["case_id", "subject_id", "as_of"], dtype=object)
    return event_cases(table, "cases.csv")


def total(row: Mapping[str, Any]) -> int:
    """Events of one row of the account, used and left out."""
    return int(row["used"]) + sum(row["left_out"].values())
