"""Case: one answer with its doubt and its reasons on one screen."""

import html
import json
import unicodedata
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboards import charts, published
from mmdiag.store import Store

STEPS = 5  # shades of a word
STYLE = "<style>.mmnote{white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;direction:ltr;font-size:.9rem;line-height:1.5}" + "".join(
    f".mmnote .p{i}{{background:rgba(213,94,0,{0.12 * i + 0.06:.2f});border-bottom:2px solid rgba(213,94,0,{0.15 * i:.2f})}}"
    f".mmnote .n{i}{{background:rgba(0,114,178,{0.12 * i + 0.06:.2f});border-bottom:2px dotted rgba(0,114,178,{0.18 * i:.2f})}}"
    for i in range(1, STEPS + 1)
) + ".mmabsent{border:1.5px dashed #8A9099;border-radius:8px;padding:1.6rem;text-align:center;color:#8A9099}</style>"  # fmt: skip
INVISIBLE = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0x200B, 0xFEFF}


def main() -> None:
    """Draw the page."""
    folder = published.run_folder(st.session_state.get("run"))
    predictions = published.table(folder, "predictions.parquet") if folder else None
    if folder is None or predictions is None:
        st.info("No case was predicted yet.", icon=":material/person_search:")
        st.code("mmdiag run --cohort cohort.toml", language="bash")
        return
    store = published.store(st.session_state["cohort"])
    order = ordered(predictions)
    case_id = _choose(order["case_id"].tolist())
    row = order.set_index("case_id").loc[case_id]
    place = int(np.flatnonzero((store.cases["case_id"] == case_id).to_numpy())[0])
    found = published.explanation(folder, case_id)
    heat, within = found if found else ({}, {"text": {}, "table": {}})
    st.markdown(_heading(case_id, row, store, place))
    left, right = st.columns([11, 10], gap="large")
    with left:
        _images(store, place, heat)
    with right:
        _answer(row, store)
        _modalities(folder, case_id, row, store)
    if found is None:
        st.caption(f"Regions, words and genes of this case are not explained yet: `mmdiag explain {case_id}`")
    texts, tables = ([m for m, kind in store.modalities.items() if kind == wanted] for wanted in ("text", "table"))
    left, right = st.columns([11, 10], gap="large")
    with left:
        for name in texts:
            _note(store, name, place, within["text"].get(name))
    with right:
        for name in tables:
            _table(store, name, place, within["table"].get(name))


def ordered(predictions: pd.DataFrame) -> pd.DataFrame:
    """Cases in the order of use: those that the model judged without knowing them, the most uncertain first."""
    doubt = (predictions["probability"] - 0.5).abs() if "probability" in predictions else pd.Series(0.0, index=predictions.index)
    return predictions.assign(doubt=doubt, learned=predictions["role"] == "train").sort_values(
        ["learned", "doubt", "case_id"], ignore_index=True
    )


def _choose(cases: list[str]) -> str:
    current = st.session_state.get("case")
    if current not in cases:
        st.session_state["case"] = cases[0]
    back, choice, forward = st.columns([1, 6, 1], vertical_alignment="bottom")
    place = cases.index(st.session_state["case"])
    if back.button("Previous", icon=":material/chevron_left:", disabled=place == 0, width="stretch"):
        st.session_state["case"] = cases[place - 1]
    if forward.button("Next", icon=":material/chevron_right:", disabled=place == len(cases) - 1, width="stretch"):
        st.session_state["case"] = cases[place + 1]
    return str(choice.selectbox(f"Case, the most uncertain of {len(cases)} first", cases, key="case"))


def _heading(case_id: str, row: pd.Series, store: Store, place: int) -> str:
    case = store.cases.iloc[place]
    parts = [
        f"**case {case_id}**",
        f"site {case['site']}" if pd.notna(case["site"]) else "",
        f"as of {case['as_of']:%Y-%m-%d}" if pd.notna(case["as_of"]) else "",
    ]
    role = {
        "train": ":orange[the model learned from this subject]",
        "new": "new to the model",
        "test": "held-out test case",
        "out-of-fold": "judged out of fold",
    }
    parts += [f"model {row['bundle_id']}", role[row["role"]]]
    if pd.notna(case["label"]) and store.task.get("classes"):
        parts.append(f"recorded: {store.task['classes'][int(case['label'])]}")
    return " · ".join(part for part in parts if part)


def _answer(row: pd.Series, store: Store) -> None:
    question = store.task.get("label") or "risk"
    if "probability" in row and pd.notna(row["probability"]):
        st.markdown(f"**{question}**: {row['predicted']}")
        meaning = f"probability of {question} = {store.task['classes'][1]}" if store.task["kind"] == "binary" else "risk"
        st.progress(float(row["probability"]), text=f"{100 * row['probability']:.0f} % {meaning}")
        return
    chances = row[[c for c in row.index if c.startswith("probability_")]].astype(float).sort_values(ascending=False)
    st.markdown(f"**{question}** · {row['predicted']}")
    for name, chance in chances.head(4).items():
        st.progress(float(chance), text=f"{100 * chance:.0f} % {str(name).removeprefix('probability_')}")


def _modalities(folder: Any, case_id: str, row: pd.Series, store: Store) -> None:
    names = list(store.modalities)
    there = set(row["modalities"])
    values = [float(row[f"contribution_{m}"]) if m in there else np.nan for m in names]
    table = pd.DataFrame({"modality": names, "value": values, "place": np.nan_to_num(values)})
    table["text"] = [f"{v:+.2f}" if m in there else "not acquired" for m, v in zip(names, values, strict=True)]
    st.altair_chart(charts.contributions(table, names, "What moved it"), width="stretch", theme="streamlit")
    modality = published.table(folder, "explanations/modality.parquet")
    if modality is None:
        return
    facts = modality.set_index("case_id").loc[case_id]
    matrix = json.loads(facts["attention"]) if isinstance(facts.get("attention"), str) else None
    if matrix is None:
        weights = ", ".join(f"{m} {facts[f'weight_{m}']:.2f}" for m in names if m in there)
        st.caption(f"Weights in the fused vector: {weights}. This fusion has no matrix of attention.")
        return
    cells = [
        {"row": names[i], "column": names[j], "value": matrix[i][j]}
        for i in range(len(names))
        for j in range(len(names))
        if {names[i], names[j]} <= there
    ]
    st.altair_chart(charts.matrix(pd.DataFrame(cells), names, "Where each modality looked"), theme="streamlit")
    lean = max(there, key=lambda m: abs(float(row[f"contribution_{m}"])))
    most = max(there, key=lambda m: float(facts[f"weight_{m}"]))
    if lean != most and len(there) > 1:
        st.caption(f"The attention weighs {most} most, yet {lean} moved the answer most: weights are not contributions.")


def _images(store: Store, place: int, heat: dict[str, np.ndarray]) -> None:
    images = [m for m, kind in store.modalities.items() if kind == "image"]
    if not images:
        return
    present = {m: bool(store.present(m)[place]) for m in images}
    for tab, name in zip(st.tabs(images), images, strict=True):
        with tab:
            if not present[name]:
                st.html(STYLE + f'<div class="mmabsent">no {html.escape(name)} for this case</div>')
                continue
            stack = store.images(name, place)
            controls = st.columns([3, 2, 2], vertical_alignment="bottom")
            middle = _hottest(heat.get(name), len(stack))
            number = controls[0].slider("slice", 1, len(stack), middle + 1, key=f"slice-{name}-{place}") - 1 if len(stack) > 1 else 0
            low, high = controls[1].slider("window (grey)", 0, 255, (0, 255), key=f"window-{name}")
            shown = controls[2].toggle(
                "heat map",
                value=False,
                key=f"heat-{name}",
                disabled=name not in heat,
                help="Off at first: see the image before the model's opinion of it.",
            )
            picture = _grey(stack[number], low, high)
            if shown and name in heat:
                picture = _overlaid(picture, heat[name], number)
            st.image(
                picture,
                width=420,
                caption=f"{name}, slice {number + 1} of {len(stack)}" + (", orange: towards, blue: away" if shown else ""),
            )


def _hottest(heat: np.ndarray | None, slices: int) -> int:
    return int(np.abs(heat).max(axis=(1, 2)).argmax()) if heat is not None and len(heat) == slices else slices // 2


def _grey(plane: np.ndarray, low: int, high: int) -> np.ndarray:
    scaled = np.clip((plane.astype(np.float32) - low) / max(high - low, 1), 0, 1)
    factor = max(1, 420 // plane.shape[0])
    return np.repeat(np.repeat(scaled, factor, axis=0), factor, axis=1)[..., None].repeat(3, axis=2)


def _overlaid(picture: np.ndarray, heat: np.ndarray, number: int) -> np.ndarray:
    """Orange where a patch speaks for the class, blue where against, as strong as its share of the largest effect in the stack."""
    strength = heat[number] / max(float(np.abs(heat).max()), 1e-6)
    rows = np.linspace(0, strength.shape[0] - 1e-6, picture.shape[0]).astype(int)
    columns = np.linspace(0, strength.shape[1] - 1e-6, picture.shape[1]).astype(int)
    wide = strength[np.ix_(rows, columns)][..., None]
    colour = np.where(wide > 0, np.asarray([213, 94, 0]) / 255, np.asarray([0, 114, 178]) / 255)
    alpha = 0.65 * np.abs(wide)
    return picture * (1 - alpha) + colour * alpha


def _note(store: Store, name: str, place: int, explained: dict[str, Any] | None) -> None:
    st.markdown(f"**{name}**")
    if not store.present(name)[place]:
        st.html(STYLE + f'<div class="mmabsent">no {html.escape(name)} for this case</div>')
        return
    with st.container(height=330):
        st.html(STYLE + f'<div class="mmnote">{shaded(store.text(name, place), explained["spans"] if explained else [])}</div>')
    if explained:
        st.caption("Orange, underlined: speaks for the answer; blue, dotted: against it. By taking sentences and words away.")


def shaded(text: str, spans: list[list[float]]) -> str:
    """The note as HTML of our own: every character escaped, classes never made of data, invisible characters made visible."""
    largest = max((abs(weight) for _, _, weight in spans), default=0.0)
    parts, end = [], 0
    for start, stop, weight in sorted(spans):
        start, stop = int(start), int(stop)
        parts.append(html.escape(visible(text[end:start])))
        step = round(STEPS * abs(weight) / largest) if largest else 0
        inner = html.escape(visible(text[start:stop]))
        parts.append(f'<span class="{"p" if weight > 0 else "n"}{step}">{inner}</span>' if step else inner)
        end = stop
    return "".join(parts) + html.escape(visible(text[end:]))


def visible(text: str) -> str:
    """Control and direction characters, which could make a note read otherwise than it is, as their code."""
    return "".join(
        f"␣{ord(c):04X}␣" if ord(c) in INVISIBLE or (unicodedata.category(c) in ("Cc", "Cf") and c not in "\n\t") else c for c in text
    )


def _table(store: Store, name: str, place: int, explained: dict[str, Any] | None) -> None:
    st.markdown(f"**{name}**")
    if not store.present(name)[place]:
        st.html(STYLE + f'<div class="mmabsent">no {html.escape(name)} for this case</div>')
        return
    if not explained:
        return
    groups = pd.DataFrame(explained["groups"]).head(8)
    genes = pd.DataFrame(explained["genes"]).head(12)
    if len(groups):
        st.altair_chart(charts.ranked(groups, "Pathways and modules that moved it"), width="stretch", theme="streamlit")
    st.altair_chart(charts.ranked(genes, "Columns that moved it"), width="stretch", theme="streamlit")


main()
