"""Tables that all cases share, the case table and what is known of genes, read in the sandbox: as
the readers' functions of the same names. What is wrong with one is wrong use.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.description import ModalityDescription
from mmdiag.errors import ReadError
from mmdiag.readers.events.rows import ARRAYS, EventRows
from mmdiag.readers.tables.delimited import as_description_error
from mmdiag.readers.tables.form import PLAIN, TableForm
from mmdiag.readers.tables.numbers import NumericTable, Said
from mmdiag.readers.tables.unite import KEY
from mmdiag.readers.workbooks.book import is_workbook
from mmdiag.sandbox.cells import unpack_frame, unpack_texts
from mmdiag.sandbox.limits import require_regular_files
from mmdiag.sandbox.pool import Sandbox, shared_sandbox

DIGEST_BYTES = 32  # SHA-256
Answer = tuple[Any, Mapping[str, np.ndarray]]


def read_case_cells(file: Path, form: TableForm = PLAIN) -> pd.DataFrame:
    """Every cell of a case table as text, empty where missing.

    Raises:
        DescriptionError: It is not a regular table, or swells.
    """
    return unpack_frame(*_asked("case_cells", [file], file=str(file), form=asdict(form)))


def read_any_table(file: Path, form: TableForm = PLAIN) -> pd.DataFrame:
    """As `cohort_tables.read_any_table`."""
    return unpack_frame(*_asked("table_cells", [file], file=str(file), form=asdict(form)))


def table_remarks(file: Path, form: TableForm = PLAIN) -> list[str]:
    """As `workbooks.table.remarks_of`."""
    return [str(said) for said in _table_facts(file, form)["remarks"]]


def number_columns(file: Path, form: TableForm = PLAIN) -> set[str]:
    """Columns of a workbook that hold numbers instead of text; of other tables none."""
    found = _table_facts(file, form)["numbers"] if is_workbook(file) else []
    return {str(name) for name in found}


def filled_sheets(file: Path) -> list[str]:
    """As `workbooks.book.filled_sheets`."""
    facts, _ = _asked("sheets", [file], file=str(file))
    return [str(name) for name in facts["sheets"]]


def check_table(
    file: Path, key: Sequence[str] = (), sandbox: Sandbox | None = None
) -> pd.DataFrame:
    """As `cohort_tables.check_table`.

    Raises:
        ReadError: With the code of the first rule that it breaks.
    """
    return unpack_frame(*_answered(sandbox, "checked_cells", [file], file=str(file), key=list(key)))


def read_text_table(
    files: Sequence[Path], key: str, columns: Sequence[str], form: TableForm = PLAIN
) -> pd.DataFrame:
    """Some columns of what `cohort_tables.read_text_table` reads, and the key under KEY."""
    return unpack_frame(
        *_asked(
            "keyed_cells",
            files,
            files=[*map(str, files)],
            key=key,
            form=asdict(form),
            columns=[KEY, *columns],
        )
    )


def table_header(file: Path, form: TableForm = PLAIN) -> tuple[str, ...]:
    """As `cohort_tables.table_header`."""
    facts, _ = _asked("header", [file], file=str(file), form=asdict(form))
    return tuple(map(str, facts["columns"]))


def key_counts(file: Path, key: str, form: TableForm = PLAIN) -> dict[str, int]:
    """The keys of a table and how many rows each has; empty where it has no such column."""
    _, arrays = _asked("key_counts", [file], file=str(file), key=key, form=asdict(form))
    return dict(zip(unpack_texts(arrays), arrays["counts"].tolist(), strict=True))


def row_hashes(files: Sequence[Path], key: str, form: TableForm = PLAIN) -> dict[str, str]:
    """As `cohort_tables.row_hashes`."""
    _, arrays = _asked("row_digests", files, files=[*map(str, files)], key=key, form=asdict(form))
    digests = arrays["digests"].reshape(-1, DIGEST_BYTES)
    return {
        case: digest.tobytes().hex()
        for case, digest in zip(unpack_texts(arrays), digests, strict=True)
    }


def read_modality(
    files: Sequence[Path],
    modality: ModalityDescription,
    root: Path,
    wanted: Collection[str] = (),
) -> NumericTable:
    """As `readers.tables.modality.read_modality`."""
    facts, arrays = _asked(
        "numbers",
        [*files, *_reference(modality, root)],
        files=[*map(str, files)],
        modality=modality_fields(modality),
        root=str(root),
        wanted=sorted(wanted),
    )
    return NumericTable(
        pd.DataFrame(
            arrays["values"].T,
            index=pd.Index(unpack_texts(arrays), name=KEY, dtype=object),
            columns=facts["columns"],
            copy=False,
        ),
        {case: (str(code), str(detail)) for case, (code, detail) in facts["refused"].items()},
        genes=facts["genes"],
        categories=facts["categories"],
        said=Said(**facts["said"]),
    )


def approve_columns(
    columns: Sequence[str], modality: ModalityDescription, file: Path
) -> tuple[list[str], dict[str, Any]]:
    """As `readers.tables.modality.approve_columns`."""
    facts, _ = _asked(
        "approved",
        [file],
        file=str(file),
        columns=list(columns),
        modality=modality_fields(modality),
    )
    return [str(name) for name in facts["names"]], dict(facts["report"])


def gene_set_columns(
    root: Path, modality: ModalityDescription, columns: Sequence[str]
) -> dict[str, list[int]]:
    """As `readers.genomics.gene_sets.gene_set_columns`."""
    files = [root / str(modality.gene_sets), *_reference(modality, root)]
    facts, _ = _asked(
        "gene_sets",
        files,
        root=str(root),
        modality=modality_fields(modality),
        columns=list(columns),
    )
    return {str(name): [int(one) for one in members] for name, members in facts.items()}


def read_events(file: Path, standard: str, kind: str, subjects: Collection[int]) -> EventRows:
    """The events of some subjects in one file, as the readers of `event_requests.READERS`.

    Raises:
        DescriptionError: It is not a regular table, torn, or lacks a column.
    """
    facts, arrays = _asked(
        "events",
        [file],
        file=str(file),
        standard=standard,
        kind=kind,
        subjects=[int(one) for one in subjects],
    )
    plain: dict[str, Any] = {name: np.asarray(arrays[name], as_) for name, as_ in ARRAYS.items()}
    codes, left_out = unpack_texts(arrays), dict(facts["left_out"])
    return EventRows(**plain, codes=codes, left_out=left_out, read=int(facts["read"]))


def event_names(file: Path, key: str, name: str, codes: Collection[str]) -> dict[str, str]:
    """As `readers.events.names.names_of`."""
    facts, _ = _asked(
        "event_names", [file], file=str(file), key=key, name=name, codes=sorted(codes)
    )
    return {str(code): str(said) for code, said in facts["names"].items()}


def modality_fields(modality: ModalityDescription) -> dict[str, Any]:
    """The fields of a description, as JSON has them."""
    return {**asdict(modality), "select": dict(modality.select), "options": dict(modality.options)}


def _reference(modality: ModalityDescription, root: Path) -> list[Path]:
    return [root / modality.gene_names] if modality.gene_names else []


def _table_facts(file: Path, form: TableForm) -> dict[str, list[str]]:
    facts, _ = _asked("table_facts", [file], file=str(file), form=asdict(form))
    return dict(facts)


def _asked(function: str, files: Sequence[Path], /, **arguments: Any) -> Answer:
    with as_description_error():
        return _answered(None, function, files, **arguments)


def _answered(
    sandbox: Sandbox | None, function: str, files: Sequence[Path], /, **arguments: Any
) -> Answer:
    """Facts and arrays of a request, which is given what the size of its files accounts for.

    Raises:
        ReadError: The reader refused or died, or one is no regular file.
    """
    require_regular_files(files)
    pool = sandbox or shared_sandbox()
    outcome = pool.call(function, **pool.limits(files), **arguments)
    if outcome.code and not any(file.name in outcome.detail for file in files):
        # one is a table that the cohort.toml names; several may be called after people
        which = files[0].name if len(files) == 1 else f"{len(files)} files"
        raise ReadError(outcome.code, f"{which}: {outcome.detail}")
    return outcome.value()
