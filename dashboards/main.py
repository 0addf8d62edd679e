"""Every page's frame: the notice that this is research, which is drawn before anything that can
fail; navigation, and the line that says what is looked at.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import streamlit as st

from dashboards import notes, published
from dashboards.charts.style import TEXT
from dashboards.parts import damaged, part
from dashboards.review.reader import reader
from mmdiag.storage.record_tables import CHAMPION

# Streamlit leaves a hand's width free above and beside the page: a case must fit on one screen. Its
# own bar lies over the page's first line, so it lets
# the line, which carries the notice, be seen and only its buttons be pressed.
TIGHT = (
    "<style>.stMainBlockContainer{padding:1.4rem 4rem 2rem 2.5rem;max-width:1560px} .stMain "
    "[data-testid=stVerticalBlock]{gap:.7rem}"
    " .stMain [data-testid=stPageLink] p{white-space:normal;overflow:visible;text-overflow:clip}"
    " .stAppHeader,.stAppHeader *{background:transparent;pointer-events:none} .stAppHeader "
    "button,.stAppHeader button *{pointer-events:auto}</style>"
)
INK = {"light": "#1F2430", "dark": "#E6E8EB"}  # textColor of .streamlit/config.toml
NOTICE = ":orange-badge[:material/science: Research use only · not for diagnosis]"


def main() -> None:
    """Draw the frame, and the chosen page in it."""
    st.set_page_config(
        page_title="mmdiag",
        page_icon="🩻",
        layout="wide",
        initial_sidebar_state=250,
        menu_items={
            "About": "mmdiag: multimodal diagnosis. Research use only. Not a medical device; not "
            "for diagnosis or treatment."
        },
    )
    st.html(TIGHT)
    notice, line = st.columns([5, 9], vertical_alignment="center")
    notice.markdown(NOTICE)
    chosen = st.navigation(
        [
            st.Page(
                "views/worklist.py", title="Worklist", icon=":material/checklist:", default=True
            ),
            st.Page(
                "views/case.py", title="Case", icon=":material/person_search:", url_path="case"
            ),
            st.Page(
                "views/performance.py",
                title="Performance",
                icon=":material/insights:",
                url_path="performance",
            ),
            st.Page("views/cohort.py", title="Cohort", icon=":material/groups:", url_path="cohort"),
            st.Page(
                "views/operations.py",
                title="Operations",
                icon=":material/manufacturing:",
                url_path="operations",
            ),
        ]
    )
    st.session_state["ink"] = INK.get(st.context.theme.type or "", TEXT)
    cohorts = _cohorts()
    if cohorts:
        asked = st.query_params.get("cohort")
        if asked is not None and asked not in cohorts:
            _no_such_cohort(asked)
            return
        with st.sidebar, part("The choice of the cohort"):
            _choose(list(cohorts), asked)
    with line, part("The line of the workspace"):
        st.markdown(header_line(st.session_state.get("cohort"), st.session_state.get("run")))
    who = reader()
    if not who.may("view"):
        st.error(notes.plain(who.problem), icon=":material/lock:")
    elif cohorts and st.session_state.get("cohort"):
        chosen.run()
    elif not cohorts:
        _nothing_yet()


def header_line(cohort: str | None, run_id: str | None) -> str:
    """What is looked at, in one line of Markdown."""
    parts = [f"**mmdiag** · workspace {notes.code(published.workspace().path.name)}"]
    parts += [f"cohort {notes.code(cohort)}"] if cohort else []
    model = published.model_of(run_id)
    if model is not None:
        state = published.state_of(model[0])
        said = ", ".join(notes.plain(word) for word in (model[1], state) if word)
        parts.append(f"model {notes.code(model[0])} ({said})")
    return " · ".join(parts)


def _no_such_cohort(asked: str) -> None:
    """Another cohort is never shown in the place of the one that the address names."""
    st.info(
        f"This workspace has no cohort {notes.plain(asked)}: correct the address, or open a page "
        "without it.",
        icon=":material/folder_off:",
    )


def _cohorts() -> dict[str, dict[str, Any]]:
    """The cohorts of the workspace; from their folders where the ledger cannot be read."""
    try:
        return published.cohort_names()
    except published.DamagedFile as error:
        damaged(error)
        return published.cohort_folders()


def _runs(cohort: str) -> list[dict[str, Any]]:
    """Runs with the state of their model."""
    try:
        states = published.model_states(cohort)
        return [
            {**row, "state": states.get(row["bundle_id"], "")}
            for row in published.records(published.runs(cohort))
        ]
    except published.DamagedFile:  # of the ledger, which is said above
        return [{**row, "state": ""} for row in published.records(published.run_folders(cohort))]


def _another_cohort() -> None:
    """The case of the address belongs to the cohort that was left."""
    st.query_params.pop("case", None)
    st.query_params.pop("cohort", None)


def _choose(cohorts: list[str], asked: str | None) -> None:
    """The cohort and the run that all pages show.

    Args:
        asked: The cohort of the address.
    """
    if asked is not None:
        st.session_state["cohort"] = asked
    st.selectbox(
        "Cohort",
        cohorts,
        key="cohort",
        on_change=_another_cohort,
        help="Cohorts of this workspace that were ingested.",
    )
    runs = _runs(st.session_state["cohort"])
    if st.session_state.get("run") not in {row["run_id"] for row in runs}:
        st.session_state.pop("run", None)  # of another cohort, or of one that has none
    if not runs:
        return
    runs.sort(key=lambda row: row["state"] != CHAMPION)
    labels = {
        row["run_id"]: f"{row['fusion']} · {str(row['started'])[:16].replace('T', ' ')}"
        + (f" · {row['state']}" if row["state"] else "")
        for row in runs
    }
    st.selectbox(
        "Run",
        list(labels),
        key="run",
        format_func=lambda key: labels.get(key, key),
        help="That of the model in use comes first, then the newest.",
    )


def _nothing_yet() -> None:
    st.info(
        "This workspace holds no cohort yet. These two commands fill it with one that carries a "
        "known truth:",
        icon=":material/inbox:",
    )
    st.code(
        "mmdiag phantom --out demo/cohort --cases 80\nmmdiag run --cohort demo/cohort/cohort.toml",
        language="bash",
    )


if __name__ == "__main__":
    main()
