"""`erase_person`: a person taken out of everything that a workspace keeps. What is begun is noted
until it is done, so that one that was killed is finished by the same command.
"""

import json
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, select, update

from mmdiag.erasure.cohorts import count_less, take_out_of_cohort
from mmdiag.erasure.left import learned_from, mask_logs, still_named
from mmdiag.erasure.runs import take_out_of_explanations, take_out_of_runs
from mmdiag.erasure.whose import cases_of
from mmdiag.errors import MmdiagError
from mmdiag.record.audit import Case, erase, erase_rows
from mmdiag.record.mentions import mentions
from mmdiag.roles import OPERATOR, require_role
from mmdiag.storage.backup import ENDING
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.ledger_tables import COHORTS, QUARANTINE
from mmdiag.workspace import SQLITE, Workspace, sqlite_file, write_text

BEGUN = "erasing.json"  # whose erasure has begun: it goes when that is done
Waiting = Callable[[str], object]


def erase_person(
    workspace: Workspace,
    ledger: Ledger,
    subject_id: str,
    by: str = "",
    *,
    role: str = OPERATOR,
    waiting: Waiting = lambda _: None,
) -> dict[str, Any]:
    """Take a person out of the ledger and its copies, of cohorts, runs, explanations and logs. What
    models have learned stays in their weights, and is said.

    Args:
        waiting: Called with the cohort or run that another process is at work on.

    Returns:
        `rows` of the audit that were emptied, `cases`, `runs` (run -> its cases that were erased),
        `runs_removed` (those that were not done), `models` (that have learned from the person,
        null where the key is missing that tells) and `left`, files of the workspace that name the
        person still.

    Raises:
        UsageError: The workspace knows no case of this person, or the role may not.
        MmdiagError: Somebody reads the ledger all the while.
    """
    require_role(role, "erase")
    cases = cases_of(workspace, ledger, subject_id) | _begun(workspace, subject_id)
    if not cases:
        return {"rows": erase(ledger, subject_id, by, role=role)}  # which says so
    write_text(workspace.path / BEGUN, json.dumps({"subject": subject_id, "cases": sorted(cases)}))
    models = learned_from(workspace, subject_id)
    less = _take_out_of_cohorts(workspace, ledger, cases, subject_id, waiting)
    runs, removed = take_out_of_runs(workspace, cases, lambda: waiting("a run"))
    take_out_of_explanations(workspace, cases)
    keys = [subject_id, *(case for _, case in cases)]
    mask_logs(workspace, mentions(keys))
    rows = erase(ledger, subject_id, by, cases=cases, role=role)
    _count_less(ledger, less)
    _erase_copy(ledger, cases, subject_id)
    if not ledger.compact():
        raise MmdiagError(
            "A ledger is written anew without what was erased, and somebody reads it all the "
            "while: end what is up (`mmdiag down`) and the dashboard, then run the same command "
            "again."
        )
    (workspace.path / BEGUN).unlink()
    return {
        "rows": rows,
        "cases": len(cases),
        "runs": runs,
        "runs_removed": removed,
        "models": models,
        "left": still_named(workspace, cases, subject_id),
    }


def _begun(workspace: Workspace, subject_id: str) -> set[Case]:
    """The cases of an erasure of this person that was not finished."""
    file = workspace.path / BEGUN
    begun = json.loads(file.read_text()) if file.is_file() else {}
    if begun and begun["subject"] != subject_id:
        raise MmdiagError(
            f"One person is erased after the other, and an erasure was not finished: run it again "
            f"for the subject that {file} names."
        )
    return {(cohort, case) for cohort, case in begun.get("cases", ())}


def _take_out_of_cohorts(
    workspace: Workspace,
    ledger: Ledger,
    cases: Collection[Case],
    subject_id: str,
    waiting: Waiting,
) -> dict[str, dict[str, Any]]:
    """Cohort -> what it counts less."""
    query = select(QUARANTINE.c.cohort, QUARANTINE.c.case_id, QUARANTINE.c.modality)
    refused = [tuple(row.values()) for row in ledger.rows(query, QUARANTINE)]
    less = {}
    for name in sorted({cohort for cohort, _ in cases}):
        own = {case for cohort, case in cases if cohort == name}
        of_own = {(case, m) for cohort, case, m in refused if cohort == name and case in own}
        less[name] = take_out_of_cohort(
            workspace, name, own, subject_id, of_own, partial(waiting, name)
        )
    return less


def _count_less(ledger: Ledger, less: dict[str, dict[str, Any]]) -> None:
    """Have the ledger count what its cohorts still hold."""
    with ledger.writing() as connection:
        for name, counts in less.items():
            this = COHORTS.c.name == name
            row = connection.execute(select(COHORTS.c.counts).where(this)).first()
            if row is not None and counts:
                changed = count_less(row.counts or {}, counts["cases"])
                connection.execute(update(COHORTS).where(this).values(counts=changed))


def _erase_copy(ledger: Ledger, cases: Collection[Case], subject_id: str) -> None:
    """Take a person out of the copy that was made of an earlier version's ledger."""
    own = sqlite_file(ledger.url)
    if own is None or not (file := Path(f"{own}{ENDING}")).is_file():
        return
    engine = create_engine(URL.create("sqlite", database=str(file)))
    with engine.begin() as connection:
        erase_rows(connection, cases, subject_id)
    engine.dispose()
    Ledger(f"{SQLITE}{file}").compact()
