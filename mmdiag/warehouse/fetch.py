"""Event tables of a data warehouse as a cohort folder: the cases, a table of what was known of each
before its date, what its codes are called, and a cohort.toml to edit.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from mmdiag.errors import UsageError
from mmdiag.exchange.own_folder import SUMMARY, require_own_folder
from mmdiag.readers.events.rows import ARRAYS, EventRows
from mmdiag.sandbox.tables import read_events
from mmdiag.storage.tables import write_parquet
from mmdiag.warehouse.accounting import Account, row_of
from mmdiag.warehouse.cases import NEEDED, EventCases, read_event_cases
from mmdiag.warehouse.sources import EventSource, meds_source, omop_source
from mmdiag.warehouse.summary import OUTCOMES, Summary, summarise
from mmdiag.workspace import write_text

SOURCES: Final[Mapping[str, Callable[[Path], EventSource]]] = {
    "meds": meds_source,
    "omop": omop_source,
}
LEAST_SHARE: Final = 0.05
SHOWN: Final = 8  # columns named in a comment


def fetch_events(
    standard: str, folder: Path, subjects: Path, out: Path, *, least_share: float = LEAST_SHARE
) -> dict[str, Any]:
    """Turn a warehouse into a cohort folder; a repeat replaces all but a cohort.toml that is there.

    Args:
        standard: `meds` or `omop`.
        folder: Where its tables lie.
        subjects: Table of the cases: case_id, subject_id, as_of, and columns that are kept.
        out: Folder; created if missing.
        least_share: Share of the subjects, from 0 to 1, that must have a code.

    Returns:
        Counts of what was written, and of every event by outcome.

    Raises:
        UsageError: The folder or the cases are not what they should be, `out` holds something else,
            or no code is had by enough subjects; nothing was written.
    """
    require_own_folder(out)
    source = SOURCES[standard](folder)
    cases = read_event_cases(subjects)
    wanted = np.unique(cases.subject).tolist()
    parts = [(kind, read_events(file, standard, kind, wanted)) for file, kind in source.files]
    events = joined([part for _, part in parts])
    summary = summarise(events, cases, least_share)
    account = account_of(parts, summary)
    if summary.codes.empty:
        raise UsageError(_no_code(source, account, least_share))
    names = source.described(summary.codes["code"].tolist())
    answer = {
        "cases": len(cases.subject),
        "subjects": len(wanted),
        "subjects_without_events": len(wanted) - len(np.unique(events.subject)),
        "cases_without_events": list(summary.without),
        "least_share": least_share,
        "codes": len(summary.codes),
        "rare_codes": summary.rare,
        "columns": summary.table.shape[1] - 1,
        "static": summary.static,
        **source.facts,
        "events": account,
    }
    _write(out, cases, summary, names, _cohort_toml(out, source, cases, summary, least_share))
    write_text(out / SUMMARY, json.dumps(answer, indent=1))
    return answer


def joined(parts: Sequence[EventRows]) -> EventRows:
    """Events of several files behind one another, their codes under common numbers."""
    codes: dict[str, int] = {}
    numbers = [
        np.array([codes.setdefault(code, len(codes)) for code in part.codes] or [0], np.int32)
        for part in parts
    ]
    arrays = {
        name: np.concatenate([np.empty(0, kind), *(getattr(part, name) for part in parts)])
        for name, kind in ARRAYS.items()
        if name != "code"
    }
    arrays["code"] = np.concatenate(
        [
            np.empty(0, np.int32),
            *(number[part.code] for number, part in zip(numbers, parts, strict=True)),
        ]
    )
    read = sum(part.read for part in parts)
    return EventRows(**arrays, codes=list(codes), left_out={}, read=read)


def account_of(parts: Sequence[tuple[str, EventRows]], summary: Summary) -> Account:
    """What became of the events of each table; in = used + left out, always."""
    account: Account = {}
    begin = 0
    for kind, part in parts:
        outcome = summary.outcome[begin : begin + len(part.subject)]
        begin += len(part.subject)
        counts = dict(zip(OUTCOMES, np.bincount(outcome, minlength=len(OUTCOMES)), strict=True))
        used = int(counts.pop("used"))
        left_out = {why: int(count) for why, count in (*part.left_out.items(), *counts.items())}
        if kind in account:
            before = account[kind]
            used += before["used"]
            for why, count in before["left_out"].items():
                left_out[why] = left_out.get(why, 0) + count
        read = part.read + (account[kind]["in"] if kind in account else 0)
        account[kind] = row_of(read, used, left_out)
    return account


def _no_code(source: EventSource, account: Account, least_share: float) -> str:
    reasons = sorted({why for row in account.values() for why in row["left_out"]})
    return (
        f"A table modality has columns, no code of {source.folder} was recorded before their dates "
        f"for at least {least_share:.3g} of the subjects (left out: "
        f"{', '.join(reasons) or 'nothing'}): correct the cases or lower --least-share."
    )


def _write(
    out: Path, cases: EventCases, summary: Summary, names: Mapping[str, str], description: str
) -> None:
    write_text(out / SUMMARY, "{}")  # a run that is cut short can be repeated
    table = cases.table
    write_text(out / "cases.csv", _csv(list(table.columns), table.to_numpy().tolist()))
    write_parquet(out / "events.parquet", summary.table)
    codes: pd.DataFrame = summary.codes.assign(
        code=[_printable(code) for code in summary.codes["code"]],
        description=[_printable(names.get(code, "")) for code in summary.codes["code"]],
    )
    header = ["column", "code", "description", "subjects", "share", "numbers"]
    write_text(out / "codes.csv", _csv(header, codes[header].to_numpy(object).tolist()))
    if not (out / "cohort.toml").exists():
        write_text(out / "cohort.toml", description)


def _printable(text: str) -> str:
    """A code may hold anything, what a table may not hold, too."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def _cohort_toml(
    out: Path, source: EventSource, cases: EventCases, summary: Summary, least_share: float
) -> str:
    """The description of what was written."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", out.resolve().name).strip("-.")[:60] or source.standard
    others = [json.dumps(column) for column in cases.table.columns if column not in NEEDED]
    shown = ", ".join(others[:SHOWN]) or "a column that you add to cases.csv"
    static = (
        f"\n# {summary.static} events have no time (static): they count as always known."
        if summary.static
        else ""
    )
    return f"""\
# Written by `mmdiag fetch {source.standard}`: read it, correct it, then run `mmdiag ingest \
--cohort` with it.
[cohort]
name = "{name}"
root = "."                           # all paths below are relative to this folder

[cases]                              # one row a case
table = "cases.csv"
case_id = "case_id"
subject_id = "subject_id"            # all cases of a person share one part of the split
as_of = "as_of"                      # only what was recorded before it is in events.parquet

[task]
kind = "binary"                      # without a label the cohort is scored, never trained on
# label = "..."                      # of cases.csv: {shown}
# positive = "1"

# {len(summary.codes)} codes that at least {least_share:.3g} of the subjects have before the dates \
of their cases;
# codes.csv says what each is called. {summary.rare} that fewer have are left out \
(--least-share).{static}
[modalities.events]
kind = "table"
path = "events.parquet"
key = "case_id"
missing_codes = []                   # what was not measured is empty: no count or day is a code
"""
