"""The numbers of several files as one table: columns united, one row a key, and what is left out of
it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from jaxtyping import Bool
from numpy import ndarray

from mmdiag.errors import DescriptionError
from mmdiag.readers.tables.categories import one_hot
from mmdiag.readers.tables.form import TableForm
from mmdiag.readers.tables.left_out import EMPTY, MIXED, more_than_few
from mmdiag.readers.tables.missing_codes import coded_cells
from mmdiag.readers.tables.numbers import Numbers, Said

KEY = "case key"  # the column that holds each row's case key


@dataclass(frozen=True, slots=True)
class Part:
    """The numbers of one file: a key for each row.

    Args:
        words: Columns of categories, as text.
        why: Column that holds few numbers -> what it holds instead.
        long: The columns that say what a row measures, and its value, where the table has a row
            a measurement of several kinds; empty where it has a column for each.
    """

    keys: pd.Series
    numbers: Numbers
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)
    long: tuple[str, str] | None = None


def require_wide(parts: Sequence[Part], values: pd.DataFrame, name: str) -> None:
    """Refuse to bring rows of different measurements to one: their mean is none of anything.

    Args:
        values: The rows of all parts.
        name: Of the file, for the message.

    Raises:
        DescriptionError: Several rows of a case measure different things.
    """
    found = next((part.long for part in parts if part.long), None)
    if found is None or not values.index.has_duplicates:
        return
    kind, value = found
    raise DescriptionError(
        f"A table modality has a column for each measurement, {name} has a row for each: its "
        f"column {kind!r} says what {value!r} is. Write it wide, a row a case (pandas: "
        f"pivot_table(index=KEY, columns={kind!r}, values={value!r}))."
    )


def numeric_parts(parts: Sequence[Part], wanted: Collection[str], said: Said) -> list[Part]:
    """Without the columns that hold more than a few cells that are no numbers, and those that are
    empty; the few are missing. `said` names both.
    """
    numbers, wrong, why = Counter[str](), Counter[str](), dict[str, str]()
    for part in parts:
        found = part.numbers
        measured = (~np.isnan(found.values)).sum(axis=1).tolist()
        others = [0] * len(found.names) if found.wrong is None else found.wrong.sum(axis=1).tolist()
        for name, count, other in zip(found.names, measured, others, strict=True):
            numbers[name] += count
            wrong[name] += other
        why |= part.why
    left = {
        name: why.get(name, MIXED) if wrong[name] else EMPTY
        for name in numbers
        if more_than_few(wrong[name], numbers[name]) and name not in wanted
    }
    # what one file left out is no input of another one
    left |= {name: said.left_out[name] for name in numbers if name in said.left_out}
    said.left_out |= left
    said.wrong |= {name: count for name, count in wrong.items() if count and name not in left}
    if not left and not wrong.total():
        return list(parts)
    kept = [only(part.numbers, [n not in left for n in part.numbers.names]) for part in parts]
    return [
        replace(part, numbers=replace(numbers, wrong=None))
        for part, numbers in zip(parts, kept, strict=True)
    ]


def only(numbers: Numbers, kept: Sequence[bool]) -> Numbers:
    """Some of the columns."""
    if all(kept):
        return numbers
    places = np.flatnonzero(kept)
    wrong = None if numbers.wrong is None else numbers.wrong[places]
    return Numbers([numbers.names[place] for place in places], numbers.values[places], wrong)


def united(
    parts: Sequence[Part], form: TableForm, name: str, said: Said
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """The rows of all parts, columns united, and their categories as columns behind them."""
    keys = pd.concat([part.keys for part in parts], ignore_index=True)
    frames = [pd.DataFrame(part.numbers.values.T, columns=part.numbers.names) for part in parts]
    values = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    groups: dict[str, list[str]] = {}
    words = list(dict.fromkeys(word for part in parts for word in part.words))
    if words:
        cells = {
            word: [cell for part in parts for cell in part.words.get(word, [""] * len(part.keys))]
            for word in words
        }
        shown, groups = one_hot(cells, form, name, said)
        values = pd.concat([values, shown], axis=1)
        repeated = values.columns[values.columns.duplicated()].tolist()
        if repeated:
            raise DescriptionError(
                f"A category becomes a column, {repeated[0]!r} of {name} is one already: rename it."
            )
    return values.set_axis(pd.Index(keys, name=KEY, dtype=object)), groups


def one_row_each(
    values: pd.DataFrame,
    refused: dict[str, tuple[str, str]],
    rows: str,
    said: Said,
    equal_rows: Callable[[int], Bool[ndarray, " row"]],
    firsts: Callable[[pd.DataFrame], pd.DataFrame],
) -> pd.DataFrame:
    """One row a key: equal rows are one, of others `rows` says what they mean.

    Args:
        equal_rows: Number of rows -> which of them are there before in every column of the files.
        firsts: The rows -> the first of each key; see `first_of_each`.
    """
    if not values.index.has_duplicates:
        return values
    whole = values
    again = values.index.duplicated(keep=False)
    some = values[again].reset_index()
    equal = some.duplicated().to_numpy()
    if rows == "mean":  # visits may have equal numbers: only rows that are equal in all are one
        equal = equal & equal_rows(len(values))[again]
    if equal.any():
        kept = np.ones(len(values), bool)
        kept[np.flatnonzero(again)[equal]] = False
        said.equal_rows, values = int(equal.sum()), values[kept]
    repeated = values.index[values.index.duplicated()].unique()
    if not len(repeated):
        return values
    if rows == "refuse":
        refused |= {str(case): ("duplicate_row", "several rows that differ") for case in repeated}
    one = values.groupby(level=0, sort=False).mean() if rows == "mean" else firsts(whole)
    return one.astype(np.float32)


def first_of_each(
    values: pd.DataFrame, parts: Sequence[Part], groups: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """The first row of each key. A file without a column says nothing of it: each column is of the
    first row whose file has it, so that files with different columns are joined by key.

    Args:
        values: The rows of all parts, in their order.
        groups: Column of words -> the columns that stand for its categories.
    """
    place = {name: number for number, name in enumerate(values.columns)}
    owners = np.zeros((len(parts), len(place)), bool)
    for number, part in enumerate(parts):
        shown = [column for word in part.words for column in groups.get(word, ())]
        owners[number, [place[name] for name in (*part.numbers.names, *shown)]] = True
    part_of_row = np.repeat(np.arange(len(parts)), [len(part.keys) for part in parts])
    keys, found = values.index.unique(), []
    kinds, kind_of_column = np.unique(owners, axis=1, return_inverse=True)
    for number, owning in enumerate(kinds.T):
        columns = np.flatnonzero(kind_of_column.ravel() == number)
        rows = values.iloc[np.flatnonzero(owning[part_of_row]), columns]
        found.append(rows[~rows.index.duplicated()].reindex(keys))
    return pd.concat(found, axis=1)[list(values.columns)]


def without_codes(values: pd.DataFrame, said: Said, *, counts: bool = False) -> pd.DataFrame:
    """Without the cells that hold a code for what was not measured; `said` counts them."""
    coded = coded_cells(values.to_numpy(dtype=np.float32).T, counts=counts)
    if coded is None:
        return values
    counts_of = zip(values.columns, coded.sum(axis=1).tolist(), strict=True)
    said.coded = {str(column): count for column, count in counts_of if count}
    return values.mask(coded.T)


def wrong_rows(parts: Sequence[Part]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Key -> why its row is refused: it holds cells that are no numbers."""
    for part in parts:
        if part.numbers.wrong is not None:
            counts = part.numbers.wrong.sum(axis=0)
            for row in np.flatnonzero(counts):
                found = (
                    f"{int(counts[row])} cells of {len(part.numbers.names)} are not finite numbers"
                )
                yield str(part.keys.iloc[row]), ("table_value", found)
