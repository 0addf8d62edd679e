"""Columns that tell, or may tell, what is to be predicted: by their names, and by their values
beside the columns that look like labels.
"""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from mmdiag.leakage.label_columns import columns_that_hold, columns_that_hold_times
from mmdiag.spelling import fold

LABEL = r"label\w*|target|outcome\w*|ground truth|gold standard"
END = (
    r"os|dss|dfi|dfs|pfi|pfs|rfs|efs|css|ttp|surviv\w*|death\w*|dead|died|deceased|mortality|vital|"
    r"alive|expired|event\w*|relaps\w*|recurr\w*|progress\w*|new tumou?r\w*|metasta\w*"
)
LATER = (
    rf"{LABEL}|{END}|censor\w*|follow ?ups?|last (?:contact|known|seen|visit)|lost to|time to|"
    r"responses?|responder|remission|residual|(?:tumou?r|cancer|disease) status|cause of|"
    r"treat\w*|\w*therap\w*|chemo\w*|radiation|radio\w*|pharmaceutical|"
    r"discharge\w*|icu|intubat\w*|extubat\w*|readmi\w*|length of stay|los|llm|predict\w*"
)
ADMINISTRATIVE = r"unnamed \d+|index|row|rownames?|train|split|fold|uuid|barcode"
TIME = r"time|times|days?|months?|years?|weeks?|duration"
WIDE = 300  # columns of a table, whose columns are compared with the label alone
FEWEST = 20  # cases, before values prove anything
SAME = 0.97  # share of cases of which a column tells a class
MOST_VALUES = 12  # of a column that is compared as categories
BY_NAME = "named like an outcome, a follow-up or a treatment"
NO_FINDING = "a number of the row, a part of a split or a key, nothing of the patient"


def words_of(name: str) -> str:
    """A column's name as words: `OS.time` -> os time, `daysToDeath` -> days to death."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return " ".join(re.split(r"[^A-Za-z0-9]+", spaced)).strip().lower()


def is_named_like(name: str, pattern: str) -> bool:
    """Whether one of a pattern's words stands in a column's name."""
    return re.search(rf"\b(?:{pattern})\b", words_of(name)) is not None


def excluded_by_name(columns: list[str]) -> dict[str, str]:
    """Columns of an input that are left out for their names -> why."""
    found = {name: BY_NAME for name in columns if is_named_like(name, LATER)}
    return found | {
        name: NO_FINDING
        for name in columns
        if name not in found and re.fullmatch(ADMINISTRATIVE, words_of(name))
    }


def outcome_columns(cases: pd.DataFrame) -> list[str]:
    """Columns of the case table that are labels or tell of the end, by their names."""
    return [name for name in map(str, cases.columns) if is_named_like(name, rf"{LABEL}|{END}")]


def excluded_by_value(table: pd.DataFrame, targets: Mapping[str, pd.Series]) -> dict[str, str]:
    """Columns of an input whose values tell a label -> why.

    Args:
        table: Every cell as text, a row a case, indexed by its key.
        targets: Label or outcome -> its cells, indexed by case; the first is the task's.
    """
    flat = pd.to_numeric(pd.Series(table.to_numpy().ravel()), errors="coerce").to_numpy(float)
    numbers = pd.DataFrame(flat.reshape(table.shape), index=table.index, columns=table.columns)
    narrow = table.shape[1] <= WIDE
    found: dict[str, str] = {}
    for number, (name, target) in enumerate(targets.items()):
        if number and not narrow:
            break
        cells = target[target.index.isin(table.index)]
        cells = cells[(cells != "") & cells.notna()]
        if len(cells) < FEWEST or cells.nunique() < 2:
            continue
        rows = table.loc[cells.index]
        told = [
            *_in_numbers(numbers.loc[cells.index], cells, strictly=not narrow),
            *(column for column in rows if narrow and _tells(rows[column], cells)),
        ]
        found |= {str(column): f"its values tell {name}" for column in told if column not in found}
    return found


def _in_numbers(numbers: pd.DataFrame, cells: pd.Series, *, strictly: bool) -> tuple[str, ...]:
    """Numeric columns that hold the label, order its times, or nearly do.

    Args:
        strictly: Only those that hold it: of thousands of measurements some may tell a disease, and
            `ingest` names them.
    """
    numbers = numbers.loc[:, numbers.notna().any()]
    as_numbers = pd.to_numeric(cells, errors="coerce")
    if as_numbers.notna().all() and as_numbers.nunique() > MOST_VALUES:
        held = columns_that_hold_times(numbers, as_numbers)
    else:
        codes = pd.Series(pd.factorize(cells.map(fold))[0].astype(float), index=cells.index)
        if codes.nunique() > MOST_VALUES:
            return ()
        held = columns_that_hold(numbers, codes)
    return held.same if strictly else (*held.same, *held.ordered, *held.nearly)


def _tells(column: pd.Series, cells: pd.Series) -> bool:
    """Whether categories of a column are, but for few cases, one class each, and all of them."""
    known = column != ""
    if known.sum() < FEWEST:
        return False
    values, classes = column[known].map(fold), cells[known].map(fold)
    if not 2 <= classes.nunique() <= MOST_VALUES or values.nunique() > MOST_VALUES:
        return False
    counts = pd.crosstab(values, classes).to_numpy()
    usual = counts.sum(axis=0).max() / counts.sum()
    told = counts.max(axis=1).sum() / counts.sum()
    back = counts.max(axis=0).sum() / counts.sum()
    return bool(told >= SAME and back >= SAME and usual < SAME - (1 - SAME)) and bool(
        np.count_nonzero(counts.max(axis=0)) > 1
    )
