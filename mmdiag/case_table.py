"""The case table of a cohort: one row a case, ids as text, labels as numbers; wrong tables are refused before anything is written."""

import difflib
import gzip
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mmdiag.description import Description
from mmdiag.errors import DescriptionError

UNSAFE_ID = re.compile(r"[\x00-\x1f\x7f/\\{}$*?\[\]<>|\"']|^\.|^~|^\s|\s$|\.\.")
SHOWN = 5  # case keys named in one message


def read_cases(description: Description) -> pd.DataFrame:
    """Read and check the case table.

    Returns:
        One row a case, in the table's order: case_id, subject_id, as_of (datetime64, NaT = unknown), site, label (binary 0/1, multiclass class number,
        NaN = unlabelled), time, event (survival), group_<name> ..., and every original column as text under column_<name>.

    Raises:
        DescriptionError: A column is missing, a case is there twice, an id could be a path, a label has one class ...
    """
    table = _read_text_table(description)
    _require_columns(description, table)
    cases = pd.DataFrame(
        {"case_id": _ids(description, table, description.case_id), "subject_id": _ids(description, table, description.subject_id)}
    )
    repeated = cases.loc[cases["case_id"].duplicated(), "case_id"].unique().tolist()
    if repeated:
        raise DescriptionError(
            f"case_id must be unique within a cohort, {description.table.name} repeats {repeated[:SHOWN]}: give every case a row and a key of its own."
        )
    cases["as_of"] = _as_of(description, table)
    cases["site"] = table[description.site] if description.site else pd.NA
    cases["label"], cases["time"], cases["event"] = np.nan, np.nan, np.nan
    if description.task.kind == "survival":
        _survival(description, table, cases)
    elif description.task.label:
        cases["label"] = _labels(description, table)
    extra = {f"group_{name}": table[name] for name in description.group} | {f"column_{name}": table[name] for name in table.columns}
    return pd.concat([cases, pd.DataFrame(extra)], axis=1)


def class_names(description: Description, cases: pd.DataFrame) -> tuple[str, ...]:
    """Names of the classes in the order of their numbers; empty for survival and for unlabelled cohorts."""
    task = description.task
    if task.kind == "binary" and task.label:
        return f"not {task.positive}", str(task.positive)
    if task.kind == "multiclass" and task.label:
        return _classes(cases[f"column_{task.label}"])
    return ()


def _read_text_table(description: Description) -> pd.DataFrame:
    path = description.table
    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path).astype("string").astype(object)
        else:
            separator = "\t" if path.name.removesuffix(".gz").endswith((".tsv", ".txt")) else ","
            table = pd.read_csv(path, dtype=str, sep=separator, keep_default_na=False, encoding=encoding_of(path), encoding_errors="strict")
    except (ValueError, OSError) as error:  # parser, decoding and Arrow errors are all ValueErrors
        raise DescriptionError(
            f"The case table must be CSV, TSV or Parquet, {path.name} could not be read ({type(error).__name__}): save it again."
        ) from None
    table = table.where(table.notna() & (table != ""), None).reset_index(drop=True)
    if table.empty:
        raise DescriptionError(f"The case table must have a row a case, {path.name} has none: add the cases.")
    return table


def encoding_of(path: Path) -> str:
    """UTF-8 where the file is; else Windows-1252, which is what spreadsheets write."""
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _require_columns(description: Description, table: pd.DataFrame) -> None:
    task = description.task
    keys = [
        (name, column)
        for name in ("case_id", "subject_id")
        for column in template_columns(getattr(description, name)) or [getattr(description, name)]
    ]
    named = [*keys, ("site", description.site), ("label", task.label)]
    named += [("time", task.time), ("event", task.event), *(("group", name) for name in description.group)]
    if description.as_of and not _is_date(description.as_of):
        named.append(("as_of", description.as_of))
    for modality in description.modalities.values():
        named += [(f"path of {modality.name}", column) for column in template_columns(modality.path)]
    for key, column in named:
        if column is not None and column not in table.columns:
            nearest = difflib.get_close_matches(column, [str(c) for c in table.columns], n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"its columns are {', '.join(map(str, table.columns[:12]))}."
            raise DescriptionError(
                f"{key} in {description.file.name} must be a column of {description.table.name}, {column!r} is not: {hint}"
            )


def template_columns(path: str) -> list[str]:
    """Columns that a path template names: `dicom/{case_id}` -> [case_id]."""
    return re.findall(r"\{([^{}]+)\}", path)


def key_values(table: pd.DataFrame, key: str) -> pd.Series:
    """A key column, or the keys that a template such as `{patient}-{file}` makes of several; missing where any part is."""
    if "{" not in key:
        return table[key]
    values = pd.Series(key, index=table.index, dtype=object)
    for column in template_columns(key):
        part = table[column]
        values = pd.Series(
            [None if v is None or pd.isna(p) or p == "" else v.replace(f"{{{column}}}", str(p)) for v, p in zip(values, part, strict=True)],
            index=table.index, dtype=object,
        )  # fmt: skip
    return values


def _ids(description: Description, table: pd.DataFrame, column: str) -> pd.Series:
    values = key_values(table, column)
    if values.isna().any():
        rows = [int(i) + 2 for i in np.flatnonzero(values.isna())[:SHOWN]]
        raise DescriptionError(
            f"Every case needs its {column}, {description.table.name} has none in line {', '.join(map(str, rows))}: fill it in or remove the row."
        )
    unsafe = [number + 2 for number, value in enumerate(values) if UNSAFE_ID.search(value) or len(value) > 128]
    if unsafe:
        raise DescriptionError(
            f"{column} must be a plain key without separators, templates or control characters, {description.table.name} breaks this in line "
            f"{', '.join(map(str, unsafe[:SHOWN]))}: choose another key column."
        )
    return values.astype(object)


def _is_date(text: str) -> bool:
    return re.match(r"\d{4}-\d{2}-\d{2}", text) is not None


def _as_of(description: Description, table: pd.DataFrame) -> pd.Series:
    if not description.as_of:
        return pd.Series(pd.NaT, index=table.index, dtype="datetime64[ns]")
    text = pd.Series(description.as_of, index=table.index) if _is_date(description.as_of) else table[description.as_of]
    dates = pd.to_datetime(text, errors="coerce", format="ISO8601").astype("datetime64[ns]")
    wrong = np.flatnonzero(dates.isna() & text.notna())
    if len(wrong):
        lines = ", ".join(str(i + 2) for i in wrong[:SHOWN])
        raise DescriptionError(f"as_of must be ISO dates (2025-03-02), {description.table.name} has others in line {lines}: rewrite them.")
    return dates


def _labels(description: Description, table: pd.DataFrame) -> pd.Series:
    task, text = description.task, table[str(description.task.label)]
    found = text.dropna()
    if found.empty:
        raise DescriptionError(
            f"The label {task.label!r} must be there for some cases, {description.table.name} has none: name another column, or leave label out to score."
        )
    if task.kind == "multiclass":
        classes = _classes(text)
        if len(classes) < 2:
            raise DescriptionError(
                f"A label needs two classes, {task.label!r} in {description.table.name} has one: nothing can be learned from it."
            )
        return text.map({name: float(number) for number, name in enumerate(classes)})
    positive = found.map(lambda value: _same(value, str(task.positive)))
    if not positive.any():
        raise DescriptionError(
            f"positive must be a value of the label {task.label!r}, no case of {description.table.name} has {task.positive!r}: correct positive in {description.file.name}."
        )
    if positive.all():
        raise DescriptionError(
            f"A label needs two classes, every case of {description.table.name} is {task.positive!r}: nothing can be learned from it."
        )
    return positive.astype(float).reindex(text.index)


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
        numbers = pd.to_numeric(table[column], errors="coerce")
        _lines(description, numbers.isna() & table[column].notna(), f"{key} must be a number")
        cases[key] = numbers
    _lines(description, cases["event"].notna() & ~cases["event"].isin([0, 1]), "event must be 0 (censored) or 1 (seen)")
    known = cases["time"].notna() & cases["event"].notna()
    if not (cases.loc[known, "event"] == 1).any():
        raise DescriptionError(
            f"A survival task needs events, {description.table.name} has none in {task.event!r}: nothing can be learned from it."
        )


def _lines(description: Description, wrong: "pd.Series[bool]", rule: str) -> None:
    lines: Sequence[int] = (np.flatnonzero(wrong.to_numpy()) + 2).tolist()
    if lines:
        raise DescriptionError(
            f"{rule}, {description.table.name} breaks this in line {', '.join(map(str, lines[:SHOWN]))}: correct the table."
        )
