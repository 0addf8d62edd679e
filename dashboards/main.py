"""Every page's frame: navigation, the line that says what is looked at, and the notice that this is research."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import streamlit as st

from dashboards import published

st.set_page_config(
    page_title="mmdiag", page_icon="🩻", layout="wide", menu_items={"About": "mmdiag: multimodal diagnosis. Research use only."}
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
        st.selectbox("Cohort", names, key="cohort", help="Cohorts of this workspace that were ingested.")
        runs = published.runs(st.session_state["cohort"])
        if len(runs):
            labels = {row.run_id: f"{row.fusion} · {row.started[:16].replace('T', ' ')}" for row in runs.itertuples()}
            st.selectbox("Run", list(labels), key="run", format_func=lambda key: labels.get(key, key), help="The newest comes first.")
        else:
            st.session_state["run"] = None
st.markdown(published.header_line(st.session_state.get("cohort"), st.session_state.get("run")), help=None)
st.caption("Research use only. Not a medical device; not for diagnosis or treatment.")
if cohorts:
    chosen.run()
else:
    st.info("This workspace holds no cohort yet.", icon=":material/inbox:")
    st.code("mmdiag phantom --out demo/cohort --cases 80\nmmdiag run --cohort demo/cohort/cohort.toml", language="bash")
