"""The case table of a cohort: one row a case, ids as text, labels as numbers; wrong tables are
refused before anything is written.
"""

import difflib
from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from mmdiag.cohort.as_of import is_one_date, moment_of
from mmdiag.description import Description
from mmdiag.description.task import NO_LABEL, REST
from mmdiag.errors import DescriptionError
from mmdiag.readers.tables.delimited import as_description_error, read_frame
from mmdiag.readers.tables.keys import check_keys, is_plain_key, key_values, template_columns

KEPT = 4  # parsed tables; a command works on one or two
_PARSED: dict[Hashable, pd.DataFrame] = {}
SHOWN = 5  # case keys named in one message
SHOWN_VALUES, SHOWN_LETTERS = 10, 20  # of a label, that a message may print


def read_cases(description: Description) -> pd.DataFrame:
    """Read and check the case table; it is parsed again only where it or its description changed.

    Returns:
        One row a case, in the table's order: case_id, subject_id, as_of (datetime64, NaT =
        unknown), site, label (binary 0/1, multiclass class number,
        multilabel whether any label is there, NaN = unlabelled), time, event (survival),
        label_<name> (multilabel 0/1, NaN = unknown), group_<name> ...,
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
        description.case_id,
        description.subject_id,
        description.as_of,
        description.site,
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
    cases["site"] = table[description.site] if description.site else pd.NA
    cases["label"], cases["time"], cases["event"] = np.nan, np.nan, np.nan
    if description.task.kind == "survival":
        _survival(description, table, cases)
    elif description.task.label:
        cases["label"] = _labels(description, table)
    several = _several_labels(description, table)
    if len(several.columns):
        cases["label"] = several.max(axis=1)
    extra = {f"label_{name}": several[name] for name in several} | {
        f"group_{name}": table[name] for name in description.group
    }
    extra |= {f"column_{name}": table[name] for name in table.columns}
    return pd.concat([cases, pd.DataFrame(extra)], axis=1)


def class_names(description: Description, cases: pd.DataFrame) -> tuple[str, ...]:
    """Names of the classes in the order of their numbers; empty for survival and for unlabelled
    cohorts.
    """
    task = description.task
    if task.kind == "binary" and task.label:
        return f"not {task.positive}", str(task.positive)
    if task.kind == "multiclass" and task.label:
        text = _known(cases[f"column_{task.label}"])
        return _classes(text.where(~_one_of(text, task.unknown), None))
    return ()


def _read_text_table(description: Description) -> pd.DataFrame:
    with as_description_error():
        table = read_frame(description.table).astype(object)
    return table.where(table != "", None)


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
            nearest = difflib.get_close_matches(column, [str(c) for c in table.columns], n=1)
            hint = (
                f"did you mean {nearest[0]!r}?"
                if nearest
                else f"its columns are {', '.join(map(str, table.columns[:12]))}."
            )
            raise DescriptionError(
                f"{key} in {description.file.name} must be a column of {description.table.name}, "
                f"{column!r} is not: {hint}"
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
            f"{column} must be a plain key without separators, templates or control characters, "
            f"{description.table.name} breaks this in line "
            f"{', '.join(map(str, unsafe[:SHOWN]))}: choose another key column."
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
        _lines(description, wrong, f"as_of {rule}")
    return dates.astype("datetime64[ns]")


def _known(text: pd.Series, positive: str | None = None) -> pd.Series:
    """Cells without surrounding blanks; what only says that nothing is known is missing, unless it
    is the positive class.
    """
    stripped = text.str.strip()
    return stripped.where(~stripped.str.lower().isin(NO_LABEL) | (stripped == positive), None)


def _labels(description: Description, table: pd.DataFrame) -> pd.Series:
    task = description.task
    text = _known(table[str(task.label)], task.positive)
    text = text.where(~_one_of(text, task.unknown), None)
    if text.dropna().empty:
        raise DescriptionError(
            f"The label {task.label!r} must be there for some cases, {description.table.name} "
            "has none: name another column, or leave label out to score."
        )
    if task.kind == "multiclass":
        classes = _classes(text)
        if len(classes) < 2:
            raise DescriptionError(
                f"A label needs two classes, {task.label!r} in {description.table.name} has one: "
                "nothing can be learned from it."
            )
        return text.map({name: float(number) for number, name in enumerate(classes)})
    return _binary_labels(description, text)


def _binary_labels(description: Description, text: pd.Series) -> pd.Series:
    """1.0, 0.0 or NaN: a value is the positive one, a negative one, or refused."""
    task = description.task
    known = text.dropna()
    positive = _one_of(known, (str(task.positive),))
    if not positive.any():
        raise DescriptionError(
            f"positive must be a value of the label {task.label!r}, no case of "
            f"{description.table.name} has {task.positive!r}: correct positive in "
            f"{description.file.name}."
        )
    if positive.all():
        raise DescriptionError(
            f"A label needs two classes, every case of {description.table.name} is "
            f"{task.positive!r}: nothing can be learned from it."
        )
    others = known[~positive]
    if task.negative == (REST,):
        further = others.iloc[:0]
    elif task.negative:
        further = others[~_one_of(others, task.negative)]
    else:
        first = others.iloc[0]
        further = others[~_one_of(others, (str(first),))]
        further = others if len(further) else further
    if len(further):
        shown, file = _shown(further, known), description.file.name
        raise DescriptionError(
            f"A binary label is positive or negative, {task.label!r} in {description.table.name} "
            f"has besides {task.positive!r} {shown}: say in {file} "
            'which of them are negative (negative = ["..."], or "rest") and which say that '
            'nothing is known (unknown = ["..."]).'
        )
    return positive.astype(float).reindex(text.index)


def _one_of(text: pd.Series, values: Sequence[str]) -> "pd.Series[bool]":
    """Which cells are one of some values; what is missing is none."""
    cells = ["" if missing else str(cell) for cell, missing in zip(text, text.isna(), strict=True)]
    found = [bool(cell) and any(_same(cell, value) for value in values) for cell in cells]
    return pd.Series(found, index=text.index, dtype=bool)


def _shown(further: pd.Series, column: pd.Series) -> str:
    """Values of a label as far as they may be printed: those of a column that has few and short
    ones, else their number.
    """
    values, of_column = sorted(further.unique()), column.unique()
    if len(of_column) > SHOWN_VALUES or max(map(len, of_column)) > SHOWN_LETTERS:
        return f"{len(values)} other values"
    return ", ".join(map(repr, values))


def _several_labels(description: Description, table: pd.DataFrame) -> pd.DataFrame:
    """0, 1 or NaN of each label of a multilabel task, by its name; no columns for other tasks."""
    found = {}
    for name in description.task.labels:
        text = _known(table[name])
        numbers = pd.to_numeric(text, errors="coerce").astype(float)
        _lines(
            description,
            text.notna() & ~numbers.isin([0, 1]),
            f"The label {name!r} must be 0, 1 or empty",
        )
        if numbers.nunique() < 2:
            raise DescriptionError(
                f"A label needs cases with 1 and cases with 0, {name!r} in "
                f"{description.table.name} has one of the two at most: "
                f"take it out of labels in {description.file.name}."
            )
        found[name] = numbers
    return pd.DataFrame(found, index=table.index)


def _classes(text: pd.Series) -> tuple[str, ...]:
    return tuple(sorted(text.dropna().unique()))


def _same(value: str, positive: str) -> bool:
    """Equal as text, or as numbers: a table that went through a spreadsheet says 1.0 for 1."""
    try:
        return value == positive or float(value) == float(positive)
    except ValueError:
        return False


def _survival(description: Description, table: pd.DataFrame, cases: pd.DataFrame) -> None:
    task = description.task
    if not task.time or not task.event:
        return
    for key, column in (("time", task.time), ("event", task.event)):
        text = _known(table[column])
        numbers = pd.to_numeric(text, errors="coerce").astype(float)
        _lines(
            description,
            (numbers.isna() & text.notna()) | np.isinf(numbers),
            f"{key} must be a number",
        )
        cases[key] = numbers
    _lines(
        description,
        cases["event"].notna() & ~cases["event"].isin([0, 1]),
        "event must be 0 (censored) or 1 (seen)",
    )
    known = cases["time"].notna() & cases["event"].notna()
    if not (cases.loc[known, "event"] == 1).any():
        raise DescriptionError(
            f"A survival task needs events, {description.table.name} has none in {task.event!r}: "
            "nothing can be learned from it."
        )


def _lines(description: Description, wrong: "pd.Series[bool]", rule: str) -> None:
    lines: Sequence[int] = (np.flatnonzero(wrong.to_numpy()) + 2).tolist()
    if lines:
        raise DescriptionError(
            f"{rule}, {description.table.name} breaks this in line "
            f"{', '.join(map(str, lines[:SHOWN]))}: correct the table."
        )
