"""Case: one answer with its doubt and its reasons on one screen."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboards import case_parts, notes, published, texts, why
from dashboards.case_view import Row, View, refusals, score_again, view_of
from dashboards.charts import case as charts
from dashboards.parts import against, damaged, part
from dashboards.review import choice, explaining, panel, reading, what_if
from dashboards.review.reader import Reader, reader
from dashboards.worklist.cases import (
    Answer,
    Cases,
    answer_of_case,
    cases_of,
    said_of,
    weights_of,
)
from mmdiag.evaluation.verdict import answer_of, question, shares_of
from mmdiag.record.reviews import record_view
from mmdiag.storage.store import Store
from mmdiag.task import EVEN

MOST_TICKS = 500  # other cases that are drawn beside a probability
SEEN = "seen"  # of a session: the cases whose view is in the audit


def main() -> None:
    """Draw the page."""
    cohort, run = st.session_state["cohort"], st.session_state.get("run")
    who = reader()
    store, whole = _store(cohort)
    cases = None
    with part("The list of cases"):
        cases = cases_of(cohort, run, store if whole else None)
    refused = _refused(cohort)
    with st.sidebar, part("The switch"):
        reading.switch(who)
    line, case_id = choice.choose(cases, cohort)
    answer = None
    with part("The answer"):
        answer = answer_of_case(cases, cohort, case_id) if case_id is not None else None
    if answer is None:
        asked = st.query_params.get("case")
        if asked is not None:
            with line:
                _none(asked, cohort, refused)
        if cases is None:
            _no_prediction()
        return
    if store is not None:
        _show(store, whole, cohort, answer, refused, cases, who, line)


def _show(
    store: Store,
    whole: bool,
    cohort: str,
    answer: Answer,
    refused: pd.DataFrame,
    cases: Cases | None,
    who: Reader,
    line: Any,
) -> None:
    """One case: its line, and all that is known of it."""
    case_id, prediction = str(answer.prediction["case_id"]), answer.prediction
    row, said = row_of(store, case_id), said_of(cohort, case_id)
    with line, part("The line of the case"):
        st.markdown(heading(answer, store, row, said))
    with part("The record of this view"):
        _record_view(cohort, case_id, who)
    if row is None and whole:
        st.info(
            f"{notes.plain(case_id)} has a prediction, but is no longer among the accepted cases "
            "of the cohort.",
            icon=":material/person_off:",
        )
        return
    version = version_of(store, row, prediction)
    if str(prediction.get("version") or version) != version:
        st.warning(
            "The files of this case changed after this answer: what is shown beside it is newer. "
            f"Score it again: {notes.code(score_again(store, row))}",
            icon=":material/history:",
        )
    seen = (str(prediction.get("bundle_id")), str(prediction.get("version") or version))
    with part("The case"):
        own = refusals(refused, case_id)
        if reading.is_due(who, cohort, case_id, seen[1]):
            bare = view_of(store, row, prediction, own, None)
            reading.draw(bare, who, cohort, seen)
            return
        view = _view(store, row, answer, version, own)
        _draw(view, answer, cases, cohort, who, said, seen)


def version_of(store: Store, row: int | None, prediction: Row) -> str:
    """The version of a case's files as they are now; that of the answer where that is not known."""
    known = row is not None and "version" in store.cases
    found = store.cases.iloc[row]["version"] if known and row is not None else None
    return str(found if found is not None else prediction.get("version") or "")


def _record_view(cohort: str, case_id: str, who: Reader) -> None:
    """A view is recorded once a session and case."""
    seen = st.session_state.setdefault(SEEN, set())
    if (cohort, case_id) in seen:
        return
    with published.reading_ledger() as record:
        if record is not None:
            record_view(record, cohort, case_id, who.name, role=who.role)
    seen.add((cohort, case_id))


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
    store: Store, row: int | None, answer: Answer, version: str, refused: Mapping[str, Row]
) -> View:
    """The case with its explanation, as far as that can be read."""
    found, given = None, answer.prediction
    case_id, bundle = str(given["case_id"]), str(given.get("bundle_id"))
    path = published.explanation(bundle, case_id, str(given.get("version") or version))
    with part("The full explanation"):
        found = published.explained(path, case_id)
    return view_of(store, row, given, refused, found)


def _draw(
    view: View,
    answer: Answer,
    cases: Cases | None,
    cohort: str,
    who: Reader,
    said: Sequence[dict[str, Any]],
    seen: tuple[str, str],
) -> None:
    left, right = st.columns([10, 11], gap="large")
    with left:
        with part("The images"):
            case_parts.images(view)
        for kind, draw in (
            ("signal", case_parts.signal),
            ("embedding", case_parts.embedding),
            ("text", case_parts.note),
            ("table", case_parts.table),
        ):
            for name in view.of_kind(kind):
                with part(view.names[name]):
                    draw(view, name)
    with right:
        with part("The answer"):
            _answer(view, cases)
            against(str(view.prediction.get("bundle_id") or ""))
        with part("What is said of the answer"):
            own = reading.own_estimate(cohort, view.case_id, seen[1])
            if own:
                st.caption(notes.plain(f"Your own reading: {own}."))
            panel.panel(who, cohort, view.case_id, seen, view.asked, said)
        with part("The recorded outcome"):
            _outcome(view)
        with part("The contributions"):
            why.reliability(view)
            _modalities(view, answer)
        if view.kept is None and view.row is not None:
            with part("The full explanation"):
                _full(view, cohort, seen)
        if view.row is not None:
            with part("What if"):
                what_if.panel(view, cohort, seen)
        with part("Similar earlier cases"):
            why.similar(view, cohort)


def _full(view: View, cohort: str, seen: tuple[str, str]) -> None:
    """The button that makes regions, words and genes; the model of an answer must be at hand."""
    explaining.panel((seen[0], view.case_id, seen[1]), cohort)


def _outcome(view: View) -> None:
    """What came out, for who asks for it."""
    task = view.store.task
    label = view.store.cases.iloc[view.row]["label"] if view.row is not None else None
    if label is None or pd.isna(label) or not task.classes:
        return
    recorded = task.name_of(task.classes[int(label)])
    if st.toggle("Show the recorded outcome", key=f"outcome-{view.case_id}"):
        st.markdown(f"recorded: **{notes.plain(recorded)}**")


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


def heading(answer: Answer, store: Store, row: int | None, said: Sequence[dict[str, Any]]) -> str:
    """Key, site, date, model, role and review of a case, as Markdown; never its outcome."""
    prediction = answer.prediction
    parts = [f"**case {notes.plain(prediction['case_id'])}**"]
    if row is not None:
        case = store.cases.iloc[row]
        parts.append(f"site {notes.plain(case['site'])}" if pd.notna(case["site"]) else "")
        parts.append(f"as of {case['as_of']:%Y-%m-%d}" if pd.notna(case["as_of"]) else "")
    if prediction.get("bundle_id"):
        state = f" ({notes.plain(answer.state)})" if answer.state else ""
        parts.append(f"model {notes.code(prediction['bundle_id'])}{state}")
    parts.append(texts.role(prediction["role"]))
    answered = (prediction.get("bundle_id"), prediction.get("version"))
    own = [one for one in said if (one["bundle_id"], one["version"]) == answered]
    newest = own[0] if own else None
    words = texts.reviewed(newest["verdict"], newest["at"], newest["by"]) if newest else ""
    parts.append(f"reviewed: {notes.plain(words)}" if words else "not yet reviewed")
    return " · ".join(part for part in parts if part)


def _answer(view: View, cases: Cases | None) -> None:
    task, prediction = view.task, view.prediction
    probability = float(prediction.get("probability", math.nan))
    if view.abstained:
        st.markdown(f"##### {notes.plain(answer_of(task, prediction, view.store.title))}")
        st.caption(texts.ABSTAINED)
        return
    if math.isfinite(probability):
        st.markdown(f"##### {notes.plain(answer_of(task, prediction, view.store.title))}")
        others = cases.company() if cases is not None else np.zeros(0)
        if len(others):
            rank = texts.rank(probability, others.tolist())
            drawn = others[:: -(-len(others) // MOST_TICKS)]
            turn = task.threshold if task.kind == "binary" else None
            case_parts.chart(charts.strip(drawn.tolist(), probability, rank, turn))
            if turn is not None and turn != EVEN:
                st.caption(f"Positive from {turn:.0%} on: the dashed line.")
        return
    predicted = task.named(str(prediction["predicted"]))
    st.markdown(f"##### {notes.plain(f'{question(task)}: {predicted}')}")
    for cls, share, text in shares_of(task, prediction)[:4]:
        st.progress(share, text=f"{notes.plain(text)} {notes.plain(cls)}")


def _modalities(view: View, answer: Answer) -> None:
    names, prediction = list(view.names), view.prediction
    present = [name for name in names if name in set(prediction["modalities"])]
    values = {
        name: float(prediction[f"contribution_{name}"])
        for name in present
        if pd.notna(prediction.get(f"contribution_{name}"))
    }
    facts = weights_of(answer)
    together = why.together(view, facts)
    if present and not values:
        st.caption(
            "The contributions of the modalities were not computed when this case was scored "
            "(`score --explain none`); the full explanation brings them."
        )
        if together is not None:
            why.interactions(view, together)
        return
    table = pd.DataFrame(
        {
            "modality": list(view.names.values()),
            "value": [values.get(name, np.nan) for name in names],
            "text": [f"{values[n]:+.2f}" if n in values else view.without(n) for n in names],
        }
    )
    title = texts.contributions(view.outcome, view.scale)
    ends = _ends(view, facts.get("base"), values)
    named = list(view.names.values())
    case_parts.chart(charts.contributions(table, named, title, view.outcome, ends, view.scale))
    attention = isinstance(facts.get("attention"), Mapping) and len(present) > 0
    if attention and together is not None:  # two matrices of one size: one of them is seen at once
        first, second = st.tabs(["Attention", "Acting together"])
        with first:
            _attention(view, facts, present, values)
        with second:
            why.interactions(view, together)
        return
    if facts and present:
        _attention(view, facts, present, values)
    if together is not None:
        why.interactions(view, together)


def _ends(view: View, base: Any, values: Mapping[str, float]) -> dict[str, tuple[float, str]]:
    """Where the bars begin, and where they end if there is an answer; each as it is read."""
    if base is None or pd.isna(base):
        return {}
    binary, end = view.task.kind == "binary", float(base) + sum(values.values())
    found = {texts.BASE: (float(base), texts.log_odds(float(base), share=binary))}
    return (
        found
        if view.abstained
        else found | {texts.THIS_CASE: (end, texts.log_odds(end, share=binary))}
    )


def _attention(view: View, facts: Row, present: Sequence[str], values: Mapping[str, float]) -> None:
    names = view.names
    weights = {names[m]: float(facts[f"weight_{m}"]) for m in present if f"weight_{m}" in facts}
    attention = facts.get("attention")
    if not isinstance(attention, Mapping):
        if len(weights) < 2:
            return
        listed = ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())
        st.caption(notes.plain(f"Weights of the modalities: {listed}. Nothing attends here."))
        return
    places = {name: place for place, name in enumerate(attention["modalities"])}
    matrix = attention["matrix"]
    cells = [
        {
            "row": names[one],
            "column": names[other],
            "value": matrix[places[one]][places[other]]
            if one in present and other in present and {one, other} <= places.keys()
            else None,
            "refused": any(m in view.refused and m not in present for m in (one, other)),
        }
        for one in names
        for other in names
    ]
    share, table = attention.get("weight"), pd.DataFrame(cells)
    case_parts.chart(charts.matrix(table, list(names.values()), texts.attention(share)))
    said = texts.disagreement(weights, {names[m]: value for m, value in values.items()}, share)
    if weights and said:
        st.caption(notes.plain(said))


if __name__ == "__main__":  # a page is run, not imported
    main()
