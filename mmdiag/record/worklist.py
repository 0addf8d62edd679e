"""What a model has scored of a cohort, and what people said of it, in few columns: what a list of a
hundred thousand cases needs, and no more. Imports no torch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray
from sqlalchemy import Select, Text, cast, func, select

from mmdiag.storage.ledger import Ledger
from mmdiag.storage.ledger_tables import COHORTS, PREDICTIONS, QUARANTINE
from mmdiag.storage.record_tables import LABELS_SEEN, MODELS, REVIEWS
from mmdiag.task import Task

SCORED = ["case_id", "version", "as_of", "role", "predicted", "share", "sure", "abstained"]
SCORED += ["because", "modalities", "scored_at"]
REVIEWED = ["case_id", "verdict", "label", "reason", "by", "at", "version", "bundle_id"]


def states_of(ledger: Ledger, cohort: str = "") -> dict[str, str]:
    """Model -> its state, of one cohort or of all."""
    query = select(MODELS.c.bundle_id, MODELS.c.state)
    if cohort:
        query = query.where(MODELS.c.cohort == cohort)
    return {str(row["bundle_id"]): str(row["state"]) for row in ledger.rows(query, MODELS)}


def last_scored_by(ledger: Ledger, cohort: str) -> str | None:
    """The model that gave the newest answer for a cohort; None where none did."""
    newest = func.max(PREDICTIONS.c.scored_at).label("at")
    query = (
        select(PREDICTIONS.c.bundle_id, newest)
        .where(PREDICTIONS.c.cohort == cohort)
        .group_by(PREDICTIONS.c.bundle_id)
    )
    rows = ledger.rows(query, PREDICTIONS)
    return str(max(rows, key=lambda row: row["at"] or "")["bundle_id"]) if rows else None


def scored_stamp(ledger: Ledger, cohort: str, bundle_id: str) -> int:
    """What changes once a model has scored more of a cohort: how many answers it gave. Counted in
    the index, since it is asked for at each look.
    """
    query = select(func.count()).where(
        PREDICTIONS.c.bundle_id == bundle_id, PREDICTIONS.c.cohort == cohort
    )
    rows = ledger.rows(query, PREDICTIONS)
    return int(next(iter(rows[0].values()))) if rows else 0


def scored_cases(
    ledger: Ledger,
    cohort: str,
    bundle_id: str,
    task: Task,
    versions: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """One row a case that a model has scored: its answer for the case as it is now, else the last.

    Args:
        versions: Case -> its version now: one whose files came back as they were before has an
            answer that is not its newest.

    Returns:
        The columns SCORED: `share` is the probability of the outcome, of classes or labels the
        largest; `sure` how far the answer is from another one; `because` why there is none;
        `modalities` JSON, since few patterns of many cases differ.
    """
    table = PREDICTIONS.c
    names = ("case_id", "version", "as_of", "role", "predicted", "abstained", "scored_at")
    answers = [table.answers[name].as_float().label(name) for name in task.probability_columns]
    query = (
        select(
            *(table[name] for name in names),
            cast(table.modalities, Text).label("modalities"),
            table.contributions["abstained_because"].as_string().label("because"),
            *answers,
        )
        .where(table.bundle_id == bundle_id, table.cohort == cohort)
        .order_by(table.case_id, table.scored_at)
    )
    columns = [*names, "modalities", "because", *task.probability_columns]
    found = pd.DataFrame(map(tuple, _rows(ledger, query)), columns=columns)
    of_now = found["version"] == found["case_id"].map(versions or {})
    found = found.loc[of_now.sort_values(kind="stable").index]
    found = found.drop_duplicates("case_id", keep="last").sort_values("case_id", ignore_index=True)
    values = found[task.probability_columns].to_numpy(float)
    found = found.assign(
        share=values.max(axis=1),
        sure=_sure(values, task),
        abstained=found["abstained"].fillna(False).astype(bool),
        because=found["because"].fillna(""),
        as_of=pd.to_datetime(found["as_of"]),
    )
    return found[SCORED]


def _rows(ledger: Ledger, query: Select[Any]) -> Sequence[Any]:
    """The rows as they come: a mapping for each of a hundred thousand costs seconds."""
    if not _any_scored(ledger):
        return ()
    with ledger.engine.connect() as connection:
        return connection.execute(query).all()


def _any_scored(ledger: Ledger) -> bool:
    """Whether anything was ever scored."""
    return bool(ledger.rows(select(PREDICTIONS.c.case_id).limit(1), PREDICTIONS))


def _sure(values: Float[ndarray, "case answer"], task: Task) -> Float[ndarray, "case"]:
    """Of classes that rule each other out the largest share, else the answer nearest to a turn."""
    if task.kind == "multiclass":
        largest: ndarray = values.max(axis=1)
        return largest
    nearest: ndarray = np.abs(values - task.threshold).min(axis=1)
    return nearest


def review_stamp(ledger: Ledger, cohort: str) -> int:
    """What changes once somebody has said more of a cohort's answers."""
    query = select(func.max(REVIEWS.c.id)).where(REVIEWS.c.cohort == cohort)
    rows = ledger.rows(query, REVIEWS)
    return int(next(iter(rows[0].values())) or 0) if rows else 0


def newest_reviews(ledger: Ledger, cohort: str, bundle_id: str) -> pd.DataFrame:
    """The columns REVIEWED: what was said last of each answer that a model gave for a cohort, a row
    a case and version; what is said of another model's is no word on it.
    """
    newest = (
        select(func.max(REVIEWS.c.id))
        .where(REVIEWS.c.cohort == cohort, REVIEWS.c.bundle_id == bundle_id)
        .group_by(REVIEWS.c.case_id, REVIEWS.c.version)
    )
    query = select(*(REVIEWS.c[name] for name in REVIEWED)).where(REVIEWS.c.id.in_(newest))
    rows = ledger.rows(query, REVIEWS)
    return pd.DataFrame([tuple(row.values()) for row in rows], columns=REVIEWED)


def reviews_of(ledger: Ledger, cohort: str, case_id: str) -> list[dict[str, Any]]:
    """All that was said of a case, the newest first."""
    query = (
        select(*(REVIEWS.c[name] for name in REVIEWED))
        .where(REVIEWS.c.cohort == cohort, REVIEWS.c.case_id == case_id)
        .order_by(REVIEWS.c.id.desc())
    )
    return [{str(k): v for k, v in row.items()} for row in ledger.rows(query, REVIEWS)]


def refused_modalities(
    ledger: Ledger, cohort: str, case_ids: Sequence[str]
) -> set[tuple[str, str]]:
    """(case_id, modality) of what is in quarantine of some cases."""
    query = select(QUARANTINE.c.case_id, QUARANTINE.c.modality).where(
        QUARANTINE.c.cohort == cohort, QUARANTINE.c.case_id.in_(list(case_ids))
    )
    return {(row["case_id"], row["modality"]) for row in ledger.rows(query, QUARANTINE)}


def outcome_stamp(ledger: Ledger, cohort: str) -> tuple[Any, ...]:
    """What changes once something that was predicted of a cohort can be judged anew: an answer, a
    label, the state of a model, or what the cohort says, such as whose a case is.
    """
    seen, models = LABELS_SEEN.c, MODELS.c
    queries = (
        (select(func.count()).where(PREDICTIONS.c.cohort == cohort), PREDICTIONS),
        (
            select(func.count(), func.max(seen.first_seen), func.max(seen.changed_at)).where(
                seen.cohort == cohort
            ),
            LABELS_SEEN,
        ),
        (select(func.count(), func.max(models.since)).where(models.cohort == cohort), MODELS),
        (select(COHORTS.c.hash).where(COHORTS.c.name == cohort), COHORTS),
    )
    found = [ledger.rows(query, table) for query, table in queries]
    return tuple(tuple(rows[0].values()) if rows else () for rows in found)
