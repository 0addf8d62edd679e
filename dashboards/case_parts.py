"""What a case shows of each modality: images, signals, embeddings, notes, tables; under each
what its drawn parts add up to.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import notes, texts
from dashboards.case_view import View
from dashboards.charts import case as charts
from dashboards.parts import part
from dashboards.viewer.component import show
from dashboards.viewer.series import series_of
from mmdiag.explain.drawn import COLUMNS, GROUPS, influential
from mmdiag.explain.parts import Part, of_sentences


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


def _adds_up(view: View, name: str) -> None:
    """How the parts add up to the contribution, and what of it has no place."""
    line = view.adds_up(name)
    if line:
        st.caption(notes.plain(line))


def signal(view: View, name: str) -> None:
    """The channels of a signal, and the windows that contributed."""
    if not view.has(name):
        st.markdown(f"**{notes.plain(view.names[name])}**")
        missing(view, name)
        return
    windows = view.parts(name) or []
    samples, rate_hz = view.stored(name), view.store.rate_hz(name)
    shown = _heat_toggle(st, name, known=bool(windows) and rate_hz is not None)
    title = f"{view.names[name]}, each channel scaled to its largest value"
    chart(charts.signal(samples, rate_hz, windows if shown else [], title))
    if shown:
        st.caption(texts.heat(notes.plain(view.outcome), "signal", windows, view.scale))
        _adds_up(view, name)


def embedding(view: View, name: str) -> None:
    """How many vectors there are and what made them: what they mean, only that knows."""
    st.markdown(f"**{notes.plain(view.names[name])}**")
    if not view.has(name):
        missing(view, name)
        return
    made, stored = view.store.source(name), view.stored(name)
    st.markdown(notes.plain(texts.vectors(len(stored), stored.shape[1], made)))
    _adds_up(view, name)


def note(view: View, name: str) -> None:
    """A note, with what contributed in it shaded."""
    st.markdown(f"**{notes.plain(view.names[name])}**")
    if not view.has(name):
        missing(view, name)
        return
    text, parts = view.stored(name), view.parts(name)
    with st.container(height=330):
        st.html(notes.note(text, parts))
    if parts is not None:
        whole = of_sentences(parts)
        st.caption(texts.words(notes.plain(view.outcome), sentences=whole))
        _adds_up(view, name)


def table(view: View, name: str) -> None:
    """The genes and pathways, or the columns, that contributed most."""
    st.markdown(f"**{notes.plain(view.names[name])}**")
    if not view.has(name):
        missing(view, name)
        return
    parts = view.parts(name)
    if parts is None:
        st.caption("Its most influential columns are not explained yet.")
        return
    groups, columns = influential(view.groups(name), GROUPS), influential(parts, COLUMNS)
    if groups:
        chart(charts.ranked(texts.listed(groups), texts.PATHWAYS, view.outcome, view.scale))
    if columns:
        title = texts.GENES if view.groups(name) else texts.COLUMNS
        chart(charts.ranked(texts.listed(columns), title, view.outcome, view.scale))
        _among(view, columns)
    _adds_up(view, name)


def _among(view: View, columns: Sequence[Part]) -> None:
    """Where the case stands in each column among the cases of each outcome."""
    task = view.store.task
    rows = [
        {
            "column": str(part["name"]),
            "outcome": task.name_of(name),
            **dict(zip(("low", "middle", "high"), part["among"][name], strict=True)),
            "own": part.get("place", part["percentile"]),
        }
        for part in columns
        for name in part.get("among", ())
    ]
    if rows:
        table = pd.DataFrame(rows)
        classes = [task.name_of(name) for name in task.classes]
        names = table["column"].unique().tolist()
        chart(charts.among(table, names, classes, texts.AMONG))


def chart(drawn: Any) -> None:
    """A chart as wide as its column."""
    st.altair_chart(drawn, width="stretch", theme="streamlit")
