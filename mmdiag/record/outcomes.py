"""What was predicted before it was known, against what came out.

A prediction counts where it was made before the ledger first saw the label, of a subject outside
the model's training set as the case table names the subject now: two numbers of a patient may have
been joined since. Of several predictions the first one of that model counts. Cases without an
answer count, too: leaving them out would flatter a model that abstains where it is wrong.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from jaxtyping import Float
from numpy import ndarray
from sqlalchemy import distinct, func, select

from mmdiag.cohort.labels import label_values, labelled
from mmdiag.errors import UnknownNameError
from mmdiag.evaluation.judged import Judged
from mmdiag.privacy.subject_keys import workspace_key
from mmdiag.record.labels import class_number, label_columns
from mmdiag.record.model_task import learned_by, task_of
from mmdiag.record.models import list_models
from mmdiag.storage.ledger import Ledger
from mmdiag.storage.ledger_tables import PREDICTIONS, VERDICTS
from mmdiag.storage.record_tables import LABELS_SEEN
from mmdiag.storage.store import Store
from mmdiag.task import Task
from mmdiag.workspace import Workspace

RESAMPLES = 1000
NEW = "new"  # the role of a case whose subject is new to the model
PREDICTED = ("case_id", "subject_id", "version", "abstained", "answers", "scored_at")


def outcomes(ledger: Ledger, workspace: Workspace, cohort: str) -> dict[str, Any]:
    """Hold what was predicted of a cohort against what came out.

    Returns:
        What docs/interface.md 8 says of `outcomes --json`: the champion first, then the newest.

    Raises:
        UnknownNameError: There is no such cohort.
    """
    names = list(ledger.cohorts()["name"])
    if cohort not in names:
        raise UnknownNameError("A cohort", cohort, names)
    asked = Store.described_task(workspace.cohort(cohort))
    scored = _scored(ledger, cohort)
    models = {row["bundle_id"]: row for row in list_models(ledger, cohort)}
    found = []
    for bundle in [*models, *sorted(set(scored) - set(models))]:
        model, task = models.get(bundle, {}), task_of(workspace, bundle, asked)
        same = task.asks_as(asked)
        rows = _known(ledger, workspace, cohort, bundle) if same else []
        known = _frame(rows, task)
        answered = known[~known["abstained"].astype(bool)]
        found.append(
            {
                "bundle_id": bundle,
                "state": model.get("state"),
                "since": model.get("since"),
                "scored": scored.get(bundle, 0),
                "known": len(known),
                "other_classes": sum(_of_another_class(row["value"], task) for row in rows),
                "metrics": _measured(known, task),
                "enough": judged(known, task).enough,
                "answered": {"known": len(answered), "metrics": _measured(answered, task)},
                "promised": model.get("metrics", []),
                "same_question": same,
            }
        )
    return {"cohort": cohort, "models": found}


def known_predictions(
    ledger: Ledger, workspace: Workspace, cohort: str, bundle_id: str, task: Task
) -> pd.DataFrame:
    """The first predictions that a model made of cases whose label came later.

    Returns:
        One row a case: case_id, subject_id, version, abstained, scored_at, first_seen, the
        probability columns of the task, and its newest label as a case table has it; of a class
        that the model does not know there is none.
    """
    return _frame(_known(ledger, workspace, cohort, bundle_id), task)


def _known(
    ledger: Ledger, workspace: Workspace, cohort: str, bundle_id: str
) -> list[Mapping[Any, Any]]:
    columns = [PREDICTIONS.c[name] for name in PREDICTED]
    joined = PREDICTIONS.join(
        LABELS_SEEN,
        (LABELS_SEEN.c.cohort == PREDICTIONS.c.cohort)
        & (LABELS_SEEN.c.case_id == PREDICTIONS.c.case_id),
    )
    query = (
        select(*columns, LABELS_SEEN.c.first_seen, LABELS_SEEN.c.value)
        .select_from(joined)
        .where(PREDICTIONS.c.cohort == cohort, PREDICTIONS.c.bundle_id == bundle_id)
        .where(PREDICTIONS.c.role == NEW, LABELS_SEEN.c.value != "", LABELS_SEEN.c.first_seen != "")
    )
    rows: dict[str, Mapping[Any, Any]] = {}
    for row in ledger.rows(query, LABELS_SEEN):
        other = rows.get(row["case_id"])
        if other is None or _latest(row["scored_at"]) < _latest(other["scored_at"]):
            rows[row["case_id"]] = row
    first = [rows[case] for case in sorted(rows)]
    named = _as_named_now(ledger, cohort, [row for row in first if _before(row)])
    learned, key = learned_by(workspace, bundle_id), workspace_key(workspace.path)
    return [row for row in named if not any(keys.holds(row["subject_id"], key) for keys in learned)]


def _of_another_class(value: str, task: Task) -> bool:
    """Whether a label is of a class that the model does not know, such as one that came since."""
    return task.kind == "multiclass" and class_number(task, json.loads(value)) is None


def _as_named_now(
    ledger: Ledger, cohort: str, rows: list[Mapping[Any, Any]]
) -> list[Mapping[Any, Any]]:
    """Predictions with the subject that the case table names now."""
    query = select(VERDICTS.c.case_id, VERDICTS.c.subject_id).where(VERDICTS.c.cohort == cohort)
    now = {row["case_id"]: row["subject_id"] for row in ledger.rows(query, VERDICTS)}
    return [{**row, "subject_id": now.get(row["case_id"], row["subject_id"])} for row in rows]


def judged(table: pd.DataFrame, task: Task) -> Judged:
    """Rows of `known_predictions` as what a model said and what came out."""
    return Judged(
        task,
        label_values(table, task),
        _probability(table, task),
        table["subject_id"].to_numpy(),
        table["time"].to_numpy(float),
        table["event"].to_numpy(float),
    )


def _before(row: Mapping[Any, Any]) -> bool:
    """Whether a prediction was made before its label was first seen."""
    return _latest(row["scored_at"]) <= datetime.fromisoformat(row["first_seen"])


def _latest(stamp: str) -> datetime:
    """The latest moment that a stamp may mean: one of whole seconds was cut."""
    moment = datetime.fromisoformat(stamp)
    return moment if "." in stamp else moment + timedelta(seconds=1)


def _frame(rows: list[Mapping[Any, Any]], task: Task) -> pd.DataFrame:
    kept = [name for name in (*PREDICTED, "first_seen") if name != "answers"]
    facts = pd.DataFrame([{name: row[name] for name in kept} for row in rows], columns=kept)
    answers = pd.DataFrame([row["answers"] for row in rows])
    answers = answers.rename(columns={str(c): _as_spelled(str(c), task) for c in answers}).reindex(
        columns=task.probability_columns, fill_value=0.0
    )
    labels = label_columns([row["value"] for row in rows], task)
    table = pd.concat([facts, answers.astype(float), labels], axis=1)
    can_be_judged = labelled(table, task.kind) & answers.notna().all(axis=1).to_numpy()
    return table[can_be_judged].reset_index(drop=True)


def _as_spelled(column: str, task: Task) -> str:
    """A column of answers as a task names it, whose classes may be spelled otherwise since."""
    number = class_number(task, column.removeprefix("probability_"))
    several = task.kind == "multiclass" and number is not None
    return task.probability_columns[number or 0] if several else column


def _probability(table: pd.DataFrame, task: Task) -> Float[ndarray, "case *class"]:
    values = table[task.probability_columns].to_numpy(float)
    return values if values.shape[1] > 1 else values[:, 0]


def _measured(table: pd.DataFrame, task: Task) -> list[dict[str, Any]]:
    return judged(table, task).measure(RESAMPLES) if len(table) else []


def _scored(ledger: Ledger, cohort: str) -> dict[str, int]:
    """Model -> how many cases of role `new` it has scored."""
    count = func.count(distinct(PREDICTIONS.c.case_id)).label("count")
    query = (
        select(PREDICTIONS.c.bundle_id, count)
        .where(PREDICTIONS.c.cohort == cohort, PREDICTIONS.c.role == NEW)
        .group_by(PREDICTIONS.c.bundle_id)
    )
    return {str(row["bundle_id"]): int(row["count"]) for row in ledger.rows(query, PREDICTIONS)}
