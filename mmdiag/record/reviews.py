"""What people say of answers: agree, override with a label, flag. Rows are only ever added, the
newest counts. The command line and the dashboard both come here.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select

from mmdiag.cohort.labels import labelled
from mmdiag.errors import UnknownNameError, UsageError
from mmdiag.record.labels import class_number
from mmdiag.record.model_task import task_of
from mmdiag.record.models import champion_of
from mmdiag.roles import OPERATOR, require_role, system_user
from mmdiag.spelling import may_be_printed
from mmdiag.storage.audit.chain import now
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.ledger_tables import COHORTS, PREDICTIONS, VERDICTS
from mmdiag.storage.record_tables import REVIEWS
from mmdiag.storage.store import Store
from mmdiag.task import NOTHING, Task
from mmdiag.workspace import Workspace

AGREE, OVERRIDE, FLAG = REVIEW_VERDICTS = ("agree", "override", "flag")
SHOWN = ("case_id", "cohort", "bundle_id", "verdict", "label", "reason", "by", "at")
LONGEST = 2000  # letters of a reason
SURVIVAL = ("event", "no event")
RULE = "A review answers a case that was scored"


def record_review(
    ledger: Ledger,
    workspace: Workspace,
    case_id: str,
    verdict: str,
    reason: str,
    *,
    label: str = "",
    by: str = "",
    cohort: str = "",
    seen: tuple[str, str] | None = None,
    role: str = OPERATOR,
    since: datetime | None = None,
) -> dict[str, Any]:
    """Add a review of a case's answer, and its row of the audit, in one transaction. The same said
    twice in a row by the same person is said once.

    Args:
        verdict: `agree`, `override` or `flag`.
        label: Of `override`: what it should be, a class of the task; of several labels those that
            are there, with commas between them, or `none of the labels`.
        by: Who says so; default: the user of the system.
        cohort: Its name, where several cohorts have the case's key.
        seen: Bundle and version of the answer that was looked at; default: the champion's.
        role, since: Of who says so: `reviewer` or more, and when they logged in; see
            `mmdiag.roles.require_role`.

    Returns:
        The review, as `reviews` lists it.

    Raises:
        UsageError: The case is not known or not scored, the label is none of the task, there is no
            reason, or the role may not.
    """
    require_role(role, "review", since)
    if verdict not in REVIEW_VERDICTS:
        raise UnknownNameError("A verdict", verdict, REVIEW_VERDICTS)
    said = _reason(reason)
    answer = _answer(ledger, case_id, cohort, seen)
    asked = Store.described_task(workspace.cohort(answer["cohort"]))
    task = reviewed_task(asked, task_of(workspace, answer["bundle_id"], asked))
    row = {name: answer[name] for name in ("cohort", "case_id", "version", "bundle_id")}
    row |= {"verdict": verdict, "label": _label(task, verdict, label.strip()), "reason": said}
    row |= {"by": by or system_user(), "at": now()}
    with ledger.writing() as connection:
        of_case = (REVIEWS.c.cohort == row["cohort"], REVIEWS.c.case_id == case_id)
        newest = select(REVIEWS).where(*of_case).order_by(REVIEWS.c.id.desc()).limit(1)
        before = connection.execute(newest).mappings().first()
        if before is not None and all(before[k] == v for k, v in row.items() if k != "at"):
            return _shown(before)
        connection.execute(insert(REVIEWS), [row])
        facts = {key: value for key, value in row.items() if key not in ("by", "at")}
        ledger.audit(connection, "review", facts, row["by"])
    return _shown(row)


def list_reviews(ledger: Ledger, cohort: str | None = None) -> list[dict[str, Any]]:
    """Every review in the order in which it was given, of one cohort or of all."""
    query = select(REVIEWS).order_by(REVIEWS.c.id)
    if cohort:
        query = query.where(REVIEWS.c.cohort == cohort)
    return [_shown(row) for row in ledger.rows(query, REVIEWS)]


def reviewed_versions(ledger: Ledger, cohort: str) -> frozenset[tuple[str, str]]:
    """case_id and version of the cases of a cohort that have a review."""
    query = select(REVIEWS.c.case_id, REVIEWS.c.version).where(REVIEWS.c.cohort == cohort)
    return frozenset(
        (str(row["case_id"]), str(row["version"])) for row in ledger.rows(query, REVIEWS)
    )


def record_view(
    ledger: Ledger, cohort: str, case_id: str, by: str = "", *, role: str = OPERATOR
) -> None:
    """Record that somebody looked at a case.

    Raises:
        UsageError: The role may not.
    """
    require_role(role, "view")
    with ledger.writing() as connection:
        ledger.audit(connection, "view", {"cohort": cohort, "case_id": case_id}, by)


def reviewed_task(cohort: Task, model: Task) -> Task:
    """The task whose classes a review names: the cohort's, and the model's where the cohort is only
    scored and has none.
    """
    return cohort if labels_of(cohort) else model


def labels_of(task: Task) -> list[str]:
    """What an override may say: the values of the task's label, as the case table or as predictions
    name them.
    """
    if task.survival:
        return list(SURVIVAL)
    if task.multilabel:
        return list(task.labels)
    return list(dict.fromkeys([*task.class_names, *task.classes]))


def labels_by_review(ledger: Ledger, store: Store) -> dict[str, int]:
    """What the newest review of each case without a recorded label says that it is: the class of an
    override, or that of the answer that was agreed with. A review of files that have changed since,
    a flag, and agreement with no answer say nothing.

    Returns:
        Case -> number of its class.

    Raises:
        UsageError: A review of this task names no class.
    """
    task = store.task
    if task.kind not in ("binary", "multiclass"):
        raise UsageError(
            f"A review is a label where it names the class, that of a {task.kind} task does not: "
            "set reviews_are_labels: false in the plan."
        )
    cohort = store.folder.name
    query = select(REVIEWS).where(REVIEWS.c.cohort == cohort).order_by(REVIEWS.c.id)
    newest = {row["case_id"]: row for row in ledger.rows(query, REVIEWS)}
    unknown = store.cases[~labelled(store.cases, task.kind)]
    found = {}
    for case, version in zip(unknown["case_id"], unknown["version"], strict=True):
        review = newest.get(case)
        if review is None or review["version"] != version:
            continue
        number = _class_of(ledger, task, review)
        if number is not None:
            found[str(case)] = number
    return found


def _class_of(ledger: Ledger, task: Task, review: Mapping[Any, Any]) -> int | None:
    """The number of the class that a review names; None = none."""
    if review["verdict"] == OVERRIDE:
        return _number(task, str(review["label"]))
    if review["verdict"] != AGREE:
        return None
    keys = ("cohort", "case_id", "version", "bundle_id")
    query = select(PREDICTIONS).where(*(PREDICTIONS.c[name] == review[name] for name in keys))
    for row in ledger.rows(query, PREDICTIONS):
        return None if row["abstained"] else _number(task, str(row["predicted"]))
    return None


def _number(task: Task, label: str) -> int | None:
    """The number of a class by its name in predictions or in the case table, as it was when it was
    named; None where the cohort has it no longer.
    """
    number = class_number(task, label)
    if number is not None:
        return number
    return 0 if task.kind == "binary" and label in task.class_names else None


def _shown(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: row[name] for name in SHOWN}


def _reason(reason: str) -> str:
    said = reason.strip()
    if not said:
        raise UsageError("A review has a reason, none is given: say why by --reason.")
    if len(said) > LONGEST:
        raise UsageError(
            f"The reason of a review has at most {LONGEST} letters, this one has {len(said)}: "
            "say it in fewer."
        )
    if any(not letter.isprintable() and letter != "\n" for letter in said):
        raise UsageError(
            "The reason of a review is text, this one holds control characters: leave them out."
        )
    return said


def _label(task: Task, verdict: str, label: str) -> str:
    known = labels_of(task)
    if verdict != OVERRIDE:
        if label:
            raise UsageError(
                f"Only `override` says what the label should be, the verdict is {verdict}: leave "
                "--label out, or override."
            )
        return ""
    if not label:
        raise UsageError("An override says what the label should be: name it by --label.")
    found = _several(known, label) if task.multilabel else label
    if found not in known and not (task.multilabel and found):
        named = f"one of {', '.join(known)}" if may_be_printed(known) else f"of {len(known)}"
        those = f", several of them with commas between, or {NOTHING}" if task.multilabel else ""
        raise UsageError(
            f"The label of an override is a class of the task, this one is none: it is {named}"
            f"{those}."
        )
    return found


def _several(known: list[str], given: str) -> str:
    """Those of several labels that are there, as predictions write them; empty where one of what
    is given is none.
    """
    if given == NOTHING or given in known:
        return given
    named = {name.strip() for name in given.split(",")}
    return ", ".join(name for name in known if name in named) if named <= set(known) else ""


def _answer(
    ledger: Ledger, case_id: str, cohort: str, seen: tuple[str, str] | None
) -> dict[str, Any]:
    """The prediction that is answered: the champion's, else the newest of the case."""
    rows = _predictions(ledger, case_id, cohort)
    if seen is not None:
        rows = [row for row in rows if (row["bundle_id"], row["version"]) == seen]
    cohorts = sorted({row["cohort"] for row in rows})
    if len(cohorts) > 1:
        raise UsageError(
            f"{RULE}, the cohorts {' and '.join(cohorts)} both have the key {case_id}: name one by "
            "--cohort."
        )
    if not rows:
        raise UsageError(_no_answer(ledger, case_id, cohort))
    champion = champion_of(ledger, cohorts[0])
    return max(rows, key=lambda row: (row["bundle_id"] == champion, row["scored_at"] or ""))


def _predictions(ledger: Ledger, case_id: str, cohort: str) -> list[dict[str, Any]]:
    names = ("cohort", "case_id", "version", "bundle_id", "scored_at")
    query = select(*(PREDICTIONS.c[name] for name in names)).where(PREDICTIONS.c.case_id == case_id)
    if cohort:
        query = query.where(PREDICTIONS.c.cohort == cohort)
    return [dict(row) for row in ledger.rows(query, PREDICTIONS)]


def _no_answer(ledger: Ledger, case_id: str, cohort: str) -> str:
    known = select(VERDICTS.c.cohort).where(VERDICTS.c.case_id == case_id)
    if cohort:
        known = known.where(VERDICTS.c.cohort == cohort)
        named = select(COHORTS.c.name).where(COHORTS.c.name == cohort)
        if not ledger.rows(named, COHORTS):
            return f"{RULE}, {cohort!r} is no cohort here: `mmdiag status` lists them."
    if ledger.rows(known, VERDICTS):
        return f"{RULE}, {case_id} has not been: score it first (`mmdiag score`)."
    return f"{RULE}, {case_id!r} is not known: name a case key of the case table."
