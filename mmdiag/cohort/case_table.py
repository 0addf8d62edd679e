"""The case table of a cohort: one row a case, ids as text, labels as numbers; wrong tables are
refused before anything is written.
"""

from collections import Counter
from collections.abc import Hashable
from dataclasses import replace

import numpy as np
import pandas as pd

from mmdiag.cohort.as_of import is_one_date, moment_of
from mmdiag.cohort.kept_together import TOGETHER, group_numbers
from mmdiag.cohort.label_cells import SHOWN, read_labels, refuse_lines
from mmdiag.description import Description
from mmdiag.errors import DescriptionError
from mmdiag.readers.tables.delimited import as_description_error
from mmdiag.readers.tables.form import PLAIN, TableForm
from mmdiag.readers.tables.keys import (
    check_keys,
    is_plain_key,
    key_columns,
    key_values,
    template_columns,
)
from mmdiag.sandbox.tables import read_case_cells
from mmdiag.spelling import column_hint, fold

KEPT = 4  # parsed tables; a command works on one or two
_PARSED: dict[Hashable, pd.DataFrame] = {}


def read_cases(description: Description) -> pd.DataFrame:
    """Read and check the case table; it is parsed again only where it or its description changed.

    Returns:
        One row a case, in the table's order: case_id, subject_id, as_of (datetime64, NaT =
        unknown), site (of spellings that print alike the most frequent), label (binary 0/1,
        multiclass class number, multilabel whether any label is there, NaN = unlabelled), time,
        event (survival),
        label_<name> (multilabel 0/1, NaN = unknown), together (number of the group of cases that
        are kept together, where any are), group_<name> (as site) ...,
        and every original column as text under column_<name>.

    Raises:
        DescriptionError: A column is missing, a case is there twice, an id could be a path, a label
            has one class ...
    """
    state = _state(description)
    cases = _PARSED.get(state)
    if cases is None:
        cases = _parse(description)
        for oldest in list(_PARSED)[: max(0, len(_PARSED) + 1 - KEPT)]:
            _PARSED.pop(oldest, None)
        _PARSED[state] = cases
    return cases.copy(deep=False)  # pandas copies what is written to, and nothing else


def _state(description: Description) -> Hashable:
    """What the parsed table depends on: the identity of its file, and all that is described of
    it.
    """
    stat = description.table.stat() if description.table.is_file() else None
    return (
        description.table,
        stat and (stat.st_ino, stat.st_size, stat.st_mtime_ns),
        description.hash(),
        description.file,
        description.sheet,
        description.case_id,
        description.subject_id,
        description.as_of,
        description.site,
        description.keep_together,
        description.group,
        description.identifiers,
    )


def _parse(description: Description) -> pd.DataFrame:
    table = _read_text_table(description)
    _require_columns(description, table)
    cases = pd.DataFrame(
        {
            "case_id": _ids(description, table, description.case_id),
            "subject_id": _ids(description, table, description.subject_id),
        }
    )
    repeated = cases.loc[cases["case_id"].duplicated(), "case_id"].unique().tolist()
    if repeated:
        raise DescriptionError(
            f"case_id must be unique within a cohort, {description.table.name} repeats "
            f"{repeated[:SHOWN]}: give every case a row and a key of its own."
        )
    cases["as_of"] = _as_of(description, table)
    cases["site"] = _one_spelling(table[description.site]) if description.site else pd.NA
    labels = read_labels(description, table)
    if description.keep_together:
        shared = [key_values(table, name).tolist() for name in description.keep_together]
        cases[TOGETHER] = group_numbers(cases["subject_id"].tolist(), shared)
    extra = {f"group_{name}": _one_spelling(table[name]) for name in description.group}
    extra |= {f"column_{name}": table[name] for name in table.columns}
    return pd.concat([cases, labels, pd.DataFrame(extra)], axis=1)


def _one_spelling(cells: pd.Series) -> pd.Series:
    """Cells of which spellings that print alike are one: the most frequent of them."""
    counts, names = Counter(cells.dropna()), dict[str, str]()
    for cell in sorted(counts, key=lambda cell: (-counts[cell], cell)):
        names.setdefault(fold(cell), " ".join(cell.split()))
    shown = {cell: names[fold(cell)] or None for cell in counts}
    values = [shown.get(cell) for cell in cells]
    return pd.Series(values, index=cells.index, dtype=object)


def _read_text_table(description: Description) -> pd.DataFrame:
    table = read_case_cells(description.table, case_table_form(description)).astype(object)
    return table.where(table != "", None)


def case_table_form(description: Description) -> TableForm:
    """How the case table is written: separated as its header shows where that is certain."""
    return replace(PLAIN, sheet=description.sheet).keyed(description.case_id)


def _require_columns(description: Description, table: pd.DataFrame) -> None:
    task = description.task
    keys = [
        (name, column)
        for name in ("case_id", "subject_id")
        for column in template_columns(getattr(description, name)) or [getattr(description, name)]
    ]
    named = [
        *keys,
        ("site", description.site),
        ("label", task.label),
        *(("labels", name) for name in task.labels),
        *(
            ("keep_together", column)
            for name in description.keep_together
            for column in key_columns(name)
        ),
    ]
    named += [
        ("time", task.time),
        ("event", task.event),
        *(("group", name) for name in description.group),
    ]
    named += [
        ("identifiers", name) for name in description.identifiers if not name.endswith(".csv")
    ]
    if description.as_of and not is_one_date(description.as_of):
        named.append(("as_of", description.as_of))
    for modality in description.modalities.values():
        named += [
            (f"path of {modality.name}", column) for column in template_columns(modality.path)
        ]
    for key, column in named:
        if column is not None and column not in table.columns:
            raise DescriptionError(
                f"{key} in {description.file.name} must be a column of {description.table.name}, "
                f"{column!r} is not: {column_hint(column, table.columns)}"
            )


def _ids(description: Description, table: pd.DataFrame, column: str) -> pd.Series:
    values = key_values(table, column)
    if values.isna().any():
        rows = [int(i) + 2 for i in np.flatnonzero(values.isna())[:SHOWN]]
        raise DescriptionError(
            f"Every case needs its {column}, {description.table.name} has none in line "
            f"{', '.join(map(str, rows))}: fill it in or remove the row."
        )
    unsafe = [number + 2 for number, value in enumerate(values) if not is_plain_key(value)]
    if unsafe:
        raise DescriptionError(
            f"{column} must be a plain key without blanks around it, characters that do not show, "
            f"separators or templates, {description.table.name} breaks this in line "
            f"{', '.join(map(str, unsafe[:SHOWN]))}: correct the keys, or choose another column."
        )
    with as_description_error():
        check_keys(values.tolist(), description.table.name, unique=False)
    return values.astype(object)


def _as_of(description: Description, table: pd.DataFrame) -> pd.Series:
    if not description.as_of:
        return pd.Series(pd.NaT, index=table.index, dtype="datetime64[ns]")
    one = is_one_date(description.as_of)
    text = pd.Series(description.as_of, index=table.index) if one else table[description.as_of]
    text = text.astype(object).where(text.fillna("").str.strip() != "", None)
    moments = {cell: moment_of(str(cell)) for cell in text.dropna().unique()}
    dates = pd.Series(pd.to_datetime(text.map(moments)), index=table.index)
    # the date line runs between hospital and computer
    tomorrow = pd.Timestamp.now() + pd.Timedelta(days=1)
    rules = (
        (
            dates.isna() & text.notna(),
            "must be ISO dates (2025-03-02), with or without a time and its zone",
        ),
        (dates > tomorrow, "must not lie in the future"),
        (dates < pd.Timestamp(1900, 1, 1), "must not lie before 1900"),
    )
    for wrong, rule in rules:
        if wrong.any() and one:
            raise DescriptionError(
                f"as_of {rule}, {description.as_of!r} in {description.file.name} breaks this: "
                "correct it."
            )
        refuse_lines(description, wrong, f"as_of {rule}")
    return dates.astype("datetime64[ns]")
