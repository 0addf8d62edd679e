"""Columns of words as columns of 0 and 1, one for each category: `stage=II`."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float32, Shaped
from numpy import ndarray

from mmdiag.errors import DescriptionError
from mmdiag.readers.tables.delimited import MISSING
from mmdiag.readers.tables.form import TableForm
from mmdiag.readers.tables.numbers import Said

MOST = 64  # categories of one column
ALWAYS = 10  # categories that are never too many
LEAST_CASES = 2.0  # rows a category, on average, of a column that has more
LONGEST = 60  # letters
# in place of the number of a category
NOT_MEASURED, NEW = -1, -2
Groups = Mapping[str, Sequence[str]]


def spelling(cell: str) -> str:
    """A category as it is written: without surrounding and double blanks, in plain letters, `1` for
    `1.0`.
    """
    text = " ".join(unicodedata.normalize("NFKC", cell).split())
    return re.sub(r"^([0-9]+)\.0+$", r"\1", text)


def one_hot(
    words: Mapping[str, Sequence[str]], form: TableForm, name: str, said: Said | None = None
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Columns of words as columns of 0 and 1; NaN where a cell is missing.

    Args:
        words: Column -> a cell a row, as text.
        form: Which words mean not measured; where it names none, `None`, `NA` and the like do.
        name: The table's name, for messages.
        said: Is told how many cells do that nobody named.

    Returns:
        The columns, and column of words -> their names. Spellings that differ in case alone are one
        category.

    Raises:
        DescriptionError: A column has too many categories to be one.
    """
    named = form.missing_codes
    missing = MISSING if named is None else {"", *(spelling(one).casefold() for one in named)}
    columns: dict[str, Float32[ndarray, " row"]] = {}
    groups: dict[str, list[str]] = {}
    for column, cells in words.items():
        written = [spelling(str(cell)) for cell in cells]
        folded = np.asarray([cell.casefold() for cell in written], dtype=object)
        known = np.asarray([cell not in missing for cell in folded], bool)
        unnamed = sum(cell in missing and cell != "" for cell in folded)
        if said is not None and named is None and unnamed:
            said.missing_words[column] = unnamed
        shown: dict[str, str] = {}
        for text, fold in sorted(zip(written, folded, strict=True)):
            if fold not in missing:
                shown.setdefault(fold, text)
        _require_categories(column, shown, int(known.sum()), name)
        groups[column] = []
        for fold, text in sorted(shown.items()):
            label = f"{column}={text}"
            groups[column].append(label)
            columns[label] = np.where(known, folded == fold, np.nan).astype(np.float32)
    rows = len(next(iter(words.values()), ()))
    return pd.DataFrame(columns, index=range(rows), dtype=np.float32), groups


def _require_categories(column: str, shown: Mapping[str, str], rows: int, name: str) -> None:
    many = len(shown) > ALWAYS and (len(shown) > MOST or rows < LEAST_CASES * len(shown))
    if many or any(len(text) > LONGEST for text in shown.values()):
        raise DescriptionError(
            f"A column of categories holds at most {MOST} short words that come again, {column!r} "
            f"of {name} has {len(shown)} different ones in {rows} rows: take it out of categories."
        )


def by_name(
    values: Float32[ndarray, "case column"],
    columns: Sequence[str],
    groups: Groups,
    wanted: Sequence[str],
    wanted_groups: Groups,
) -> tuple[Float32[ndarray, "case wanted"], dict[str, int]]:
    """Numbers under other columns: each is found by its name, one that is not there is missing.

    The columns of a category belong together: where the category of a case is known, those that
    nobody here had are 0, and all of them where it is none of the wanted ones.

    Returns:
        The numbers, and column of words -> cases whose category is none of the wanted ones.
    """
    place = {column: number for number, column in enumerate(columns)}
    found = np.full((len(values), len(wanted)), np.nan, np.float32)
    for number, column in enumerate(wanted):
        if column in place:
            found[:, number] = values[:, place[column]]
    unseen: dict[str, int] = {}
    for word, members in wanted_groups.items():
        own = {column.casefold(): place[column] for column in groups.get(word, ())}
        if not own:
            continue
        here = [number for number, column in enumerate(wanted) if column in set(members)]
        known = ~np.isnan(values[:, list(own.values())]).all(axis=1)
        part = np.full((len(values), len(here)), np.nan, np.float32)
        part[known] = 0.0
        for number, at in enumerate(here):
            if wanted[at].casefold() in own:
                part[:, number] = values[:, own[wanted[at].casefold()]]
        other = known & ~(part == 1).any(axis=1)
        found[:, here] = part
        if other.any():
            unseen[word] = int(other.sum())
    return found, unseen


def seen_categories(
    rows: Sequence[Shaped[ndarray, "column"]], columns: Sequence[str], groups: Groups
) -> dict[str, tuple[str, ...]]:
    """Of each column of words the columns in which some row has a 1."""
    place = {column: number for number, column in enumerate(columns)}
    seen = (np.stack(rows) == 1).any(axis=0)
    return {
        word: tuple(column for column in members if seen[place[column]])
        for word, members in groups.items()
    }


def known_categories(
    row: Shaped[ndarray, "column"], columns: Sequence[str], seen: Groups
) -> Float32[ndarray, "column"]:
    """A row in which a column of words whose category no training case had is not measured."""
    place = {column: number for number, column in enumerate(columns)}
    found = np.array(row, dtype=np.float32)
    for members in seen.values():
        own = [place[column] for column in members]
        if not (found[own] == 1).any():
            found[own] = np.nan
    return found


def category_numbers(
    row: Shaped[ndarray, "column"], columns: Sequence[str], seen: Groups
) -> Float32[ndarray, "word"]:
    """Of each column of words the number of its category among those of training cases: `NEW` of
    one that none of them had, `NOT_MEASURED` where the cell is missing.
    """
    place = {column: number for number, column in enumerate(columns)}
    found = np.full(len(seen), NOT_MEASURED, np.float32)
    for number, (word, members) in enumerate(seen.items()):
        every = [place[column] for column in columns if column.startswith(f"{word}=")]
        one = np.asarray(row)[[place[column] for column in members]] == 1
        if one.any():
            found[number] = int(one.argmax())
        elif not np.isnan(np.asarray(row, np.float32)[every]).all():
            found[number] = NEW
    return found
