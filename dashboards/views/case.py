"""Case: one answer with its doubt and its reasons on one screen."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from jaxtyping import Float32, UInt8
from numpy import ndarray

from dashboards import notes, pictures, published, texts
from dashboards.charts import case as charts
from mmdiag.evaluation.verdict import answer_of, question, shares_of
from mmdiag.kinds import kind_named
from mmdiag.storage.store import Store

Row = Mapping[str, Any]
NOTHING: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class View:
    """The case that is shown.

    Args:
        row: Its row in the store.
        prediction: Its row of predictions.parquet.
        names: Modality -> how people read it.
        outcome: What contributions are contributions to.
        heat: Image -> heat map.
        within: Per kind (`text`, `table`, `signal`) and modality what contributed inside it.
    """

    store: Store
    row: int
    prediction: Row
    names: Mapping[str, str]
    outcome: str
    heat: Mapping[str, Float32[ndarray, "slice row column"]]
    within: Mapping[str, Any]

    def of_kind(self, kind: str) -> list[str]:
        """Names of the modalities that are drawn like a kind."""
        kinds = self.store.modalities.items()
        return [name for name, known in kinds if kind_named(known).drawn_as == kind]

    def explained(self, name: str) -> Any:
        """What contributed inside a modality; None where it is not explained."""
        return (self.within.get(self.store.modalities[name]) or {}).get(name)

    def has(self, name: str) -> bool:
        """Whether the case has a modality."""
        return bool(self.store.present(name)[self.row])


def main() -> None:
    """Draw the page."""
    folder = published.run_folder(st.session_state.get("run"))
    predictions = published.table(folder, "predictions.parquet") if folder else None
    if folder is None or predictions is None or predictions.empty:
        st.info(
            "No case of this cohort has a prediction yet. This command trains a model on it and "
            "predicts every case:",
            icon=":material/person_search:",
        )
        st.code("mmdiag run --cohort cohort.toml", language="bash")
        return
    store = published.store(st.session_state["cohort"])
    prediction, row = _choose(ordered(predictions), store)
    if row is None:
        st.info(
            f"{notes.plain(prediction['case_id'])} has a prediction, but is no longer among the "
            "accepted cases of the cohort.",
            icon=":material/person_off:",
        )
        return
    _draw(view_of(store, row, prediction, folder), folder, predictions)


def view_of(store: Store, row: int, prediction: Row, folder: Path) -> View:
    """What is shown of a case, and how it is called."""
    found = published.explanation(folder, str(prediction["case_id"]))
    return View(
        store=store,
        row=row,
        prediction=prediction,
        names=texts.display_names(list(store.modalities), store.title),
        outcome=store.task.explained(str(prediction["predicted"])),
        heat=found[0] if found else {},
        within=found[1] if found else NOTHING,
    )


def _draw(view: View, folder: Path, predictions: pd.DataFrame) -> None:
    left, right = st.columns([10, 11], gap="large")
    with left:
        _images(view)
    with right:
        _answer(view, predictions)
        _modalities(view, folder)
    if view.within is NOTHING:
        st.caption(
            "Regions, words and genes of this case are not explained yet: `mmdiag explain "
            f"{view.prediction['case_id']}`"
        )
    left, right = st.columns([10, 11], gap="large")
    with left:
        for name in view.of_kind("signal"):
            _signal(view, name)
        for name in view.of_kind("text"):
            _note(view, name)
    with right:
        for name in view.of_kind("table"):
            _table(view, name)


def ordered(predictions: pd.DataFrame) -> pd.DataFrame:
    """Cases in the order of use: those outside training first, and of them the most uncertain."""
    classes = [c for c in predictions.columns if c.startswith("probability_")]
    if "probability" in predictions:
        doubt = (predictions["probability"] - 0.5).abs()
    elif classes:
        doubt = predictions[classes].max(axis=1)
    else:
        doubt = pd.Series(0.0, index=predictions.index)
    return predictions.assign(doubt=doubt, trained=predictions["role"] == "train").sort_values(
        ["trained", "doubt", "case_id"], ignore_index=True
    )


def _choose(order: pd.DataFrame, store: Store) -> tuple[Row, int | None]:
    """The line of the case with its choice: its prediction, and its row in the store."""
    cases = order["case_id"].tolist()
    if st.session_state.get("case") not in cases:
        st.session_state["case"] = cases[0]
    line, choice, back, forward = st.columns([10, 4, 1, 1], vertical_alignment="center")
    number = cases.index(st.session_state["case"])
    if _step(back, "previous", "chevron_left", stop=number == 0):
        st.session_state["case"] = cases[number - 1]
    if _step(forward, "next", "chevron_right", stop=number == len(cases) - 1):
        st.session_state["case"] = cases[number + 1]
    numbers = {case: number for number, case in enumerate(cases, start=1)}
    case_id = str(
        choice.selectbox(
            f"Case, the most uncertain of {len(cases)} first",
            cases,
            key="case",
            label_visibility="collapsed",
            format_func=lambda case: f"{numbers[case]} of {len(cases)} · {case}",
            help="The most uncertain come first.",
        )
    )
    prediction = published.records(order)[cases.index(case_id)]
    found = np.flatnonzero((store.cases["case_id"] == case_id).to_numpy())
    row = int(found[0]) if len(found) else None
    line.markdown(heading(prediction, store, row))
    return prediction, row


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
    if math.isfinite(probability):
        st.markdown(f"##### {notes.plain(answer_of(task, prediction))}")
        others = predictions[predictions["role"] != "train"]["probability"].dropna().tolist()
        if others:
            _chart(charts.strip(others, probability, texts.rank(probability, others)))
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
            "text": [f"{values[n]:+.2f}" if n in values else "not acquired" for n in names],
        }
    )
    title = texts.contributions(view.outcome)
    _chart(charts.contributions(table, list(view.names.values()), title, view.outcome))
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
        }
        for i, one in enumerate(names)
        for j, other in enumerate(names)
    ]
    _chart(charts.matrix(pd.DataFrame(cells), list(names.values()), texts.ATTENTION))
    said = texts.disagreement(weights, {names[m]: value for m, value in values.items()})
    if weights and said:
        st.caption(notes.plain(said))


def _images(view: View) -> None:
    images = view.of_kind("image")
    if not images:
        st.html(notes.box("This cohort has no image modality"))
        return
    tabs = st.tabs([notes.plain(view.names[name]) for name in images])
    for tab, name in zip(tabs, images, strict=True):
        with tab:
            if view.has(name):
                _viewer(view, name, view.store.images(name, view.row))
            else:
                st.html(notes.absent(view.names[name]))


def _viewer(view: View, name: str, stack: UInt8[ndarray, "slice row column"]) -> None:
    heat = view.heat.get(name)
    controls = st.columns([4, 4, 3], vertical_alignment="bottom")
    first = pictures.hottest(heat, len(stack)) + 1
    number = (
        controls[0].slider("slice", 1, len(stack), first, key=f"slice-{name}-{view.row}") - 1
        if len(stack) > 1
        else 0
    )
    low, high = controls[1].slider(
        "display window", 0, 255, pictures.window_of(stack), key=f"window-{name}-{view.row}"
    )
    shown = _heat_toggle(controls[2], name, known=heat is not None)
    picture = pictures.grey(stack[number], low, high)
    if shown and heat is not None:
        picture = pictures.overlaid(picture, heat, number, len(stack))
    st.image(
        picture,
        width=pictures.SIDE,
        caption=f"{notes.plain(view.names[name])}, slice {number + 1} of {len(stack)}, as stored",
    )
    if shown and heat is not None:
        st.caption(texts.heat(notes.plain(view.outcome), "stack"))


def _heat_toggle(column: Any, name: str, *, known: bool) -> bool:
    """Off at first: the reader sees the recording before the model's opinion of it."""
    return bool(column.toggle("heat map", value=False, key=f"heat-{name}", disabled=not known))


def _signal(view: View, name: str) -> None:
    if not view.has(name):
        st.markdown(f"**{notes.plain(view.names[name])}**")
        st.html(notes.absent(view.names[name]))
        return
    windows = view.explained(name) or []
    samples, rate_hz = view.store.signal(name, view.row), view.store.rate_hz(name)
    shown = _heat_toggle(st, name, known=bool(windows) and rate_hz is not None)
    title = f"{view.names[name]}, each channel scaled to its largest value"
    _chart(charts.signal(samples, rate_hz, windows if shown else [], title))
    if shown:
        st.caption(texts.heat(notes.plain(view.outcome), "signal"))


def _note(view: View, name: str) -> None:
    st.markdown(f"**{notes.plain(view.names[name])}**")
    if not view.has(name):
        st.html(notes.absent(view.names[name]))
        return
    explained = view.explained(name)
    with st.container(height=330):
        spans = explained["spans"] if explained else []
        st.html(notes.note(view.store.text(name, view.row), spans))
    if explained:
        st.caption(texts.words(notes.plain(view.outcome)))


def _table(view: View, name: str) -> None:
    st.markdown(f"**{notes.plain(view.names[name])}**")
    if not view.has(name):
        st.html(notes.absent(view.names[name]))
        return
    explained = view.explained(name)
    if not explained:
        st.caption("Its most influential columns are not explained yet.")
        return
    groups = texts.influential(pd.DataFrame(explained["groups"]), 8)
    columns = texts.influential(pd.DataFrame(explained["genes"]), 10)
    if len(groups):
        _chart(charts.ranked(groups, texts.PATHWAYS, view.outcome))
    else:
        st.caption("No pathway influenced the prediction.")
    if len(columns):
        title = texts.GENES if explained["groups"] else texts.COLUMNS
        _chart(charts.ranked(columns, title, view.outcome))


def _chart(chart: Any) -> None:
    st.altair_chart(chart, width="stretch", theme="streamlit")


if __name__ == "__main__":  # a page is run, not imported
    main()
