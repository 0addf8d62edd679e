"""Case: one answer with its doubt and its reasons on one screen."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboards import case_parts, notes, published, texts
from dashboards.case_view import Row, View, case_folder, refusals, view_of
from dashboards.charts import case as charts
from dashboards.parts import damaged, part
from mmdiag.evaluation.verdict import answer_of, is_abstained, question, shares_of
from mmdiag.storage.store import Store


def main() -> None:
    """Draw the page."""
    cohort, run = st.session_state["cohort"], st.session_state.get("run")
    asked = st.query_params.get("case")
    found = None
    with part("The list of cases"):
        found = case_folder(run)
    if found is None:
        if asked is not None:
            _none(asked, cohort, _refused(cohort))
        _no_prediction()
        return
    folder, predictions = found
    store, whole = _store(cohort)
    if store is None:
        return
    refused = _refused(cohort)
    line, prediction = _choose(ordered(predictions), cohort, refused)
    if prediction is None:
        return
    row = row_of(store, str(prediction["case_id"]))
    with line, part("The line of the case"):
        st.markdown(heading(prediction, store, row))
    if row is None and whole:
        st.info(
            f"{notes.plain(prediction['case_id'])} has a prediction, but is no longer among the "
            "accepted cases of the cohort.",
            icon=":material/person_off:",
        )
        return
    with part("The case"):
        own = refusals(refused, str(prediction["case_id"]))
        _draw(_view(store, row, prediction, own, folder), folder, predictions)


def _no_prediction() -> None:
    st.info(
        "No case of this cohort has a prediction yet. This command trains a model on it and "
        "predicts every case:",
        icon=":material/person_search:",
    )
    st.code("mmdiag run --cohort cohort.toml", language="bash")


def _store(cohort: str) -> tuple[Store | None, bool]:
    """The cohort, and whether its cases could be read, too."""
    try:
        return published.store(cohort), True
    except published.DamagedFile as error:
        damaged(error)
        broken = error
    try:
        return published.described(cohort), False
    except published.DamagedFile as error:
        if error.path != broken.path:
            damaged(error)
        return None, False


def _refused(cohort: str) -> pd.DataFrame:
    """The quarantine; empty where the ledger, whose damage is said above, cannot be read."""
    try:
        return published.quarantine(cohort)
    except published.DamagedFile:
        return pd.DataFrame(columns=list(published.QUARANTINE))


def _view(
    store: Store, row: int | None, prediction: Row, refused: Mapping[str, Row], folder: Path
) -> View:
    """The case with its explanation, as far as that can be read."""
    within, heat = None, {}
    case_id = str(prediction["case_id"])
    version = "" if row is None else str(store.cases.iloc[row].get("version", ""))
    kept = published.explanation(folder, str(prediction.get("bundle_id")), case_id, version)
    with part("What contributed"):
        within = published.within(kept, case_id)
    with part("The heat maps"):
        heat = published.heat_maps(kept, case_id)
    return view_of(store, row, prediction, refused, within, heat)


def _draw(view: View, folder: Path, predictions: pd.DataFrame) -> None:
    left, right = st.columns([10, 11], gap="large")
    with left, part("The images"):
        case_parts.images(view)
    with right:
        with part("The answer"):
            _answer(view, predictions)
        with part("The contributions"):
            _modalities(view, folder)
    if view.within is None and view.row is not None:
        command = published.explain_again(view.case_id)[1]
        st.caption(
            "Regions, words and genes of this case were not made yet, or cannot be read. This "
            f"command makes them: {notes.code(command)}"
        )
    left, right = st.columns([10, 11], gap="large")
    with left:
        for name in view.of_kind("signal"):
            with part(view.names[name]):
                case_parts.signal(view, name)
        for name in view.of_kind("embedding"):
            with part(view.names[name]):
                case_parts.embedding(view, name)
        for name in view.of_kind("text"):
            with part(view.names[name]):
                case_parts.note(view, name)
    with right:
        for name in view.of_kind("table"):
            with part(view.names[name]):
                case_parts.table(view, name)


def ordered(predictions: pd.DataFrame) -> pd.DataFrame:
    """Cases in the order of use: those outside training first, and of them those without an answer,
    then the most uncertain.
    """
    classes = [c for c in predictions.columns if c.startswith("probability_")]
    if "probability" in predictions:
        doubt = (predictions["probability"] - 0.5).abs()
    elif classes:
        doubt = predictions[classes].max(axis=1)
    else:
        doubt = pd.Series(0.0, index=predictions.index)
    answered = [not is_abstained(row) for row in published.records(predictions)]
    return predictions.assign(
        doubt=doubt, trained=predictions["role"] == "train", answered=answered
    ).sort_values(["trained", "answered", "doubt", "case_id"], ignore_index=True)


def _choose(order: pd.DataFrame, cohort: str, refused: pd.DataFrame) -> tuple[Any, Row | None]:
    """The line of the case with its choice, and its prediction; None where the case that the
    address asks for has none: another one is never shown in its place.
    """
    cases = order["case_id"].tolist()
    asked = st.query_params.get("case")
    if asked is not None:
        st.session_state["case"] = asked if asked in cases else None
    elif st.session_state.get("case") not in cases:
        st.session_state["case"] = cases[0]
    line, choice, back, forward = st.columns([9, 5, 1, 1], vertical_alignment="center")
    shown = st.session_state["case"]
    number = cases.index(shown) if shown in cases else -1
    if _step(back, "previous", "chevron_left", stop=number <= 0):
        _show(cases[number - 1])
    if _step(forward, "next", "chevron_right", stop=not 0 <= number < len(cases) - 1):
        _show(cases[number + 1])
    labels = choices(order)
    case_id = choice.selectbox(
        f"Case, without an answer and the most uncertain of {len(cases)} first",
        cases,
        index=0 if shown in cases else None,  # what may be empty can be emptied
        key="case",
        on_change=_chosen,
        placeholder="Choose a case",
        label_visibility="collapsed",
        format_func=lambda case: labels[case],
        help="Those without an answer come first, then the most uncertain.",
    )
    if case_id is None:
        with line:
            _none(str(asked), cohort, refused)
        return line, None
    return line, published.records(order)[cases.index(case_id)]


def choices(order: pd.DataFrame) -> dict[str, str]:
    """Case -> what the list says of it."""
    return {
        row["case_id"]: f"{number} of {len(order)} · {notes.visible(row['case_id'])}"
        + ("" if row["answered"] else " · no answer")
        for number, row in enumerate(published.records(order), start=1)
    }


def _show(case_id: str) -> None:
    st.session_state["case"] = st.query_params["case"] = case_id


def _chosen() -> None:
    """The address follows the choice."""
    if st.session_state["case"] is not None:
        st.query_params["case"] = st.session_state["case"]


def _none(asked: str, cohort: str, refused: pd.DataFrame) -> None:
    """That the case of the address is not here: refused, in another cohort, or unknown."""
    st.markdown(f"**No case {notes.plain(asked)}** has a prediction in this run.")
    entry = refusals(refused, asked).get("")
    if entry is not None:
        st.html(
            notes.refused(
                f"Case {asked}", entry["code"], entry["rule"], entry["detail"], entry["cure"]
            )
        )
        case_parts.to_quarantine(asked)
        return
    others = [name for name in published.cohort_folders() if name != cohort and _holds(name, asked)]
    st.info(
        f"Cohort {notes.plain(cohort)} has no prediction of it. "
        + (f"It is a case of {', '.join(map(notes.plain, others))}. " if others else "")
        + "Choose another case, or correct the address.",
        icon=":material/person_off:",
    )


def _holds(cohort: str, case_id: str) -> bool:
    try:
        return bool((published.store(cohort).cases["case_id"] == case_id).any())
    except published.DamagedFile:
        return False


def row_of(store: Store, case_id: str) -> int | None:
    """Row of a case in the store; None where it is not among the accepted ones."""
    found = np.flatnonzero((store.cases["case_id"] == case_id).to_numpy())
    return int(found[0]) if len(found) else None


def _step(column: Any, key: str, icon: str, *, stop: bool) -> bool:
    return bool(
        column.button(
            "",
            key=key,
            icon=f":material/{icon}:",
            help=f"{key.capitalize()} case",
            disabled=stop,
            width="stretch",
        )
    )


def heading(prediction: Row, store: Store, row: int | None) -> str:
    """Key, site, date, role and recorded outcome of a case, as Markdown."""
    parts = [f"**case {notes.plain(prediction['case_id'])}**"]
    case = store.cases.iloc[row] if row is not None else None
    if case is not None:
        parts.append(f"site {notes.plain(case['site'])}" if pd.notna(case["site"]) else "")
        parts.append(f"as of {case['as_of']:%Y-%m-%d}" if pd.notna(case["as_of"]) else "")
    parts.append(texts.role(prediction["role"]))
    if case is not None and pd.notna(case["label"]) and store.task.classes:
        recorded = store.task.name_of(store.task.classes[int(case["label"])])
        parts.append(f"recorded: **{notes.plain(recorded)}**")
    return " · ".join(part for part in parts if part)


def _answer(view: View, predictions: pd.DataFrame) -> None:
    task, prediction = view.store.task, view.prediction
    probability = float(prediction.get("probability", math.nan))
    if view.abstained:
        st.markdown(f"##### {notes.plain(answer_of(task, prediction))}")
        st.caption(texts.ABSTAINED)
        return
    if math.isfinite(probability):
        st.markdown(f"##### {notes.plain(answer_of(task, prediction))}")
        others = [
            float(row["probability"])
            for row in published.records(predictions)
            if row["role"] != "train" and not is_abstained(row) and pd.notna(row["probability"])
        ]
        if others:
            case_parts.chart(charts.strip(others, probability, texts.rank(probability, others)))
        return
    predicted = task.name_of(str(prediction["predicted"]))
    st.markdown(f"##### {notes.plain(f'{question(task)}: {predicted}')}")
    for cls, share in shares_of(task, prediction)[:4]:
        st.progress(float(share.removesuffix(" %")) / 100, text=f"{share} {notes.plain(cls)}")


def _modalities(view: View, folder: Path) -> None:
    names, prediction = list(view.names), view.prediction
    present = [name for name in names if name in set(prediction["modalities"])]
    values = {name: float(prediction[f"contribution_{name}"]) for name in present}
    table = pd.DataFrame(
        {
            "modality": list(view.names.values()),
            "value": [values.get(name, np.nan) for name in names],
            "at": [values.get(name, 0.0) for name in names],
            "text": [f"{values[n]:+.2f}" if n in values else view.without(n) for n in names],
        }
    )
    title = texts.contributions(view.outcome)
    case_parts.chart(charts.contributions(table, list(view.names.values()), title, view.outcome))
    modality = published.table(folder, "explanations/modality.parquet")
    rows = (
        published.records(modality[modality["case_id"] == prediction["case_id"]])
        if modality is not None
        else []
    )
    if rows and present:
        _attention(view, rows[0], present, values)


def _attention(view: View, facts: Row, present: Sequence[str], values: Mapping[str, float]) -> None:
    names = view.names
    weights = {names[m]: float(facts[f"weight_{m}"]) for m in present if f"weight_{m}" in facts}
    if not isinstance(facts.get("attention"), str):
        listed = ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())
        st.caption(
            notes.plain(
                f"Weights in the fused vector: {listed}. This fusion has no attention matrix."
            )
        )
        return
    matrix = json.loads(facts["attention"])
    cells = [
        {
            "row": names[one],
            "column": names[other],
            "value": matrix[i][j] if one in present and other in present else None,
            "refused": any(m in view.refused and m not in present for m in (one, other)),
        }
        for i, one in enumerate(names)
        for j, other in enumerate(names)
    ]
    case_parts.chart(charts.matrix(pd.DataFrame(cells), list(names.values()), texts.ATTENTION))
    said = texts.disagreement(weights, {names[m]: value for m, value in values.items()})
    if weights and said:
        st.caption(notes.plain(said))


if __name__ == "__main__":  # a page is run, not imported
    main()
