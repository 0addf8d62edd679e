"""The cases that the page of one case can show: what the champion has scored, in the order of the
worklist, then the other cases of the training run; and the answer of each.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float
from numpy import ndarray

from dashboards import published
from dashboards.case_view import Row, case_folder
from dashboards.worklist.scored import Scored, in_use, scored
from mmdiag.inference.prediction_table import interaction_of, named_modalities
from mmdiag.record.worklist import reviews_of
from mmdiag.storage.store import Store
from mmdiag.task import EVEN

MODALITY_FILE = "explanations/modality.parquet"
OF_LEDGER = ("version", "attention", "interaction", "base")
QUEUE, ORDER = "queue", "order"  # of a session: what the worklist shows, and how cases are walked


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """The cases in the order in which they are walked.

    Args:
        scored: What the champion has scored; None where another run was chosen, too.
        folder: Of the chosen run.
        predictions: Of the chosen run, in the order of use.
    """

    order: list[str]
    scored: Scored | None
    folder: Path | None
    predictions: pd.DataFrame

    def silent(self) -> set[str]:
        """Cases without an answer."""
        own = self.predictions
        found = set(own.loc[~own["answered"].astype(bool), "case_id"]) if len(own) else set()
        if self.scored is not None:
            table = self.scored.table
            found -= set(table["case_id"]) if found else set()
            found |= set(table.loc[table["abstained"], "case_id"])
        return found

    def company(self) -> Float[ndarray, " case"]:
        """The probabilities of all cases outside training that have an answer."""
        parts, known = [], pd.Series(dtype=object)
        if self.scored is not None:
            table = self.scored.table
            known = table["case_id"]
            kept = (table["role"] != "train") & ~table["abstained"].astype(bool)
            parts.append(table.loc[kept, "share"].to_numpy(float))
        own = self.predictions
        if "probability" in own:
            kept = (own["role"] != "train") & own["answered"].astype(bool)
            kept &= ~own["case_id"].astype(object).isin(known)
            parts.append(own.loc[kept, "probability"].to_numpy(float))
        found: np.ndarray = np.concatenate([np.zeros(0), *parts])
        finite: np.ndarray = found[np.isfinite(found)]
        return finite


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered for a case.

    Args:
        prediction: The columns of predictions.parquet; `weight_<modality>`, `attention` and
            `version` where they are known.
        state: Of the model: whether it is in use.
        folder: Of the run that holds it; None of a score.
    """

    prediction: Row
    state: str
    folder: Path | None


def cases_of(cohort: str, run: str | None, store: Store | None) -> Cases | None:
    """The cases that can be shown; None where no model has answered for any.

    Args:
        run: The chosen one; that of the champion, or another model's, whose cases alone are shown.
        store: None where it cannot be read.
    """
    own = case_folder(run)
    found = _scored(cohort, run, store)
    folder, predictions = own if own is not None else (None, pd.DataFrame())
    turn = published.task_of(_model_of(run), store).threshold if store is not None else EVEN
    predictions = ordered(predictions, turn) if len(predictions) else predictions
    if found is None and not len(predictions):
        return None
    return Cases(_order(cohort, run, found, predictions), found, folder, predictions)


def _scored(cohort: str, run: str | None, store: Store | None) -> Scored | None:
    """What the champion has scored, unless the run of another model was chosen; None where the
    ledger, whose damage is said above, cannot be read.
    """
    try:
        model = _model_of(run)
        if store is None or (model and model != in_use(cohort)):
            return None
        return scored(cohort, store)
    except published.DamagedFile:
        return None


def _order(
    cohort: str, run: str | None, found: Scored | None, predictions: pd.DataFrame
) -> list[str]:
    """The keys, first those of the worklist as it was shown. It stays while a reader walks along
    it, whatever is answered meanwhile; what is scored meanwhile comes last.
    """
    token = (cohort, run, found.bundle_id if found else None, _size(found), len(predictions))
    kept = st.session_state.get(ORDER)
    if kept is not None and kept[0] == token:
        return list(kept[1])
    bundle, queue = st.session_state.get(QUEUE, (None, ()))
    parts = [kept[1]] if kept is not None and kept[0][:3] == token[:3] else []
    parts += [queue] if found is not None and bundle == (cohort, found.bundle_id) else []
    listed = [found.table["case_id"].tolist()] if found is not None else []
    listed += [predictions["case_id"].tolist()] if len(predictions) else []
    parts += listed
    there = {key for part in listed for key in part}
    order = [case for case in dict.fromkeys(key for part in parts for key in part) if case in there]
    st.session_state[ORDER] = (token, order)
    return order


def _size(found: Scored | None) -> int:
    return len(found.table) if found is not None else 0


def ordered(predictions: pd.DataFrame, turn: float = EVEN) -> pd.DataFrame:
    """Cases in the order of use: those outside training first, and of them those without an answer,
    then the most uncertain.

    Args:
        turn: The probability at which the answer turns.
    """
    classes = [c for c in predictions.columns if c.startswith("probability_")]
    if "probability" in predictions:
        doubt = (predictions["probability"] - turn).abs()
    elif classes:
        doubt = predictions[classes].max(axis=1)
    else:
        doubt = pd.Series(0.0, index=predictions.index)
    abstained = predictions.get("abstained", pd.Series(False, predictions.index))
    answered = ~abstained.astype(object).isin([True])
    return predictions.assign(
        doubt=doubt, trained=predictions["role"] == "train", answered=answered
    ).sort_values(["trained", "answered", "doubt", "case_id"], ignore_index=True)


def answer_of_case(cases: Cases | None, cohort: str, case_id: str) -> Answer | None:
    """The champion's answer for a case; else that of the chosen run; else the newest of any model;
    None where no model has answered.
    """
    own = cases.predictions if cases is not None else pd.DataFrame()
    if cases is not None and cases.scored is not None:
        known = cases.scored.table["case_id"].to_numpy() == case_id
        if known.any():
            version = cases.scored.table.loc[known, "version"].iloc[0]
            given = _answers(cohort, case_id, cases.scored.bundle_id)
            same = [row for row in given if row["version"] == version]
            if same:
                return Answer(same[0], cases.scored.state, cases.folder)
    if cases is not None and len(own) and (own["case_id"] == case_id).any():
        prediction = _of_run(own, cohort, case_id)
        return Answer(prediction, _state(prediction, cases.folder), cases.folder)
    given = _answers(cohort, case_id, "")
    if not given:
        return None
    return Answer(given[0], published.state_of(str(given[0]["bundle_id"])), None)


def _of_run(own: pd.DataFrame, cohort: str, case_id: str) -> Row:
    """The answer of a run for a case, with what only the ledger has of it, where that can be read:
    the version of the case, whose files may have changed since, and of whom its attention is.
    """
    prediction = published.records(own[own["case_id"] == case_id])[0]
    try:
        given = _answers(cohort, case_id, str(prediction.get("bundle_id") or ""))
    except published.DamagedFile:  # which the record of views says
        return prediction
    same = [one for one in given if one["scored_at"] == prediction.get("scored_at")]
    known = same[0] if same else {}
    more = {n: v for n, v in known.items() if n in OF_LEDGER or n.startswith("weight_")}
    return more | prediction


def _model_of(run: str | None) -> str:
    """The model of a run; empty where that cannot be read, which the line of the page says."""
    try:
        model = published.model_of(run)
    except published.DamagedFile:
        return ""
    return model[0] if model is not None else ""


def _state(prediction: Row, folder: Path | None) -> str:
    """Whether the model of an answer is in use; of the model of a fold, which fold's it is."""
    bundle, model = str(prediction.get("bundle_id")), _model_of(folder.name if folder else None)
    if model and bundle != model and prediction["role"] == "out-of-fold":
        return f"a fold of {model}"
    return published.state_of(bundle)


def _answers(cohort: str, case_id: str, bundle_id: str) -> list[dict[str, Any]]:
    with published.reading_ledger() as record:
        return record.answers_of(cohort, case_id, bundle_id or None) if record is not None else []


def weights_of(answer: Answer) -> Mapping[str, Any]:
    """`weight_<modality>`, `attention` and `interaction` of an answer: of the ledger, else of the
    files of its run; empty where they are not known.
    """
    given = answer.prediction
    if given.get("attention") is not None or any(k.startswith("weight_") for k in given):
        return given
    table = published.table(answer.folder, MODALITY_FILE) if answer.folder else None
    own = table["case_id"] == str(given["case_id"]) if table is not None else None
    rows = published.records(table[own]) if table is not None and own is not None else []
    if table is None or not rows:
        return {}
    found = {k: v for k, v in rows[0].items() if k.startswith("weight_") or k == "base"}
    names = named_modalities(table)
    found["interaction"] = interaction_of(
        rows[0].get("interaction"), names, list(given["modalities"])
    )
    if isinstance(rows[0].get("attention"), str):
        matrix = json.loads(rows[0]["attention"])
        found["attention"] = {"modalities": names, "matrix": matrix}
    return found


def said_of(cohort: str, case_id: str) -> list[dict[str, Any]]:
    """What was said of a case, the newest first."""
    try:
        with published.reading_ledger() as record:
            return reviews_of(record, cohort, case_id) if record is not None else []
    except published.DamagedFile:  # which is said above
        return []
