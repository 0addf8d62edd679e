"""The cases of a warehouse: a key, a subject and a date each, and the columns that come with
them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64
from numpy import ndarray

from mmdiag.errors import UsageError
from mmdiag.readers.moments import read_moment
from mmdiag.readers.tables.delimited import as_description_error
from mmdiag.readers.tables.keys import check_keys, is_plain_key
from mmdiag.sandbox.tables import read_case_cells
from mmdiag.spelling import column_hint

NEEDED: Final = ("case_id", "subject_id", "as_of")
WHOLE: Final = re.compile(r"0|-?[1-9]\d{0,17}")
SHOWN = 5  # lines named in one message


@dataclass(frozen=True, slots=True)
class EventCases:
    """Cases, in the order of their table.

    Args:
        table: All columns as text, as they are.
        subject: The subject's number in the warehouse.
        utc_us: `as_of` in microseconds since 1970 in UTC; a date without a time is the beginning of
            its day, a time without a zone is taken for UTC.
        early_us: The earlier one of that and of its own clock.
        zoned: Whether it says its zone.
    """

    table: pd.DataFrame
    subject: Int64[ndarray, " case"]
    utc_us: Int64[ndarray, " case"]
    early_us: Int64[ndarray, " case"]
    zoned: Bool[ndarray, " case"]


def read_event_cases(file: Path) -> EventCases:
    """Read and check the table of the cases.

    Raises:
        UsageError: A column is missing, a key is there twice or could be a path, a subject is no
            whole number, or a case has no date.
    """
    table = read_case_cells(file)
    for column in NEEDED:
        if column not in table.columns:
            raise UsageError(
                f"The table of cases has the columns {', '.join(NEEDED)}, {file.name} has no "
                f"{column}: {column_hint(column, list(table.columns))}"
            )
    with as_description_error():
        check_keys(table["case_id"].tolist(), file.name)
    return event_cases(table.fillna("").astype(object), file.name)


def event_cases(table: pd.DataFrame, name: str) -> EventCases:
    """Cases of a table of text; raises as `read_event_cases`.

    Args:
        name: Of the table, for messages.
    """
    cases, subjects = table["case_id"].tolist(), table["subject_id"].tolist()
    _refuse(
        [not is_plain_key(case) for case in cases],
        name,
        "case_id must be a plain key without separators or templates",
        "choose another key",
    )
    _refuse(
        [not WHOLE.fullmatch(subject) for subject in subjects],
        name,
        "subject_id must be the whole number that the events have, without zeros before it",
        "write the number of the warehouse",
    )
    moments = [read_moment(text) for text in table["as_of"]]
    _refuse(
        [moment is None for moment in moments],
        name,
        "as_of must be an ISO date (2025-03-02), with or without a time and its zone",
        "write until when each case's events may be known",
    )
    dated = [moment for moment in moments if moment is not None]
    utc = np.array([one.utc_us for one in dated], np.int64)
    return EventCases(
        table,
        np.array([int(subject) for subject in subjects], np.int64),
        utc,
        np.minimum(utc, np.array([one.clock_us for one in dated], np.int64)),
        np.array([one.zone is not None for one in dated], np.bool_),
    )


def _refuse(wrong: Sequence[bool], name: str, rule: str, cure: str) -> None:
    lines = [str(place + 2) for place in np.flatnonzero(wrong)]
    if lines:
        more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        raise UsageError(
            f"{rule}, {name} breaks this in line {', '.join(lines[:SHOWN])}{more}: {cure}."
        )
