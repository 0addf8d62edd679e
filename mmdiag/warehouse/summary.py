"""Columns of each case's events: the latest value, mean, least, greatest, count, and days since the
latest, of every code that enough subjects have; nothing at or after the case's date.

Peak memory is about 180 bytes an event of the cases' subjects (2 million: 0.35 GB), and the table
itself; with what the files' readers answered, about 270.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64
from numpy import ndarray

from mmdiag.readers.events.cells import DAY_US
from mmdiag.readers.events.rows import STATIC, EventRows
from mmdiag.warehouse.cases import EventCases

OF_NUMBERS: Final = ("latest", "mean", "least", "greatest")
OF_EVENTS: Final = ("count", "days_since")
UNSAFE: Final = re.compile(r"[^A-Za-z0-9_./:%+=-]+")
LONGEST: Final = 80  # letters of a code in a column's name
HASH: Final = 12  # hexadecimal digits that tell codes apart whose names would be one
USED, AFTER, RARE, DUPLICATE = 0, 1, 2, 3  # outcomes of an event
OUTCOMES: Final = ("used", "after_as_of", "rare", "duplicate")


@dataclass(frozen=True, slots=True)
class Summary:
    """What the events say of each case.

    Args:
        table: One row a case, in their order: case_id and `CODE.latest` and so on; NaN = not
            measured, a count of 0 = nothing.
        codes: One row a code that has columns: code, column (what its columns begin with), subjects
            and share (those that have it), numbers (whether it has values).
        outcome: Of each event, a place in OUTCOMES.
        rare: Codes that too few subjects have.
        without: Cases of which no event is used.
        static: Events without a time that are used.
    """

    table: pd.DataFrame
    codes: pd.DataFrame
    outcome: Int64[ndarray, " event"]
    rare: int
    without: Sequence[str]
    static: int


def summarise(events: EventRows, cases: EventCases, least_share: float) -> Summary:
    """Bring the events of each case that were recorded before its date to columns.

    Args:
        events: Of all tables, each in the order of its file: of two at one time the later row is
            the latest.
        least_share: Share of the subjects, from 0 to 1, that must have a code.
    """
    facts = pd.DataFrame(
        {"subject": events.subject, "utc": events.utc_us, "zoned": events.zoned}
        | {"code": events.code, "number": events.number, "text": events.text_hash}
    )
    outcome = np.where(facts.duplicated().to_numpy(), DUPLICATE, AFTER).astype(np.int64)
    facts = facts.drop(columns=["text", "zoned"])
    order = np.argsort(events.utc_us, kind="stable")
    order = order[outcome[order] != DUPLICATE]
    parts = []
    for case in _rounds(cases.subject):
        mine = _case_of(events.subject[order], cases.subject, case)
        here = order[mine >= 0]
        before = is_before(events, here, cases, mine[mine >= 0])
        rows, of_case = here[before], mine[mine >= 0][before]
        outcome[rows] = USED
        parts.append(_grouped(facts.iloc[rows], of_case))
    groups = pd.concat(parts, ignore_index=True)
    groups["subject"] = cases.subject[groups["case"].to_numpy()]
    n_subjects = len(np.unique(cases.subject))
    having = groups.groupby("code")["subject"].nunique()
    kept = having[having / n_subjects >= least_share]
    used = outcome == USED
    outcome[used & ~np.isin(events.code, kept.index.to_numpy())] = RARE
    codes = _code_table(events.codes, kept, groups, n_subjects)
    with_events = groups.loc[groups["code"].isin(kept.index), "case"].unique()
    keys = cases.table["case_id"]
    return Summary(
        _wide(groups, codes, cases),
        codes.drop(columns="number_of_code"),
        outcome,
        len(having) - len(kept),
        keys[~np.isin(np.arange(len(keys)), with_events)].tolist(),
        int(np.count_nonzero((outcome == USED) & (events.utc_us == STATIC))),
    )


def is_before(
    events: EventRows,
    rows: Int64[ndarray, " row"],
    cases: EventCases,
    case: Int64[ndarray, " row"],
) -> Bool[ndarray, " row"]:
    """Whether events were certainly recorded before the dates of cases.

    Both are compared in UTC, which a time without a zone is taken for; where only one of the two
    says its zone, the event must be before the date on its own clock, too. What has no time is
    always known.

    Args:
        rows: Which events.
        case: Which case each is held against.
    """
    utc, clock, zoned = events.utc_us[rows], events.clock_us[rows], events.zoned[rows]
    limit = np.where(cases.zoned[case] & ~zoned, cases.early_us[case], cases.utc_us[case])
    moment = np.where(zoned & ~cases.zoned[case], np.maximum(utc, clock), utc)
    return np.asarray((utc == STATIC) | (moment < limit), np.bool_)


def column_name(code: str) -> str:
    """What the columns of a code begin with: the code itself, or what of it is safe and a hash of
    it; one code has one name in every cohort.
    """
    if len(code) <= LONGEST and not UNSAFE.search(code):
        return code
    digest = hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()[:HASH]
    return f"{UNSAFE.sub('_', code)[:LONGEST]}~{digest}"


def _rounds(subject: Int64[ndarray, " case"]) -> Iterator[Int64[ndarray, " some"]]:
    """Cases such that each subject has one in a round: the first ones, the second ones ..."""
    turn = pd.Series(subject).groupby(subject).cumcount().to_numpy()
    for number in range(int(turn.max(initial=-1)) + 1):
        yield np.flatnonzero(turn == number)


def _case_of(
    subject: Int64[ndarray, " event"],
    subject_of_case: Int64[ndarray, " case"],
    case: Int64[ndarray, " some"],
) -> Int64[ndarray, " event"]:
    """The case of each event's subject among some; -1 where it has none of them."""
    found = case[np.argsort(subject_of_case[case], kind="stable")]
    sorted_subjects = subject_of_case[found]
    place = np.minimum(np.searchsorted(sorted_subjects, subject), len(found) - 1)
    return np.where(sorted_subjects[place] == subject, found[place], -1)


def _grouped(facts: pd.DataFrame, case: Int64[ndarray, " event"]) -> pd.DataFrame:
    """One row a case and code; `facts` are in the order of time."""
    by = facts.assign(case=case).groupby(["case", "code"], sort=False)
    return by.agg(
        latest=("number", "last"),  # of the numbers that are there
        mean=("number", "mean"),
        least=("number", "min"),
        greatest=("number", "max"),
        count=("code", "size"),
        utc=("utc", "max"),
    ).reset_index()


def _code_table(
    codes: Sequence[str], kept: pd.Series, groups: pd.DataFrame, n_subjects: int
) -> pd.DataFrame:
    numeric = set(groups.loc[groups["latest"].notna(), "code"])
    counts = zip(kept.index.tolist(), kept.tolist(), strict=True)
    rows = [
        (codes[number], column_name(codes[number]), count, count / n_subjects, number)
        for number, count in counts
    ]
    names = ["code", "column", "subjects", "share", "number_of_code"]
    table = pd.DataFrame(sorted(rows), columns=names)
    return table.assign(numbers=table["number_of_code"].isin(numeric).to_numpy())


def _wide(groups: pd.DataFrame, codes: pd.DataFrame, cases: EventCases) -> pd.DataFrame:
    """The columns of all codes, those of one behind one another."""
    days = (cases.utc_us[groups["case"].to_numpy()] - groups["utc"].to_numpy()) / DAY_US
    groups = groups.assign(days_since=np.where(groups["utc"] == STATIC, np.nan, days))
    of_code = {int(str(number)): rows for number, rows in groups.groupby("code")}
    columns: dict[str, ndarray] = {"case_id": cases.table["case_id"].to_numpy(object)}
    for code in codes.itertuples():
        rows = of_code[int(str(code.number_of_code))]
        for name in (*OF_NUMBERS, *OF_EVENTS) if code.numbers else OF_EVENTS:
            if name == "days_since" and rows[name].isna().all():  # of a code that is static
                continue
            empty = 0 if name == "count" else np.nan
            kind = np.int32 if name == "count" else np.float32
            column = np.full(len(cases.subject), empty, kind)
            column[rows["case"].to_numpy()] = rows[name].to_numpy(kind)
            columns[f"{code.column}.{name}"] = column
    return pd.DataFrame(columns, copy=False)
