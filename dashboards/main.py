"""Every page's frame: navigation, the line that says what is looked at, and the notice that this is
research.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import streamlit as st

from dashboards import published
from dashboards.charts.style import TEXT

# Streamlit leaves a hand's width free above and beside the page: a case must fit on one screen. Its
# own bar lies over the page's first line, so it lets
# the line, which carries the notice, be seen and only its buttons be pressed.
TIGHT = (
    "<style>.stMainBlockContainer{padding:1.4rem 4rem 2rem 2.5rem;max-width:1560px} .stMain "
    "[data-testid=stVerticalBlock]{gap:.7rem}"
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
    chosen = st.navigation(
        [
            st.Page(
                "views/overview.py", title="Overview", icon=":material/insights:", default=True
            ),
            st.Page("views/cohort.py", title="Cohort", icon=":material/groups:", url_path="cohort"),
            st.Page(
                "views/case.py", title="Case", icon=":material/person_search:", url_path="case"
            ),
        ]
    )
    cohorts = published.cohort_names()
    if cohorts:
        with st.sidebar:
            _choose(list(cohorts))
    st.session_state["ink"] = INK.get(st.context.theme.type or "", TEXT)
    st.html(TIGHT)
    line = published.header_line(st.session_state.get("cohort"), st.session_state.get("run"))
    st.markdown(f"{line} {NOTICE}")
    if cohorts:
        chosen.run()
    else:
        _nothing_yet()


def _choose(cohorts: list[str]) -> None:
    """The cohort and the run that all pages show."""
    st.selectbox(
        "Cohort", cohorts, key="cohort", help="Cohorts of this workspace that were ingested."
    )
    runs = published.records(published.runs(st.session_state["cohort"]))
    if not runs:
        st.session_state["run"] = None
        return
    labels = {
        row["run_id"]: f"{row['fusion']} · {row['started'][:16].replace('T', ' ')}" for row in runs
    }
    st.selectbox(
        "Run",
        list(labels),
        key="run",
        format_func=lambda key: labels.get(key, key),
        help="The newest comes first.",
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
