"""The requests of tables that all cases share, of the case table and of what is known of genes: the
functions of the readers, their arguments as JSON and their answers as arrays.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mmdiag.description import ModalityDescription
from mmdiag.errors import DescriptionError
from mmdiag.readers.genomics.gene_sets import gene_set_columns
from mmdiag.readers.tables.cohort_tables import (
    check_table,
    read_any_table,
    read_text_table,
    row_hashes,
    table_header,
    table_keys,
)
from mmdiag.readers.tables.delimited import read_frame, read_table
from mmdiag.readers.tables.form import TableForm
from mmdiag.readers.tables.modality import approve_columns, read_modality
from mmdiag.readers.workbooks.book import filled_sheets, is_workbook
from mmdiag.readers.workbooks.table import number_columns, remarks_of
from mmdiag.sandbox.cells import pack_frame, pack_texts
from mmdiag.sandbox.image_request import Reply
from mmdiag.sandbox.limits import require_few_cells
from mmdiag.spelling import column_hint

MOST_THREADS = 4  # each takes address space, which is limited


def case_cells(file: str, form: Mapping[str, Any]) -> Reply:
    """Every cell of a case table."""
    return _frame(read_frame(Path(file), form=form_from(form)), [file])


def table_cells(file: str, form: Mapping[str, Any]) -> Reply:
    """Every cell of a table, whatever its format."""
    return _frame(read_any_table(Path(file), form_from(form)), [file])


def table_facts(file: str, form: Mapping[str, Any]) -> Reply:
    """What has to be said of a table, and of a workbook its columns that hold numbers."""
    how, workbook = form_from(form), is_workbook(Path(file))
    table = read_table(Path(file), form=how)
    numbers = number_columns(Path(file), how.sheet, how.key) if workbook else []
    return {"remarks": remarks_of(table), "numbers": numbers}, {}


def sheets(file: str) -> Reply:
    """The sheets of a workbook that have cells."""
    return {"sheets": filled_sheets(Path(file))}, {}


def checked_cells(file: str, key: Sequence[str]) -> Reply:
    """Every cell of a table that is held against a data contract."""
    return _frame(check_table(Path(file), list(key) or None), [file])


def keyed_cells(
    files: Sequence[str], key: str, form: Mapping[str, Any], columns: Sequence[str]
) -> Reply:
    """Some columns of the rows that have a key, and the key itself."""
    table = read_text_table([*map(Path, files)], key, form_from(form))
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise DescriptionError(
            f"A note lies in a column of its table, {lacking[0]!r} is none of "
            f"{Path(files[0]).name}: {column_hint(lacking[0], list(table.columns))}"
        )
    return _frame(table[list(columns)], files)


def header(file: str, form: Mapping[str, Any]) -> Reply:
    """The columns of a table."""
    return {"columns": list(table_header(Path(file), form_from(form)))}, {}


def key_counts(file: str, key: str, form: Mapping[str, Any]) -> Reply:
    """The keys of a table, and how many rows each has."""
    _use_threads()
    counts = Counter(table_keys(Path(file), key, form_from(form)))
    return {}, {**pack_texts(list(counts)), "counts": np.fromiter(counts.values(), np.int64)}


def row_digests(files: Sequence[str], key: str, form: Mapping[str, Any]) -> Reply:
    """The hash of each key's rows."""
    _use_threads()
    found = row_hashes([*map(Path, files)], key, form_from(form))
    digests = np.frombuffer(bytes.fromhex("".join(found.values())), np.uint8)
    return {}, {**pack_texts(list(found)), "digests": digests}


def numbers(
    files: Sequence[str], modality: Mapping[str, Any], root: str, wanted: Sequence[str]
) -> Reply:
    """The numbers of a table modality."""
    _use_threads()
    table = read_modality(
        [*map(Path, files)], modality_from(modality), Path(root), frozenset(wanted)
    )
    facts = {
        "columns": [str(column) for column in table.values.columns],
        "refused": {str(case): list(why) for case, why in table.refused.items()},
        "genes": table.genes,
        "categories": {name: list(members) for name, members in table.categories.items()},
        "said": asdict(table.said),
    }
    keys = [str(key) for key in table.values.index]
    # as it lies in memory: columns behind one another
    return facts, {**pack_texts(keys), "values": table.values.to_numpy(dtype=np.float32).T}


def approved(file: str, columns: Sequence[str], modality: Mapping[str, Any]) -> Reply:
    """The columns of a table under approved symbols, and the report of it."""
    names, report = approve_columns(columns, modality_from(modality), Path(file))
    return {"names": names, "report": report}, {}


def gene_sets(root: str, modality: Mapping[str, Any], columns: Sequence[str]) -> Reply:
    """The columns of each gene set."""
    return gene_set_columns(Path(root), modality_from(modality), columns), {}


def form_from(fields: Mapping[str, Any]) -> TableForm:
    """A form that went through JSON."""
    return TableForm(**_with_tuples(fields))


def modality_from(fields: Mapping[str, Any]) -> ModalityDescription:
    """A description that went through JSON."""
    return ModalityDescription(**_with_tuples(fields))


def _with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(one) if isinstance(one, list) else one for name, one in fields.items()}


def _frame(frame: pd.DataFrame, files: Sequence[str]) -> Reply:
    require_few_cells(frame.size, map(Path, files))
    return pack_frame(frame)


def _use_threads() -> None:
    """A worker has one thread, for others work beside it; nothing is read beside these tables."""
    pa.set_cpu_count(min(MOST_THREADS, len(os.sched_getaffinity(0))))
