"""Which cases of a workspace are a person's."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from sqlalchemy import select

from mmdiag.record.audit import OF_CASES, WITH_SUBJECTS, Case
from mmdiag.storage.ledger import Ledger
from mmdiag.workspace import Workspace

BY_CASE = [table for table in OF_CASES if table not in WITH_SUBJECTS]


def cases_of(workspace: Workspace, ledger: Ledger, subject_id: str) -> set[Case]:
    """The cases of a person, wherever one is named with its subject. A case of which nothing says
    whose it is, as of one that left the case table long ago, is the person's that its key names.
    """
    subjects: dict[Case, set[str]] = {}
    for case, subject in _named_subjects(workspace, ledger):
        subjects.setdefault(case, set()).add(subject)
    found = {case for case, of in subjects.items() if subject_id in of}
    for case in _named_cases(workspace, ledger):
        if case[1] == subject_id and case not in subjects:
            found.add(case)
    return found


def _named_subjects(workspace: Workspace, ledger: Ledger) -> Iterator[tuple[Case, str]]:
    for table in WITH_SUBJECTS:
        query = select(table.c.cohort, table.c.case_id, table.c.subject_id).distinct()
        for row in ledger.rows(query, table):
            yield (row["cohort"], row["case_id"]), str(row["subject_id"])
    tables = [(file.parent.name, file) for file in workspace.path.glob("cohorts/*/cases.parquet")]
    tables += [
        (cohort_of_run(file.parents[1]), file)
        for file in workspace.runs.glob("*/cohort/cases.parquet")
    ]
    for cohort, file in tables:
        cases = pd.read_parquet(file, columns=["case_id", "subject_id"])
        for case, subject in zip(cases["case_id"], cases["subject_id"], strict=True):
            yield (cohort, str(case)), str(subject)


def _named_cases(workspace: Workspace, ledger: Ledger) -> Iterator[Case]:
    for table in BY_CASE:
        for row in ledger.rows(select(table.c.cohort, table.c.case_id).distinct(), table):
            yield row["cohort"], row["case_id"]
    for file in workspace.path.glob("cohorts/*/shards/[!.]*/manifest.parquet"):
        for case in pd.read_parquet(file, columns=["case_id"])["case_id"]:
            yield file.parents[2].name, str(case)


def cohort_of_run(run: Path) -> str:
    """The cohort that a run was made of."""
    try:
        return str(json.loads((run / "run.json").read_text())["cohort"])
    except (OSError, ValueError, KeyError):  # killed before it was laid out
        return ""
