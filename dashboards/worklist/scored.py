"""The list of what the champion of a cohort has scored: read once for all readers, ordered, and
filtered.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Bool
from numpy import ndarray

from dashboards import published
from mmdiag.record.worklist import (
    last_scored_by,
    newest_reviews,
    review_stamp,
    scored_cases,
    scored_stamp,
)
from mmdiag.storage.record_tables import CHAMPION
from mmdiag.storage.store import Store
from mmdiag.task import Task

OPEN, FLAGGED, REVIEWED = STATES = ("open", "flagged", "reviewed")  # in the order of the list
STATE_OF = {"flag": FLAGGED, "agree": REVIEWED, "override": REVIEWED}
Stamp = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """What a model has scored of a cohort.

    Args:
        table: One row a case in the order of the list: those that nobody reviewed first, of them
            those without an answer, then the most uncertain; what the model has learned from last.
            Columns of `mmdiag.record.worklist.SCORED`, and site, state, verdict, by, at, and
            older: whether the case has changed since it was answered for.
        stamp: What changes with the answers; not with the reviews.
        task: What the model was asked.
        state: Of the model: it may be that of another cohort.
    """

    bundle_id: str
    task: Task
    table: pd.DataFrame
    stamp: Stamp
    state: str = CHAMPION


@dataclass(frozen=True, slots=True)
class Filters:
    """What is shown of the list; empty = all."""

    state: str = ""
    site: str = ""
    answer: str = ""
    missing: str = ""
    text: str = ""


def champion(cohort: str) -> str | None:
    """The model in use of a cohort."""
    states = published.model_states(cohort)
    return next((bundle for bundle, state in states.items() if state == CHAMPION), None)


def in_use(cohort: str) -> str | None:
    """The champion of a cohort; of one that has no model of its own, such as the new cases of a
    hospital, the model that scored it last.
    """
    if published.model_states(cohort):
        return champion(cohort)
    with published.reading_ledger() as record:
        return last_scored_by(record, cohort) if record is not None else None


def standing(cohort: str, bundle_id: str) -> str:
    """The state of a model as a cohort sees it."""
    own = published.model_states(cohort).get(bundle_id)
    elsewhere = published.state_of(bundle_id)
    return own or " ".join(part for part in (elsewhere, "of another cohort") if part)


def scored(cohort: str, store: Store) -> Scored | None:
    """What the model in use has scored; None where there is none, or it has scored nothing."""
    bundle = in_use(cohort)
    with published.reading_ledger() as record:
        if record is None or bundle is None:
            return None
        given = scored_stamp(record, cohort, bundle)
        answers = (record.url, cohort, bundle, given, *published.state_of_cases(store))
        said, task = review_stamp(record, cohort), published.task_of(bundle, store)
        table = _listed(answers, (*answers, said), store, task)
    state = standing(cohort, bundle)
    return Scored(bundle, task, table, answers, state) if len(table) else None


@st.cache_resource(show_spinner="Reading what was scored", max_entries=4)
def _listed(answers: Stamp, stamp: Stamp, _store: Store, _task: Task) -> pd.DataFrame:
    del stamp
    record = published.ledger()
    assert record is not None
    own = newest_reviews(record, str(answers[1]), str(answers[2]))
    table = ordered(with_reviews(_answers(answers, _store, _task), own))
    # pages look keys up, which strings of Arrow are slow at
    return table.astype({"case_id": object})


@st.cache_resource(show_spinner=False, max_entries=2)
def _answers(stamp: Stamp, _store: Store, _task: Task) -> pd.DataFrame:
    record = published.ledger()
    assert record is not None
    now = dict(zip(_store.cases["case_id"], _store.cases.get("version", ()), strict=False))
    table = scored_cases(record, str(stamp[1]), str(stamp[2]), _task, now)
    sites = _store.cases.set_index("case_id")["site"]
    table = table[table["case_id"].isin(sites.index)].reset_index(drop=True)
    site = table["case_id"].map(sites).astype(object)
    older = [
        now.get(case, version) != version
        for case, version in zip(table["case_id"], table["version"], strict=True)
    ]
    return table.assign(site=site.where(site.notna(), "").astype(str), older=older)


def with_reviews(table: pd.DataFrame, reviews: pd.DataFrame) -> pd.DataFrame:
    """The list with what was said last of each answer: `state`, `verdict`, `by`, `at`. What was
    said of a case whose files have changed since was said of another.
    """
    newest = reviews[["case_id", "version", "verdict", "by", "at"]].astype(object)
    found = table.merge(newest, on=["case_id", "version"], how="left")
    said = found[["verdict", "by", "at"]].astype(object)
    found[["verdict", "by", "at"]] = said.where(said.notna(), "")
    return found.assign(state=found["verdict"].map(STATE_OF).fillna(OPEN))


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order of use."""
    trained = table["role"] == "train"
    order = table["state"].map({name: place for place, name in enumerate(STATES)})
    keys = [table["case_id"].to_numpy(str), table["sure"].to_numpy(float)]
    keys += [~table["abstained"].to_numpy(bool), order.to_numpy(), trained.to_numpy(bool)]
    return table.iloc[np.lexsort(keys)].reset_index(drop=True)


def chosen(table: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """The rows that filters leave."""
    kept: Bool[ndarray, "case"] = np.ones(len(table), bool)
    if filters.state:
        kept &= (table["state"] == filters.state).to_numpy(bool)
    if filters.site:
        kept &= (table["site"] == filters.site).to_numpy(bool)
    if filters.answer:
        kept &= (table["abstained"] == (filters.answer == "none")).to_numpy(bool)
    if filters.missing:
        there = {text: filters.missing in json.loads(text) for text in table["modalities"].unique()}
        kept &= ~table["modalities"].map(there).to_numpy(bool)
    if filters.text:
        case = table["case_id"].str.contains(filters.text.strip(), case=False, regex=False)
        kept &= case.to_numpy(bool)
    return table[kept]


def counts(table: pd.DataFrame) -> Mapping[str, int]:
    """State -> how many cases."""
    found = table["state"].value_counts()
    return {name: int(found.get(name, 0)) for name in STATES}


def sites_of(table: pd.DataFrame) -> Sequence[str]:
    """The sites of the list."""
    return sorted(site for site in table["site"].unique() if site)
