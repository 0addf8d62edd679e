"""Case: one answer with its doubt and its reasons on one screen."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboards import charts, notes, pictures, published
from mmdiag.kinds import kind_named
from mmdiag.storage.store import Store

LEAST = 5e-6  # weights are published with five digits
ROLES = {
    "train": ":orange[the model learned from this subject]",
    "new": "new to the model",
    "test": "held-out test case",
    "out-of-fold": "judged out of fold",
}


def main() -> None:
    """Draw the page."""
    folder = published.run_folder(st.session_state.get("run"))
    predictions = published.table(folder, "predictions.parquet") if folder else None
    if folder is None or predictions is None or predictions.empty:
        st.info(
            "No case of this cohort was predicted yet. This command trains a model on it and "
            "judges every case:",
            icon=":material/person_search:",
        )
        st.code("mmdiag run --cohort cohort.toml", language="bash")
        return
    store = published.store(st.session_state["cohort"])
    order = ordered(predictions)
    case_id, place = _choose(order, store)
    if place is None:
        st.info(
            f"{notes.plain(case_id)} was predicted, but is no longer among the accepted cases of "
            "the cohort.",
            icon=":material/person_off:",
        )
        return
    row = order.set_index("case_id").loc[case_id]
    found = published.explanation(folder, case_id)
    heat, within = found if found else ({}, {"text": {}, "table": {}})
    left, right = st.columns([10, 11], gap="large")
    with left:
        _images(store, place, heat, asked(row, store))
    with right:
        _answer(row, store, predictions)
        _modalities(folder, case_id, row, store)
    if found is None:
        st.caption(
            "Regions, words and genes of this case are not explained yet: `mmdiag explain "
            f"{case_id}`"
        )
    left, right = st.columns([10, 11], gap="large")
    with left:
        for name in _named(store, "text"):
            _note(store, name, place, within["text"].get(name), asked(row, store))
    with right:
        for name in _named(store, "table"):
            _table(store, name, place, within["table"].get(name))


def ordered(predictions: pd.DataFrame) -> pd.DataFrame:
    """Cases in the order of use: those that the model judged without knowing them, the most
    uncertain first.
    """
    classes = [c for c in predictions.columns if c.startswith("probability_")]
    if "probability" in predictions:
        doubt = (predictions["probability"] - 0.5).abs()
    elif classes:
        doubt = predictions[classes].max(axis=1)
    else:
        doubt = pd.Series(0.0, index=predictions.index)
    return predictions.assign(doubt=doubt, learned=predictions["role"] == "train").sort_values(
        ["learned", "doubt", "case_id"], ignore_index=True
    )


def asked(row: pd.Series, store: Store) -> str:
    """What the explanations speak for: the positive class, the class that was given, or a higher
    risk.
    """
    if store.task.kind == "binary":
        return f"{store.task.label} = {store.task.classes[1]}"
    return "higher risk" if store.task.survival else str(row["predicted"])


def _named(store: Store, kind: str) -> list[str]:
    return [name for name, own in store.modalities.items() if kind_named(own).drawn_as == kind]


def _choose(order: pd.DataFrame, store: Store) -> tuple[str, int | None]:
    """The line of the case with its choice, and where the case lies in the store."""
    cases = order["case_id"].tolist()
    if st.session_state.get("case") not in cases:
        st.session_state["case"] = cases[0]
    line, choice, back, forward = st.columns([10, 4, 1, 1], vertical_alignment="center")
    number = cases.index(st.session_state["case"])
    if back.button(
        "",
        key="previous",
        icon=":material/chevron_left:",
        help="Previous case",
        disabled=number == 0,
        width="stretch",
    ):
        st.session_state["case"] = cases[number - 1]
    if forward.button(
        "",
        key="next",
        icon=":material/chevron_right:",
        help="Next case",
        disabled=number == len(cases) - 1,
        width="stretch",
    ):
        st.session_state["case"] = cases[number + 1]
    number = cases.index(st.session_state["case"])
    places = {case: number for number, case in enumerate(cases, start=1)}
    case_id = str(
        choice.selectbox(
            f"Case, the most uncertain of {len(cases)} first",
            cases,
            key="case",
            label_visibility="collapsed",
            format_func=lambda case: f"{places[case]} of {len(cases)} · {case}",
            help="The most uncertain come first.",
        )
    )
    found = np.flatnonzero((store.cases["case_id"] == case_id).to_numpy())
    place = int(found[0]) if len(found) else None
    line.markdown(_heading(case_id, order.iloc[number], store, place))
    return case_id, place


def _heading(case_id: str, row: pd.Series, store: Store, place: int | None) -> str:
    parts = [f"**case {notes.plain(case_id)}**"]
    case = store.cases.iloc[place] if place is not None else None
    if case is not None:
        parts.append(f"site {notes.plain(case['site'])}" if pd.notna(case["site"]) else "")
        parts.append(f"as of {case['as_of']:%Y-%m-%d}" if pd.notna(case["as_of"]) else "")
    parts.append(ROLES[row["role"]])
    if case is not None and pd.notna(case["label"]) and store.task.classes:
        parts.append(f"recorded: **{notes.plain(store.task.classes[int(case['label'])])}**")
    return " · ".join(part for part in parts if part)


def _answer(row: pd.Series, store: Store, predictions: pd.DataFrame) -> None:
    question = notes.plain(store.task.label or "risk")
    if "probability" in row and pd.notna(row["probability"]):
        said = (
            f"probability of {notes.plain(asked(row, store))}"
            if store.task.kind == "binary"
            else "risk"
        )
        st.markdown(f"##### {100 * row['probability']:.0f} % {said}")
        others = predictions[predictions["role"] != "train"]["probability"].dropna()
        if len(others):
            below = int((others < row["probability"]).sum())
            title = f"Higher than {below} of {len(others)} cases not learned from"
            st.altair_chart(
                charts.strip(others.tolist(), float(row["probability"]), title),
                width="stretch",
                theme="streamlit",
            )
        return
    chances = (
        row[[c for c in row.index if c.startswith("probability_")]]
        .astype(float)
        .sort_values(ascending=False)
    )
    st.markdown(f"##### {question}: {notes.plain(row['predicted'])}")
    for name, chance in chances.head(4).items():
        st.progress(
            float(chance),
            text=f"{100 * chance:.0f} % {notes.plain(str(name).removeprefix('probability_'))}",
        )


def _modalities(folder: Path, case_id: str, row: pd.Series, store: Store) -> None:
    names = list(store.modalities)
    there = [name for name in names if name in set(row["modalities"])]
    values = [float(row[f"contribution_{m}"]) if m in there else np.nan for m in names]
    table = pd.DataFrame({"modality": names, "value": values, "place": np.nan_to_num(values)})
    table["text"] = [
        f"{v:+.2f}" if m in there else "not acquired" for m, v in zip(names, values, strict=True)
    ]
    st.altair_chart(
        charts.contributions(table, names, f"What moved it towards {asked(row, store)}"),
        width="stretch",
        theme="streamlit",
    )
    modality = published.table(folder, "explanations/modality.parquet")
    known = modality[modality["case_id"] == case_id] if modality is not None else pd.DataFrame()
    if known.empty:
        return
    facts = known.iloc[0]
    matrix = json.loads(facts["attention"]) if isinstance(facts.get("attention"), str) else None
    if matrix is None:
        weights = ", ".join(
            f"{m} {facts[f'weight_{m}']:.2f}" for m in there if f"weight_{m}" in facts
        )
        st.caption(
            f"Weights in the fused vector: {weights}. This fusion has no matrix of attention."
        )
        return
    cells = [
        {
            "row": names[i],
            "column": names[j],
            "value": matrix[i][j] if {names[i], names[j]} <= set(there) else None,
        }
        for i in range(len(names))
        for j in range(len(names))
    ]
    st.altair_chart(
        charts.matrix(
            pd.DataFrame(cells), names, "Where each modality looked (a row adds up to 1)"
        ),
        width="stretch",
        theme="streamlit",
    )
    lean = max(there, key=lambda m: abs(float(row[f"contribution_{m}"])))
    most = max(there, key=lambda m: float(facts[f"weight_{m}"]))
    if lean != most:
        st.caption(
            f"The attention weighs {most} most, yet {lean} moved the answer most: weights are "
            "not contributions."
        )


def _images(store: Store, place: int, heat: dict[str, np.ndarray], towards: str) -> None:
    images = _named(store, "image")
    if not images:
        st.html(notes.absent("image modality in this cohort, so none"))
        return
    for tab, name in zip(st.tabs(images), images, strict=True):
        with tab:
            if store.present(name)[place]:
                _viewer(store.images(name, place), name, place, heat.get(name), towards)
            else:
                st.html(notes.absent(name))


def _viewer(
    stack: np.ndarray, name: str, place: int, heat: np.ndarray | None, towards: str
) -> None:
    controls = st.columns([4, 4, 3], vertical_alignment="bottom")
    first = pictures.hottest(heat, len(stack)) + 1
    number = (
        controls[0].slider("slice", 1, len(stack), first, key=f"slice-{name}-{place}") - 1
        if len(stack) > 1
        else 0
    )
    low, high = controls[1].slider(
        "window (grey)", 0, 255, pictures.window_of(stack), key=f"window-{name}-{place}"
    )
    shown = controls[2].toggle(  # off at first: the image is seen before the model's opinion of it
        "heat map",
        value=False,
        key=f"heat-{name}",
        disabled=heat is None,
    )
    picture = pictures.grey(stack[number], low, high)
    if shown and heat is not None:
        picture = pictures.overlaid(picture, heat, number, len(stack))
    st.image(
        picture,
        width=pictures.SIDE,
        caption=f"{name}, slice {number + 1} of {len(stack)}, as stored",
    )
    if shown and heat is not None:
        st.caption(
            f"Orange: the region speaks for {notes.plain(towards)}; blue: against it. Full "
            "colour is the largest effect in this stack."
        )


def _note(
    store: Store, name: str, place: int, explained: dict[str, Any] | None, towards: str
) -> None:
    st.markdown(f"**{notes.plain(name)}**")
    if not store.present(name)[place]:
        st.html(notes.absent(name))
        return
    with st.container(height=330):
        st.html(notes.note(store.text(name, place), explained["spans"] if explained else []))
    if explained:
        st.caption(
            f"Orange, underlined: speaks for {notes.plain(towards)}; blue, dotted: against it. "
            "By taking sentences and words away."
        )


def _table(store: Store, name: str, place: int, explained: dict[str, Any] | None) -> None:
    st.markdown(f"**{notes.plain(name)}**")
    if not store.present(name)[place]:
        st.html(notes.absent(name))
        return
    if not explained:
        st.caption("Which of its columns moved the answer is not explained yet.")
        return
    groups = moved(pd.DataFrame(explained["groups"]), 8)
    genes = moved(pd.DataFrame(explained["genes"]), 10)
    if len(groups):
        st.altair_chart(
            charts.ranked(groups, "Pathways and modules that moved it"),
            width="stretch",
            theme="streamlit",
        )
    else:
        st.caption("No pathway or module moved the answer.")
    if len(genes):
        st.altair_chart(
            charts.ranked(genes, "Columns that moved it, with their place in this cohort"),
            width="stretch",
            theme="streamlit",
        )


def moved(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """The rows that moved anything, the largest first, each with its text: name, and percentile
    where it is known.
    """
    if table.empty:
        return table
    kept = table[table["weight"].abs() >= LEAST].head(most)
    share = kept["percentile"] if "percentile" in kept else pd.Series(np.nan, index=kept.index)
    text = [
        f"{name} · {ordinal(place)} percentile" if pd.notna(place) else str(name)
        for name, place in zip(kept["name"], share, strict=True)
    ]
    return kept.assign(text=text)


def ordinal(number: float) -> str:
    """97 -> 97th."""
    whole = round(number)
    ending = (
        {1: "st", 2: "nd", 3: "rd"}.get(whole % 10, "th")
        if whole % 100 not in (11, 12, 13)
        else "th"
    )
    return f"{whole}{ending}"


main()
