"""Cells of the label columns: each is one of the task's known values, unlabelled, or refused.

Spellings that print alike are one value (`mmdiag.spelling`); what only resembles another value is
refused.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from mmdiag.description import Description
from mmdiag.description.task import NO_LABEL, NOT_KNOWN, REST
from mmdiag.errors import DescriptionError
from mmdiag.spelling import as_number, fold, may_be_printed, same, shape
from mmdiag.task import Task

SHOWN = 5  # lines named in one message
TO_SCORE = "leave label out to score"
TRUTH = {"false": 0.0, "true": 1.0}
EVENT = {0.0: "censored", 1.0: "event"}


def read_labels(description: Description, table: pd.DataFrame) -> pd.DataFrame:
    """The labels of a case table.

    Args:
        table: Every cell as text, None where empty.

    Returns:
        label (binary 0/1, multiclass number of the class, multilabel whether any is there), time,
        event, and label_<name> of a multilabel task; NaN = unknown.

    Raises:
        DescriptionError: A cell is none of the known values, or one class is all there is.
    """
    labels = pd.DataFrame(
        np.nan, index=table.index, columns=["label", "time", "event"], dtype=float
    )
    task = description.task
    if task.kind == "survival":
        if task.time and task.event:
            labels[["time", "event"]] = _survival(description, table)
    elif task.label:
        labels["label"] = _labels(description, table)
    several = {f"label_{name}": _one_label(description, table, name) for name in task.labels}
    if several:
        labels = labels.assign(**several)
        labels["label"] = labels[list(several)].max(axis=1)
    return labels


def class_names(description: Description, cases: pd.DataFrame) -> tuple[str, ...]:
    """Names of the classes in the order of their numbers; empty for survival and for unlabelled
    cohorts. A class that is spelled in several ways has the name that is most frequent.
    """
    task = description.task
    if task.kind == "binary" and task.label:
        return f"not {task.positive}", str(task.positive)
    if task.kind == "multiclass" and task.label:
        return _classes(_known(cases[f"column_{task.label}"], task.unknown))
    return ()


def described_task(description: Description, cases: pd.DataFrame) -> Task:
    """What was described of the task, its classes as the case table has them, and how people read
    each of them: `class_names` may spell a class otherwise.
    """
    classes = class_names(description, cases)
    task = description.task
    known = (str(task.positive), *task.negative) if task.kind == "binary" else classes
    titles = {
        next((name for name in known if same(name, value)), value): title
        for value, title in task.class_names.items()
    }
    return Task.from_facts(
        asdict(task) | {"classes": list(classes), "class_names": titles, "positive": task.positive}
    )


def count_classes(
    description: Description, table: pd.DataFrame, case_ids: Collection[str]
) -> list[dict[str, Any]]:
    """How many of some cases each class has.

    Args:
        table: As `read_cases` gives it: the classes are those of all its cases.

    Returns:
        `label` (its column), `class`, `name` (how people read it), `cases`, and `values`: what
        stands in the table for it, the most frequent first; None where that may not be printed.
    """
    task, described = description.task, described_task(description, table)
    cases = table[table["case_id"].isin(case_ids)]
    if task.kind == "survival" and task.time and task.event:
        known = cases.loc[cases["time"].notna(), "event"]
        return [
            _count(task.event, name, int((known == value).sum())) for value, name in EVENT.items()
        ]
    found = [
        _count(name, value, int((cases[f"label_{name}"] == float(value)).sum()))
        for name in task.labels
        for value in ("0", "1")
    ]
    for number, name in enumerate(described.classes):
        cells = cases.loc[cases["label"] == number, f"column_{task.label}"]
        values = [value for value, _ in Counter(map(_trimmed, cells)).most_common()]
        shown = values if may_be_printed(values) else None
        found.append(_count(task.label, name, len(cells), described.name_of(name), shown))
    return found


def _count(
    label: str | None, name: str, cases: int, title: str = "", values: list[str] | None = None
) -> dict[str, Any]:
    return {
        "label": label,
        "class": name,
        "name": title or name,
        "cases": int(cases),
        "values": values,
    }


def _labels(description: Description, table: pd.DataFrame) -> pd.Series:
    task, column = description.task, str(description.task.label)
    text = _known(table[column], task.unknown, kept=_stated(description))
    if text.dropna().empty:
        raise DescriptionError(
            f"The label {task.label!r} must be there for some cases, {description.table.name} "
            f"has none: name another column, or {TO_SCORE}."
        )
    _refuse_look_alikes(description, text)
    if task.kind == "binary":
        return _binary_labels(description, text)
    _refuse_codes(description, text)
    classes = _classes(text)
    if len(classes) < 2:
        raise DescriptionError(
            f"A label needs two classes, {task.label!r} in {description.table.name} has one: "
            f"nothing can be learned from it, {TO_SCORE}."
        )
    number = {fold(name): float(number) for number, name in enumerate(classes)}
    return _mapped(text, lambda cell: number[fold(cell)])


def _binary_labels(description: Description, text: pd.Series) -> pd.Series:
    """1.0, 0.0 or NaN: a value is the positive one, a negative one, or refused."""
    task = description.task
    known = text.dropna()
    positive = _one_of(known, (str(task.positive),))
    if not positive.any():
        raise DescriptionError(
            f"positive must be a value of the label {task.label!r}, no case of "
            f"{description.table.name} has {task.positive!r}: correct positive in "
            f"{description.file.name}, or {TO_SCORE}."
        )
    if positive.all():
        raise DescriptionError(
            f"A label needs two classes, every case of {description.table.name} is "
            f"{task.positive!r}: nothing can be learned from it, {TO_SCORE}."
        )
    others = known[~positive]
    if task.negative == (REST,):
        further = others.iloc[:0]
    elif task.negative:
        further = others[~_one_of(others, task.negative)]
    else:
        further = others if len(set(map(fold, others))) > 1 else others.iloc[:0]
    if len(further):
        shown, file = _shown(further, known), description.file.name
        raise DescriptionError(
            f"A binary label is positive or negative, {task.label!r} in {description.table.name} "
            f"has besides {task.positive!r} {shown}: say in {file} "
            'which of them are negative (negative = ["..."], or "rest") and which say that '
            'nothing is known (unknown = ["..."]).'
        )
    if task.negative != (REST,):
        _refuse_codes(description, text)
    return positive.astype(float).reindex(text.index)


def _one_label(description: Description, table: pd.DataFrame, name: str) -> pd.Series:
    """0, 1 or NaN of one label of a multilabel task."""
    text = _known(table[name], description.task.unknown)
    numbers = _mapped(text, _yes_or_no)
    refuse_lines(
        description,
        text.notna() & ~numbers.isin([0, 1]),
        f"The label {name!r} must be 0, 1 or empty (or one of unknown)",
    )
    if numbers.nunique() < 2:
        raise DescriptionError(
            f"A label needs cases with 1 and cases with 0, {name!r} in "
            f"{description.table.name} has one of the two at most: "
            f"take it out of labels in {description.file.name}."
        )
    return numbers


def _survival(description: Description, table: pd.DataFrame) -> pd.DataFrame:
    """Time and event of each case; `unknown` lists codes of the event."""
    task, found = description.task, {}
    for key, column, unknown in (
        ("time", str(task.time), ()),
        ("event", str(task.event), task.unknown),
    ):
        text = _known(table[column], unknown)
        numbers = _mapped(text, as_number if key == "time" else _event)
        wrong = (numbers.isna() & text.notna()) | np.isinf(numbers)
        refuse_lines(description, wrong, f"{key} must be a number")
        found[key] = numbers
    code = _code(found["time"][found["time"] > 0].unique().tolist(), digits=3)
    refuse_lines(
        description,
        found["time"] == (np.nan if code is None else code),
        "time must be a time or empty, nines of more digits than all others say that nothing is "
        "known",
    )
    refuse_lines(
        description,
        found["event"].notna() & ~found["event"].isin([0, 1]),
        "event must be 0 (censored) or 1 (seen), or one of unknown",
    )
    known = found["time"].notna() & found["event"].notna()
    if not (found["event"][known] == 1).any():
        raise DescriptionError(
            f"A survival task needs events, {description.table.name} has none in {task.event!r}: "
            "nothing can be learned from it, leave time and event out to score."
        )
    return pd.DataFrame(found)


def _event(cell: str) -> float | None:
    """0 or 1, also as cBioPortal writes them: `0:LIVING`, `1:DECEASED`."""
    told = re.fullmatch(r"([01])\s*:.*", fold(cell))
    return float(told[1]) if told else _yes_or_no(cell)


def _yes_or_no(cell: str) -> float | None:
    """0 or 1, also as programs write what is either: `False`, `TRUE`."""
    return TRUTH.get(fold(cell), as_number(cell))


def _stated(description: Description) -> tuple[str, ...]:
    """Values that the description names as classes."""
    task = description.task
    positive = () if task.positive is None else (task.positive,)
    return (*positive, *task.negative, *task.class_names)


def _known(text: pd.Series, unknown: Iterable[str], *, kept: Iterable[str] = ()) -> pd.Series:
    """Cells without surrounding blanks; what says that nothing is known is missing.

    Args:
        unknown: Values that do, besides the usual ones.
        kept: Values that are classes, whatever they say.
    """
    missing = (NO_LABEL - {fold(value) for value in kept}) | {fold(value) for value in unknown}
    return _mapped(text, lambda cell: None if fold(cell) in missing else _trimmed(cell), object)


def _trimmed(cell: str) -> str:
    return " ".join(cell.split())


def _mapped(text: pd.Series, function: Callable[[str], Any], dtype: type = float) -> pd.Series:
    """A function of each cell, called once for each different one; missing stays missing."""
    known = {cell: function(cell) for cell in text.dropna().unique()}
    nothing = None if dtype is object else np.nan
    values = [known.get(cell, nothing) if isinstance(cell, str) else nothing for cell in text]
    return pd.Series(values, index=text.index, dtype=dtype)


def _one_of(text: pd.Series, values: Iterable[str]) -> "pd.Series[bool]":
    """Which cells are spellings of some values."""
    wanted = {fold(value) for value in values}
    return _mapped(text, lambda cell: fold(cell) in wanted, object).astype(bool)


def _classes(text: pd.Series) -> tuple[str, ...]:
    """The classes, each under its most frequent spelling, in the order of these names."""
    counts, names = Counter(text.dropna()), dict[str, str]()
    for cell in sorted(counts, key=lambda cell: (-counts[cell], cell)):
        names.setdefault(fold(cell), cell)
    return tuple(sorted(names.values()))


def _refuse_look_alikes(description: Description, text: pd.Series) -> None:
    """Values that differ by a hyphen, a blank or an alphabet are one or two: people know which."""
    task, stated = description.task, {fold(value) for value in _stated(description)}
    by_shape: dict[str, set[str]] = {}
    values = {fold(cell): cell for cell in text.dropna().unique()}
    for folded in (*values, *stated):
        by_shape.setdefault(shape(folded), set()).add(folded)
    unclear = [
        values[folded]
        for alike in by_shape.values()
        if len(alike) > 1 and not alike <= stated
        for folded in alike
        if folded in values
    ]
    if unclear:
        raise DescriptionError(
            f"Values of a label that look alike are one class, {task.label!r} in "
            f"{description.table.name} has such as differ by blanks, hyphens or letters of "
            f"another alphabet ({_shown(pd.Series(unclear), text.dropna())}): write them alike, "
            f"or name each of them in class_names of {description.file.name}."
        )


def _refuse_codes(description: Description, text: pd.Series) -> None:
    """A class whose name says that nothing is known is none, unless the description names it."""
    task, stated = description.task, {fold(value) for value in _stated(description)}
    folded = _mapped(text, fold, object).dropna()
    numbers = {value: as_number(value) for value in folded.unique()}
    codes = _codes([number for number in numbers.values() if number is not None])
    doubtful = {
        value
        for value, number in numbers.items()
        if value not in stated and (value.strip("[]()<> ") in NOT_KNOWN or number in codes)
    }
    if doubtful:
        cells = text[folded.index][folded.isin(doubtful)]
        named = "class_names or negative" if task.kind == "binary" else "class_names"
        raise DescriptionError(
            f"A class is something that is known, {task.label!r} in "
            f"{description.table.name} has {_shown(cells, text.dropna())}: list it under unknown "
            f"in {description.file.name}, or name it in {named} if it is a class."
        )


def _codes(values: Sequence[float]) -> set[float]:
    """Numbers among the names of classes that say that nothing is known: nines by their shape, and
    -1 where nothing else is below 0.
    """
    nines = _code([*values, 0.0], digits=1)
    below = [value for value in values if value < 0]
    return {*([] if nines is None else [nines]), *(below if below == [-1.0] else [])}


def _code(values: Sequence[float], digits: int) -> float | None:
    """A number that says that nothing is known, by its shape: nines with more digits than all
    others have (999, -99), or a 9 beside numbers below 5.

    Args:
        digits: Nines are at least so many.
    """
    for value in values:
        nines = f"{abs(value):.0f}"
        if value != int(value) or set(nines) != {"9"} or len(nines) < digits:
            continue
        largest = max((abs(other) for other in values if other != value), default=value)
        if largest < (10 ** (len(nines) - 1) if len(nines) > 1 else 5):
            return value
    return None


def _shown(further: pd.Series, column: pd.Series) -> str:
    """Values of a label as far as they may be printed, else their number."""
    values = sorted({fold(value): value for value in reversed(list(further))}.values())
    if not may_be_printed(column.unique().tolist()):
        return f"{len(values)} other values"
    return ", ".join(map(repr, values))


def refuse_lines(description: Description, wrong: "pd.Series[bool]", rule: str) -> None:
    """Refuse a case table of which some lines break a rule.

    Raises:
        DescriptionError: Names the lines, never their values.
    """
    lines: Sequence[int] = (np.flatnonzero(wrong.to_numpy()) + 2).tolist()
    if lines:
        raise DescriptionError(
            f"{rule}, {description.table.name} breaks this in line "
            f"{', '.join(map(str, lines[:SHOWN]))} (its header is line 1): correct the table."
        )
