"""What a case shows of each modality: images, signals, embeddings, notes, tables; under each
what its drawn parts add up to.
"""

from typing import Any

import pandas as pd
import streamlit as st

from dashboards import notes, texts
from dashboards.case_view import View
from dashboards.charts import case as charts
from dashboards.parts import part
from dashboards.viewer.component import show
from dashboards.viewer.series import series_of
from mmdiag.explain.drawn import (
    COLUMNS,
    GENES,
    GROUPS,
    PATHWAYS,
    TABLE_COLUMNS,
    VECTORS,
    WINDOWS,
    WORDS,
)


def images(view: View) -> None:
    """The viewer of the images that the case has, and the marks of those that it has not."""
    names = view.of_kind("image")
    if not names:
        st.html(notes.box("This cohort has no image modality"))
        return
    told = []
    for name in names:
        if view.has(name):
            with part(view.names[name]):
                told.append(series_of(view, name))
    if told:
        show(told, of=f"{view.store.folder.name} {view.case_id}")
    for name in names:
        if not view.has(name):
            missing(view, name)


def missing(view: View, name: str) -> None:
    """The mark of a modality that the case does not have: not acquired, or refused and why."""
    if name not in view.refused:
        st.html(notes.absent(view.names[name]))
        return
    entry = view.refused[name]
    st.html(
        notes.refused(
            view.names[name], entry["code"], entry["rule"], entry["detail"], entry["cure"]
        )
    )
    to_quarantine(view.case_id)


def to_quarantine(case_id: str) -> None:
    """The link to what is in quarantine of a case."""
    st.page_link(
        "views/cohort.py",
        label="Its entry in quarantine",
        icon=":material/arrow_forward:",
        query_params={"case": case_id},
    )


def _heat_toggle(column: Any, name: str, *, known: bool) -> bool:
    """Off at first: the reader sees the recording before the model's opinion of it."""
    return bool(column.toggle("heat map", value=False, key=f"heat-{name}", disabled=not known))


def _adds_up(view: View, name: str, what: str) -> None:
    """How much of the contribution the drawn parts add up to, and whether the sign agrees."""
    line = view.drawn(name).get(what)
    if line:
        st.caption(notes.plain(line))


def signal(view: View, name: str) -> None:
    """The channels of a signal, and the windows that contributed."""
    if not view.has(name):
        st.markdown(f"**{notes.plain(view.names[name])}**")
        missing(view, name)
        return
    windows = view.explained(name) or []
    samples, rate_hz = view.stored(name), view.store.rate_hz(name)
    shown = _heat_toggle(st, name, known=bool(windows) and rate_hz is not None)
    title = f"{view.names[name]}, each channel scaled to its largest value"
    chart(charts.signal(samples, rate_hz, windows if shown else [], title))
    if shown:
        st.caption(texts.heat(notes.plain(view.outcome)))
        _adds_up(view, name, WINDOWS)


def embedding(view: View, name: str) -> None:
    """How many vectors there are and what made them: what they mean, only that knows."""
    st.markdown(f"**{notes.plain(view.names[name])}**")
    if not view.has(name):
        missing(view, name)
        return
    made, stored = view.store.source(name), view.stored(name)
    st.markdown(notes.plain(texts.vectors(len(stored), stored.shape[1], made)))
    _adds_up(view, name, VECTORS)


def note(view: View, name: str) -> None:
    """A note, with what contributed in it shaded."""
    st.markdown(f"**{notes.plain(view.names[name])}**")
    if not view.has(name):
        missing(view, name)
        return
    text, explained = view.stored(name), view.explained(name)
    with st.container(height=330):
        st.html(notes.note(text, explained["spans"] if explained else []))
    if explained:
        st.caption(texts.words(notes.plain(view.outcome)))
        _adds_up(view, name, WORDS)


def table(view: View, name: str) -> None:
    """The genes and pathways, or the columns, that contributed most."""
    st.markdown(f"**{notes.plain(view.names[name])}**")
    if not view.has(name):
        missing(view, name)
        return
    explained = view.explained(name)
    if not explained:
        st.caption("Its most influential columns are not explained yet.")
        return
    groups = texts.influential(pd.DataFrame(explained["groups"]), GROUPS)
    columns = texts.influential(pd.DataFrame(explained["genes"]), COLUMNS)
    if len(groups):
        chart(charts.ranked(groups, texts.PATHWAYS, view.outcome))
    else:
        st.caption("No pathway influenced the prediction.")
    _adds_up(view, name, PATHWAYS)
    if len(columns):
        title = texts.GENES if explained["groups"] else texts.COLUMNS
        chart(charts.ranked(columns, title, view.outcome))
    _adds_up(view, name, GENES if explained["groups"] else TABLE_COLUMNS)


def chart(drawn: Any) -> None:
    """A chart as wide as its column."""
    st.altair_chart(drawn, width="stretch", theme="streamlit")
