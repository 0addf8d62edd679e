"""Every page's frame: navigation, the line that says what is looked at, and the notice that this is
research.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import streamlit as st

from dashboards import charts, published

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

st.set_page_config(
    page_title="mmdiag",
    page_icon="🩻",
    layout="wide",
    initial_sidebar_state=250,
    menu_items={
        "About": "mmdiag: multimodal diagnosis. Research use only. Not a medical device; not for "
        "diagnosis or treatment."
    },
)

pages = [
    st.Page("views/overview.py", title="Overview", icon=":material/insights:", default=True),
    st.Page("views/cohort.py", title="Cohort", icon=":material/groups:", url_path="cohort"),
    st.Page("views/case.py", title="Case", icon=":material/person_search:", url_path="case"),
]
chosen = st.navigation(pages)
cohorts = published.cohort_names()
with st.sidebar:
    if cohorts:
        names = list(cohorts)
        st.selectbox(
            "Cohort", names, key="cohort", help="Cohorts of this workspace that were ingested."
        )
        runs = published.runs(st.session_state["cohort"])
        if len(runs):
            labels = {
                row.run_id: f"{row.fusion} · {row.started[:16].replace('T', ' ')}"
                for row in runs.itertuples()
            }
            st.selectbox(
                "Run",
                list(labels),
                key="run",
                format_func=lambda key: labels.get(key, key),
                help="The newest comes first.",
            )
        else:
            st.session_state["run"] = None
st.session_state["ink"] = INK.get(st.context.theme.type or "", charts.TEXT)
st.html(TIGHT)
st.markdown(
    f"{published.header_line(st.session_state.get('cohort'), st.session_state.get('run'))} {NOTICE}"
)
if cohorts:
    chosen.run()
else:
    st.info(
        "This workspace holds no cohort yet. These two commands fill it with one that carries a "
        "known truth:",
        icon=":material/inbox:",
    )
    st.code(
        "mmdiag phantom --out demo/cohort --cases 80\nmmdiag run --cohort demo/cohort/cohort.toml",
        language="bash",
    )
