"""Worklist: what the model in use has scored, what nobody has answered yet first; a click opens
the case.
"""

from collections.abc import Mapping

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboards import notes, published, texts
from dashboards.parts import damaged, part
from dashboards.review import reading
from dashboards.review.reader import Reader, reader
from dashboards.worklist import rows, scored
from dashboards.worklist.cases import ORDER, QUEUE
from dashboards.worklist.scored import Filters, Scored
from mmdiag.record.worklist import refused_modalities

ROWS = 25  # of a page
ALL = ""
STATES = {ALL: "all states", scored.OPEN: "open", scored.FLAGGED: "flagged"}
STATES |= {scored.REVIEWED: "reviewed"}
ANSWERS = {ALL: "any answer", "none": "no answer", "given": "with an answer"}
WIDTHS = [2, 10]  # of the key, and of the rest of its row


def main() -> None:
    """Draw the page."""
    cohort = st.session_state["cohort"]
    try:
        store = published.store(cohort)
        found = scored.scored(cohort, store)
    except published.DamagedFile as error:
        damaged(error)
        return
    if found is None:
        _nothing(cohort)
        return
    who = reader()
    with st.sidebar, part("The switch"):
        reading.switch(who)
    with part("The filters"):
        names = texts.display_names(published.read_by(found.bundle_id, store), store.title)
        filters = _filters(found.table, names)
        shown = scored.chosen(found.table, filters)
        st.session_state[QUEUE] = ((cohort, found.bundle_id), shown["case_id"])
        st.session_state.pop(ORDER, None)
        with part("The list"):
            _list(cohort, found, shown, names, who, filters)


def _nothing(cohort: str) -> None:
    bundle = None
    with part("The model in use"):
        bundle = scored.champion(cohort)
    if bundle is None:
        st.info(
            "This cohort has no model in use yet. The first that is trained on it becomes its "
            "champion:",
            icon=":material/model_training:",
        )
        st.code("mmdiag run --cohort cohort.toml", language="bash")
        return
    st.info(
        f"The model in use, {notes.code(bundle)}, has scored no case of this cohort yet. New "
        "cases, without a label, are scored by:",
        icon=":material/inbox:",
    )
    st.code(
        "mmdiag score --cohort cohort.toml --out predictions.parquet --explain modalities",
        language="bash",
    )
    if st.session_state.get("run"):
        st.page_link(
            "views/case.py",
            label="Cases of its training, answered by models that had not seen them",
            icon=":material/person_search:",
            query_params={"cohort": cohort},
        )


def _filters(table: pd.DataFrame, names: Mapping[str, str]) -> Filters:
    columns = st.columns([2, 2, 2, 3, 3], vertical_alignment="bottom")
    sites = {ALL: "all sites", **{site: notes.visible(site) for site in scored.sites_of(table)}}
    missing = {ALL: "with or without any", **{m: f"without {t}" for m, t in names.items()}}
    state = _choice(columns[0], "State", "state", STATES)
    site = _choice(columns[1], "Site", "site", sites)
    answer = _choice(columns[2], "Answer", "answer", ANSWERS)
    absent = _choice(columns[3], "Missing modality", "missing", missing)
    text = columns[4].text_input(
        "Key",
        key="worklist-text",
        placeholder="part of a key",
        persist_state="session",
    )
    return Filters(state, site, answer, absent, text or "")


def _choice(column: DeltaGenerator, label: str, key: str, of: Mapping[str, str]) -> str:
    kept = f"worklist-{key}"
    if st.session_state.get(kept, ALL) not in of:  # of another cohort
        st.session_state[kept] = ALL
    return column.selectbox(
        label,
        list(of),
        key=kept,
        format_func=lambda value: of.get(value, value),
        persist_state="session",
    )


def _list(
    cohort: str,
    found: Scored,
    shown: pd.DataFrame,
    names: Mapping[str, str],
    who: Reader,
    filters: Filters,
) -> None:
    count = scored.counts(found.table)
    told = " · ".join(f"{texts.thin(n)} {state}" for state, n in count.items())
    line, pages = st.columns([8, 4], vertical_alignment="center")
    line.markdown(
        f"**{texts.thin(len(shown))} of {texts.thin(len(found.table))} cases** that "
        f"{notes.code(found.bundle_id)} ({found.state}) scored · {told}"
    )
    number = 1
    if len(shown) > ROWS:
        with pages:
            number = st.pagination(  # other filters begin with their first page
                -(-len(shown) // ROWS), key=f"page-{hash(filters)}", persist_state="session"
            )
    if shown.empty:
        st.info("No case is like that: choose other filters.", icon=":material/filter_alt_off:")
        return
    page = shown.iloc[(number - 1) * ROWS : number * ROWS]
    refused = set[tuple[str, str]]()
    with published.reading_ledger() as record:
        if record is not None:
            refused = refused_modalities(record, cohort, page["case_id"].tolist())
    st.html(rows.legend(names))
    key, rest = st.columns(WIDTHS, vertical_alignment="center")
    key.html('<div class="mmhead" style="padding-left:.5rem">case</div>')
    rest.html(rows.heading(len(names)))
    for row in published.records(page):
        key, rest = st.columns(WIDTHS, vertical_alignment="center")
        key.page_link(
            "views/case.py",
            label=notes.plain(row["case_id"]),
            query_params={"case": row["case_id"], "cohort": cohort},
        )
        due = row["state"] == scored.OPEN and reading.is_due(
            who, cohort, row["case_id"], row["version"]
        )
        rest.html(rows.row_of(row, names, found.task, refused, hidden=due))


if __name__ == "__main__":  # a page is run, not imported
    main()
