"""What became of a modality that its arrays do not show: columns and rows that are left out, cells
that are taken for missing, keys that are no case's. Kept beside the cohort, and said.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mmdiag.cohort.case_table import case_table_form
from mmdiag.cohort.presence import Meeting
from mmdiag.description import Description
from mmdiag.readers.tables.numbers import NumericTable
from mmdiag.sandbox.tables import table_remarks
from mmdiag.workspace import write_text

SHOWN = 20  # columns named in one sentence


@dataclass(frozen=True, slots=True)
class TableReport:
    """What became of one modality.

    Args:
        left_out: Column -> why it is no input.
        wrong: Column that nobody named -> cells that are no numbers, and taken for missing.
        coded: Column -> cells that are taken for codes of what was not measured.
        missing_words: Column of categories -> cells such as `None` that are taken for missing.
        equal_rows: Rows that were there before, and count once.
        damaged: Names of genes that a spreadsheet damaged.
        categories: Column of words -> the columns of 0 and 1 that stand for it.
        wanted: Columns that were asked for as numbers, whatever their cells hold.
        strange: Rows whose keys are no case's.
        keyless: Whether rows have no key.
        cause: What probably keeps cases from their keys; empty = nothing that is known.
        apart: Cases that would have a row or a file but for the cause.
        remarks: What a table shows besides its values.
        width: Numbers of a vector of an embedding; 0 = it is none, or not known.
        width_of: What that is true of.
    """

    left_out: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, int] = field(default_factory=dict)
    coded: Mapping[str, int] = field(default_factory=dict)
    missing_words: Mapping[str, int] = field(default_factory=dict)
    equal_rows: int = 0
    damaged: Sequence[str] = ()
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)
    wanted: Sequence[str] = ()
    strange: int = 0
    keyless: bool = False
    cause: str = ""
    apart: int = 0
    remarks: Sequence[str] = ()
    width: int = 0
    width_of: str = ""

    def of_table(self, table: NumericTable, wanted: Sequence[str]) -> "TableReport":
        """The same, with what reading its tables says."""
        said = table.said
        return replace(
            self,
            left_out=said.left_out,
            wrong=said.wrong,
            coded=said.coded,
            missing_words=said.missing_words,
            equal_rows=said.equal_rows,
            damaged=tuple(dict.fromkeys(said.damaged)),
            remarks=tuple(dict.fromkeys(said.remarks)),
            categories=table.categories,
            wanted=tuple(wanted),
        )

    def of_keys(self, met: Meeting) -> "TableReport":
        """The same, with how its keys and the cases met."""
        return replace(
            self, strange=met.strange, keyless=met.keyless, cause=met.cause, apart=met.apart
        )

    def sentences(self) -> list[str]:
        """What people have to know, a sentence each."""
        said = [
            f"left out, because they hold {why}: {_some(names)}"
            for why, names in _by_value(self.left_out).items()
        ]
        if self.wrong:
            cells = [f"{name} ({count})" for name, count in self.wrong.items()]
            said.append(f"cells that are no numbers, taken for missing: {_some(cells)}")
        if self.coded:
            cells = [f"{name} ({count})" for name, count in self.coded.items()]
            said.append(
                "cells taken for missing, because such a number lies far from all others: "
                f"{_some(cells)}; missing_codes in cohort.toml says which numbers are, [] none"
            )
        if self.missing_words:
            cells = [f"{name} ({count})" for name, count in self.missing_words.items()]
            said.append(
                "categories taken for missing, because they read None, NA or the like: "
                f"{_some(cells)}; missing_codes in cohort.toml says which words are, [] none"
            )
        if self.damaged:
            said.append(
                f"names that a spreadsheet turned into dates or numbers: {_some(self.damaged)}; "
                "write the names of the genes again"
            )
        if self.equal_rows:
            said.append(f"rows that stand there twice and count once: {self.equal_rows}")
        if self.strange:
            rows = "1 row meets" if self.strange == 1 else f"{self.strange} rows meet"
            said.append(f"{rows} no case by key, and are not read")
        if self.apart:
            said.append(f"cases that would have a row or a file but for {self.cause}: {self.apart}")
        if self.keyless:
            said.append("rows without a key are not read")
        return [*said, *self.remarks]

    def answer(self) -> dict[str, Any]:
        """What a JSON result shows; empty where there is nothing to say."""
        facts = {
            "left_out": dict(self.left_out),
            "not_numbers": dict(self.wrong),
            "missing_codes": dict(self.coded),
            "missing_words": dict(self.missing_words),
            "damaged_names": list(self.damaged),
            "equal_rows": self.equal_rows,
            "rows_without_case": self.strange,
            "cases_apart": self.apart,
            "remarks": list(self.remarks),
            "width": self.width,
        }
        found = {name: _first(value) for name, value in facts.items() if value}
        said = self.sentences()
        return found | ({"said": said} if said else {})


def write_report(folder: Path, modality: str, report: TableReport) -> None:
    """Keep what became of a modality beside its cohort."""
    write_text(folder / f"reading_{modality}.json", json.dumps(asdict(report), indent=1))


def read_report(folder: Path, modality: str) -> TableReport:
    """What became of a modality; nothing where that was not kept."""
    file = folder / f"reading_{modality}.json"
    return TableReport(**json.loads(file.read_text())) if file.is_file() else TableReport()


def cohort_facts(description: Description, cohort_hash: str) -> dict[str, Any]:
    """Name and hash of a cohort, and what has to be said of its case table."""
    said = table_remarks(description.table, case_table_form(description))
    facts: dict[str, Any] = {"name": description.name, "hash": cohort_hash}
    return facts | ({"said": said} if said else {})


def _by_value(names: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in names.items():
        found.setdefault(value, []).append(name)
    return found


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(name or "(a column without a name)" for name in names[:SHOWN]) + more


def _first(value: Any) -> Any:
    """At most SHOWN of them: the rest is beside the cohort."""
    if isinstance(value, dict):
        return dict(list(value.items())[:SHOWN])
    return value[:SHOWN] if isinstance(value, list) else value


def new_and_gone(before: Collection[tuple[str, str]], manifest: pd.DataFrame) -> tuple[int, int]:
    """How many versions of cases the ledger had not seen, and how many cases that it had seen are
    not there any more.

    Args:
        before: case_id and version of all that it had seen.
        manifest: case_id and version of all that are there now.
    """
    now = list(zip(manifest["case_id"].tolist(), manifest["version"].tolist(), strict=True))
    left = {case for case, _ in before} - {case for case, _ in now}
    return sum(pair not in before for pair in now), len(left)
